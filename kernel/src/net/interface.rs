//! Network interfaces: which addresses are this machine's own, and where others are.
//!
//! The loopback interface is always there, eth0 where there is a card; its address comes by DHCP (ip/). Look-ups on the way of
//! a connection or datagram take no lock as long as the address is one of loopback's.
use super::ip;
use crate::drivers::virtio::net::MTU;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;

/// IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_RUNNING, IFF_MULTICAST, IFF_LOWER_UP of net/if.h.
const UP: u32 = 1;
const BROADCAST: u32 = 2;
const LOOPBACK: u32 = 8;
const RUNNING: u32 = 0x40;
const MULTICAST: u32 = 0x1000;
const LOWER_UP: u32 = 0x1_0000;

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assigned {
    /// The address.
    pub ip: IpAddr,
    /// How many bits of it name the network.
    pub prefix: u8,
    /// IFA_F_*.
    pub flags: u32,
    /// For how many more seconds it should be used, and is there; `u32::MAX` for ever.
    pub lifetimes: [u32; 2],
}

impl Assigned {
    /// One that stays.
    pub const fn permanent(ip: IpAddr, prefix: u8) -> Self {
        const PERMANENT: u32 = 0x80;
        Self {
            ip,
            prefix,
            flags: PERMANENT,
            lifetimes: [u32::MAX; 2],
        }
    }
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number, from 1.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// IFF_*.
    pub flags: u32,
    /// The largest packet.
    pub mtu: u32,
    /// Its Ethernet address; zeros for loopback.
    pub hardware: [u8; 6],
    /// Its addresses.
    pub addresses: Vec<Assigned>,
}

impl Interface {
    /// Whether it is the loopback interface.
    pub const fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }
}

impl Interface {
    /// Whether its cable, if it has one, is plugged in.
    pub const fn is_running(&self) -> bool {
        self.flags & RUNNING != 0
    }

    /// Its first IPv4 address.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address.ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    }
}

/// The number of the loopback interface.
pub const LOOPBACK_INDEX: u32 = 1;
/// Everybody by loopback.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// The number of the card's.
pub const CARD_INDEX: u32 = 2;

/// All interfaces.
pub fn list() -> Vec<Interface> {
    let loopback = Assigned::permanent;
    let mut all = alloc::vec![Interface {
        index: LOOPBACK_INDEX,
        name: "lo".into(),
        flags: UP | LOOPBACK | RUNNING | LOWER_UP,
        mtu: 65536,
        hardware: [0; 6],
        addresses: alloc::vec![
            loopback(Ipv4Addr::LOCALHOST.into(), 8),
            loopback(Ipv6Addr::LOCALHOST.into(), 128),
        ],
    }];
    if let Some(network) = ip::network() {
        let place = network.place();
        let assigned = place.map(|place| Assigned::permanent(place.address.into(), place.prefix));
        let assigned = assigned.into_iter().chain(network.addresses6());
        all.push(Interface {
            index: CARD_INDEX,
            name: "eth0".into(),
            flags: UP
                | BROADCAST
                | MULTICAST
                | match network.nic.has_link() {
                    true => RUNNING | LOWER_UP,
                    false => 0,
                },
            mtu: MTU as u32,
            hardware: network.nic.mac,
            addresses: assigned.collect(),
        });
    }
    all
}

/// The interface with this number.
///
/// # Errors
/// ENODEV.
pub fn by_index(index: u32) -> Result<Interface, Errno> {
    let found = list().into_iter().find(|each| each.index == index);
    found.ok_or(Errno::ENODEV)
}

/// The interface with this address.
pub fn by_address(ip: IpAddr) -> Option<Interface> {
    list()
        .into_iter()
        .find(|each| each.addresses.iter().any(|address| address.ip == ip))
}

/// The interface that multicasts to `group` use if nothing else is said: none without a device.
pub fn multicast_default(group: IpAddr) -> Option<u32> {
    let network = ip::network()?;
    (group.is_ipv6() || network.address().is_some()).then_some(CARD_INDEX)
}

/// Whether something sent to this address arrives here.
pub fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip::network().is_some_and(|network| network.is_ours(ip))
}

