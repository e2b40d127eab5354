//! Packets as they come from a network and go out: Ethernet, ARP, IPv4, UDP, ICMP, and as much of TCP as finds its connection
//! (RFC 826, 791, 768, 792, 9293).
//!
//! Views and checksums are smoltcp's; here is what of them a host wants to know, as values. Parsing says why a packet is of no
//! use ([`Drop`]), writing fills a slice whose length the caller asked for first.
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
    Ipv4Packet, Ipv4Repr, Ipv6Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket,
};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Everybody's.
pub const BROADCAST: Mac = [0xff; 6];
/// Lengths of headers.
pub const ETHERNET_HEADER: usize = 14;
/// See [`ETHERNET_HEADER`].
pub const IPV4_HEADER: usize = 20;
/// See [`ETHERNET_HEADER`].
pub const UDP_HEADER: usize = 8;
/// An ARP packet for IPv4 over Ethernet.
pub const ARP_LENGTH: usize = 28;
/// What an error of ICMP quotes beside its own eight bytes: the header and the beginning of what it is about.
const QUOTED: usize = IPV4_HEADER + 8;
const ICMP_HEADER: usize = 8;

/// Why a packet is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// Too short, or it contradicts itself.
    Malformed,
    /// A checksum is wrong.
    Checksum,
    /// A part of a larger one.
    Fragment,
    /// A protocol nobody here speaks.
    Protocol,
    /// For another host.
    NotOurs,
}

/// What an Ethernet frame carries.
#[derive(Debug)]
pub enum Carried<'a> {
    /// A question for or an answer of an Ethernet address.
    Arp(Arp),
    /// An IP packet, perhaps with padding behind it.
    Ip(&'a [u8]),
}

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    /// A question; else an answer.
    pub request: bool,
    /// Who sent it.
    pub mac: Mac,
    /// See `mac`.
    pub ip: Ipv4Addr,
    /// About whom.
    pub about: Ipv4Addr,
}

/// Takes an Ethernet frame apart.
///
/// # Errors
/// NotOurs for a frame to another card, Malformed, Protocol.
pub fn ethernet(frame: &[u8], ours: Mac) -> Result<Carried<'_>, Drop> {
    let frame = EthernetFrame::new_checked(frame).map_err(|_| Drop::Malformed)?;
    let to = frame.dst_addr();
    if to.0 != ours && to.is_unicast() {
        return Err(Drop::NotOurs);
    }
    match frame.ethertype() {
        EthernetProtocol::Arp => arp(frame.payload()).map(Carried::Arp),
        EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => Ok(Carried::Ip(frame.payload())),
        _ => Err(Drop::Protocol),
    }
}

fn arp(bytes: &[u8]) -> Result<Arp, Drop> {
    let packet = ArpPacket::new_checked(bytes).map_err(|_| Drop::Malformed)?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: ip,
        target_protocol_addr: about,
        ..
    } = ArpRepr::parse(&packet).map_err(|_| Drop::Malformed)?
    else {
        return Err(Drop::Protocol);
    };
    if !mac.is_unicast() {
        return Err(Drop::Malformed);
    }
    let request = match operation {
        ArpOperation::Request => true,
        ArpOperation::Reply => false,
        ArpOperation::Unknown(_) => return Err(Drop::Protocol),
    };
    Ok(Arp {
        request,
        mac: mac.0,
        ip,
        about,
    })
}

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
    })
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Looks at a UDP datagram.
///
/// # Errors
/// Malformed, Checksum.
pub fn udp<'a>(ip: &Ip<'a>) -> Result<Datagram<'a>, Drop> {
    let packet = UdpPacket::new_checked(ip.payload).map_err(|_| Drop::Malformed)?;
    if !packet.verify_checksum(&ip.from.into(), &ip.to.into()) {
        return Err(Drop::Checksum);
    }
    Ok(Datagram {
        from: SocketAddr::new(ip.from, packet.src_port()),
        to: SocketAddr::new(ip.to, packet.dst_port()),
        data: packet.payload(),
    })
}

/// What of a TCP segment finds its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// SYN without ACK: somebody wants to connect.
    pub opens: bool,
    /// RST.
    pub resets: bool,
}

/// Looks at a TCP segment. Its checksum is left to who takes it.
///
/// # Errors
/// Malformed.
pub fn tcp(ip: &Ip) -> Result<Segment, Drop> {
    let packet = TcpPacket::new_checked(ip.payload).map_err(|_| Drop::Malformed)?;
    let (from, to) = (packet.src_port(), packet.dst_port());
    if from == 0 || to == 0 {
        return Err(Drop::Malformed);
    }
    Ok(Segment {
        from: SocketAddr::new(ip.from, from),
        to: SocketAddr::new(ip.to, to),
        opens: packet.syn() && !packet.ack() && !packet.rst() && !packet.fin(),
        resets: packet.rst(),
    })
}

/// The answer to a segment that belongs to no connection (RFC 9293, 3.10.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// Who got the segment.
    pub from: SocketAddr,
    /// Who sent it.
    pub to: SocketAddr,
    sequence: i32,
    acknowledges: Option<i32>,
}

