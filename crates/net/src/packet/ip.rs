//! IP packets: whole ones and parts (RFC 791, 8200).
use super::{Drop, IPV4_HEADER};
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet};

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

/// A piece of an IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Its sender.
    pub from: Ipv4Addr,
    /// Its receiver.
    pub to: Ipv4Addr,
    /// IPPROTO_*.
    pub protocol: u8,
    /// The number of the packet it is a piece of.
    pub id: u16,
    /// How much of the packet comes before it.
    pub offset: usize,
    /// There is more behind it.
    pub more: bool,
    /// Its header.
    pub header: &'a [u8],
    /// What is behind that.
    pub payload: &'a [u8],
}

/// Looks at a piece of an IPv4 packet, for which [`ip`] said Fragment.
///
/// # Errors
/// Malformed.
pub fn fragment(bytes: &[u8]) -> Result<Fragment<'_>, Drop> {
    let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    let (header, total) = (
        usize::from(packet.header_len()),
        usize::from(packet.total_len()),
    );
    Ok(Fragment {
        from: packet.src_addr(),
        to: packet.dst_addr(),
        protocol: packet.next_header().into(),
        id: packet.ident(),
        offset: usize::from(packet.frag_offset()),
        more: packet.more_frags(),
        header: bytes.get(..header).ok_or(Drop::Malformed)?,
        payload: bytes.get(header..total).ok_or(Drop::Malformed)?,
    })
}

fn ipv6(bytes: &[u8]) -> Result<Ip<'_>, Drop> {
    let packet = Ipv6Packet::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    if packet.src_addr().is_multicast() {
        return Err(Drop::Malformed);
    }
    let total = packet.total_len();
    Ok(Ip {
        from: packet.src_addr().into(),
        to: packet.dst_addr().into(),
        ttl: packet.hop_limit(),
        tos: packet.traffic_class(),
        protocol: packet.next_header().into(),
        whole: &bytes[..total],
        payload: &bytes[bytes.len().min(40)..total],
        checked: false,
    })
}

/// What the header of an IPv4 packet says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Its sender.
    pub from: Ipv4Addr,
    /// Its receiver.
    pub to: Ipv4Addr,
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
    pub id: u16,
    /// Bytes before, a multiple of 8.
    pub offset: usize,
    /// It is not the last one.
    pub more: bool,
}

/// Writes the header of the IPv4 packet that `out` is.
pub fn write_ipv4(out: &mut [u8], header: &Header, part: Option<Part>) {
    let payload_len = out.len().saturating_sub(IPV4_HEADER);
    let repr = Ipv4Repr {
        src_addr: header.from,
        dst_addr: header.to,
        next_header: IpProtocol::from(header.protocol),
        payload_len,
        hop_limit: header.ttl,
    };
    let mut packet = Ipv4Packet::new_unchecked(out);
    repr.emit(&mut packet, &ChecksumCapabilities::ignored());
    packet.set_dscp(header.tos >> 2);
    packet.set_ecn(header.tos & 3);
    if let Some(part) = part {
        packet.set_ident(part.id);
        packet.set_dont_frag(false);
        packet.set_more_frags(part.more);
        packet.set_frag_offset(part.offset as u16);
    }
    packet.fill_checksum();
}
