//! IP packets: whole ones and parts (RFC 791, 8200).
use super::{Drop, IPV4_HEADER, IPV6_HEADER};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr};

/// An IP packet's header, and what is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// Its sender.
    pub from: IpAddr,
    /// Its receiver.
    pub to: IpAddr,
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// IPPROTO_*.
    pub protocol: u8,
    /// All of it, without padding.
    pub whole: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
    /// Checksums of what it carries were checked by the card, or are left out: it has come from this very host.
    pub checked: bool,
}

/// Looks at an IP packet.
///
/// # Errors
/// Malformed, Checksum, Fragment.
pub fn ip(bytes: &[u8]) -> Result<Ip<'_>, Drop> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        _ => Err(Drop::Malformed),
    }
}

fn ipv4(bytes: &[u8]) -> Result<Ip<'_>, Drop> {
    let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    if !packet.verify_checksum() {
        return Err(Drop::Checksum);
    }
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Err(Drop::Fragment);
    }
    let from = packet.src_addr();
    if from.is_multicast() || from.is_broadcast() {
        return Err(Drop::Malformed);
    }
    let (header, total) = (
        usize::from(packet.header_len()),
        usize::from(packet.total_len()),
    );
    Ok(Ip {
        from: from.into(),
        to: packet.dst_addr().into(),
        ttl: packet.hop_limit(),
        tos: bytes[1],
        protocol: packet.next_header().into(),
        whole: &bytes[..total],
        payload: &bytes[header..total],
        checked: false,
    })
}

/// A piece of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Its sender.
    pub from: IpAddr,
    /// Its receiver.
    pub to: IpAddr,
    /// IPPROTO_*.
    pub protocol: u8,
    /// The number of the packet it is a piece of.
    pub id: u32,
    /// How much of the packet comes before it.
    pub offset: usize,
    /// There is more behind it.
    pub more: bool,
    /// Its header; without extensions, which mean nothing to us.
    pub header: &'a [u8],
    /// What is behind that.
    pub payload: &'a [u8],
}

/// Looks at a piece of a packet, for which [`ip`] said Fragment.
///
/// # Errors
/// Malformed.
pub fn fragment(bytes: &[u8]) -> Result<Fragment<'_>, Drop> {
    if bytes.first().is_some_and(|first| first >> 4 == 6) {
        return fragment_v6(bytes);
    }
    let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    let (header, total) = (
        usize::from(packet.header_len()),
        usize::from(packet.total_len()),
    );
    Ok(Fragment {
        from: packet.src_addr().into(),
        to: packet.dst_addr().into(),
        protocol: packet.next_header().into(),
        id: packet.ident().into(),
        offset: usize::from(packet.frag_offset()),
        more: packet.more_frags(),
        header: bytes.get(..header).ok_or(Drop::Malformed)?,
        payload: bytes.get(header..total).ok_or(Drop::Malformed)?,
    })
}

fn fragment_v6(bytes: &[u8]) -> Result<Fragment<'_>, Drop> {
    let packet = Ipv6Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    let whole = &bytes[..packet.total_len()];
    let (protocol, at, true) = behind_extensions(whole)? else {
        return Err(Drop::Malformed);
    };
    let (piece, payload) = whole[at..]
        .split_first_chunk::<FRAGMENT_HEADER>()
        .ok_or(Drop::Malformed)?;
    let [_, _, p0, p1, id @ ..] = *piece;
    let place = u16::from_be_bytes([p0, p1]);
    Ok(Fragment {
        from: packet.src_addr().into(),
        to: packet.dst_addr().into(),
        protocol,
        id: u32::from_be_bytes(id),
        offset: usize::from(place & !7),
        more: place & 1 != 0,
        header: &whole[..IPV6_HEADER],
        payload,
    })
}

/// The longest chain of extension headers that is followed.
const CHAIN: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const FRAGMENT_HEADER: usize = 8;

/// What is behind the extension headers of an IPv6 packet: its protocol, and where it or, with `true`, the header of a piece
/// begins.
fn behind_extensions(bytes: &[u8]) -> Result<(u8, usize, bool), Drop> {
    let (mut next, mut at) = (*bytes.get(6).ok_or(Drop::Malformed)?, IPV6_HEADER);
    for _ in 0..CHAIN {
        let length = match next {
            HOP_BY_HOP | ROUTING | DESTINATION => {
                8 + 8 * usize::from(*bytes.get(at + 1).ok_or(Drop::Malformed)?)
            }
            FRAGMENT => FRAGMENT_HEADER,
            _ => return Ok((next, at, false)),
        };
        let header = bytes.get(at..at + length).ok_or(Drop::Malformed)?;
        match next {
            // Its place is the first.
            HOP_BY_HOP if at != IPV6_HEADER => return Err(Drop::Malformed),
            HOP_BY_HOP | DESTINATION => options(&header[2..])?,
            // It would have to go on from here (RFC 5095: and no further).
            ROUTING if header[3] != 0 => return Err(Drop::Protocol),
            // A piece that is all there is (RFC 6946).
            FRAGMENT if [header[2], header[3] & 0xf9] == [0, 0] => {}
            FRAGMENT => return Ok((header[0], at, true)),
            _ => {}
        }
        next = header[0];
        at += length;
    }
    Err(Drop::Protocol)
}

