//! Messages of neighbour discovery (RFC 4861, 6; RFC 4191, 8106): who has an address, which routers there are and what they
//! say of the network. What is not sent by a neighbour (hop limit 255), or contradicts itself, is refused.
use super::icmp6::seal_icmp6;
use super::{Drop, Ip, Mac};
use core::net::{IpAddr, Ipv6Addr};

/// Who asks a router for its advertisement asks these.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Everybody in a network.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// What a message of discovery has as its hop limit: no router lets others through.
pub const NEIGHBOURS_ONLY: u8 = 255;

pub(super) const ROUTER_SOLICIT: u8 = 133;
pub(super) const ROUTER_ADVERT: u8 = 134;
pub(super) const SOLICIT: u8 = 135;
pub(super) const ADVERT: u8 = 136;
/// Options.
const SOURCE_MAC: u8 = 1;
const TARGET_MAC: u8 = 2;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const SERVERS: u8 = 25;
const DOMAINS: u8 = 31;

/// The group in which the owner of an address is asked for (RFC 4291, 2.7.1).
pub const fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = ip.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// A message of neighbour discovery.
#[derive(Clone, Copy, Debug)]
pub enum Discovery<'a> {
    /// Who has `target`? From nobody's address, somebody is about to take it.
    Solicit {
        /// The address.
        target: Ipv6Addr,
        /// The Ethernet address of who asks.
        mac: Option<Mac>,
    },
    /// Somebody has `target`.
    Advert {
        /// The address.
        target: Ipv6Addr,
        /// Its owner's Ethernet address.
        mac: Option<Mac>,
        /// It is an answer.
        solicited: bool,
        /// It counts more than what was heard before.
        overrides: bool,
    },
    /// A router speaks.
    Router(RouterAdvert<'a>),
}

/// What a router says of itself and the network.
#[derive(Clone, Copy, Debug)]
pub struct RouterAdvert<'a> {
    /// The router.
    pub router: Ipv6Addr,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// For how many seconds it takes what leaves the network; 0 for not at all.
    pub lifetime: u16,
    /// Whether others are better (-1) or worse (1) (RFC 4191).
    pub preference: i8,
    options: &'a [u8],
}

/// An option of a router's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouterOption<'a> {
    /// Addresses that begin so.
    Prefix(Prefix),
    /// The largest packet.
    Mtu(u32),
    /// Name servers, 16 bytes each, for so many seconds.
    Servers(u32, &'a [u8]),
    /// Domains to search, as DNS encodes them, for so many seconds.
    Domains(u32, &'a [u8]),
}

/// Addresses of a network; times are in seconds, [`FOR_EVER`] means it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// What they begin with.
    pub ip: Ipv6Addr,
    /// How many bits of it count.
    pub length: u8,
    /// They are neighbours.
    pub on_link: bool,
    /// Hosts may make one for themselves.
    pub autonomous: bool,
    /// How long that is so.
    pub valid: u32,
    /// How long such an address should be used for what is new.
    pub preferred: u32,
}

/// A lifetime that does not end.
pub const FOR_EVER: u32 = u32::MAX;

/// Walks over options, each its number and what is behind its length; none for what has no length or is cut short.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let option = match *self.0 {
            [kind, length @ 1..=255, ..] => {
                let whole = self.0.split_at_checked(usize::from(length) * 8);
                whole.map(|(option, rest)| {
                    self.0 = rest;
                    (kind, &option[2..])
                })
            }
            _ => None,
        };
        if option.is_none() {
            self.0 = &[];
        }
        Some(option)
    }
}

/// The Ethernet address in an option of this number, if all options are whole.
fn mac(options: &[u8], number: u8) -> Result<Option<Mac>, Drop> {
    let mut found = None;
    for option in Options(options) {
        let (kind, data) = option.ok_or(Drop::Malformed)?;
        if kind == number {
            found = found.or(data.first_chunk::<6>().copied());
        }
    }
    // A group's would lead what is ours to others.
    Ok(found.filter(|mac| mac[0] & 1 == 0))
}

fn address(bytes: &[u8]) -> Result<Ipv6Addr, Drop> {
    let octets: &[u8; 16] = bytes.first_chunk().ok_or(Drop::Malformed)?;
    Ok(Ipv6Addr::from(*octets))
}

