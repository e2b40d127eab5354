//! Our place in an IPv6 network (RFC 4861, 4862): messages of discovery around [`ringo_net::autoconf`].
//!
//! What is asked goes out while the program is being loaded, and nobody waits for an answer but who wants something that only
//! an answer gives: a way beyond the network, for [`PATIENCE`] after the beginning. Runs where interrupts are handled and in
//! the callers of sockets. Lock: `conf`, a spin lock held for a look at a few entries, once for each packet of IPv6; nothing
//! is sent under it.
use super::Network;
use crate::klog;
use crate::net::interface::{Assigned, CARD_INDEX, Route};
use crate::net::netlink;
use crate::sync::{SpinLock, Wait};
use crate::time::{self, Timer, TimerCallback};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv6Addr};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::autoconf::{ADDRESSES, Address, Autoconf, SERVERS, Say, State};
use ringo_net::packet::{self, Header, Ip, Mac};
use ringo_net::settings::Settings;
use ringo_net::source;

/// How long after the beginning a program waits for a router, or for an address that was given: a claim takes a second.
const PATIENCE: u64 = 1_500_000_000;
/// IFA_F_* for what is not quite an address.
const OPTIMISTIC: u32 = 4;
const FAILED: u32 = 8;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
const PERMANENT: u32 = 0x80;

/// See the module's head.
pub struct Discovery {
    conf: SpinLock<Autoconf>,
    /// Groups in which we are asked for our addresses.
    solicited: SpinLock<Vec<Ipv6Addr>>,
    timer: Timer,
}

struct Due;

impl TimerCallback for Due {
    fn expired(&self) {
        if let Some(network) = super::network() {
            network.run_v6();
            network.nic.flush();
        }
    }
}

impl Discovery {
    /// Of this card.
    pub fn new(mac: Mac, settings: &Settings) -> Self {
        let conf = Autoconf::new(mac, settings.address6, settings.gateway6);
        Self {
            conf: SpinLock::new(conf),
            solicited: SpinLock::default(),
            timer: Timer::new(Arc::new(Due)),
        }
    }

    /// What routers say that everybody takes.
    pub fn mtu(&self) -> Option<u16> {
        self.conf.lock().mtu()
    }

    /// Whether packets to this address are for us.
    pub fn is_ours(&self, ip: Ipv6Addr) -> bool {
        self.conf.lock().is_ours(ip)
    }

    /// Our address for what goes to `to`.
    pub fn source(&self, to: Ipv6Addr) -> Option<Ipv6Addr> {
        let candidates = self.conf.lock().candidates(time::now());
        source::choose(&candidates, to)
    }

    /// Name servers that routers told.
    pub fn servers(&self) -> Vec<IpAddr> {
        self.conf.lock().servers().map(IpAddr::V6).collect()
    }

    /// Whether there are some and a lease has had its time.
    pub fn has_servers_alone(&self) -> bool {
        time::now() > PATIENCE && self.conf.lock().servers().next().is_some()
    }

    /// Domains to search that routers told.
    pub fn search(&self) -> Option<String> {
        self.conf.lock().search().map(String::from)
    }
}

impl Network {
    /// The card can be used. A flush follows.
    pub(super) fn begin_v6(&self) {
        self.discovery.conf.lock().begin(time::now());
        self.run_v6();
    }

    /// The card can be used again. A flush follows.
    pub(super) fn again_v6(&self) {
        self.discovery.conf.lock().again(time::now());
        self.run_v6();
    }

    /// Does what is due. A flush follows.
    fn run_v6(&self) {
        let mut conf = self.discovery.conf.lock();
        let says = conf.tick(time::now());
        let due = conf.due();
        let there = conf.addresses().iter();
        let there = there.filter(|address| address.state != State::Taken);
        let wanted = there.map(|address| packet::solicited_node(address.ip));
        let wanted: ArrayVec<Ipv6Addr, ADDRESSES> = wanted.collect();
        drop(conf);
        self.be_solicited(&wanted);
        for say in says {
            match say {
                Say::Claim(ip) => self.claim(ip),
                Say::AskRouters => self.ask_routers(),
            }
        }
        if due != u64::MAX {
            self.discovery.timer.arm(due);
        }
        // What was claimed may be ours now.
        self.arrival.wake_all();
        netlink::addresses_changed(true);
    }

    /// Joins and leaves groups, so that it is these in which we are asked for. Before an address is claimed: others who claim
    /// it must be heard.
    fn be_solicited(&self, wanted: &[Ipv6Addr]) {
        let mut joined = self.discovery.solicited.lock();
        let left: Vec<Ipv6Addr> = joined.extract_if(.., |it| !wanted.contains(it)).collect();
        let mut new = Vec::new();
        for group in wanted {
            if !joined.contains(group) {
                joined.push(*group);
                new.push(*group);
            }
        }
        drop(joined);
        for group in new {
            let (_, say) = self.enter_group(group.into());
            self.say_groups(say.as_slice());
        }
        for group in left {
            self.leave_group(group.into());
        }
    }

