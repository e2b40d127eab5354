//! Which of our addresses something is sent from (RFC 6724, 5), for IPv6; and of IPv4, of which there is one, nothing.
//!
//! Of the rules those apply that can tell addresses of one card apart: the address itself, scope, not deprecated ones, the
//! label of the policy table, the longest common prefix. Of two that are as good the first counts.
use core::net::Ipv6Addr;

/// An address of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The address.
    pub ip: Ipv6Addr,
    /// How many bits of it name its network.
    pub length: u8,
    /// It should not be used for what is new.
    pub deprecated: bool,
}

/// How far an address reaches (RFC 6724, 3.1): 2 the link, 5 a site, 14 the world.
const fn scope(ip: Ipv6Addr) -> u8 {
    let [first, second, ..] = ip.octets();
    match first {
        0xff => second & 15,
        0xfe if second & 0xc0 == 0x80 => 2,
        0xfe if second & 0xc0 == 0xc0 => 5,
        _ if ip.is_loopback() => 2,
        _ => 14,
    }
}

/// The label of the policy table's longest prefix (RFC 6724, 2.1).
fn label(ip: Ipv6Addr) -> u8 {
    let [s0, s1, ..] = ip.segments();
    match s0 {
        _ if ip.is_loopback() => 0,
        _ if ip.to_ipv4_mapped().is_some() => 4,
        _ if ip.to_bits() >> 32 == 0 => 3,
        0x2001 if s1 == 0 => 5,
        0x2002 => 2,
        0x3ffe => 12,
        0xfec0..=0xfeff => 11,
        0xfc00..=0xfdff => 13,
        _ => 1,
    }
}

/// How many bits two addresses begin with alike, of those that name a network.
const fn common(candidate: &Candidate, to: Ipv6Addr) -> u32 {
    let alike = (candidate.ip.to_bits() ^ to.to_bits()).leading_zeros();
    let length = candidate.length as u32;
    if alike < length { alike } else { length }
}

/// Whether `a` is the better source.
fn is_better(a: &Candidate, b: &Candidate, to: Ipv6Addr) -> bool {
    if a.ip == to || b.ip == to {
        return a.ip == to && b.ip != to;
    }
    let (reach_a, reach_b, reach) = (scope(a.ip), scope(b.ip), scope(to));
    if reach_a != reach_b {
        // The smaller one if it reaches, else the larger one.
        return match reach_a < reach_b {
            true => reach_a >= reach,
            false => reach_b < reach,
        };
    }
    if a.deprecated != b.deprecated {
        return b.deprecated;
    }
    let (label_a, label_b) = (label(a.ip) == label(to), label(b.ip) == label(to));
    if label_a != label_b {
        return label_a;
    }
    common(a, to) > common(b, to)
}

/// The best source for what goes to `to`; none if there is none.
pub fn choose(candidates: &[Candidate], to: Ipv6Addr) -> Option<Ipv6Addr> {
    let mut all = candidates.iter();
    let mut best = all.next()?;
    for each in all {
        if is_better(each, best, to) {
            best = each;
        }
    }
    Some(best.ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_of(addresses: &[&str], to: &str) -> alloc::string::String {
        let candidates: alloc::vec::Vec<Candidate> = addresses
            .iter()
            .map(|text| {
                let (text, deprecated) = match text.strip_prefix('-') {
                    Some(text) => (text, true),
                    None => (*text, false),
                };
                Candidate {
                    ip: text.parse().unwrap(),
                    length: 64,
                    deprecated,
                }
            })
            .collect();
        use alloc::string::ToString;
        choose(&candidates, to.parse().unwrap())
            .unwrap()
            .to_string()
    }

    /// RFC 6724, 10.1, as far as its rules apply.
    #[test]
    fn the_examples_of_the_standard_come_out() {
        let to = "2001:db8:1::1";
        assert_eq!(
            choose_of(&["2001:db8:3::1", "fe80::1"], to),
            "2001:db8:3::1"
        );
        assert_eq!(
            choose_of(&["2001:db8:3::1", "fe80::1"], "ff05::1"),
            "2001:db8:3::1"
        );
        assert_eq!(
            choose_of(&["2001:db8:1::1", "2001:db8:2::1"], "2001:db8:1::1"),
            to
        );
        assert_eq!(
            choose_of(&["2001:db8:2::1", "fe80::1"], "fe80::2"),
            "fe80::1"
        );
        let two = ["2001:db8:1::2", "2001:db8:3::2"];
        assert_eq!(choose_of(&two, to), "2001:db8:1::2");
        let two = ["2002:c633:6401:0:d5e3:7953:13eb:22e8", "2001:db8:1::2"];
        let near = "2002:c633:6401::1";
        assert_eq!(choose_of(&two, near), two[0]);
    }

    #[test]
    fn a_deprecated_address_is_the_last_resort() {
        assert_eq!(
            choose_of(&["-2001:db8:1::2", "2001:db8:9::2"], "2001:db8:1::1"),
            "2001:db8:9::2"
        );
        assert_eq!(
            choose_of(&["-2001:db8:1::2"], "2001:db8:1::1"),
            "2001:db8:1::2"
        );
    }

    #[test]
    fn unique_local_addresses_speak_to_their_like() {
        let two = ["fd00::1", "2001:db8::1"];
        assert_eq!(choose_of(&two, "2a00::1"), "2001:db8::1");
        assert_eq!(choose_of(&two, "fd00:1::1"), "fd00::1");
    }
}
