//! What an odd segment of TCP still says of the connection.
//!
//! smoltcp takes a segment or leaves it (RFC 9293, 3.10.7.4): what lies outside its window is answered and not looked at,
//! though it may acknowledge something new, and what acknowledges something old is dropped with its data. Other systems send
//! both all the time: an end repeated with each acknowledgement (QEMU's user network), an acknowledgement that overtook data
//! which fills the window, a probe of a full window, data overtaken by an acknowledgement. Linux takes what is good of them
//! (tcp_sequence() and tcp_ack() in net/ipv4/tcp_input.c); to ignore them stalls a connection until a timer sends everything
//! again. So [`Progress::read`] says what is to be shown to smoltcp instead of or before the segment itself.
//!
//! Nor does smoltcp know that a window may close over what is on its way, as Linux's does when it drops what came for want of
//! memory: then it asks whether there is room, with nothing, and forgets what was lost, for good. While something is on its way
//! it is shown a window of one instead ([`Reading::with_window`], recovery.rs): so it repeats that much until there is room.
//!
//! It costs a comparison or two for a segment that is in order.
use crate::packet::{IPV4_HEADER, Ip, Segment};
use alloc::vec::Vec;
use smoltcp::wire::{Ipv4Packet, TcpPacket};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of the byte that we expect next.
    pub expected: u32,
    /// What our ring for incoming data holds at most, and how much of it is free.
    pub ring: u32,
    /// See `ring`.
    pub free: u32,
    /// The number of the first byte that we sent and that is not acknowledged.
    pub unacknowledged: u32,
}

/// What is to be shown of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Itself.
    Whole,
    /// This packet, with nothing but its acknowledgement, and then itself.
    AlsoAcknowledges(Vec<u8>),
    /// This packet, with nothing but its acknowledgement.
    OnlyAcknowledges(Vec<u8>),
    /// This packet, which has its data without the old acknowledgement.
    Renewed(Vec<u8>),
    /// This packet, which asks for the number that is expected: whoever sent the segment may be guessing (RFC 5961).
    Questioned(Vec<u8>),
    /// Nothing: it was taken note of.
    Known,
    /// Nothing: somebody made it up.
    Ignored,
}

/// How far `number` lies behind `origin`; negative for before.
fn distance(number: u32, origin: u32) -> i32 {
    number.wrapping_sub(origin).cast_signed()
}

impl Progress {
    /// Reads a segment of this connection, which both sides have opened.
    pub fn read(&self, ip: &Ip, segment: &Segment) -> Reading {
        if segment.resets || segment.synchronizes {
            return self.challenge(ip, segment);
        }
        let Some(acknowledged) = segment.acknowledges else {
            return Reading::Whole;
        };
        if distance(acknowledged, self.unacknowledged) < 0 {
            return match segment.length {
                0 => Reading::Whole,
                _ => renewed(ip, self.unacknowledged).map_or(Reading::Whole, Reading::Renewed),
            };
        }
        let begin = distance(segment.sequence, self.expected);
        let end = begin.saturating_add_unsigned(segment.length);
        let ring = self.ring.cast_signed();
        let acknowledgement = || bare(ip, self.expected);
        if segment.length == 0 {
            return match begin {
                0 => Reading::Whole,
                // It may be behind data that is still on its way.
                1.. if begin <= ring => {
                    acknowledgement().map_or(Reading::Whole, Reading::OnlyAcknowledges)
                }
                // A question whether we are there, which is answered.
                ..0 if -begin <= ring => {
                    acknowledgement().map_or(Reading::Whole, Reading::AlsoAcknowledges)
                }
                _ => Reading::Whole,
            };
        }
        let old = end <= 0 && -end <= ring;
        let no_room = begin == 0 && self.free == 0;
        if old || no_room {
            return acknowledgement().map_or(Reading::Whole, Reading::AlsoAcknowledges);
        }
        Reading::Whole
    }
}

impl Progress {
    /// A reset counts if it has exactly the number that is expected; with one in the window, or with a SYN, its sender gets the
    /// chance to find out (RFC 5961, 3 and 4).
    fn challenge(&self, ip: &Ip, segment: &Segment) -> Reading {
        let begin = distance(segment.sequence, self.expected);
        if segment.resets {
            if begin == 0 {
                return Reading::Whole;
            }
            if !(0..self.ring.cast_signed()).contains(&begin) {
                return Reading::Ignored;
            }
        }
        // Like the question whether we are there, which is answered, but not for everybody who asks often.
        let mut packet = match bare(ip, self.expected.wrapping_sub(1)) {
            Some(packet) => packet,
            None => return Reading::Ignored,
        };
        let header = packet.len() - 20;
        let mut tcp = TcpPacket::new_unchecked(&mut packet[header..]);
        tcp.set_rst(false);
        tcp.set_syn(false);
        tcp.set_ack(true);
        tcp.set_ack_number(smoltcp::wire::TcpSeqNumber(
            self.unacknowledged.cast_signed(),
        ));
        Reading::Questioned(packet)
    }
}

