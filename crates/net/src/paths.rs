//! How large packets may be on the way to whom, where that is less than the card's (RFC 1191).
//!
//! A router that would have to cut a packet that must not be cut says so, and how much it takes. That is believed for ten
//! minutes and never below [`LEAST`], as Linux does it (net.ipv4.route.mtu_expires, min_pmtu): so who makes such messages up
//! makes packets small, but not tiny. At most [`MOST`] ways are remembered; one more pushes out the one that nobody has asked
//! for longest, so that made-up messages about places nobody sends to displace each other. O(1), with too many O(ways).
use core::net::IpAddr;
use hashbrown::HashMap;

const SECOND: u64 = 1_000_000_000;
const LIFETIME: u64 = 600 * SECOND;
/// No way counts as narrower.
pub const LEAST: u16 = 552;
/// The most ways.
pub const MOST: usize = 256;

/// See the module's head.
#[derive(Default)]
pub struct Paths(HashMap<IpAddr, Way>);

struct Way {
    mtu: u16,
    until: u64,
    /// When somebody sent there last, or it was learnt.
    used: u64,
}

impl Paths {
    /// The largest packet to `to`, if it is less than usual.
    pub fn largest(&mut self, to: IpAddr, now: u64) -> Option<u16> {
        let way = self.0.get_mut(&to)?;
        if now < way.until {
            way.used = now;
            return Some(way.mtu);
        }
        self.0.remove(&to);
        None
    }

    /// A router says that a packet to `to` was too large; `mtu` is what it takes, 0 if it does not say. Gives what counts from
    /// then on, if that is new. `usual`: the card's.
    pub fn learn(&mut self, to: IpAddr, mtu: u16, usual: u16, now: u64) -> Option<u16> {
        let before = self.largest(to, now).unwrap_or(usual);
        let mtu = mtu.max(LEAST);
        if mtu >= before {
            return None;
        }
        if self.0.len() >= MOST && !self.0.contains_key(&to) {
            let oldest = self.0.iter().min_by_key(|(_, way)| way.used);
            let oldest = oldest.map(|(&oldest, _)| oldest);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let way = Way {
            mtu,
            until: now + LIFETIME,
            used: now,
        };
        self.0.insert(to, way);
        Some(mtu)
    }

    /// Whether nothing is known, so that nobody needs to ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(last: u8) -> IpAddr {
        [10, 0, 2, last].into()
    }

    #[test]
    fn what_a_router_says_counts_for_ten_minutes() {
        let mut paths = Paths::default();
        assert_eq!(paths.learn(to(1), 1000, 1500, 0), Some(1000));
        assert_eq!(paths.largest(to(1), LIFETIME - 1), Some(1000));
        assert_eq!(paths.largest(to(2), 0), None);
        assert_eq!(paths.largest(to(1), LIFETIME), None);
    }

    #[test]
    fn ways_only_become_narrower_and_not_tiny() {
        let mut paths = Paths::default();
        assert_eq!(paths.learn(to(1), 2000, 1500, 0), None);
        assert_eq!(paths.learn(to(1), 68, 1500, 0), Some(LEAST));
        assert_eq!(paths.learn(to(1), 1200, 1500, 0), None);
        assert_eq!(paths.learn(to(2), 0, 1500, 0), Some(LEAST));
    }

    #[test]
    fn made_up_messages_leave_what_is_in_use_and_what_is_learnt_next() {
        let mut paths = Paths::default();
        paths.learn(to(1), 1000, 1500, 0);
        for at in 1..=10 * MOST as u32 {
            let nobody = core::net::Ipv4Addr::from(at).into();
            assert_eq!(paths.learn(nobody, 600, 1500, u64::from(at)), Some(600));
            assert_eq!(paths.largest(to(1), u64::from(at)), Some(1000));
        }
        assert_eq!(paths.learn(to(2), 1200, 1500, SECOND), Some(1200));
        assert_eq!(paths.largest(to(2), SECOND), Some(1200));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut paths = Paths::default();
        for at in 0..1000u32 {
            paths.learn(core::net::Ipv4Addr::from(at).into(), 1000, 1500, 0);
        }
        assert_eq!(paths.0.len(), MOST);
        assert_eq!(paths.learn(to(1), 1000, 1500, LIFETIME + 1), Some(1000));
    }
}
