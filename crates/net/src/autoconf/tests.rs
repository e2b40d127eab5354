use super::*;
use crate::packet::{Discovery, Header, IPV6_HEADER, Icmp6, icmp6, ip, write_ip};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const LOCAL: &str = "fe80::5054:ff:fe12:3456";
const ROUTER: &str = "fe80::1";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// An advertisement, as it would come in a packet.
fn advert(from: &str, lifetime: u16, options: &[u8]) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(lifetime.to_be_bytes());
    message.extend([0; 8]);
    message.extend(options);
    let (from, to) = (address(from), address("ff02::1"));
    let mut sealed = vec![0; IPV6_HEADER];
    sealed.extend(&message);
    crate::packet::seal_icmp6(&mut sealed[IPV6_HEADER..], from, to);
    let header = Header {
        from: from.into(),
        to: to.into(),
        protocol: 58,
        ttl: 255,
        tos: 0,
    };
    write_ip(&mut sealed, &header, None);
    sealed
}

fn hear(conf: &mut Autoconf, packet: &[u8], now: u64) {
    let Ok(Icmp6::Discovery(Discovery::Router(advert))) = icmp6(&ip(packet).unwrap()) else {
        panic!("no advertisement");
    };
    conf.advertised(&advert, now);
}

fn prefix(text: &str, flags: u8, valid: u32, preferred: u32) -> Vec<u8> {
    let mut option = vec![3, 4, 64, flags];
    option.extend(valid.to_be_bytes());
    option.extend(preferred.to_be_bytes());
    option.extend([0; 4]);
    option.extend(address(text).octets());
    option
}

fn begun() -> Autoconf {
    let mut conf = Autoconf::new(MAC, None, None);
    conf.begin(0);
    conf.tick(0);
    conf
}

fn made(conf: &Autoconf) -> Vec<alloc::string::String> {
    conf.addresses()
        .iter()
        .map(|it| it.ip.to_string())
        .collect()
}

const BOTH: u8 = 0xc0;

#[test]
fn the_link_local_address_is_claimed_and_used_and_routers_are_asked() {
    let mut conf = Autoconf::new(MAC, None, None);
    conf.begin(0);
    let says = conf.tick(0);
    assert_eq!(says[..], [Say::Claim(address(LOCAL)), Say::AskRouters]);
    assert!(conf.is_ours(address(LOCAL)));
    assert!(conf.tick(conf.due()).is_empty());
    assert_eq!(conf.state(address(LOCAL)), Some(State::Ours));
    let mut asked = Vec::new();
    while asked.len() < 4 {
        let due = conf.due();
        if conf.tick(due).contains(&Say::AskRouters) {
            asked.push(due / SECOND);
        }
    }
    assert_eq!(asked, [4, 12, 28, 60]);
}

#[test]
fn a_prefix_makes_an_address_that_is_claimed() {
    let mut conf = begun();
    let options = prefix("2001:db8::", BOTH, 600, 300);
    hear(&mut conf, &advert(ROUTER, 1800, &options), SECOND);
    let ours = "2001:db8::5054:ff:fe12:3456";
    assert_eq!(made(&conf), [ours, LOCAL]);
    assert_eq!(conf.tick(SECOND)[..], [Say::Claim(address(ours))]);
    assert!(conf.is_ours(address(ours)));
    assert_eq!(
        conf.hop(address("2001:db8::9"), SECOND),
        Some(address("2001:db8::9"))
    );
    assert_eq!(
        conf.hop(address("2001:db9::9"), SECOND),
        Some(address(ROUTER))
    );
    let candidates = conf.candidates(302 * SECOND);
    assert!(candidates[0].deprecated && !candidates[1].deprecated);
    conf.tick(601 * SECOND);
    assert_eq!(made(&conf), [LOCAL]);
    assert_eq!(
        conf.hop(address("2001:db8::9"), 700 * SECOND),
        Some(address(ROUTER))
    );
    conf.tick(1801 * SECOND);
    assert_eq!(conf.hop(address("2001:db8::9"), 1801 * SECOND), None);
}

