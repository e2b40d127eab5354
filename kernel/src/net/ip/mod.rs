//! What leaves this machine and comes to it: one network card, IPv4 and IPv6.
//!
//! - input.rs: from a frame to the socket it is for. output.rs: from a packet to the card, by the right neighbour.
//! - neighbours.rs: Ethernet addresses of others. dhcp.rs: our own IPv4 address; discovery.rs: those of IPv6, and routers.
//! - groups.rs: reports of groups. port.rs: the card as smoltcp sees it.
//! - names.rs: who is asked for names. counts.rs: what became of packets.
//!
//! A frame is looked at where interrupts are handled and goes from there straight into the queue of the socket it is for; what
//! a socket sends goes from the system call straight to the card. TCP's connections are in tcp/wire.rs, each with a lock
//! of its own; this layer has none that two connections share but the card's two queues and the neighbours' table.
//! Locks, in order: the card's receive queue; a connection's; `waiting`; `dhcp`; `conf` and `neighbours`; the card's transmit
//! queue; `names`; `errors`.
//!
//! Not here: more than one card.
//! Sources: RFC 791, 826, 1122, 8200, 4861; Linux net/ipv4 and net/ipv6.
pub mod counts;
mod dhcp;
mod discovery;
mod groups;
mod input;
mod names;
mod neighbours;
mod output;
mod port;

pub use counts::COUNTS;
pub use input::{answer_by, send_by};
pub use output::{Cut, Datagram, send_datagram};
pub use port::{Port, now};

use self::dhcp::Dhcp;
use self::discovery::Discovery;
use self::groups::Memberships;
use self::names::Names;
use self::neighbours::Neighbours;
use super::netlink;
use super::tcp::Wire;
use crate::drivers::virtio::net::{MTU, Nic, User};
use crate::drivers::virtio::{Device, VirtioError};
use crate::klog;
use crate::sync::{SpinLock, Wait, WaitQueue};
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use ringo_abi::Errno;
use ringo_net::limit::Limit;
use ringo_net::packet;
use ringo_net::paths::Paths;
use ringo_net::reassembly;
use ringo_net::settings::Settings;
use spin::Once;

/// How long a program waits for an address of ours: what a server takes that is asked once more.
const PATIENCE: u64 = 5_000_000_000;

/// Our place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Our address.
    pub address: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix: u8,
    /// The way to the others.
    pub router: Option<Ipv4Addr>,
}

impl Place {
    /// Whether an address is in our network.
    pub fn has(&self, ip: Ipv4Addr) -> bool {
        let mask = self.mask();
        u32::from(ip) & mask == u32::from(self.address) & mask
    }

    fn mask(&self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix.min(32)))
            .unwrap_or(0)
    }

    /// The network's own address.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) & self.mask())
    }

    /// The address of everybody in it.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !self.mask())
    }
}

/// The card and what is known of the world behind it.
pub struct Network {
    /// The card.
    pub nic: &'static Nic,
    place: SpinLock<Option<Place>>,
    /// Our address for those who need no more; 0 while there is none.
    address: AtomicU32,
    /// Threads that wait for an address.
    arrival: WaitQueue,
    /// What the command said.
    settings: Settings,
    dhcp: Dhcp,
    names: SpinLock<Names>,
    neighbours: Neighbours,
    neighbours6: Neighbours,
    discovery: Discovery,
    memberships: Memberships,
    /// Packets that come in pieces.
    pieces: SpinLock<reassembly::Table>,
    /// Ways that take less than the card; `narrow` if there are any.
    paths: SpinLock<Paths>,
    narrow: AtomicBool,
    /// How many messages of error go out.
    errors: SpinLock<Limit>,
    /// Connections that found the card busy.
    waiting: SpinLock<Vec<Arc<Wire>>>,
}

static NETWORK: Once<Network> = Once::new();

/// The network; none without a card.
#[inline]
pub fn network() -> Option<&'static Network> {
    NETWORK.get()
}

/// What the card tells.
struct Stack;

impl User for Stack {
    fn input(&self, frame: &[u8], checked: bool) {
        if let Some(network) = network() {
            input::frame(network, frame, checked);
        }
    }

    fn room(&self) {
        let Some(network) = network() else { return };
        let waiting = core::mem::take(&mut *network.waiting.lock());
        for wire in waiting {
            wire.run();
        }
        network.nic.flush();
    }

    fn link(&self, up: bool) {
        let Some(network) = network() else { return };
        klog!("network: the link is {}", if up { "up" } else { "down" });
        if up {
            network.again();
        }
        netlink::link_changed();
    }
}

