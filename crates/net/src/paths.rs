//! How large packets may be on the way to whom, where that is less than the card's (RFC 1191).
//!
//! A router that would have to cut a packet that must not be cut says so, and how much it takes. That is believed for ten
//! minutes and never below [`LEAST`], as Linux does it (net.ipv4.route.mtu_expires, min_pmtu): so who makes such messages up
//! makes packets small, but not tiny. At most [`MOST`] ways are remembered. O(1).
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
pub struct Paths(HashMap<IpAddr, (u16, u64)>);

impl Paths {
    /// The largest packet to `to`, if it is less than usual.
    pub fn largest(&mut self, to: IpAddr, now: u64) -> Option<u16> {
        let (mtu, until) = *self.0.get(&to)?;
        if now < until {
            return Some(mtu);
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
            self.0.retain(|_, (_, until)| now < *until);
            if self.0.len() >= MOST {
                return None;
            }
        }
        self.0.insert(to, (mtu, now + LIFETIME));
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
    fn the_table_is_bounded() {
        let mut paths = Paths::default();
        for at in 0..1000u32 {
            paths.learn(core::net::Ipv4Addr::from(at).into(), 1000, 1500, 0);
        }
        assert_eq!(paths.0.len(), MOST);
        assert_eq!(paths.learn(to(1), 1000, 1500, LIFETIME + 1), Some(1000));
    }
}
