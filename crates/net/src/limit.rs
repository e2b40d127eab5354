//! How many messages of error we send, in all and to whom.
//!
//! Who sends what nobody wants from made-up addresses lets us send errors to their owners: so there are fewer of those than
//! occasions. As on Linux (net.ipv4.icmp_ratelimit, icmp_msgs_per_sec, icmp_msgs_burst): to one receiver a message a second
//! after a first [`BURST`], to all of them [`PER_SECOND`] after a first [`BURST_IN_ALL`]. Receivers are remembered in
//! [`PLACES`] by a hash that nobody outside knows; two in one place share what it has. O(1), a fixed amount of memory.
use core::hash::{BuildHasher, Hash};
use hashbrown::DefaultHashBuilder;

const SECOND: u64 = 1_000_000_000;
/// Messages to one receiver before it gets one a second.
pub const BURST: u64 = 6;
/// Messages a second in all.
pub const PER_SECOND: u64 = 1000;
/// Messages in all before that counts.
pub const BURST_IN_ALL: u64 = 50;
/// Receivers that are told apart.
const PLACES: usize = 256;

/// What time gives back, up to a limit: the moment from which on nothing is owed, as in GCRA.
#[derive(Clone, Copy, Default)]
struct Bucket(u64);

impl Bucket {
    /// Whether one more may go, each of which takes `cost` ns, up to `burst` of them at once.
    const fn may(self, now: u64, cost: u64, burst: u64) -> bool {
        self.0 <= now + cost * (burst - 1)
    }

    fn take(&mut self, now: u64, cost: u64) {
        self.0 = self.0.max(now) + cost;
    }
}

/// See the module's head.
pub struct Limit {
    all: Bucket,
    places: [Bucket; PLACES],
    hasher: DefaultHashBuilder,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            all: Bucket::default(),
            places: [Bucket::default(); PLACES],
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Limit {
    /// Whether a message may go to this receiver at `now`, in ns. If so it counts as sent.
    pub fn allows(&mut self, to: impl Hash, now: u64) -> bool {
        let place = &mut self.places[self.hasher.hash_one(to) as usize % PLACES];
        let allowed =
            self.all.may(now, SECOND / PER_SECOND, BURST_IN_ALL) && place.may(now, SECOND, BURST);
        if allowed {
            self.all.take(now, SECOND / PER_SECOND);
            place.take(now, SECOND);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_receiver_gets_a_few_and_then_one_a_second() {
        let mut limit = Limit::default();
        let sent = (0..1000).filter(|_| limit.allows(1, 5)).count();
        assert_eq!(sent as u64, BURST);
        let later = (0..10_000u64).filter(|ms| limit.allows(1, 5 + ms * SECOND / 1000));
        assert_eq!(later.count(), 9);
    }

    #[test]
    fn all_of_them_get_no_more_than_so_many() {
        let mut limit = Limit::default();
        let sent = (0..100_000).filter(|to| limit.allows(to, 0)).count();
        assert_eq!(sent as u64, BURST_IN_ALL);
        let ms = (1..=10u64).filter(|ms| limit.allows(1_000_000 + ms, ms * SECOND / 1000));
        assert!(ms.count() >= 8);
    }

    #[test]
    fn who_was_quiet_gets_no_more_than_at_first() {
        let mut limit = Limit::default();
        limit.allows(1, 0);
        let sent = (0..1000).filter(|_| limit.allows(1, 100 * SECOND)).count();
        assert_eq!(sent as u64, BURST);
    }
}
