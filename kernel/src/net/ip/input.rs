//! From a frame to the socket it is for. Runs where interrupts are handled; nothing here blocks.
use super::{COUNTS, Network};
use crate::net::{tcp, udp};
use crate::time;
use alloc::vec::Vec;
use core::net::IpAddr;
use linux_raw_sys::net as abi;
use ringo_net::packet::{self, Carried, Drop, Header, Icmp, Ip, Undelivered};
use ringo_net::reassembly::Taken;

const TCP: u8 = abi::IPPROTO_TCP as u8;
const UDP: u8 = abi::IPPROTO_UDP as u8;
const ICMP: u8 = abi::IPPROTO_ICMP as u8;
/// Ports of DHCP.
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// The longest answer to an echo that goes in one piece.
const ECHO_MAX: usize = 1400;

/// A frame came; `checked`: the card vouches for checksums behind IP's header.
pub fn frame(network: &'static Network, frame: &[u8], checked: bool) {
    let result = match packet::ethernet(frame, network.nic.mac) {
        Ok(Carried::Arp(arp)) => {
            network.neighbours.input(network, &arp);
            Ok(())
        }
        Ok(Carried::Ip(bytes)) => match packet::ip(bytes) {
            Ok(ip) => self::ip(network, frame, &Ip { checked, ..ip }),
            Err(Drop::Fragment) => piece(network, bytes),
            Err(why) => Err(why),
        },
        Err(why) => Err(why),
    };
    if let Err(why) = result {
        COUNTS.drop(why);
    }
}

/// A piece of a packet came: with the last one, the packet has come.
fn piece(network: &'static Network, bytes: &[u8]) -> Result<(), Drop> {
    let piece = packet::fragment(bytes)?;
    let ours = network.address() == Some(piece.to);
    if !ours && !piece.to.is_multicast() && !piece.to.is_broadcast() {
        return Err(Drop::NotOurs);
    }
    COUNTS.pieces.add();
    let mut pieces = network.pieces.lock();
    let before = pieces.given_up();
    let taken = pieces.take(&piece, time::now());
    let given_up = pieces.given_up() - before;
    drop(pieces);
    (0..given_up).for_each(|_| COUNTS.incomplete.add());
    match taken {
        Taken::Kept | Taken::Twice => Ok(()),
        Taken::Refused => Err(Drop::Fragment),
        Taken::Whole(whole) => {
            COUNTS.put_together.add();
            ip(network, &[], &packet::ip(&whole)?)
        }
    }
}

/// Whom a packet is for.
#[derive(PartialEq, Eq)]
enum For {
    Us,
    Everybody,
    Others,
}

fn receiver(network: &Network, ip: &Ip) -> For {
    let IpAddr::V4(to) = ip.to else {
        return For::Others;
    };
    if network.address() == Some(to) {
        For::Us
    } else if to.is_broadcast()
        || to.is_multicast()
        || network.place().is_some_and(|place| place.broadcast() == to)
    {
        For::Everybody
    } else {
        For::Others
    }
}

fn ip(network: &'static Network, frame: &[u8], ip: &Ip) -> Result<(), Drop> {
    if ip.from.is_ipv6() {
        return Err(Drop::Protocol);
    }
    let datagram = match ip.protocol {
        UDP => Some(packet::udp(ip)?),
        _ => None,
    };
    if let Some(datagram) = &datagram
        && (datagram.from.port(), datagram.to.port()) == (DHCP_SERVER, DHCP_CLIENT)
    {
        network.dhcp.run(network, Some(frame));
        return Ok(());
    }
    // Loopback's addresses never come from outside (RFC 1122, 3.2.1.3).
    if ip.from.is_loopback() || Some(ip.from) == network.address().map(IpAddr::V4) {
        return Err(Drop::Malformed);
    }
    match (receiver(network, ip), ip.protocol, datagram) {
        (For::Others, ..) => Err(Drop::NotOurs),
        (For::Us, TCP, _) => tcp::input(network, ip),
        (For::Us, ICMP, _) => icmp(network, ip),
        (receiver, _, Some(datagram)) => {
            if !udp::input(&datagram, ip) && receiver == For::Us {
                COUNTS.no_socket.add();
                let length = packet::unreachable_length(ip);
                answer(network, ip, length, |out| {
                    packet::write_port_unreachable(out, ip);
                });
            }
            Ok(())
        }
        _ => Err(Drop::Protocol),
    }
}

fn icmp(network: &'static Network, ip: &Ip) -> Result<(), Drop> {
    match packet::icmp(ip)? {
        Icmp::Echo(rest) if rest.len() <= ECHO_MAX => {
            answer(network, ip, 4 + rest.len(), |out| {
                packet::write_echo_reply(out, rest);
            });
        }
        Icmp::Echo(rest) => {
            let (Some(from), IpAddr::V4(to)) = (network.address(), ip.from) else {
                return Ok(());
            };
            let mut answer = Vec::new();
            if answer.try_reserve_exact(4 + rest.len()).is_err() {
                COUNTS.full.add();
                return Ok(());
            }
            answer.resize(4 + rest.len(), 0);
            packet::write_echo_reply(&mut answer, rest);
            let header = Header {
                from,
                to,
                protocol: ICMP,
                ttl: 64,
                tos: 0,
            };
            network.send_in_pieces(&header, &answer);
        }
        Icmp::Undelivered(what) if Some(what.from.ip()) == network.address().map(IpAddr::V4) => {
            undelivered(&what);
        }
        Icmp::Undelivered(_) => return Err(Drop::NotOurs),
    }
    Ok(())
}

/// Something that a socket sent did not arrive.
pub fn undelivered(what: &Undelivered) {
    let known = match what.protocol {
        TCP => tcp::undelivered(what),
        UDP => udp::undelivered(what),
        _ => false,
    };
    if !known {
        COUNTS.forged.add();
    }
}

/// Sends a message of ICMP to who sent `ip`.
fn answer(network: &Network, ip: &Ip, length: usize, fill: impl FnOnce(&mut [u8])) {
    answer_by(network, ip, ICMP, length, fill);
}

/// Sends a packet of a protocol to who sent `ip`.
pub fn answer_by(
    network: &Network,
    ip: &Ip,
    protocol: u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) {
    if let Some(from) = network.address() {
        send_by(network, from.into(), ip.from, protocol, length, fill);
    }
}

/// Sends a packet of a protocol.
pub fn send_by(
    network: &Network,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else {
        return;
    };
    let header = Header {
        from,
        to,
        protocol,
        ttl: 64,
        tos: 0,
    };
    network.send_packet(&header, length, None, fill);
}