    /// Our link-local address, once it is certain.
    pub(super) fn certain_local(&self) -> Option<Ipv6Addr> {
        let conf = self.discovery.conf.lock();
        let mut all = conf.addresses().iter();
        let local = all.find(|it| it.ip.is_unicast_link_local() && it.state == State::Ours);
        local.map(|address| address.ip)
    }

    /// Sends a message of discovery.
    fn discover_by(
        &self,
        from: Ipv6Addr,
        to: Ipv6Addr,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let header = Header {
            from: from.into(),
            to: to.into(),
            protocol: abi::IPPROTO_ICMPV6 as u8,
            ttl: packet::NEIGHBOURS_ONLY,
            tos: 0,
        };
        self.send_packet(&header, length, None, fill);
    }

    /// Asks whether somebody has an address that we want.
    fn claim(&self, ip: Ipv6Addr) {
        let (from, to) = (Ipv6Addr::UNSPECIFIED, packet::solicited_node(ip));
        self.discover_by(from, to, packet::neighbour_length(None), |out| {
            packet::write_solicit(out, from, to, ip, None);
        });
    }

    fn ask_routers(&self) {
        let (from, mac) = self.speaker(packet::ALL_ROUTERS);
        let to = packet::ALL_ROUTERS;
        self.discover_by(from, to, packet::router_solicit_length(mac), |out| {
            packet::write_router_solicit(out, from, to, mac);
        });
    }

    /// Asks for the Ethernet address of a neighbour.
    pub(super) fn solicit(&self, ip: Ipv6Addr) {
        let (from, mac) = self.speaker(ip);
        if from.is_unspecified() {
            return;
        }
        let to = packet::solicited_node(ip);
        self.discover_by(from, to, packet::neighbour_length(mac), |out| {
            packet::write_solicit(out, from, to, ip, mac);
        });
    }

    /// The address that a question is sent from, and the card's if others may remember it: not before it is certain that the
    /// address is ours (RFC 4429, 3.2).
    fn speaker(&self, to: Ipv6Addr) -> (Ipv6Addr, Option<Mac>) {
        let Some(from) = self.discovery.source(to) else {
            return (Ipv6Addr::UNSPECIFIED, None);
        };
        let certain = self.discovery.conf.lock().state(from) == Some(State::Ours);
        match (certain, to) {
            (true, _) => (from, Some(self.nic.mac)),
            // Routers answer to everybody then.
            (false, packet::ALL_ROUTERS) => (Ipv6Addr::UNSPECIFIED, None),
            (false, _) => (from, None),
        }
    }

    /// A message of discovery came.
    pub(super) fn discover(&'static self, ip: &Ip, message: &packet::Discovery) {
        let (IpAddr::V6(from), IpAddr::V6(_)) = (ip.from, ip.to) else {
            return;
        };
        match *message {
            packet::Discovery::Solicit { target, mac } => self.solicited(from, target, mac),
            packet::Discovery::Advert {
                target,
                mac,
                overrides,
                ..
            } => {
                if self.contested(target) || self.discovery.is_ours(target) {
                    return;
                }
                // What was heard before counts more than what only repeats somebody else's word.
                if let Some(mac) = mac
                    && (overrides || !self.neighbours6.knows(target))
                {
                    self.neighbours6.heard(self, target.into(), mac, false);
                }
            }
            packet::Discovery::Router(advert) => {
                let mut conf = self.discovery.conf.lock();
                conf.advertised(&advert, time::now());
                let narrow = conf.mtu().is_some_and(|mtu| usize::from(mtu) < super::MTU);
                drop(conf);
                self.say_narrow(narrow);
                if let Some(mac) = advert.mac {
                    self.neighbours6.heard(self, from.into(), mac, true);
                }
                klog!(
                    "network: router {from}, {} us after entry",
                    time::now() / 1000
                );
                self.run_v6();
            }
        }
    }

    /// Somebody asks for an address, or, from no address, wants to take it.
    fn solicited(&self, from: Ipv6Addr, target: Ipv6Addr, mac: Option<Mac>) {
        let claims = from.is_unspecified();
        if claims && self.contested(target) {
            return;
        }
        let state = self.discovery.conf.lock().state(target);
        if !matches!(state, Some(State::Ours | State::Claimed { used: true, .. })) {
            return;
        }
        if let Some(mac) = mac {
            self.neighbours6.heard(self, from.into(), mac, true);
        }
        let to = if claims { packet::ALL_NODES } else { from };
        let ours = (target, self.nic.mac);
        let length = packet::neighbour_length(Some(self.nic.mac));
        self.discover_by(target, to, length, |out| {
            packet::write_advert(out, target, to, ours, state == Some(State::Ours));
        });
    }

    /// Somebody else has an address. True if we wanted it.
    fn contested(&self, ip: Ipv6Addr) -> bool {
        let ours = self.discovery.conf.lock().contested(ip);
        if ours {
            klog!("network: somebody else has {ip}");
        }
        ours
    }

