//! Ethernet frames and ARP (RFC 826).
use super::{Drop, Mac};
use core::net::Ipv4Addr;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
};

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

pub(super) fn arp(bytes: &[u8]) -> Result<Arp, Drop> {
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
