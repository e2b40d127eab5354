//! Ethernet addresses of others in our network: ARP (RFC 826, 1122 2.3.2) and, by discovery.rs, the discovery of neighbours
//! (RFC 4861, 7) around a table of [`ringo_net::neighbours`] each.
//!
//! What a neighbour that does not answer was to get has failed: the sockets hear of it as of a router's message
//! (EHOSTUNREACH). One spin lock, held for a look-up; nothing is sent or told under it.
use super::{Network, input};
use crate::drivers::virtio::net::Frame;
use crate::sync::SpinLock;
use crate::time::{self, Timer, TimerCallback};
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv6Addr};
use ringo_net::neighbours::Table;
use ringo_net::packet::{self, ARP_LENGTH, Arp, ETHERNET_HEADER, EthernetKind, Mac};

/// See the module's head.
pub struct Neighbours {
    table: SpinLock<Table<IpAddr, Frame>>,
    timer: Timer,
}

/// Of which family.
struct Due {
    v6: bool,
}

impl TimerCallback for Due {
    fn expired(&self) {
        if let Some(network) = super::network() {
            let neighbours = match self.v6 {
                false => &network.neighbours,
                true => &network.neighbours6,
            };
            neighbours.tick(network);
        }
    }
}

impl Neighbours {
    /// None are known; `v6`: by IPv6.
    pub fn new(v6: bool) -> Self {
        Self {
            table: SpinLock::new(Table::default()),
            timer: Timer::new(Arc::new(Due { v6 })),
        }
    }

    /// Sends a frame that has its packet to a neighbour, now or when its address is known.
    pub fn send(&self, network: &Network, ip: IpAddr, frame: Frame) {
        let mut table = self.table.lock();
        let sending = table.send(ip, frame, time::now());
        let due = table.due();
        drop(table);
        sending.lost.iter().for_each(|_| super::COUNTS.full.add());
        if let Some((frame, mac)) = sending.now {
            network.send_to(frame, mac);
        }
        if sending.ask {
            ask(network, ip);
        }
        // Who waits first arms it.
        if let Some(due) = due.filter(|_| sending.ask) {
            self.timer.arm(due);
        }
    }

    /// Asks those again who did not answer, and gives up on who was asked enough.
    fn tick(&self, network: &'static Network) {
        let mut table = self.table.lock();
        let tick = table.tick(time::now());
        let due = table.due();
        drop(table);
        if let Some(due) = due {
            self.timer.arm(due);
        }
        for ip in tick.ask {
            ask(network, ip);
        }
        network.nic.flush();
        for ip in tick.gone {
            network.neighbour_failed(ip);
        }
        for mut frame in tick.failed {
            if let Some(packet) = frame.bytes().get(ETHERNET_HEADER..)
                && let Ok(what) = packet::undelivered(packet)
            {
                super::COUNTS.no_neighbour.add();
                input::undelivered(&what);
            }
        }
    }

    /// Somebody said who it is. `learn`: it wants something of us and may be entered.
    pub fn heard(&self, network: &Network, ip: IpAddr, mac: Mac, learn: bool) {
        let waiting = self.table.lock().heard(ip, mac, learn, time::now());
        for frame in waiting {
            network.send_to(frame, mac);
        }
    }

    /// The network is another: what is known counts no more. What waits is asked for again.
    pub fn forget(&self) {
        self.table.lock().forget();
    }

    /// Whether somebody's address is known.
    pub fn knows(&self, ip: Ipv6Addr) -> bool {
        self.table.lock().knows(ip.into())
    }

    /// A packet of ARP.
    pub fn input(&self, network: &Network, arp: &Arp) {
        let Some(ours) = network.address() else {
            return;
        };
        let in_our_network = network.place().is_some_and(|place| place.has(arp.ip));
        if arp.ip == ours || !in_our_network {
            return;
        }
        let for_us = arp.about == ours;
        let learn = for_us && arp.request;
        self.heard(network, arp.ip.into(), arp.mac, learn);
        if for_us && arp.request {
            let answer = Arp {
                request: false,
                mac: network.nic.mac,
                ip: ours,
                about: arp.ip,
            };
            say(network, &answer, Some(arp.mac));
        }
    }
}

/// Asks who has this address.
fn ask(network: &Network, ip: IpAddr) {
    let ip = match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => return network.solicit(ip),
    };
    if let Some(ours) = network.address() {
        let question = Arp {
            request: true,
            mac: network.nic.mac,
            ip: ours,
            about: ip,
        };
        say(network, &question, None);
    }
}

/// Sends a packet of ARP, to everybody if `to` is none.
fn say(network: &Network, arp: &Arp, to: Option<Mac>) {
    let Some(mut frame) = network.nic.frame() else {
        return;
    };
    let bytes = frame.ethernet(ETHERNET_HEADER + ARP_LENGTH);
    packet::write_arp(&mut bytes[ETHERNET_HEADER..], arp, to);
    let to = to.unwrap_or(packet::BROADCAST);
    packet::write_ethernet(bytes, to, network.nic.mac, EthernetKind::Arp);
    network.nic.send(frame);
}