#[test]
fn no_advertisement_ends_an_address_in_less_than_two_hours() {
    let mut conf = begun();
    let say = |conf: &mut Autoconf, valid, now| {
        let options = prefix("2001:db8::", BOTH, valid, valid.min(10));
        hear(conf, &advert(ROUTER, 1800, &options), now);
        conf.addresses()[0].valid / SECOND
    };
    assert_eq!(say(&mut conf, 86_400, 0), 86_400);
    assert_eq!(say(&mut conf, 1, 0), 7200);
    assert_eq!(say(&mut conf, 1, 100 * SECOND), 7200);
    assert_eq!(say(&mut conf, 7150, 100 * SECOND), 7250);
    assert_eq!(say(&mut conf, FOR_EVER, 0), u64::MAX / SECOND);
    assert_eq!(say(&mut conf, 0, SECOND), 7201);
}

#[test]
fn what_somebody_else_has_is_not_used() {
    let mut conf = begun();
    assert!(conf.contested(address(LOCAL)));
    assert!(!conf.is_ours(address(LOCAL)) && conf.candidates(0).is_empty());
    assert!(!conf.contested(address(LOCAL)));
    let mut conf = begun();
    conf.tick(SECOND);
    assert!(!conf.contested(address(LOCAL)) && conf.is_ours(address(LOCAL)));
}

#[test]
fn after_a_break_routers_are_asked_and_addresses_stay() {
    let mut conf = begun();
    let options = prefix("2001:db8::", BOTH, 600, 300);
    hear(&mut conf, &advert(ROUTER, 1800, &options), 0);
    conf.tick(0);
    conf.tick(SECOND);
    conf.again(5 * SECOND);
    assert_eq!(conf.tick(5 * SECOND)[..], [Say::AskRouters]);
    assert_eq!(conf.candidates(5 * SECOND).len(), 2);
}

#[test]
fn a_given_address_waits_for_its_claim_and_makes_others_needless() {
    let (ours, gateway) = (address("2001:db8::2"), address("2001:db8::1"));
    let mut conf = Autoconf::new(MAC, Some((ours, 64)), Some(gateway));
    conf.begin(0);
    assert_eq!(conf.tick(0).len(), 3);
    assert!(!conf.is_ours(ours) && conf.is_ours(address(LOCAL)));
    conf.tick(SECOND);
    assert!(conf.is_ours(ours));
    let options = prefix("2001:db8:1::", BOTH, 600, 600);
    hear(&mut conf, &advert(ROUTER, 1800, &options), SECOND);
    assert_eq!(made(&conf), ["2001:db8::2", LOCAL]);
    assert_eq!(conf.router(SECOND), Some(gateway));
}

#[test]
fn the_best_router_that_answers_takes_what_is_for_others() {
    let mut conf = begun();
    let say = |conf: &mut Autoconf, from: &str, preference: u8, lifetime| {
        let mut packet = advert(from, lifetime, &[]);
        packet[IPV6_HEADER + 5] = preference << 3;
        let from = address(from);
        crate::packet::seal_icmp6(&mut packet[IPV6_HEADER..], from, address("ff02::1"));
        hear(conf, &packet, SECOND);
    };
    say(&mut conf, "fe80::a", 3, 100);
    say(&mut conf, "fe80::b", 0, 100);
    say(&mut conf, "fe80::c", 0, 100);
    assert_eq!(conf.router(SECOND), Some(address("fe80::b")));
    conf.failed(address("fe80::b"), SECOND);
    assert_eq!(conf.router(SECOND), Some(address("fe80::c")));
    assert_eq!(conf.router(SECOND + PASSED_OVER), Some(address("fe80::b")));
    say(&mut conf, "fe80::b", 0, 0);
    say(&mut conf, "fe80::c", 0, 0);
    assert_eq!(conf.router(SECOND), Some(address("fe80::a")));
}

