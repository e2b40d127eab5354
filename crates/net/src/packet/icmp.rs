//! ICMP: echoes, and what did not arrive (RFC 792, 1191).
//!
//! What a message of an error means to a program is said once, here: as Linux has it (icmp_err_convert in net/ipv4/icmp.c).
use super::{Drop, IPV4_HEADER, IPV6_HEADER, Ip};
use core::net::{IpAddr, SocketAddr};
use ringo_abi::Errno;
use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

/// What an error of ICMP quotes beside its own eight bytes: the header and the beginning of what it is about.
const QUOTED: usize = IPV4_HEADER + 8;
const ICMP_HEADER: usize = 8;
/// The protocol of IPv6's header for pieces.
const FRAGMENT: u8 = 44;

/// A message of ICMP.
#[derive(Clone, Copy, Debug)]
pub enum Icmp<'a> {
    /// A question whether we are there; the answer has the same bytes behind its type.
    Echo(&'a [u8]),
    /// What we sent did not arrive.
    Undelivered(Undelivered),
}

/// What came back of something we sent, instead of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undelivered {
    /// What the program is told.
    pub errno: Errno,
    /// It does not get better by waiting: the only kind that a socket of UDP hears of without asking.
    pub hard: bool,
    /// It was too large for a part of the way, which takes packets of so many bytes; 0 if that was not said.
    pub mtu: Option<u16>,
    /// The protocol of what we sent.
    pub protocol: u8,
    /// Where it was from.
    pub from: SocketAddr,
    /// Where it was to.
    pub to: SocketAddr,
    /// If it was TCP's: the number of its first byte.
    pub sequence: u32,
}

/// By code, of ICMP's type 3: the error, and whether it is hard.
const DESTINATION: [(Errno, bool); 16] = [
    (Errno::ENETUNREACH, false),
    (Errno::EHOSTUNREACH, false),
    (Errno::ENOPROTOOPT, true),
    (Errno::ECONNREFUSED, true),
    (Errno::EMSGSIZE, false),
    (Errno::EOPNOTSUPP, false),
    (Errno::ENETUNREACH, true),
    (Errno::EHOSTDOWN, true),
    (Errno::ENONET, true),
    (Errno::ENETUNREACH, true),
    (Errno::EHOSTUNREACH, true),
    (Errno::ENETUNREACH, false),
    (Errno::EHOSTUNREACH, false),
    (Errno::EHOSTUNREACH, true),
    (Errno::EHOSTUNREACH, true),
    (Errno::EHOSTUNREACH, true),
];
/// The code of "fragmentation needed" among them.
const TOO_LARGE: u8 = 4;

/// Looks at a message of ICMP for IPv4.
///
/// # Errors
/// Malformed, Checksum; Protocol for kinds that mean nothing here.
pub fn icmp<'a>(ip: &Ip<'a>) -> Result<Icmp<'a>, Drop> {
    const ECHO: u8 = 8;
    const UNREACHABLE: u8 = 3;
    const TIME_EXCEEDED: u8 = 11;
    const PARAMETER: u8 = 12;
    let bytes = ip.payload;
    let (Some(&[kind, code, _, _, _, _, high, low]), Some(rest)) =
        (bytes.first_chunk::<ICMP_HEADER>(), bytes.get(4..))
    else {
        return Err(Drop::Malformed);
    };
    if checksum(bytes) != 0 {
        return Err(Drop::Checksum);
    }
    let (errno, hard) = match kind {
        ECHO if code == 0 => return Ok(Icmp::Echo(rest)),
        UNREACHABLE => *DESTINATION.get(usize::from(code)).ok_or(Drop::Protocol)?,
        // On its way, not where it was put together.
        TIME_EXCEEDED if code == 0 => (Errno::EHOSTUNREACH, false),
        PARAMETER => (Errno::EPROTO, true),
        _ => return Err(Drop::Protocol),
    };
    let what = quoted(&bytes[ICMP_HEADER..])?;
    let mtu = (kind == UNREACHABLE && code == TOO_LARGE).then_some(u16::from_be_bytes([high, low]));
    Ok(Icmp::Undelivered(Undelivered {
        errno,
        hard,
        mtu,
        ..what
    }))
}

