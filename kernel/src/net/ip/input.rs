//! From a frame to the socket it is for. Runs where interrupts are handled; nothing here blocks.
use super::{COUNTS, Network};
use crate::net::{tcp, udp};
use crate::time;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use linux_raw_sys::net as abi;
use ringo_net::packet::{self, Carried, Drop, Header, Icmp, Icmp6, Ip, Undelivered};
use ringo_net::reassembly::Taken;

const TCP: u8 = abi::IPPROTO_TCP as u8;
const UDP: u8 = abi::IPPROTO_UDP as u8;
const ICMP: u8 = abi::IPPROTO_ICMP as u8;
const ICMP_V6: u8 = abi::IPPROTO_ICMPV6 as u8;
const IGMP: u8 = abi::IPPROTO_IGMP as u8;
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
            // What follows knows nothing of extensions.
            Ok(ip) if ip.is_extended() => match ip.without_extensions() {
                Some(plain) => {
                    packet::ip(&plain).and_then(|ip| self::ip(network, &[], &Ip { checked, ..ip }))
                }
                None => {
                    COUNTS.full.add();
                    Ok(())
                }
            },
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
    let everybody = match piece.to {
        IpAddr::V4(to) => to.is_multicast() || to.is_broadcast(),
        IpAddr::V6(to) => to.is_multicast(),
    };
    if !everybody && !network.is_ours(piece.to) {
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
    if ip.to.is_multicast() {
        return match network.is_member(ip.to) {
            true => For::Everybody,
            false => For::Others,
        };
    }
    let to = match ip.to {
        IpAddr::V4(to) => to,
        IpAddr::V6(_) if network.is_ours(ip.to) => return For::Us,
        IpAddr::V6(_) => return For::Others,
    };
    if network.address() == Some(to) {
        For::Us
    } else if network.is_everybody(to) {
        For::Everybody
    } else {
        For::Others
    }
}

fn ip(network: &'static Network, frame: &[u8], ip: &Ip) -> Result<(), Drop> {
    let datagram = match ip.protocol {
        UDP => Some(packet::udp(ip)?),
        _ => None,
    };
    // A place that the command gave is nobody else's to change: there such a datagram is a socket's like any other.
    if let Some(datagram) = &datagram
        && (datagram.from.port(), datagram.to.port()) == (DHCP_SERVER, DHCP_CLIENT)
        && network.settings.address.is_none()
    {
        network.dhcp.run(network, Some(frame));
        return Ok(());
    }
    // Loopback's addresses never come from outside (RFC 1122, 3.2.1.3).
    if ip.from.is_loopback() || ip.to.is_loopback() {
        return Err(Drop::Malformed);
    }
    // Nor do ours, nor does anything come from none; but for messages about who has an address.
    let ours = network.is_ours(ip.from) || ip.from == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if ours && ip.protocol != ICMP_V6 {
        return Err(Drop::Malformed);
    }
    match (receiver(network, ip), ip.protocol, datagram) {
        (For::Others, ..) => Err(Drop::NotOurs),
        (For::Us, TCP, _) => tcp::input(network, ip),
        (For::Us, ICMP, _) if ip.to.is_ipv4() => icmp(network, ip),
        (_, ICMP_V6, _) if ip.to.is_ipv6() => icmp6(network, ip),
        (_, IGMP, _) if ip.to.is_ipv4() => {
            network.heard_of_groups(false, &packet::igmp(ip)?);
            Ok(())
        }
        (receiver, _, Some(datagram)) => {
            let everybody = receiver == For::Everybody;
            if !udp::input(&datagram, ip, everybody) && !everybody {
                COUNTS.no_socket.add();
                port_unreachable(network, ip);
            }
            Ok(())
        }
        _ => Err(Drop::Protocol),
    }
}

fn port_unreachable(network: &Network, ip: &Ip) {
    if !network.errors.lock().allows(ip.from, time::now()) {
        COUNTS.withheld.add();
        return;
    }
    match (ip.to, ip.from) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = packet::unreachable_length6(ip);
            answer_by(network, ip, ICMP_V6, length, |out| {
                packet::write_port_unreachable6(out, from, to, ip);
            });
        }
        _ => {
            let length = packet::unreachable_length(ip);
            answer(network, ip, length, |out| {
                packet::write_port_unreachable(out, ip);
            });
        }
    }
}

fn icmp6(network: &'static Network, ip: &Ip) -> Result<(), Drop> {
    match packet::icmp6(ip)? {
        Icmp6::Discovery(message) => network.discover(ip, &message),
        Icmp6::Groups(message) => network.heard_of_groups(true, &message),
        _ if network.is_ours(ip.from) || ip.from.is_unspecified() => return Err(Drop::Malformed),
        Icmp6::Echo(rest) => {
            let Some(from) = network.answers_from(ip) else {
                return Ok(());
            };
            let mut answer = Vec::new();
            let length = 4 + rest.len();
            if answer.try_reserve_exact(length).is_err() {
                COUNTS.full.add();
                return Ok(());
            }
            answer.resize(length, 0);
            if let (IpAddr::V6(from), IpAddr::V6(to)) = (from, ip.from) {
                packet::write_echo_reply6(&mut answer, from, to, rest);
            }
            let header = Header {
                from,
                to: ip.from,
                protocol: ICMP_V6,
                ttl: 64,
                tos: ip.tos,
            };
            network.send_in_pieces(&header, &answer);
        }
        Icmp6::Undelivered(what) if network.is_ours(what.from.ip()) => undelivered(&what),
        Icmp6::Undelivered(_) => return Err(Drop::NotOurs),
    }
    Ok(())
}

fn icmp(network: &'static Network, ip: &Ip) -> Result<(), Drop> {
    match packet::icmp(ip)? {
        Icmp::Echo(rest) if rest.len() <= ECHO_MAX => {
            answer(network, ip, 4 + rest.len(), |out| {
                packet::write_echo_reply(out, rest);
            });
        }
        Icmp::Echo(rest) => {
            let Some(from) = network.answers_from(ip) else {
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
                to: ip.from,
                protocol: ICMP,
                ttl: 64,
                tos: 0,
            };
            network.send_in_pieces(&header, &answer);
        }
        Icmp::Undelivered(what) if network.is_ours(what.from.ip()) => undelivered(&what),
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
    if let Some(from) = network.answers_from(ip) {
        send_by(network, from, ip.from, protocol, length, fill);
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
    let header = Header {
        from,
        to,
        protocol,
        ttl: 64,
        tos: 0,
    };
    network.send_packet(&header, length, None, fill);
}