/// The interface by which something to this address reaches everybody, if it does.
pub fn broadcasts_by(ip: IpAddr) -> Option<u32> {
    let IpAddr::V4(ip) = ip else { return None };
    if ip == LOOPBACK_BROADCAST {
        return Some(LOOPBACK_INDEX);
    }
    // Without a card it is nobody.
    let network = ip::network()?;
    network.is_everybody(ip).then_some(CARD_INDEX)
}

/// Whether a socket may be bound to this address.
pub fn is_bindable(ip: IpAddr) -> bool {
    // An address that is being claimed will be ours.
    let claimed = || ip::network().is_some_and(|network| network.claims(ip));
    ip.is_unspecified()
        || ip.is_multicast()
        || is_local(ip)
        || broadcasts_by(ip).is_some()
        || claimed()
}

/// The address that something to `to` is sent from.
///
/// # Errors
/// ENETUNREACH when there is no way to it; waits for an address of the card's that is on its way.
pub fn source_for(to: IpAddr) -> Result<IpAddr, Errno> {
    match to {
        IpAddr::V4(ip) if ip.is_loopback() => Ok(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_loopback() => Ok(ip.into()),
        IpAddr::V4(ip) => {
            let network = ip::network().ok_or(Errno::ENETUNREACH)?;
            let address = network.await_address()?;
            // Into our network, or there is a router.
            let place = network.place().ok_or(Errno::ENETUNREACH)?;
            let everybody = ip.is_broadcast() || ip.is_multicast();
            if everybody || place.has(ip) || place.router.is_some() {
                Ok(address.into())
            } else {
                Err(Errno::ENETUNREACH)
            }
        }
        IpAddr::V6(ip) => {
            let network = ip::network().ok_or(Errno::ENETUNREACH)?;
            network.await_source6(ip).map(Into::into)
        }
    }
}

/// The address that something to a group is sent from, by this interface.
///
/// # Errors
/// As [`source_for`].
pub fn source_by(index: u32, to: IpAddr) -> Result<IpAddr, Errno> {
    match (index, to) {
        // Without a card there is no way to groups but by loopback, if that is wished.
        (LOOPBACK_INDEX, IpAddr::V4(_)) => Ok(Ipv4Addr::LOCALHOST.into()),
        (LOOPBACK_INDEX, IpAddr::V6(_)) => Ok(Ipv6Addr::LOCALHOST.into()),
        _ => source_for(to),
    }
}

/// An interface's first IPv4 address.
pub fn ipv4_of(index: u32) -> Ipv4Addr {
    let card = ip::network().filter(|_| index == CARD_INDEX);
    card.map_or(Ipv4Addr::LOCALHOST, |network| {
        network.address().unwrap_or(Ipv4Addr::UNSPECIFIED)
    })
}

/// Where packets go.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The network it leads to.
    pub to: IpAddr,
    /// How many bits of `to` count.
    pub prefix: u8,
    /// The router that takes them, if they do not arrive at once.
    pub by: Option<IpAddr>,
    /// The interface they leave by.
    pub index: u32,
}

/// The routes of the main table: none lead by loopback.
pub fn routes() -> Vec<Route> {
    let Some(network) = ip::network() else {
        return Vec::new();
    };
    let mut routes = network.place().map_or(Vec::new(), routes_v4);
    routes.extend(network.routes6());
    routes
}

fn routes_v4(place: ip::Place) -> Vec<Route> {
    let everywhere = place.router.map(|router| Route {
        to: Ipv4Addr::UNSPECIFIED.into(),
        prefix: 0,
        by: Some(router.into()),
        index: CARD_INDEX,
    });
    let ours = Route {
        to: place.network().into(),
        prefix: place.prefix,
        by: None,
        index: CARD_INDEX,
    };
    everywhere.into_iter().chain([ours]).collect()
}

/// SO_BINDTODEVICE and SO_ATTACH_BPF.
///
/// # Errors
/// ENODEV for an interface there is not; EPERM for a filter that bpf(2) would have made.
pub fn set_device_option(name: u32, value: &[u8]) -> Result<(), Errno> {
    if name != abi::SO_BINDTODEVICE {
        return Err(Errno::EPERM);
    }
    let end = value.iter().position(|&byte| byte == 0);
    let wanted = &value[..end.unwrap_or(value.len())];
    let known = list().iter().any(|each| each.name.as_bytes() == wanted);
    if wanted.is_empty() || known {
        Ok(())
    } else {
        Err(Errno::ENODEV)
    }
}