    /// A neighbour does not answer: if it is a router, others are better.
    pub(super) fn neighbour_failed(&self, ip: IpAddr) {
        if let IpAddr::V6(ip) = ip {
            self.discovery.conf.lock().failed(ip, time::now());
        }
    }

    /// The neighbour that gets what is for `to`.
    pub(super) fn hop6(&self, to: Ipv6Addr) -> Option<Ipv6Addr> {
        self.discovery.conf.lock().hop(to, time::now())
    }

    /// Whether an address is ours, or will be.
    pub fn claims(&self, ip: IpAddr) -> bool {
        let IpAddr::V6(ip) = ip else { return false };
        let state = self.discovery.conf.lock().state(ip);
        state.is_some_and(|state| state != State::Taken)
    }

    /// Our address for what goes to `to`; waits a little for a router that is about to speak.
    ///
    /// # Errors
    /// ENETUNREACH without a way, EADDRNOTAVAIL without an address, ERESTARTSYS.
    pub fn await_source6(&self, to: Ipv6Addr) -> Result<Ipv6Addr, Errno> {
        let how = Wait::interruptible().deadline(Some(time::now() + PATIENCE));
        let found = self.arrival.wait_until(how, || self.source6(to));
        found.unwrap_or_else(|errno| match errno {
            Errno::ETIMEDOUT => Err(Errno::ENETUNREACH),
            other => Err(other),
        })
    }

    /// The same at once; none while it may still change.
    fn source6(&self, to: Ipv6Addr) -> Option<Result<Ipv6Addr, Errno>> {
        let now = time::now();
        let conf = self.discovery.conf.lock();
        if conf.is_ours(to) {
            return Some(Ok(to));
        }
        let near = to.is_unicast_link_local() || to.is_multicast();
        let unsettled = |address: &Address| matches!(address.state, State::Claimed { until, used: false } if now < until || until == 0);
        if !near && conf.addresses().iter().any(unsettled) {
            return None;
        }
        if !near && conf.hop(to, now).is_none() {
            // The timer wakes nobody when patience ends, so the wait's own deadline is what ends it.
            return (!conf.may_yet_hear(now, PATIENCE)).then_some(Err(Errno::ENETUNREACH));
        }
        let candidates = conf.candidates(now);
        drop(conf);
        Some(source::choose(&candidates, to).ok_or(Errno::EADDRNOTAVAIL))
    }

    /// The card's addresses of IPv6, as programs ask for them.
    pub fn addresses6(&self) -> Vec<Assigned> {
        const SECOND: u64 = 1_000_000_000;
        let now = time::now();
        let left = |until: u64| match until {
            u64::MAX => u32::MAX,
            until => (until.saturating_sub(now) / SECOND) as u32,
        };
        let conf = self.discovery.conf.lock();
        // As on Linux, what was made and is somebody else's is not there at all.
        let there = |address: &&Address| address.state != State::Taken || address.permanent;
        let assigned = conf.addresses().iter().filter(there).map(|address| {
            let mut flags = match address.state {
                State::Ours => 0,
                State::Claimed { used: true, .. } => TENTATIVE | OPTIMISTIC,
                State::Claimed { used: false, .. } => TENTATIVE,
                State::Taken => TENTATIVE | FAILED,
            };
            if address.permanent {
                flags |= PERMANENT;
            }
            if address.preferred <= now {
                flags |= DEPRECATED;
            }
            Assigned {
                ip: address.ip.into(),
                prefix: address.length,
                flags,
                lifetimes: [left(address.preferred), left(address.valid)],
            }
        });
        assigned.collect()
    }

    /// Where packets of IPv6 go.
    pub fn routes6(&self) -> Vec<Route> {
        const LINK_LOCAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
        let conf = self.discovery.conf.lock();
        let links = conf.links().iter().map(|link| (link.ip, link.length));
        let near = links.chain([LINK_LOCAL]).map(|(ip, prefix)| Route {
            to: network_of(ip, prefix).into(),
            prefix,
            by: None,
            index: CARD_INDEX,
        });
        let given = conf.gateway().into_iter();
        let routers = given.chain(conf.routers().iter().map(|router| router.ip));
        let everywhere = routers.map(|router| Route {
            to: Ipv6Addr::UNSPECIFIED.into(),
            prefix: 0,
            by: Some(router.into()),
            index: CARD_INDEX,
        });
        near.chain(everywhere).collect()
    }
}

/// The first address that begins with so many bits of another.
fn network_of(ip: Ipv6Addr, length: u8) -> Ipv6Addr {
    let mask = u128::MAX
        .checked_shl(128 - u32::from(length.min(128)))
        .unwrap_or(0);
    Ipv6Addr::from_bits(ip.to_bits() & mask)
}

const _: () = assert!(SERVERS <= ringo_net::settings::SERVERS);
