//! Messages about who is in which group: IGMP (RFC 2236, 3376) and MLD (RFC 2710, 3810).
//!
//! They are read into one form for both, and written as whole packets, since both have an option in front that says that
//! routers should look at them.
use super::icmp::checksum;
use super::{Drop, Header, IPV6_HEADER, Ip, LEAST_MTU, seal_icmp6, write_ip};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MS: u64 = 1_000_000;
const IGMP: u8 = 2;
const ICMP_V6: u8 = 58;
/// Types of MLD within ICMPv6.
pub(super) const MLD_QUERY: u8 = 130;
pub(super) const MLD_OLD_REPORT: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_REPORT: u8 = 143;

/// Everybody in a network: nobody tells that he is in these.
pub const EVERYBODY: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// A question who is in groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// In this one; none for all.
    pub group: Option<IpAddr>,
    /// Within how many ns an answer is expected.
    pub within: u64,
    /// Who asks understands only the older form of answers.
    pub old: bool,
}

/// A message about groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// A question.
    Query(Query),
    /// Somebody else is in a group, in the older form.
    Report(IpAddr),
}

/// What is said of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// We are in it (MODE_IS_EXCLUDE).
    Member = 2,
    /// We have left it (CHANGE_TO_INCLUDE).
    Left = 3,
    /// We have joined it (CHANGE_TO_EXCLUDE).
    Joined = 4,
}

/// A number of few bits, as answers' times are told beyond `plain`.
const fn floating(code: u16, plain: u16, mantissa_bits: u32) -> u64 {
    if code < plain {
        return code as u64;
    }
    let mantissa = code as u64 & ((1 << mantissa_bits) - 1);
    let exponent = (code >> mantissa_bits) & 7;
    (mantissa | 1 << mantissa_bits) << (exponent + 3)
}

/// Looks at a message of IGMP.
///
/// # Errors
/// Malformed, Checksum; Protocol for kinds that mean nothing here.
pub fn igmp(ip: &Ip) -> Result<Membership, Drop> {
    const QUERY: u8 = 0x11;
    const OLD_REPORTS: [u8; 2] = [0x12, 0x16];
    let bytes = ip.payload;
    let Some(&[kind, code, _, _, a, b, c, d]) = bytes.first_chunk::<8>() else {
        return Err(Drop::Malformed);
    };
    if checksum(bytes) != 0 {
        return Err(Drop::Checksum);
    }
    let group = Ipv4Addr::new(a, b, c, d);
    let odd = !group.is_multicast();
    match kind {
        QUERY if odd && !group.is_unspecified() => Err(Drop::Malformed),
        QUERY => Ok(Membership::Query(Query {
            group: (!odd).then_some(group.into()),
            within: match (bytes.len(), code) {
                // The oldest does not say.
                (8, 0) => 10_000 * MS,
                (8, tenths) => u64::from(tenths) * 100 * MS,
                (_, code) => floating(code.into(), 128, 4) * 100 * MS,
            },
            old: bytes.len() < 12,
        })),
        kind if OLD_REPORTS.contains(&kind) && !odd => Ok(Membership::Report(group.into())),
        _ => Err(Drop::Protocol),
    }
}

/// Looks at a message of MLD, of which ICMPv6 has looked at type and checksum.
///
/// # Errors
/// Malformed.
pub(super) fn mld(ip: &Ip) -> Result<Membership, Drop> {
    let bytes = ip.payload;
    let Some((&[kind, _, _, _, c0, c1, _, _], rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Drop::Malformed);
    };
    let octets: &[u8; 16] = rest.first_chunk().ok_or(Drop::Malformed)?;
    let group = Ipv6Addr::from(*octets);
    let neighbour = matches!(ip.from, IpAddr::V6(from) if from.is_unicast_link_local());
    if !neighbour || ip.ttl != 1 || !(group.is_multicast() || group.is_unspecified()) {
        return Err(Drop::Malformed);
    }
    if kind != MLD_QUERY {
        return Ok(Membership::Report(group.into()));
    }
    let (old, code) = (bytes.len() < 28, u16::from_be_bytes([c0, c1]));
    let ms = match old {
        true => code.into(),
        false => floating(code, 0x8000, 12),
    };
    Ok(Membership::Query(Query {
        group: group.is_multicast().then_some(group.into()),
        within: ms * MS,
        old,
    }))
}