impl Reading {
    /// The same with another window. Without memory the segment is lost.
    pub fn with_window(self, ip: &Ip, window: u16) -> Self {
        let header = ip.whole.len().saturating_sub(ip.payload.len());
        let open = |mut packet: Vec<u8>| {
            TcpPacket::new_unchecked(&mut packet[header..]).set_window_len(window);
            packet
        };
        match self {
            Self::Whole => {
                let mut packet = Vec::new();
                if packet.try_reserve_exact(ip.whole.len()).is_err() {
                    return Self::Known;
                }
                packet.extend_from_slice(ip.whole);
                Self::Renewed(open(packet))
            }
            // The segment itself is outside of smoltcp's window, so that of its own counts for nothing.
            Self::AlsoAcknowledges(first) => Self::AlsoAcknowledges(open(first)),
            Self::OnlyAcknowledges(other) => Self::OnlyAcknowledges(open(other)),
            Self::Renewed(other) => Self::Renewed(open(other)),
            other => other,
        }
    }
}

/// The headers of a packet without options and data, as if it had come in order. The checksums are not its own any more.
fn bare(ip: &Ip, sequence: u32) -> Option<Vec<u8>> {
    let header = ip.whole.len().checked_sub(ip.payload.len())?;
    let tcp: &[u8; 20] = ip.payload.first_chunk()?;
    let mut packet = Vec::new();
    packet.try_reserve_exact(header + tcp.len()).ok()?;
    packet.extend_from_slice(ip.whole.get(..header)?);
    packet.extend_from_slice(tcp);
    let total = packet.len() as u16;
    if ip.to.is_ipv4() && header >= IPV4_HEADER {
        Ipv4Packet::new_unchecked(&mut packet).set_total_len(total);
    } else {
        // The length behind the fixed header.
        let length = total.saturating_sub(40).to_be_bytes();
        packet.get_mut(4..6)?.copy_from_slice(&length);
    }
    let mut segment = TcpPacket::new_unchecked(packet.get_mut(header..)?);
    segment.set_seq_number(smoltcp::wire::TcpSeqNumber(sequence.cast_signed()));
    segment.set_header_len(20);
    segment.set_fin(false);
    segment.set_psh(false);
    Some(packet)
}

