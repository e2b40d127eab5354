//! ICMP: echoes, and what did not arrive (RFC 792).
use super::{Drop, IPV4_HEADER, Ip};
use core::net::SocketAddr;
use smoltcp::wire::Ipv4Packet;

/// What an error of ICMP quotes beside its own eight bytes: the header and the beginning of what it is about.
const QUOTED: usize = IPV4_HEADER + 8;
const ICMP_HEADER: usize = 8;

/// A message of ICMP.
#[derive(Clone, Copy, Debug)]
pub enum Icmp<'a> {
    /// A question whether we are there; the answer has the same bytes behind its type.
    Echo(&'a [u8]),
    /// What we sent did not arrive.
    Unreachable(Unreachable),
}

/// What came back instead of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreachable {
    /// The code of ICMP's type 3.
    pub code: u8,
    /// The protocol of what we sent.
    pub protocol: u8,
    /// Where it was from.
    pub from: SocketAddr,
    /// Where it was to.
    pub to: SocketAddr,
}

/// Looks at a message of ICMP for IPv4.
///
/// # Errors
/// Malformed, Checksum; Protocol for kinds that mean nothing here.
pub fn icmp<'a>(ip: &Ip<'a>) -> Result<Icmp<'a>, Drop> {
    const ECHO: u8 = 8;
    const UNREACHABLE: u8 = 3;
    let bytes = ip.payload;
    let (Some(&[kind, code, ..]), Some(rest)) =
        (bytes.first_chunk::<ICMP_HEADER>(), bytes.get(4..))
    else {
        return Err(Drop::Malformed);
    };
    if checksum(bytes) != 0 {
        return Err(Drop::Checksum);
    }
    match kind {
        ECHO if code == 0 => Ok(Icmp::Echo(rest)),
        UNREACHABLE => unreachable(code, &bytes[ICMP_HEADER..]).map(Icmp::Unreachable),
        _ => Err(Drop::Protocol),
    }
}

/// The quoted packet is cut short, so only its header and the ports are looked at.
fn unreachable(code: u8, quoted: &[u8]) -> Result<Unreachable, Drop> {
    if quoted.len() < IPV4_HEADER || quoted[0] >> 4 != 4 {
        return Err(Drop::Malformed);
    }
    let packet = Ipv4Packet::new_unchecked(quoted);
    let header = usize::from(packet.header_len());
    let ports: &[u8; 4] = quoted
        .get(header..)
        .filter(|_| header >= IPV4_HEADER)
        .and_then(|rest| rest.first_chunk())
        .ok_or(Drop::Malformed)?;
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Ok(Unreachable {
        code,
        protocol: packet.next_header().into(),
        from: SocketAddr::new(packet.src_addr().into(), port(0)),
        to: SocketAddr::new(packet.dst_addr().into(), port(2)),
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
    let (words, rest) = bytes.as_chunks::<2>();
    let words = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)));
    let rest = rest.iter().map(|last| u32::from(*last) << 8);
    // A packet's 65,535 bytes do not overflow it.
    let mut sum: u32 = words.chain(rest).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