#[test]
fn servers_domains_and_sizes_are_learnt_and_end() {
    let mut conf = begun();
    let mut options = vec![25, 3, 0, 0, 0, 0, 0, 60];
    options.extend(address("2001:db8::53").octets());
    options.extend([31, 3, 0, 0, 0, 0, 0, 30]);
    options.extend(b"\x03lan\x04test\0\0\0\0\0\0\0");
    options.extend([5, 1, 0, 0, 0, 0, 5, 120]);
    hear(&mut conf, &advert(ROUTER, 0, &options), 0);
    assert_eq!(
        conf.servers().collect::<Vec<_>>(),
        [address("2001:db8::53")]
    );
    assert_eq!((conf.search(), conf.mtu()), (Some("lan.test"), Some(1400)));
    assert_eq!(conf.router(0), None);
    conf.tick(31 * SECOND);
    assert_eq!((conf.search(), conf.servers().count()), (None, 1));
    options[4..8].fill(0);
    hear(&mut conf, &advert(ROUTER, 0, &options), 32 * SECOND);
    assert_eq!(conf.servers().count(), 0);
}

#[test]
fn only_neighbours_and_routers_are_heard() {
    let good = advert(ROUTER, 1800, &[]);
    let mut far = good.clone();
    far[7] = 254;
    assert!(icmp6(&ip(&far).unwrap()).is_err());
    let global = advert("2001:db8::1", 1800, &[]);
    assert!(icmp6(&ip(&global).unwrap()).is_err());
    for options in [&[3u8, 0, 0, 0, 0, 0, 0, 0][..], &[1, 2, 0, 0, 0, 0, 0, 0]] {
        let odd = advert(ROUTER, 1800, options);
        assert!(icmp6(&ip(&odd).unwrap()).is_err(), "{options:?}");
    }
}

proptest! {
    /// Whatever routers say and neighbours claim: nothing grows beyond its bound, and time goes on.
    #[test]
    fn no_advertisement_does_harm(steps in proptest::collection::vec(
        (any::<u16>(), 0u8..20, any::<u8>(), any::<u32>(), any::<u32>(), 0u64..5000), 0..200)) {
        let mut conf = begun();
        let mut now = 0;
        for (lifetime, number, flags, valid, preferred, passes) in steps {
            now += passes * SECOND;
            let network = alloc::format!("2001:db8:{number:x}::");
            let mut options = prefix(&network, flags, valid, preferred);
            options[2] = flags;
            options.extend(prefix(&network, flags, valid, preferred));
            let from = alloc::format!("fe80::{number:x}");
            hear(&mut conf, &advert(&from, lifetime, &options), now);
            conf.tick(now);
            prop_assert!(conf.due() > now);
            prop_assert!(conf.addresses().iter().all(|it| it.valid > now));
            prop_assert!(conf.addresses().iter().any(|it| it.ip == address(LOCAL)));
            let candidates = conf.candidates(now);
            prop_assert!(crate::source::choose(&candidates, address("2001:db8::9")).is_some());
        }
    }

    /// Any message of discovery is understood or refused.
    #[test]
    fn no_message_does_harm(kind in 133u8..138, body in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut packet = advert(ROUTER, 0, &[]);
        packet.truncate(IPV6_HEADER);
        packet.extend([kind, 0, 0, 0]);
        packet.extend(&body);
        let length = (packet.len() - IPV6_HEADER) as u16;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        crate::packet::seal_icmp6(&mut packet[IPV6_HEADER..], address(ROUTER), address("ff02::1"));
        if let Ok(Icmp6::Discovery(Discovery::Router(advert))) = icmp6(&ip(&packet).unwrap()) {
            let mut conf = begun();
            conf.advertised(&advert, 7);
            conf.tick(7);
        }
    }

    #[test]
    fn an_address_begins_with_its_own_bits(bits in any::<u128>(), length in 0u8..=129) {
        let ip = Ipv6Addr::from_bits(bits);
        prop_assert!(begins_with(ip, ip, length));
        let first = Ipv6Addr::from_bits(bits ^ 1 << 127);
        prop_assert_eq!(begins_with(first, ip, length), length == 0);
    }
}
