//! ICMPv6: echoes, and what did not arrive (RFC 4443); discovery.rs has the rest of it.
//!
//! What a message of an error means to a program is Linux's (icmpv6_err_convert in net/ipv6/icmp.c).
use super::discovery::{self, Discovery, discovery};
use super::groups::{self, Membership, mld};
use super::icmp::{Undelivered, quoted, sum};
use super::{Drop, IPV6_HEADER, Ip};
use core::net::{IpAddr, Ipv6Addr};
use ringo_abi::Errno;

const PROTOCOL: u8 = 58;
const HEADER: usize = 8;
/// The smallest packet every way takes (RFC 8200, 5): so long an error may be.
pub const LEAST_MTU: usize = 1280;

/// A message of ICMPv6.
#[derive(Clone, Copy, Debug)]
pub enum Icmp6<'a> {
    /// A question whether we are there; the answer has the same bytes behind its checksum.
    Echo(&'a [u8]),
    /// What we sent did not arrive.
    Undelivered(Undelivered),
    /// Of neighbours and routers.
    Discovery(Discovery<'a>),
    /// Of groups.
    Groups(Membership),
}

/// By code, of "destination unreachable": the error, and whether it is hard.
const DESTINATION: [(Errno, bool); 7] = [
    (Errno::ENETUNREACH, false),
    (Errno::EACCES, true),
    (Errno::EHOSTUNREACH, false),
    (Errno::EHOSTUNREACH, false),
    (Errno::ECONNREFUSED, true),
    (Errno::EACCES, true),
    (Errno::EACCES, true),
];

/// Looks at a message of ICMPv6.
///
/// # Errors
/// Malformed, Checksum; Protocol for kinds that mean nothing here.
pub fn icmp6<'a>(ip: &Ip<'a>) -> Result<Icmp6<'a>, Drop> {
    const UNREACHABLE: u8 = 1;
    const TOO_LARGE: u8 = 2;
    const TIME_EXCEEDED: u8 = 3;
    const PARAMETER: u8 = 4;
    const ECHO: u8 = 128;
    let (IpAddr::V6(from), IpAddr::V6(to)) = (ip.from, ip.to) else {
        return Err(Drop::Malformed);
    };
    let Some((&[kind, code, _, _, m0, m1, m2, m3], about)) =
        ip.payload.split_first_chunk::<HEADER>()
    else {
        return Err(Drop::Malformed);
    };
    if checksum(ip.payload, from, to) != 0 {
        return Err(Drop::Checksum);
    }
    let mut mtu = None;
    let (errno, hard) = match kind {
        ECHO if code == 0 => return Ok(Icmp6::Echo(&ip.payload[4..])),
        groups::MLD_QUERY | groups::MLD_OLD_REPORT => return mld(ip).map(Icmp6::Groups),
        discovery::ROUTER_SOLICIT..=discovery::ADVERT => {
            return discovery(ip).map(Icmp6::Discovery);
        }
        UNREACHABLE => {
            let known = DESTINATION.get(usize::from(code)).copied();
            known.unwrap_or((Errno::EPROTO, true))
        }
        TOO_LARGE => {
            let size = u32::from_be_bytes([m0, m1, m2, m3]);
            // Less than every way takes is nobody's.
            if size < LEAST_MTU as u32 {
                return Err(Drop::Malformed);
            }
            mtu = Some(u16::try_from(size).unwrap_or(u16::MAX));
            (Errno::EMSGSIZE, false)
        }
        TIME_EXCEEDED => (Errno::EHOSTUNREACH, false),
        PARAMETER => (Errno::EPROTO, true),
        _ => return Err(Drop::Protocol),
    };
    let what = quoted(about)?;
    Ok(Icmp6::Undelivered(Undelivered {
        errno,
        hard,
        mtu,
        ..what
    }))
}

/// The checksum of a message, which counts its ends, too; 0 for one that has the right one.
fn checksum(message: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> u16 {
    let [l0, l1, l2, l3] = (message.len() as u32).to_be_bytes();
    let rest = [l0, l1, l2, l3, 0, 0, 0, PROTOCOL];
    sum(&[&from.octets(), &to.octets(), &rest, message])
}

/// Fills in the checksum of a message.
pub fn seal_icmp6(message: &mut [u8], from: Ipv6Addr, to: Ipv6Addr) {
    message[2..4].fill(0);
    let sum = checksum(message, from, to).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
}

/// Writes the answer to an echo request: `rest` is what the request has behind its checksum. Gives its length.
pub fn write_echo_reply6(out: &mut [u8], from: Ipv6Addr, to: Ipv6Addr, rest: &[u8]) -> usize {
    const ECHO_REPLY: u8 = 129;
    let length = 4 + rest.len();
    let out = &mut out[..length];
    out[..4].copy_from_slice(&[ECHO_REPLY, 0, 0, 0]);
    out[4..].copy_from_slice(rest);
    seal_icmp6(out, from, to);
    length
}

/// How long "port unreachable" about a packet is.
pub fn unreachable_length6(about: &Ip) -> usize {
    HEADER + about.whole.len().min(LEAST_MTU - IPV6_HEADER - HEADER)
}

/// Writes "port unreachable" about a packet.
pub fn write_port_unreachable6(out: &mut [u8], from: Ipv6Addr, to: Ipv6Addr, about: &Ip) {
    let length = unreachable_length6(about);
    let out = &mut out[..length];
    out[..HEADER].copy_from_slice(&[1, 4, 0, 0, 0, 0, 0, 0]);
    out[HEADER..].copy_from_slice(&about.whole[..length - HEADER]);
    seal_icmp6(out, from, to);
}
