use super::ethernet::arp;
use super::icmp::checksum;
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use proptest::prelude::*;
use ringo_abi::Errno;
use smoltcp::wire::TcpPacket;

const OURS: Mac = [2, 0, 0, 0, 0, 1];
const THEIRS: Mac = [2, 0, 0, 0, 0, 2];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn header(protocol: u8) -> Header {
    Header {
        from: IpAddr::from([10, 0, 2, 2]),
        to: IpAddr::from([10, 0, 2, 15]),
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
    write_ip(&mut out, &header(17), None);
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
        write_ip(&mut frame[ETHERNET_HEADER..], &header(protocol), None);
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
    write_ip(&mut bytes, &header(17), Some(part));
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
    write_ip(&mut out, &header(6), None);
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
    write_ip(&mut out, &header(1), None);
    let parsed = ip(&out).unwrap();
    let Ok(Icmp::Undelivered(found)) = icmp(&parsed) else {
        panic!("not what was written");
    };
    assert_eq!((found.errno, found.hard), (Errno::ECONNREFUSED, true));
    assert_eq!((found.mtu, found.protocol), (None, 17));
    assert_eq!(found.from, address("10.0.2.2:53"));
    assert_eq!(found.to, address("10.0.2.15:4000"));
}

#[test]
fn a_checksum_is_filled_in_whole_or_begun() {
    let (from, to) = (address("10.0.2.2:53"), address("10.0.2.15:4000"));
    let opening = Opening {
        sequence: 7,
        window: 1000,
        mss: Some(1460),
        scale: Some(7),
        sack: true,
    };
    let whole = opening.packet(from, to);
    let mut again = whole.clone();
    let place = IPV4_HEADER + CHECKSUM_AT;
    again[place..place + 2].fill(0);
    assert_eq!(tcp_headers(&again), again.len());
    assert_eq!(fill_tcp_checksum(&mut again, false), Some(20));
    assert_eq!(again, whole);
    // What the card does with one that is begun.
    assert_eq!(fill_tcp_checksum(&mut again, true), Some(20));
    assert_ne!(again, whole);
    let sum = checksum(&again[IPV4_HEADER..]).to_be_bytes();
    again[place..place + 2].copy_from_slice(&sum);
    assert_eq!(again, whole);
    for length in 0..whole.len() {
        // Cut short, it does no harm.
        let _ = fill_tcp_checksum(&mut whole.clone()[..length], false);
    }
    assert_eq!(fill_tcp_checksum(&mut datagram(b"?"), false), None);
}

#[test]
fn windows_are_shifted_farther() {
    let (from, to) = (address("10.0.2.2:53"), address("10.0.2.15:4000"));
    let opening = Opening {
        sequence: 7,
        window: 64_000,
        mss: Some(1460),
        scale: Some(1),
        sack: true,
    };
    let mut packet = opening.packet(from, to);
    rescale(&mut packet, 4);
    fill_tcp_checksum(&mut packet, false);
    let told = ip(&packet).unwrap();
    assert!(tcp_checksum(&told));
    // The window of a segment that opens a connection is never shifted.
    let scale = Some(5);
    assert_eq!(super::opening(&told), Ok(Opening { scale, ..opening }));

    let mut packet = acknowledgement(from, to, 7, 9, 64_000);
    rescale(&mut packet, 4);
    let window = [packet[IPV4_HEADER + 14], packet[IPV4_HEADER + 15]];
    assert_eq!(u16::from_be_bytes(window), 4_000);
}

proptest! {
    #[test]
    fn no_options_make_rescaling_panic(
        options in proptest::collection::vec(any::<u8>(), 40), farther in any::<u8>(), cut in 0..80_usize,
    ) {
        let (from, to) = (address("10.0.2.2:53"), address("10.0.2.15:4000"));
        let mut packet = acknowledgement(from, to, 7, 9, 64_000);
        packet.extend(options);
        packet[IPV4_HEADER + 12] = 15 << 4;
        packet[IPV4_HEADER + 13] = 2;
        packet.truncate(cut);
        rescale(&mut packet, farther);
    }
}
