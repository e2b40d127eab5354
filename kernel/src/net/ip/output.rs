//! From a packet to the card.
use super::{COUNTS, Network};
use crate::drivers::virtio::net::{Frame, MTU};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::packet::{self, ETHERNET_HEADER, EthernetKind, Header, Mac, Part, UDP_HEADER};

/// Numbers of packets that may be cut.
static ID: AtomicU32 = AtomicU32::new(1);

/// The Ethernet address that stands for a group (RFC 1112, 6.4; 2464, 7).
fn group(ip: IpAddr) -> Mac {
    match ip {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

impl Network {
    /// Sends a frame that has a packet to `to`. The card is told by a later flush.
    pub fn send(&self, frame: Frame, to: IpAddr) {
        if to.is_multicast() {
            return self.send_to(frame, group(to));
        }
        match to {
            IpAddr::V4(to) => self.send_v4(frame, to),
            IpAddr::V6(to) => self.send_v6(frame, to),
        }
    }

    fn send_v6(&self, frame: Frame, to: Ipv6Addr) {
        if let Some(hop) = self.hop6(to) {
            self.neighbours6.send(self, hop.into(), frame);
        }
    }

    fn send_v4(&self, frame: Frame, to: Ipv4Addr) {
        let hop = {
            let place = self.place.lock();
            let Some(place) = place.as_ref() else { return };
            if to.is_broadcast() || to == place.broadcast() {
                None
            } else if place.has(to) {
                Some(to)
            } else if let Some(router) = place.router {
                Some(router)
            } else {
                return;
            }
        };
        match hop {
            None => self.send_to(frame, packet::BROADCAST),
            Some(hop) => self.neighbours.send(self, hop.into(), frame),
        }
    }

    /// Sends a frame that has a packet to this Ethernet address.
    pub(super) fn send_to(&self, mut frame: Frame, mac: Mac) {
        let bytes = frame.bytes();
        let kind = match bytes.get(ETHERNET_HEADER).map(|first| first >> 4) {
            Some(6) => EthernetKind::V6,
            _ => EthernetKind::V4,
        };
        packet::write_ethernet(bytes, mac, self.nic.mac, kind);
        self.nic.send(frame);
    }

    /// Makes and sends a packet with a payload that `fill` writes. False if the card is busy.
    pub fn send_packet(
        &self,
        header: &Header,
        length: usize,
        part: Option<Part>,
        fill: impl FnOnce(&mut [u8]),
    ) -> bool {
        let Some(mut frame) = self.nic.frame() else {
            COUNTS.full.add();
            return false;
        };
        let begin = header.length(part.is_some());
        let bytes = frame.packet(begin + length);
        fill(&mut bytes[begin..]);
        packet::write_ip(bytes, header, part);
        self.send(frame, header.to);
        true
    }

    /// Sends a payload, in pieces if it is larger than the way takes.
    pub fn send_in_pieces(&self, header: &Header, data: &[u8]) {
        let room = self.mtu_to(header.to) - header.length(true);
        // In eights, but for the last.
        let size = if data.len() <= room {
            room
        } else {
            room / 8 * 8
        };
        let id = ID.fetch_add(1, Ordering::Relaxed);
        let last = data.len().div_ceil(size).saturating_sub(1);
        for (number, piece) in data.chunks(size).enumerate() {
            let part = Part {
                id,
                offset: number * size,
                more: number < last,
            };
            self.send_packet(header, piece.len(), Some(part), |out| {
                out.copy_from_slice(piece);
            });
        }
    }
}

/// A datagram to be sent; `data` has room for the header of UDP in front.
pub struct Datagram<'a> {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Who may cut it.
    pub cut: Cut,
    /// [`UDP_HEADER`] bytes for the header, then the data.
    pub data: &'a mut [u8],
}

/// Sends a datagram, in pieces if it is larger than a packet and may be cut. What the card has no room for is lost, as
/// everywhere on its way.
///
/// # Errors
/// ENETUNREACH without a card or an address; EMSGSIZE.
pub fn send_datagram(datagram: Datagram) -> Result<(), Errno> {
    let network = super::network().ok_or(Errno::ENETUNREACH)?;
    let (from, to) = (datagram.from.ip(), datagram.to.ip());
    if from.is_ipv4() != to.is_ipv4() {
        return Err(Errno::ENETUNREACH);
    }
    debug_assert!(datagram.data.len() >= UDP_HEADER);
    let header = Header {
        from,
        to,
        protocol: abi::IPPROTO_UDP as u8,
        ttl: datagram.ttl,
        tos: datagram.tos,
    };
    let length = header.length(false) + datagram.data.len();
    let fits = match datagram.cut {
        Cut::Never => length <= network.mtu_to(to),
        Cut::Unheard => length <= MTU,
        _ => true,
    };
    if !fits {
        return Err(Errno::EMSGSIZE);
    }
    COUNTS.udp_out.add();
    packet::write_udp(datagram.data, datagram.from, datagram.to);
    let data = &*datagram.data;
    let whole = match datagram.cut {
        Cut::Here => length <= network.mtu_to(to),
        Cut::Never | Cut::Unheard => true,
        // Routers of IPv6 never do.
        Cut::Anywhere if to.is_ipv6() => length <= network.mtu_to(to),
        // With a number of its own, so that others may cut it, too.
        Cut::Anywhere => false,
    };
    if whole {
        network.send_packet(&header, data.len(), None, |out| out.copy_from_slice(data));
    } else {
        network.send_in_pieces(&header, data);
    }
    network.nic.flush();
    Ok(())
}

/// Who may cut a datagram that is too large for its way (IP_MTU_DISCOVER).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// We and routers (IP_PMTUDISC_DONT and kin).
    Anywhere,
    /// We, to what the way takes (IP_PMTUDISC_WANT).
    Here,
    /// Nobody (IP_PMTUDISC_DO).
    Never,
    /// Nobody, and what routers said does not count (IP_PMTUDISC_PROBE).
    Unheard,
}
