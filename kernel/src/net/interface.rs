//! Network interfaces: which addresses are this machine's own, and where others are.
//!
//! The loopback interface is always there. Look-ups on the way of a connection or datagram take no lock as long as the
//! address is one of loopback's.
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;

/// IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_LOWER_UP of net/if.h.
const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const RUNNING: u32 = 0x40;
const LOWER_UP: u32 = 0x1_0000;

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assigned {
    /// The address.
    pub ip: IpAddr,
    /// How many bits of it name the network.
    pub prefix: u8,
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

/// All interfaces.
pub fn list() -> Vec<Interface> {
    let loopback = |ip, prefix| Assigned { ip, prefix };
    alloc::vec![Interface {
        index: LOOPBACK_INDEX,
        name: "lo".into(),
        flags: UP | LOOPBACK | RUNNING | LOWER_UP,
        mtu: 65536,
        hardware: [0; 6],
        addresses: alloc::vec![
            loopback(Ipv4Addr::LOCALHOST.into(), 8),
            loopback(Ipv6Addr::LOCALHOST.into(), 128),
        ],
    }]
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
pub fn multicast_default(_group: IpAddr) -> Option<u32> {
    None
}

/// Whether something sent to this address arrives here.
pub fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback()
}

/// Whether a socket may be bound to this address.
pub fn is_bindable(ip: IpAddr) -> bool {
    ip.is_unspecified() || is_local(ip) || ip.is_multicast()
}

/// The address that something to `to` is sent from.
///
/// # Errors
/// ENETUNREACH when there is no way to it.
pub fn source_for(to: IpAddr) -> Result<IpAddr, Errno> {
    match to {
        IpAddr::V4(ip) if ip.is_loopback() => Ok(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_loopback() => Ok(ip.into()),
        _ => Err(Errno::ENETUNREACH),
    }
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
    Vec::new()
}

/// SO_BINDTODEVICE and filters.
///
/// # Errors
/// ENODEV for an interface there is not; EPERM for filters.
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