/// Takes the card into use, with the address that was given or one that is asked for; the answer comes later.
///
/// # Errors
/// As the card's driver.
pub fn init(device: Device, settings: Settings) -> Result<(), VirtioError> {
    let nic = Nic::start(device, &Stack)?;
    let network = NETWORK.call_once(|| Network {
        nic,
        place: SpinLock::new(None),
        address: AtomicU32::new(0),
        arrival: WaitQueue::new(),
        discovery: Discovery::new(nic.mac, &settings),
        settings,
        dhcp: Dhcp::new(nic.mac),
        names: SpinLock::new(Names::default()),
        neighbours: Neighbours::new(false),
        neighbours6: Neighbours::new(true),
        memberships: Memberships::new(),
        pieces: SpinLock::default(),
        paths: SpinLock::default(),
        narrow: AtomicBool::new(false),
        errors: SpinLock::default(),
        waiting: SpinLock::new(Vec::new()),
    });
    nic.listen()?;
    network.begin_v6();
    match network.settings.address {
        Some((address, prefix)) => network.settle(Some(Place {
            address,
            prefix,
            router: network.settings.gateway,
        })),
        None => {
            if network.settings.user {
                // Known before anybody is asked: who connects to a published port at once is answered at once.
                network.settle(Some(dhcp::user_place()));
            }
            network.dhcp.run(network, None);
        }
    }
    network.nic.flush();
    Ok(())
}

impl Network {
    /// Our address.
    #[inline]
    pub fn address(&self) -> Option<Ipv4Addr> {
        match self.address.load(Ordering::Acquire) {
            0 => None,
            bits => Some(Ipv4Addr::from(bits)),
        }
    }

    /// Our place.
    pub fn place(&self) -> Option<Place> {
        *self.place.lock()
    }

    /// Our address, which may be on its way: waits for it a little.
    ///
    /// # Errors
    /// ENETUNREACH if none comes, ERESTARTSYS.
    pub fn await_address(&self) -> Result<Ipv4Addr, Errno> {
        let how = Wait::interruptible().deadline(Some(time::now() + PATIENCE));
        self.arrival
            .wait_until(how, || self.address())
            .map_err(|errno| match errno {
                Errno::ETIMEDOUT => Errno::ENETUNREACH,
                other => other,
            })
    }

    /// The largest packet on the way to somebody.
    pub fn mtu_to(&self, to: IpAddr) -> usize {
        if !self.narrow.load(Ordering::Relaxed) {
            return MTU;
        }
        let known = self.paths.lock().largest(to, time::now());
        let link = self.link_mtu(to);
        known.map_or(link, |mtu| link.min(mtu.into()))
    }

    /// There is something that takes less than the card.
    fn say_narrow(&self, narrow: bool) {
        self.narrow.fetch_or(narrow, Ordering::Relaxed);
    }

    /// What everybody in our network takes.
    pub fn link_mtu(&self, to: IpAddr) -> usize {
        match to {
            IpAddr::V4(_) => MTU,
            IpAddr::V6(_) => self.discovery.mtu().map_or(MTU, |mtu| MTU.min(mtu.into())),
        }
    }

    /// Whether packets to this address are for us alone.
    pub fn is_ours(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.address() == Some(ip),
            IpAddr::V6(ip) => self.discovery.is_ours(ip),
        }
    }

    /// Whether packets to this address are for everybody in our network.
    pub fn is_everybody(&self, ip: Ipv4Addr) -> bool {
        ip.is_broadcast() || self.place().is_some_and(|place| place.broadcast() == ip)
    }

    /// The address that answers to a packet come from: the one it was sent to, if it is ours.
    fn answers_from(&self, ip: &packet::Ip) -> Option<IpAddr> {
        match (ip.to, ip.from) {
            (IpAddr::V6(to), IpAddr::V6(from)) if to.is_multicast() => {
                self.discovery.source(from).map(IpAddr::V6)
            }
            (IpAddr::V6(_), _) => Some(ip.to),
            (IpAddr::V4(_), _) => self.address().map(IpAddr::V4),
        }
    }

    /// A router says what the way to somebody takes.
    pub fn learn_mtu(&self, to: IpAddr, mtu: u16) {
        let learnt = self.paths.lock().learn(to, mtu, MTU as u16, time::now());
        self.say_narrow(learnt.is_some());
    }

    /// Our place is this from now on.
    fn settle(&self, place: Option<Place>) {
        let address = place.as_ref().map_or(0, |place| u32::from(place.address));
        match &place {
            Some(place) => klog!(
                "network: {}/{}, {} us after entry",
                place.address,
                place.prefix,
                time::now() / 1000
            ),
            None => klog!("network: the address is lost"),
        }
        *self.place.lock() = place;
        self.address.store(address, Ordering::Release);
        self.renew_groups(false);
        self.nic.flush();
        self.arrival.wake_all();
        netlink::addresses_changed(false);
    }

    /// The cable is plugged in again, perhaps elsewhere: everything is asked for anew, and kept until somebody says otherwise.
    fn again(&'static self) {
        self.neighbours.forget();
        self.neighbours6.forget();
        self.again_v6();
        self.renew_groups(false);
        self.renew_groups(true);
        if self.settings.address.is_none() {
            self.dhcp.again(self);
        }
        self.nic.flush();
    }

    /// Runs the connection again when the card has room. False if it has some already, and nobody will be told.
    #[must_use]
    pub fn wait_for_room(&self, wire: Arc<Wire>) -> bool {
        self.waiting.lock().push(wire);
        self.nic.will_tell_of_room()
    }
}