/// The length of one.
pub const RESET_LENGTH: usize = 20;

/// What is to be answered to a segment that nobody wants; a reset gets no answer.
pub fn reset_for(ip: &Ip) -> Option<Reset> {
    let packet = TcpPacket::new_checked(ip.payload).ok()?;
    if packet.rst() {
        return None;
    }
    let end = packet.seq_number() + packet.segment_len();
    Some(Reset {
        from: SocketAddr::new(ip.to, packet.dst_port()),
        to: SocketAddr::new(ip.from, packet.src_port()),
        sequence: if packet.ack() {
            packet.ack_number().0
        } else {
            0
        },
        acknowledges: (!packet.ack()).then_some(end.0),
    })
}

/// Writes a reset into [`RESET_LENGTH`] bytes.
pub fn write_reset(out: &mut [u8], reset: &Reset) {
    let repr = TcpRepr {
        src_port: reset.from.port(),
        dst_port: reset.to.port(),
        control: TcpControl::Rst,
        seq_number: TcpSeqNumber(reset.sequence),
        ack_number: reset.acknowledges.map(TcpSeqNumber),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = (reset.from.ip().into(), reset.to.ip().into());
    let mut packet = TcpPacket::new_unchecked(out);
    repr.emit(&mut packet, &from, &to, &ChecksumCapabilities::default());
}

/// Whether a segment's checksum is right.
pub fn tcp_checksum(ip: &Ip) -> bool {
    let packet = TcpPacket::new_checked(ip.payload);
    packet.is_ok_and(|packet| packet.verify_checksum(&ip.from.into(), &ip.to.into()))
}

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

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
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

/// Writes the header of an Ethernet frame for an IP packet or, without one, ARP; `frame` is at least that long.
pub fn write_ethernet(frame: &mut [u8], to: Mac, from: Mac, carries: EthernetKind) {
    let mut frame = EthernetFrame::new_unchecked(frame);
    frame.set_dst_addr(EthernetAddress(to));
    frame.set_src_addr(EthernetAddress(from));
    frame.set_ethertype(match carries {
        EthernetKind::Arp => EthernetProtocol::Arp,
        EthernetKind::V4 => EthernetProtocol::Ipv4,
        EthernetKind::V6 => EthernetProtocol::Ipv6,
    });
}

/// What a frame that is written carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EthernetKind {
    /// ARP.
    Arp,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Writes an ARP packet into [`ARP_LENGTH`] bytes: a question, or the answer to `to`.
pub fn write_arp(out: &mut [u8], arp: &Arp, to: Option<Mac>) {
    let repr = ArpRepr::EthernetIpv4 {
        operation: if arp.request {
            ArpOperation::Request
        } else {
            ArpOperation::Reply
        },
        source_hardware_addr: EthernetAddress(arp.mac),
        source_protocol_addr: arp.ip,
        target_hardware_addr: EthernetAddress(to.unwrap_or([0; 6])),
        target_protocol_addr: arp.about,
    };
    repr.emit(&mut ArpPacket::new_unchecked(out));
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

/// Writes a UDP header into the first [`UDP_HEADER`] bytes of `out`, which has the data behind it.
pub fn write_udp(out: &mut [u8], from: SocketAddr, to: SocketAddr) {
    let length = out.len() as u16;
    let mut packet = UdpPacket::new_unchecked(out);
    packet.set_src_port(from.port());
    packet.set_dst_port(to.port());
    packet.set_len(length);
    packet.fill_checksum(&from.ip().into(), &to.ip().into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const OURS: Mac = [2, 0, 0, 0, 0, 1];
    const THEIRS: Mac = [2, 0, 0, 0, 0, 2];

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn header(protocol: u8) -> Header {
        Header {
            from: [10, 0, 2, 2].into(),
            to: [10, 0, 2, 15].into(),
            protocol,
            ttl: 64,
            tos: 0,
        }
    }

    fn datagram(data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; IPV4_HEADER + UDP_HEADER + data.len()];
        out[IPV4_HEADER + UDP_HEADER..].copy_from_slice(data);
        let (from, to) = (address("10.0.2.2:53"), address("10.0.2.15:4000"));
        write_udp(&mut out[IPV4_HEADER..], from, to);
        write_ipv4(&mut out, &header(17), None);
        out
    }

    /// Everything a packet from the network goes through.
    fn look(frame: &[u8]) {
        let Ok(Carried::Ip(bytes)) = ethernet(frame, OURS) else {
            return;
        };
        let Ok(ip) = ip(bytes) else { return };
        let _ = (udp(&ip), tcp(&ip), tcp_checksum(&ip));
        if let Some(reset) = reset_for(&ip) {
            write_reset(&mut [0; RESET_LENGTH], &reset);
        }
        if let Ok(Icmp::Echo(rest)) = icmp(&ip) {
            write_echo_reply(&mut vec![0; 4 + rest.len()], rest);
        }
        write_port_unreachable(&mut vec![0; unreachable_length(&ip)], &ip);
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            look(&frame);
        }

        #[test]
        fn no_damaged_packet_makes_it_panic(
            protocol in prop::sample::select(&[1u8, 6, 17][..]),
            payload in proptest::collection::vec(any::<u8>(), 0..80),
            damage in proptest::collection::vec((0usize..120, any::<u8>()), 0..4),
            cut in 0usize..120,
        ) {
            let mut frame = vec![0; ETHERNET_HEADER + IPV4_HEADER + payload.len()];
            frame[ETHERNET_HEADER + IPV4_HEADER..].copy_from_slice(&payload);
            write_ipv4(&mut frame[ETHERNET_HEADER..], &header(protocol), None);
            write_ethernet(&mut frame, OURS, THEIRS, EthernetKind::V4);
            look(&frame);
            for (at, byte) in damage {
                let length = frame.len();
                frame[at % length] = byte;
            }
            look(&frame);
            look(&frame[..cut.min(frame.len())]);
        }

        #[test]
        fn a_datagram_that_was_written_is_read(data in proptest::collection::vec(any::<u8>(), 0..1400)) {
            let bytes = datagram(&data);
            let ip = ip(&bytes).unwrap();
            let datagram = udp(&ip).unwrap();
            prop_assert_eq!(datagram.data, &data[..]);
            prop_assert_eq!(datagram.from, address("10.0.2.2:53"));
        }
    }

    #[test]
    fn a_flipped_bit_is_a_wrong_checksum() {
        let mut bytes = datagram(b"hello");
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(udp(&ip(&bytes).unwrap()).err(), Some(Drop::Checksum));
        bytes[8] ^= 1;
        assert_eq!(ip(&bytes).err(), Some(Drop::Checksum));
    }

    #[test]
    fn padding_behind_a_packet_does_not_count() {
        let mut bytes = datagram(b"x");
        let length = bytes.len();
        bytes.resize(60, 0xaa);
        assert_eq!(ip(&bytes).unwrap().whole.len(), length);
    }

    #[test]
    fn a_part_of_a_packet_is_told_from_a_whole_one() {
        let mut bytes = datagram(b"12345678");
        let part = Part {
            id: 7,
            offset: 8,
            more: false,
        };
        write_ipv4(&mut bytes, &header(17), Some(part));
        assert_eq!(ip(&bytes).err(), Some(Drop::Fragment));
    }

    #[test]
    fn an_answer_to_a_question_names_both() {
        let mut out = [0; ARP_LENGTH];
        let answer = Arp {
            request: false,
            mac: OURS,
            ip: [10, 0, 2, 15].into(),
            about: [10, 0, 2, 2].into(),
        };
        write_arp(&mut out, &answer, Some(THEIRS));
        assert_eq!(arp(&out), Ok(answer));
        assert_eq!(out[18..24], THEIRS);
    }

    #[test]
    fn a_segment_that_nobody_wants_gets_a_reset_it_believes() {
        let (from, to) = (address("10.0.2.2:7000"), address("10.0.2.15:80"));
        let mut out = [0; IPV4_HEADER + RESET_LENGTH];
        let syn = Reset {
            from,
            to,
            sequence: 99,
            acknowledges: None,
        };
        write_reset(&mut out[IPV4_HEADER..], &syn);
        // SYN instead of RST, and its checksum.
        out[IPV4_HEADER + 13] = 2;
        let mut segment = TcpPacket::new_unchecked(&mut out[IPV4_HEADER..]);
        segment.fill_checksum(&from.ip().into(), &to.ip().into());
        write_ipv4(&mut out, &header(6), None);
        let syn = ip(&out).unwrap();
        assert!(tcp_checksum(&syn) && tcp(&syn).unwrap().opens);
        let reset = reset_for(&syn).unwrap();
        assert_eq!((reset.sequence, reset.acknowledges), (0, Some(100)));
        assert_eq!((reset.from, reset.to), (to, from));
    }

    #[test]
    fn an_echo_comes_back_with_its_bytes() {
        let rest = *b"\0\x01\0\x02ping!";
        let mut out = [0; 13];
        assert_eq!(write_echo_reply(&mut out, &rest), 13);
        assert_eq!(checksum(&out), 0);
        assert_eq!(out[4..], rest);
    }

    #[test]
    fn an_error_tells_which_datagram_it_is_about() {
        let bytes = datagram(&[9; 100]);
        let about = ip(&bytes).unwrap();
        let mut out = vec![0; IPV4_HEADER + unreachable_length(&about)];
        write_port_unreachable(&mut out[IPV4_HEADER..], &about);
        write_ipv4(&mut out, &header(1), None);
        let parsed = ip(&out).unwrap();
        let Ok(Icmp::Unreachable(found)) = icmp(&parsed) else {
            panic!("not what was written");
        };
        assert_eq!((found.code, found.protocol), (3, 17));
        assert_eq!(found.from, address("10.0.2.2:53"));
        assert_eq!(found.to, address("10.0.2.15:4000"));
    }
}
