//! As much of TCP as finds a segment's connection, and the answer to one without (RFC 9293).
use super::icmp::{checksum, sum};
use super::{Drop, IPV4_HEADER, IPV6_HEADER, Ip};
use alloc::vec::Vec;
use core::net::SocketAddr;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

/// What of a TCP segment finds its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// SYN without ACK: somebody wants to connect.
    pub opens: bool,
    /// SYN, with or without ACK.
    pub synchronizes: bool,
    /// RST.
    pub resets: bool,
    /// The number of its first byte.
    pub sequence: u32,
    /// What it takes of the number space: data and flags.
    pub length: u32,
    /// The number of the byte that its sender expects next.
    pub acknowledges: Option<u32>,
    /// The room its sender has, as the header tells it.
    pub window: u16,
}

/// Of an IP packet with a TCP segment: the number of its first byte, and what it takes of the number space.
pub fn numbers(packet: &[u8]) -> Option<(u32, u32)> {
    let segment = segment_of(packet)?;
    Some((
        segment.seq_number().0.cast_unsigned(),
        segment.segment_len() as u32,
    ))
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
        synchronizes: packet.syn(),
        resets: packet.rst(),
        sequence: packet.seq_number().0.cast_unsigned(),
        length: packet.segment_len() as u32,
        acknowledges: packet.ack().then(|| packet.ack_number().0.cast_unsigned()),
        window: packet.window_len(),
    })
}

/// Of an IP packet with a TCP segment: what it acknowledges, or 0.
pub fn acknowledged(packet: &[u8]) -> u32 {
    segment_of(packet).map_or(0, |segment| segment.ack_number().0.cast_unsigned())
}

fn segment_of(packet: &[u8]) -> Option<TcpPacket<&[u8]>> {
    let header = match packet.first()? >> 4 {
        4 => usize::from(packet[0] & 15) * 4,
        _ => 40,
    };
    TcpPacket::new_checked(packet.get(header..)?).ok()
}

/// What a segment says that opens a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Its number.
    pub sequence: u32,
    /// The room its sender has.
    pub window: u16,
    /// The largest segment it takes.
    pub mss: Option<u16>,
    /// How far windows are to be shifted from then on.
    pub scale: Option<u8>,
    /// It understands selective acknowledgements.
    pub sack: bool,
}

/// Looks at the options of a segment that opens a connection.
///
/// # Errors
/// Malformed.
pub fn opening(ip: &Ip) -> Result<Opening, Drop> {
    let packet = TcpPacket::new_checked(ip.payload).map_err(|_| Drop::Malformed)?;
    let ends = (ip.from.into(), ip.to.into());
    let unchecked = ChecksumCapabilities::ignored();
    let repr =
        TcpRepr::parse(&packet, &ends.0, &ends.1, &unchecked).map_err(|_| Drop::Malformed)?;
    Ok(Opening {
        sequence: repr.seq_number.0.cast_unsigned(),
        window: repr.window_len,
        mss: repr.max_seg_size,
        scale: repr.window_scale,
        sack: repr.sack_permitted,
    })
}

impl Opening {
    const fn repr(&self, from: u16, to: u16, acknowledges: Option<u32>) -> TcpRepr<'static> {
        TcpRepr {
            src_port: from,
            dst_port: to,
            control: TcpControl::Syn,
            seq_number: TcpSeqNumber(self.sequence.cast_signed()),
            ack_number: match acknowledges {
                Some(number) => Some(TcpSeqNumber(number.cast_signed())),
                None => None,
            },
            window_len: self.window,
            window_scale: self.scale,
            max_seg_size: self.mss,
            sack_permitted: self.sack,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        }
    }

    /// How long the segment is.
    pub fn length(&self) -> usize {
        self.repr(0, 0, None).header_len()
    }

    /// A packet with the segment that asks for a connection.
    pub fn packet(&self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let (source, target): (IpAddress, IpAddress) = (from.ip().into(), to.ip().into());
        let length = self.length();
        let ip = IpRepr::new(source, target, IpProtocol::Tcp, length, 64);
        let mut out = alloc::vec![0; ip.header_len() + length];
        ip.emit(&mut out, &ChecksumCapabilities::default());
        self.write(&mut out[ip.header_len()..], from, to, None);
        out
    }

    /// Writes the segment into [`Opening::length`] bytes.
    pub fn write(
        &self,
        out: &mut [u8],
        from: SocketAddr,
        to: SocketAddr,
        acknowledges: Option<u32>,
    ) {
        let repr = self.repr(from.port(), to.port(), acknowledges);
        let mut packet = TcpPacket::new_unchecked(out);
        let checksums = ChecksumCapabilities::default();
        repr.emit(&mut packet, &from.ip().into(), &to.ip().into(), &checksums);
    }
}