/// Looks at a message of discovery, of which ICMPv6 has looked at type and checksum.
///
/// # Errors
/// Malformed; Protocol for kinds that mean nothing here.
pub(super) fn discovery<'a>(ip: &Ip<'a>) -> Result<Discovery<'a>, Drop> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (ip.from, ip.to) else {
        return Err(Drop::Malformed);
    };
    let Some((&[kind, code, _, _, b0, b1, b2, b3], body)) = ip.payload.split_first_chunk::<8>()
    else {
        return Err(Drop::Malformed);
    };
    if ip.ttl != NEIGHBOURS_ONLY || code != 0 {
        return Err(Drop::Malformed);
    }
    match kind {
        SOLICIT => {
            let target = address(body)?;
            let mac = mac(&body[16..], SOURCE_MAC)?;
            let odd = from.is_unspecified() && (mac.is_some() || to != solicited_node(target));
            if target.is_multicast() || odd {
                return Err(Drop::Malformed);
            }
            Ok(Discovery::Solicit { target, mac })
        }
        ADVERT => {
            let (target, solicited) = (address(body)?, b0 & 0x40 != 0);
            let mac = mac(&body[16..], TARGET_MAC)?;
            if target.is_multicast() || from.is_unspecified() || (to.is_multicast() && solicited) {
                return Err(Drop::Malformed);
            }
            Ok(Discovery::Advert {
                target,
                mac,
                solicited,
                overrides: b0 & 0x20 != 0,
            })
        }
        ROUTER_ADVERT => {
            // Reachable and retransmission time are two words more.
            let options = body.get(8..).ok_or(Drop::Malformed)?;
            let mac = mac(options, SOURCE_MAC)?;
            if !from.is_unicast_link_local() {
                return Err(Drop::Malformed);
            }
            Ok(Discovery::Router(RouterAdvert {
                router: from,
                mac,
                lifetime: u16::from_be_bytes([b2, b3]),
                preference: match b1 >> 3 & 3 {
                    1 => 1,
                    3 => -1,
                    _ => 0,
                },
                options,
            }))
        }
        _ => Err(Drop::Protocol),
    }
}

impl<'a> RouterAdvert<'a> {
    /// What else it says. Options that are not understood, or too short, are left out.
    pub fn options(&self) -> impl Iterator<Item = RouterOption<'a>> {
        Options(self.options)
            .flatten()
            .filter_map(|(kind, data)| option(kind, data))
    }
}

fn option(kind: u8, data: &[u8]) -> Option<RouterOption<'_>> {
    let word = |at: usize| {
        let bytes = data.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    };
    Some(match kind {
        PREFIX => RouterOption::Prefix(Prefix {
            length: data[0],
            on_link: data[1] & 0x80 != 0,
            autonomous: data[1] & 0x40 != 0,
            valid: word(2)?,
            preferred: word(6)?,
            ip: address(data.get(14..)?).ok()?,
        }),
        MTU => RouterOption::Mtu(word(2)?),
        SERVERS => RouterOption::Servers(word(2)?, data.get(6..)?),
        DOMAINS => RouterOption::Domains(word(2)?, data.get(6..)?),
        _ => return None,
    })
}

/// The longest message that is written here.
pub const DISCOVERY_LENGTH: usize = 32;

/// Puts an option with an Ethernet address at the end. Gives the length.
fn put_mac(out: &mut [u8], at: usize, kind: u8, mac: Option<Mac>) -> usize {
    let Some(mac) = mac else { return at };
    out[at..at + 2].copy_from_slice(&[kind, 1]);
    out[at + 2..at + 8].copy_from_slice(&mac);
    at + 8
}

/// How long a message with or without an Ethernet address is: a question for a router, and for or of a neighbour.
pub const fn router_solicit_length(mac: Option<Mac>) -> usize {
    if mac.is_some() { 16 } else { 8 }
}

/// See [`router_solicit_length`].
pub const fn neighbour_length(mac: Option<Mac>) -> usize {
    if mac.is_some() { 32 } else { 24 }
}

/// Writes a question for routers' advertisements.
pub fn write_router_solicit(out: &mut [u8], from: Ipv6Addr, to: Ipv6Addr, mac: Option<Mac>) {
    let out = &mut out[..router_solicit_length(mac)];
    out.fill(0);
    out[0] = ROUTER_SOLICIT;
    put_mac(out, 8, SOURCE_MAC, mac);
    seal_icmp6(out, from, to);
}

/// Writes a question for the owner of an address; `mac` is ours, if it may be remembered.
pub fn write_solicit(
    out: &mut [u8],
    from: Ipv6Addr,
    to: Ipv6Addr,
    target: Ipv6Addr,
    mac: Option<Mac>,
) {
    let out = &mut out[..neighbour_length(mac)];
    out.fill(0);
    out[0] = SOLICIT;
    out[8..24].copy_from_slice(&target.octets());
    put_mac(out, 24, SOURCE_MAC, mac);
    seal_icmp6(out, from, to);
}

/// Writes that we have an address.
pub fn write_advert(
    out: &mut [u8],
    from: Ipv6Addr,
    to: Ipv6Addr,
    (target, mac): (Ipv6Addr, Mac),
    overrides: bool,
) {
    let out = &mut out[..neighbour_length(Some(mac))];
    out.fill(0);
    out[0] = ADVERT;
    // An answer to one, or told to everybody.
    let solicited = if to.is_multicast() { 0 } else { 0x40 };
    out[4] = solicited | if overrides { 0x20 } else { 0 };
    out[8..24].copy_from_slice(&target.octets());
    put_mac(out, 24, TARGET_MAC, Some(mac));
    seal_icmp6(out, from, to);
}
