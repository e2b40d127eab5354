//! Ethernet addresses of others in our network (RFC 826, 1122 2.3.2).
//!
//! An address is asked for when something is to be sent there; a few packets wait for the answer. It is believed for a minute
//! and then asked for anew, while packets still go there for a while. Answers are taken only where there was a question, so
//! nobody fills the table but ourselves. One spin lock, held for a look-up; O(1) a packet.
use super::Network;
use crate::drivers::virtio::net::Frame;
use crate::sync::SpinLock;
use crate::time;
use arrayvec::ArrayVec;
use core::net::Ipv4Addr;
use hashbrown::HashMap;
use ringo_net::packet::{self, ARP_LENGTH, Arp, ETHERNET_HEADER, EthernetKind, Mac};

const SECOND: u64 = 1_000_000_000;
/// How long an answer is believed, and how much longer it is used while a new one is asked for.
const FRESH: u64 = 60 * SECOND;
const STALE: u64 = 30 * SECOND;
/// Packets that wait for an answer.
const WAITING: usize = 8;
/// The most neighbours.
const MOST: usize = 1024;

#[derive(Default)]
struct Neighbour {
    mac: Option<Mac>,
    /// When it was told.
    known: u64,
    /// When it was asked for last.
    asked: u64,
    waiting: ArrayVec<Frame, WAITING>,
}

/// See the module's head.
pub struct Neighbours(SpinLock<HashMap<Ipv4Addr, Neighbour>>);

impl Neighbours {
    /// None are known.
    pub fn new() -> Self {
        Self(SpinLock::new(HashMap::new()))
    }

    /// Sends a frame that has its packet to a neighbour, now or when its address is known.
    pub fn send(&self, network: &Network, ip: Ipv4Addr, frame: Frame) {
        let now = time::now();
        let mut table = self.0.lock();
        if table.len() >= MOST && !table.contains_key(&ip) {
            table.retain(|_, neighbour| now - neighbour.known.max(neighbour.asked) < FRESH);
            if table.len() >= MOST {
                super::COUNTS.full.add();
                return;
            }
        }
        let neighbour = table.entry(ip).or_default();
        let age = now - neighbour.known;
        if age > FRESH + STALE {
            neighbour.mac = None;
        }
        let ask = (neighbour.mac.is_none() || age > FRESH)
            && (neighbour.asked == 0 || now - neighbour.asked > SECOND);
        if ask {
            neighbour.asked = now;
        }
        match neighbour.mac {
            Some(mac) => {
                drop(table);
                network.send_to(frame, mac);
            }
            None => {
                // The oldest makes room: what sent it sends it again.
                if neighbour.waiting.is_full() {
                    neighbour.waiting.remove(0);
                    super::COUNTS.full.add();
                }
                neighbour.waiting.push(frame);
                drop(table);
            }
        }
        if ask && let Some(ours) = network.address() {
            let question = Arp {
                request: true,
                mac: network.nic.mac,
                ip: ours,
                about: ip,
            };
            say(network, &question, None);
        }
    }

    /// Somebody said who it is. `learn`: it wants something of us and may be entered.
    fn heard(&self, network: &Network, arp: &Arp, learn: bool) {
        let mut table = self.0.lock();
        if learn && table.len() < MOST {
            table.entry(arp.ip).or_default();
        }
        let Some(neighbour) = table.get_mut(&arp.ip) else {
            return;
        };
        neighbour.mac = Some(arp.mac);
        neighbour.known = time::now();
        let waiting = core::mem::take(&mut neighbour.waiting);
        drop(table);
        for frame in waiting {
            network.send_to(frame, arp.mac);
        }
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
        self.heard(network, arp, for_us && arp.request);
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