/// How many groups one report tells of.
pub const RECORDS: usize = (LEAST_MTU - 64) / 20;

/// A packet that tells of groups, all of one family and no more than [`RECORDS`]; `from` is our address. None for no groups,
/// or without memory.
pub fn report(from: IpAddr, records: &[(Record, IpAddr)]) -> Option<Vec<u8>> {
    match (from, records.first()?.1) {
        (IpAddr::V4(from), IpAddr::V4(_)) => {
            let mut message = message(8 + 8 * records.len(), &[0x22, 0, 0, 0, 0, 0, 0])?;
            message.push(records.len() as u8);
            for (record, group) in records {
                if let IpAddr::V4(group) = group {
                    message.extend_from_slice(&[*record as u8, 0, 0, 0]);
                    message.extend_from_slice(&group.octets());
                }
            }
            igmp_packet(from, Ipv4Addr::new(224, 0, 0, 22), message)
        }
        (IpAddr::V6(from), IpAddr::V6(_)) => {
            let mut message = message(8 + 20 * records.len(), &[MLD_REPORT, 0, 0, 0, 0, 0, 0])?;
            message.push(records.len() as u8);
            for (record, group) in records {
                if let IpAddr::V6(group) = group {
                    message.extend_from_slice(&[*record as u8, 0, 0, 0]);
                    message.extend_from_slice(&group.octets());
                }
            }
            let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
            mld_packet(from, to, message)
        }
        _ => None,
    }
}

/// A packet that tells in the older form that we are in a group, or with `left` that we are not.
pub fn old_report(from: IpAddr, group: IpAddr, left: bool) -> Option<Vec<u8>> {
    match (from, group) {
        (IpAddr::V4(from), IpAddr::V4(group)) => {
            let kind = if left { 0x17 } else { 0x16 };
            let mut message = message(8, &[kind, 0, 0, 0])?;
            message.extend_from_slice(&group.octets());
            let to = if left {
                Ipv4Addr::new(224, 0, 0, 2)
            } else {
                group
            };
            igmp_packet(from, to, message)
        }
        (IpAddr::V6(from), IpAddr::V6(group)) => {
            let kind = if left { MLD_DONE } else { MLD_OLD_REPORT };
            let mut message = message(24, &[kind, 0, 0, 0, 0, 0, 0, 0])?;
            message.extend_from_slice(&group.octets());
            let routers = super::ALL_ROUTERS;
            mld_packet(from, if left { routers } else { group }, message)
        }
        _ => None,
    }
}

fn message(length: usize, begin: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    message.try_reserve_exact(length).ok()?;
    message.extend_from_slice(begin);
    Some(message)
}

/// The option is "router alert" (RFC 2113), and the packet does not leave the network.
fn igmp_packet(from: Ipv4Addr, to: Ipv4Addr, mut message: Vec<u8>) -> Option<Vec<u8>> {
    const HEADER: usize = 24;
    const PRECEDENCE: u8 = 0xc0;
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let mut packet = Vec::new();
    packet.try_reserve_exact(HEADER + message.len()).ok()?;
    let [high, low] = ((HEADER + message.len()) as u16).to_be_bytes();
    packet.extend_from_slice(&[0x46, PRECEDENCE, high, low, 0, 0, 0x40, 0, 1, IGMP, 0, 0]);
    packet.extend_from_slice(&from.octets());
    packet.extend_from_slice(&to.octets());
    packet.extend_from_slice(&[0x94, 4, 0, 0]);
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend_from_slice(&message);
    Some(packet)
}

/// The same (RFC 2711).
fn mld_packet(from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Option<Vec<u8>> {
    seal_icmp6(&mut message, from, to);
    let mut packet = Vec::new();
    packet
        .try_reserve_exact(IPV6_HEADER + 8 + message.len())
        .ok()?;
    packet.resize(IPV6_HEADER, 0);
    packet.extend_from_slice(&[ICMP_V6, 0, 5, 2, 0, 0, 1, 0]);
    packet.extend_from_slice(&message);
    let header = Header {
        from: from.into(),
        to: to.into(),
        protocol: 0,
        ttl: 1,
        tos: 0,
    };
    write_ip(&mut packet, &header, None);
    Some(packet)
}