/// What became of a packet of ours that never left: there is no neighbour who takes it.
///
/// # Errors
/// Malformed for what has no ports.
pub fn undelivered(packet: &[u8]) -> Result<Undelivered, Drop> {
    quoted(packet)
}

/// A packet of ours, cut short behind the eight bytes that follow its header.
pub(super) fn quoted(quoted: &[u8]) -> Result<Undelivered, Drop> {
    let (header, protocol, from, to): (_, _, IpAddr, IpAddr) = match quoted.first().map(|b| b >> 4)
    {
        Some(4) if quoted.len() >= IPV4_HEADER => {
            let packet = Ipv4Packet::new_unchecked(quoted);
            let header = usize::from(packet.header_len());
            let (from, to) = (packet.src_addr(), packet.dst_addr());
            (header, packet.next_header().into(), from.into(), to.into())
        }
        Some(6) if quoted.len() >= IPV6_HEADER => {
            let packet = Ipv6Packet::new_unchecked(quoted);
            // What we sent in pieces has their header: the first has the ports.
            let (header, protocol) = match quoted[6] {
                FRAGMENT => {
                    let next = *quoted.get(IPV6_HEADER).ok_or(Drop::Malformed)?;
                    (IPV6_HEADER + 8, next)
                }
                next => (IPV6_HEADER, next),
            };
            let (from, to) = (packet.src_addr(), packet.dst_addr());
            (header, protocol, from.into(), to.into())
        }
        _ => return Err(Drop::Malformed),
    };
    let begin: &[u8; 8] = quoted
        .get(header..)
        .filter(|_| header >= IPV4_HEADER)
        .and_then(|rest| rest.first_chunk())
        .ok_or(Drop::Malformed)?;
    let [f0, f1, t0, t1, s0, s1, s2, s3] = *begin;
    Ok(Undelivered {
        errno: Errno::EHOSTUNREACH,
        hard: false,
        mtu: None,
        protocol,
        from: SocketAddr::new(from, u16::from_be_bytes([f0, f1])),
        to: SocketAddr::new(to, u16::from_be_bytes([t0, t1])),
        sequence: u32::from_be_bytes([s0, s1, s2, s3]),
    })
}

/// Writes the answer to an echo request: `rest` is what the request has behind its checksum. Gives its length.
pub fn write_echo_reply(out: &mut [u8], rest: &[u8]) -> usize {
    let length = 4 + rest.len();
    let out = &mut out[..length];
    out[..4].fill(0);
    out[4..].copy_from_slice(rest);
    let sum = checksum(out).to_be_bytes();
    out[2..4].copy_from_slice(&sum);
    length
}

/// How long "port unreachable" about a packet is.
pub fn unreachable_length(about: &Ip) -> usize {
    ICMP_HEADER + about.whole.len().min(QUOTED)
}

/// Writes "port unreachable" about a packet.
pub fn write_port_unreachable(out: &mut [u8], about: &Ip) {
    let length = unreachable_length(about);
    let out = &mut out[..length];
    out[..ICMP_HEADER].fill(0);
    out[..2].copy_from_slice(&[3, 3]);
    out[ICMP_HEADER..].copy_from_slice(&about.whole[..length - ICMP_HEADER]);
    let sum = checksum(out).to_be_bytes();
    out[2..4].copy_from_slice(&sum);
}

/// The Internet's checksum (RFC 1071).
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    sum(&[bytes])
}

/// The checksum of what lies in several places, all but the last of an even length.
pub(super) fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0;
    for part in parts {
        let (words, rest) = part.as_chunks::<2>();
        let words = words
            .iter()
            .map(|word| u32::from(u16::from_be_bytes(*word)));
        let rest = rest.iter().map(|last| u32::from(*last) << 8);
        // A packet's 65,535 bytes do not overflow it.
        sum += words.chain(rest).sum::<u32>();
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