/// A packet with a segment that says nothing but what has arrived, and how much room there is. It has no checksum.
pub fn acknowledgement(
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledges: u32,
    window: u16,
) -> Vec<u8> {
    let unsaid = Opening {
        sequence,
        window,
        mss: None,
        scale: None,
        sack: false,
    };
    let repr = TcpRepr {
        control: TcpControl::None,
        ..unsaid.repr(from.port(), to.port(), Some(acknowledges))
    };
    let (source, target): (IpAddress, IpAddress) = (from.ip().into(), to.ip().into());
    let ip = IpRepr::new(source, target, IpProtocol::Tcp, repr.header_len(), 64);
    let mut out = alloc::vec![0; ip.header_len() + repr.header_len()];
    let unchecked = ChecksumCapabilities::ignored();
    ip.emit(&mut out, &unchecked);
    let mut packet = TcpPacket::new_unchecked(&mut out[ip.header_len()..]);
    repr.emit(&mut packet, &source, &target, &unchecked);
    out
}

/// The answer to a segment that belongs to no connection (RFC 9293, 3.10.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// Who got the segment.
    pub from: SocketAddr,
    /// Who sent it.
    pub to: SocketAddr,
    pub(super) sequence: i32,
    pub(super) acknowledges: Option<i32>,
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

/// Has the window of an IP packet's segment shifted this much farther than it is; one that opens a connection says so. Its
/// checksum is to be filled in again.
pub fn rescale(packet: &mut [u8], farther: u8) {
    const SCALE: u8 = 3;
    let Some(header) = packet.first().map(|first| match first >> 4 {
        4 => usize::from(first & 15) * 4,
        _ => IPV6_HEADER,
    }) else {
        return;
    };
    let Some(Ok(mut segment)) = packet.get_mut(header..).map(TcpPacket::new_checked) else {
        return;
    };
    if !segment.syn() {
        let window = segment.window_len() >> farther.min(15);
        segment.set_window_len(window);
        return;
    }
    let mut options = segment.options_mut();
    loop {
        let length = match *options {
            [SCALE, 3, ref mut scale, ..] => {
                *scale = scale.saturating_add(farther);
                return;
            }
            // What fills a gap has no length.
            [1, ..] => 1,
            [kind, length, ..] if kind != 0 && length >= 2 => usize::from(length),
            _ => return,
        };
        options = options.get_mut(length..).unwrap_or_default();
    }
}

/// Whether a segment's checksum is right.
pub fn tcp_checksum(ip: &Ip) -> bool {
    if ip.checked {
        return true;
    }
    let packet = TcpPacket::new_checked(ip.payload);
    packet.is_ok_and(|packet| packet.verify_checksum(&ip.from.into(), &ip.to.into()))
}

/// The length of the headers of an IPv4 packet with a segment in it: IP's and TCP's.
pub fn tcp_headers(packet: &[u8]) -> usize {
    let ip = packet
        .first()
        .map_or(0, |first| usize::from(first & 15) * 4);
    let tcp = packet.get(ip + 12).map_or(0, |at| usize::from(at >> 4) * 4);
    ip + tcp
}

/// Where in a segment its checksum is.
pub const CHECKSUM_AT: usize = 16;

/// Fills the checksum of an IP packet's segment in; with `only_begin`, with the sum of the pseudo-header alone, for a card
/// that adds the rest. Gives where the segment begins, none for what is no such packet or, of IPv6, has extensions.
pub fn fill_tcp_checksum(packet: &mut [u8], only_begin: bool) -> Option<u16> {
    const TCP: u8 = 6;
    let (header, ends, protocol) = match packet.first()? >> 4 {
        4 => (usize::from(packet[0] & 15) * 4, 12..20, packet.get(9)?),
        6 => (IPV6_HEADER, 8..40, packet.get(6)?),
        _ => return None,
    };
    if *protocol != TCP || header < IPV4_HEADER {
        return None;
    }
    let place = header + CHECKSUM_AT..header + CHECKSUM_AT + 2;
    let length = packet.len().checked_sub(header)?;
    let ends = packet.get(ends)?;
    let [high, low] = (length as u16).to_be_bytes();
    let begin = !sum(&[ends, &[0, TCP, high, low]]);
    packet
        .get_mut(place.clone())?
        .copy_from_slice(&begin.to_be_bytes());
    if !only_begin {
        let sum = checksum(&packet[header..]);
        packet[place].copy_from_slice(&sum.to_be_bytes());
    }
    Some(header as u16)
}