/// Options of an extension header: those that nobody here knows must allow to be skipped (RFC 8200, 4.2).
fn options(mut bytes: &[u8]) -> Result<(), Drop> {
    while let [kind, rest @ ..] = bytes {
        // Pad1 has no length.
        if *kind == 0 {
            bytes = rest;
            continue;
        }
        let (length, rest) = rest.split_first().ok_or(Drop::Malformed)?;
        bytes = rest.get(usize::from(*length)..).ok_or(Drop::Malformed)?;
        if kind >> 6 != 0 {
            return Err(Drop::Protocol);
        }
    }
    Ok(())
}

fn ipv6(bytes: &[u8]) -> Result<Ip<'_>, Drop> {
    let packet = Ipv6Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    // Nor does an address of the other family come as one of this.
    let odd = from.is_multicast() || to.is_unspecified();
    if odd || from.to_ipv4_mapped().is_some() || to.to_ipv4_mapped().is_some() {
        return Err(Drop::Malformed);
    }
    let whole = &bytes[..packet.total_len()];
    let (protocol, at, is_piece) = behind_extensions(whole)?;
    if is_piece {
        return Err(Drop::Fragment);
    }
    Ok(Ip {
        from: from.into(),
        to: to.into(),
        ttl: packet.hop_limit(),
        tos: packet.traffic_class(),
        protocol,
        whole,
        payload: whole.get(at..).ok_or(Drop::Malformed)?,
        checked: false,
    })
}

impl Ip<'_> {
    /// Whether there is something between header and payload of an IPv6 packet.
    pub const fn is_extended(&self) -> bool {
        self.to.is_ipv6() && self.whole.len() - self.payload.len() > IPV6_HEADER
    }

    /// The packet without that; none without memory.
    pub fn without_extensions(&self) -> Option<Vec<u8>> {
        let mut packet = Vec::new();
        let length = IPV6_HEADER + self.payload.len();
        packet.try_reserve_exact(length).ok()?;
        packet.extend_from_slice(self.whole.get(..IPV6_HEADER)?);
        packet.extend_from_slice(self.payload);
        packet[6] = self.protocol;
        packet[4..6].copy_from_slice(&(self.payload.len() as u16).to_be_bytes());
        Some(packet)
    }
}

/// What the header of a packet says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Its sender.
    pub from: IpAddr,
    /// Its receiver, of the same family.
    pub to: IpAddr,
    /// IPPROTO_*.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
}

/// Where a packet's payload is in a larger one.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The larger one's number.
    pub id: u32,
    /// Bytes before, a multiple of 8.
    pub offset: usize,
    /// It is not the last one.
    pub more: bool,
}

impl Header {
    /// How long it is; `part`: of a packet that is a part of a larger one, or may be made one.
    pub const fn length(&self, part: bool) -> usize {
        match (self.to, part) {
            (IpAddr::V4(_), _) => IPV4_HEADER,
            (IpAddr::V6(_), false) => IPV6_HEADER,
            (IpAddr::V6(_), true) => IPV6_HEADER + FRAGMENT_HEADER,
        }
    }
}

/// Writes the header of the packet that `out` is. Addresses of two families are none's: nothing is written then.
pub fn write_ip(out: &mut [u8], header: &Header, part: Option<Part>) {
    match (header.from, header.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => write_ipv4(out, header, from, to, part),
        (IpAddr::V6(from), IpAddr::V6(to)) => write_ipv6(out, header, from, to, part),
        _ => {}
    }
}

fn write_ipv4(out: &mut [u8], header: &Header, from: Ipv4Addr, to: Ipv4Addr, part: Option<Part>) {
    let payload_len = out.len().saturating_sub(IPV4_HEADER);
    let repr = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::from(header.protocol),
        payload_len,
        hop_limit: header.ttl,
    };
    let mut packet = Ipv4Packet::new_unchecked(out);
    repr.emit(&mut packet, &ChecksumCapabilities::ignored());
    packet.set_dscp(header.tos >> 2);
    packet.set_ecn(header.tos & 3);
    if let Some(part) = part {
        packet.set_ident(part.id as u16);
        packet.set_dont_frag(false);
        packet.set_more_frags(part.more);
        packet.set_frag_offset(part.offset as u16);
    }
    packet.fill_checksum();
}

fn write_ipv6(out: &mut [u8], header: &Header, from: Ipv6Addr, to: Ipv6Addr, part: Option<Part>) {
    let repr = Ipv6Repr {
        src_addr: from,
        dst_addr: to,
        next_header: match part {
            None => IpProtocol::from(header.protocol),
            Some(_) => IpProtocol::Ipv6Frag,
        },
        payload_len: out.len().saturating_sub(IPV6_HEADER),
        hop_limit: header.ttl,
    };
    let mut packet = Ipv6Packet::new_unchecked(&mut *out);
    repr.emit(&mut packet);
    packet.set_traffic_class(header.tos);
    if let Some(part) = part {
        let place = part.offset as u16 | u16::from(part.more);
        let piece = &mut out[IPV6_HEADER..IPV6_HEADER + FRAGMENT_HEADER];
        piece[..2].copy_from_slice(&[header.protocol, 0]);
        piece[2..4].copy_from_slice(&place.to_be_bytes());
        piece[4..].copy_from_slice(&part.id.to_be_bytes());
    }
}