/// A copy of a packet that acknowledges this. Its checksum is not its own any more.
fn renewed(ip: &Ip, acknowledges: u32) -> Option<Vec<u8>> {
    let header = ip.whole.len().checked_sub(ip.payload.len())?;
    let mut packet = Vec::new();
    packet.try_reserve_exact(ip.whole.len()).ok()?;
    packet.extend_from_slice(ip.whole);
    let mut segment = TcpPacket::new_checked(packet.get_mut(header..)?).ok()?;
    segment.set_ack_number(smoltcp::wire::TcpSeqNumber(acknowledges.cast_signed()));
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Header, write_ip};
    use alloc::vec;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{TcpControl, TcpRepr, TcpSeqNumber};

    const PROGRESS: Progress = Progress {
        expected: 5,
        ring: 1000,
        free: 1000,
        unacknowledged: u32::MAX - 1,
    };

    fn read(
        progress: Progress,
        sequence: u32,
        ack: u32,
        control: TcpControl,
        data: &[u8],
    ) -> Reading {
        let bytes = packet_of(sequence, ack, control, data);
        let ip = packet::ip(&bytes).unwrap();
        progress.read(&ip, &packet::tcp(&ip).unwrap())
    }

    fn packet_of(sequence: u32, ack: u32, control: TcpControl, data: &[u8]) -> Vec<u8> {
        let repr = TcpRepr {
            src_port: 1,
            dst_port: 2,
            control,
            seq_number: TcpSeqNumber(sequence.cast_signed()),
            ack_number: Some(TcpSeqNumber(ack.cast_signed())),
            window_len: 77,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: data,
        };
        let (from, to) = ([10, 0, 2, 2].into(), [10, 0, 2, 15].into());
        let mut bytes = vec![0; IPV4_HEADER + repr.buffer_len()];
        repr.emit(
            &mut TcpPacket::new_unchecked(&mut bytes[IPV4_HEADER..]),
            &smoltcp::wire::IpAddress::Ipv4(from),
            &smoltcp::wire::IpAddress::Ipv4(to),
            &ChecksumCapabilities::default(),
        );
        let header = Header {
            from: from.into(),
            to: to.into(),
            protocol: 6,
            ttl: 64,
            tos: 0,
        };
        write_ip(&mut bytes, &header, None);
        bytes
    }

    fn shown(packet: &[u8]) -> (u32, u32, u32, u16) {
        let payload = &packet[IPV4_HEADER..];
        let tcp = TcpPacket::new_checked(payload).unwrap();
        let total = Ipv4Packet::new_checked(packet).unwrap().total_len();
        assert_eq!(usize::from(total), packet.len());
        (
            tcp.seq_number().0.cast_unsigned(),
            tcp.ack_number().0.cast_unsigned(),
            tcp.segment_len() as u32,
            tcp.window_len(),
        )
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        for (sequence, data) in [
            (5, &b""[..]),
            (5, b"abc"),
            (9, b"later"),
            (3, b"partly old"),
        ] {
            let reading = read(PROGRESS, sequence, 7, TcpControl::None, data);
            assert_eq!(reading, Reading::Whole, "{sequence}");
        }
    }

    #[test]
    fn an_end_that_is_repeated_acknowledges_more() {
        let Reading::AlsoAcknowledges(packet) = read(PROGRESS, 4, 7, TcpControl::Fin, b"") else {
            panic!("ignored");
        };
        assert_eq!(shown(&packet), (5, 7, 0, 77));
    }

    #[test]
    fn old_data_acknowledges_more() {
        let Reading::AlsoAcknowledges(packet) = read(PROGRESS, 1, 7, TcpControl::Psh, b"data")
        else {
            panic!("ignored");
        };
        assert_eq!(shown(&packet), (5, 7, 0, 77));
    }

    #[test]
    fn an_acknowledgement_that_overtook_data_counts() {
        let Reading::OnlyAcknowledges(packet) = read(PROGRESS, 1005, 7, TcpControl::None, b"")
        else {
            panic!("ignored");
        };
        assert_eq!(shown(&packet), (5, 7, 0, 77));
    }

    #[test]
    fn a_probe_of_a_full_ring_acknowledges() {
        let full = Progress {
            free: 0,
            ..PROGRESS
        };
        let reading = read(full, 5, 7, TcpControl::None, b"x");
        assert!(matches!(reading, Reading::AlsoAcknowledges(_)));
    }

    #[test]
    fn data_that_was_overtaken_is_not_lost() {
        let before = PROGRESS.unacknowledged - 3;
        let Reading::Renewed(packet) = read(PROGRESS, 9, before, TcpControl::None, b"later") else {
            panic!("lost");
        };
        assert_eq!(shown(&packet), (9, PROGRESS.unacknowledged, 5, 77));
    }

    #[test]
    fn what_is_shown_can_have_another_window() {
        for (sequence, data) in [(5, &b""[..]), (5, b"data"), (4, b""), (1005, b"")] {
            let reading = read(PROGRESS, sequence, 7, TcpControl::None, data);
            let bytes = packet_of(sequence, 7, TcpControl::None, data);
            let ip = packet::ip(&bytes).unwrap();
            let (Reading::Renewed(packet)
            | Reading::AlsoAcknowledges(packet)
            | Reading::OnlyAcknowledges(packet)) = reading.with_window(&ip, 1)
            else {
                panic!("shown as it is");
            };
            assert_eq!(shown(&packet).3, 1);
        }
    }

    #[test]
    fn what_is_far_away_or_no_part_of_the_stream_is_left_alone() {
        for (sequence, control) in [
            (5u32.wrapping_sub(1010), TcpControl::Fin),
            (1006, TcpControl::None),
            (5, TcpControl::Rst),
        ] {
            let reading = read(PROGRESS, sequence, 7, control, b"");
            assert_eq!(reading, Reading::Whole, "{sequence}");
        }
    }

    #[test]
    fn a_reset_that_may_be_guessed_is_questioned() {
        for (sequence, control) in [
            (6, TcpControl::Rst),
            (1004, TcpControl::Rst),
            (6, TcpControl::Syn),
            (99_999, TcpControl::Syn),
        ] {
            let Reading::Questioned(packet) = read(PROGRESS, sequence, 7, control, b"") else {
                panic!("believed: {sequence}");
            };
            let ours = PROGRESS.unacknowledged;
            assert_eq!(shown(&packet), (4, ours, 0, 77));
        }
        for sequence in [4, 1005] {
            let reading = read(PROGRESS, sequence, 7, TcpControl::Rst, b"");
            assert_eq!(reading, Reading::Ignored);
        }
    }
}
