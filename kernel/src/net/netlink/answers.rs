//! Messages of rtnetlink(7) that tell of links, addresses and routes, and their packing into datagrams.
use crate::net::interface::{self, Assigned, Interface};
use alloc::vec::Vec;
use core::net::IpAddr;
use linux_raw_sys::net as abi;
use linux_raw_sys::netlink as nl;
use ringo_abi::Errno;
use ringo_net::netlink::{self, Message, Request};

/// The most bytes of answers in one datagram: what Linux puts into it for readers with small buffers.
const DATAGRAM: usize = 4096;

/// Attributes of routes that linux-raw-sys does not have.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

/// ARPHRD_ETHER and ARPHRD_LOOPBACK.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;
/// RT_SCOPE_UNIVERSE, _LINK and _HOST.
const SCOPE_ALL: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// Messages, packed into datagrams.
#[derive(Default)]
pub struct Answer {
    /// Each as long as readers with small buffers take.
    pub(super) datagrams: Vec<Vec<u8>>,
}

impl Answer {
    /// Appends a message.
    pub fn put(&mut self, message: Vec<u8>) {
        match self.datagrams.last_mut() {
            Some(last) if last.len() + message.len() <= DATAGRAM => last.extend(message),
            _ => self.datagrams.push(message),
        }
    }
}

/// What RTM_GETLINK is answered.
///
/// # Errors
/// ENODEV.
pub(super) fn links(
    request: &Request<'_>,
    port: u32,
    dump: bool,
    out: &mut Answer,
) -> Result<(), Errno> {
    if dump {
        for each in interface::list() {
            out.put(link(&each, request.sequence, port, netlink::MULTI));
        }
        return Ok(());
    }
    let each = interface::by_index(request.index())?;
    out.put(link(&each, request.sequence, port, 0));
    Ok(())
}

/// An interface.
pub(super) fn link(each: &Interface, sequence: u32, port: u32, flags: u16) -> Vec<u8> {
    const IF_OPER_UNKNOWN: u8 = 0;
    const IF_OPER_DOWN: u8 = 2;
    const IF_OPER_UP: u8 = 6;
    let mut message = Message::new(nl::RTM_NEWLINK as u16, flags, sequence, port);
    let (kind, state) = match each.is_loopback() {
        true => (LOOPBACK, IF_OPER_UNKNOWN),
        false if each.is_running() => (ETHERNET, IF_OPER_UP),
        false => (ETHERNET, IF_OPER_DOWN),
    };
    // struct ifinfomsg.
    let mut info = [0; 16];
    info[2..4].copy_from_slice(&kind.to_ne_bytes());
    info[4..8].copy_from_slice(&each.index.to_ne_bytes());
    info[8..12].copy_from_slice(&each.flags.to_ne_bytes());
    let broadcast = if each.is_loopback() {
        [0; 6]
    } else {
        [0xff; 6]
    };
    message
        .put(&info)
        .text(nl::IFLA_IFNAME as u16, &each.name)
        .attribute(nl::IFLA_TXQLEN as u16, &1000u32.to_ne_bytes())
        .attribute(nl::IFLA_OPERSTATE as u16, &[state])
        .attribute(nl::IFLA_MTU as u16, &each.mtu.to_ne_bytes())
        .attribute(nl::IFLA_CARRIER as u16, &[u8::from(each.is_running())])
        .attribute(nl::IFLA_ADDRESS as u16, &each.hardware)
        .attribute(nl::IFLA_BROADCAST as u16, &broadcast);
    message.finish()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// AF_INET or AF_INET6.
pub(super) fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => abi::AF_INET as u8,
        IpAddr::V6(_) => abi::AF_INET6 as u8,
    }
}

fn scope(ip: IpAddr) -> u8 {
    match ip {
        ip if ip.is_loopback() => SCOPE_HOST,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SCOPE_LINK,
        _ => SCOPE_ALL,
    }
}

/// What RTM_GETADDR is answered.
pub(super) fn addresses(request: &Request<'_>, port: u32, out: &mut Answer) {
    let mut all = Vec::new();
    for each in interface::list() {
        for address in &each.addresses {
            all.push((each.clone(), *address));
        }
    }
    // IPv4's first, as Linux lists them; each interface's are in its order already.
    all.sort_by_key(|(each, address)| (address.ip.is_ipv6(), each.index));
    for (each, address) in all {
        if request.family() != 0 && request.family() != family(address.ip) {
            continue;
        }
        let about = (request.sequence, port, netlink::MULTI);
        out.put(self::address(&each, &address, about));
    }
}

/// An address in a message with this number, for this port, with these flags.
pub(super) fn address(each: &Interface, address: &Assigned, about: (u32, u32, u16)) -> Vec<u8> {
    let ((sequence, port, flags), ip) = (about, address.ip);
    let mut message = Message::new(nl::RTM_NEWADDR as u16, flags, sequence, port);
    // struct ifaddrmsg.
    let mut info = [
        family(ip),
        address.prefix,
        address.flags as u8,
        scope(ip),
        0,
        0,
        0,
        0,
    ];
    info[4..].copy_from_slice(&each.index.to_ne_bytes());
    let octets = octets(ip);
    message
        .put(&info)
        .attribute(nl::IFA_ADDRESS as u16, &octets);
    if let IpAddr::V4(v4) = ip {
        message.attribute(nl::IFA_LOCAL as u16, &octets);
        if !ip.is_loopback() {
            let host = u32::MAX.checked_shr(address.prefix.into()).unwrap_or(0);
            let broadcast = (u32::from(v4) | host).to_be_bytes();
            message.attribute(nl::IFA_BROADCAST as u16, &broadcast);
        }
        message.text(nl::IFA_LABEL as u16, &each.name);
    }
    // struct ifa_cacheinfo: for how long, since boot.
    let mut cache = [0; 16];
    let [preferred, valid] = address.lifetimes.map(u32::to_ne_bytes);
    cache[..4].copy_from_slice(&preferred);
    cache[4..8].copy_from_slice(&valid);
    message
        .attribute(nl::IFA_CACHEINFO as u16, &cache)
        .attribute(nl::IFA_FLAGS as u16, &address.flags.to_ne_bytes());
    message.finish()
}

/// What RTM_GETROUTE is answered.
pub(super) fn routes(request: &Request<'_>, port: u32, out: &mut Answer) {
    for route in interface::routes() {
        let ip = route.to;
        if request.family() != 0 && request.family() != family(ip) {
            continue;
        }
        let mut message = Message::new(
            nl::RTM_NEWROUTE as u16,
            netlink::MULTI,
            request.sequence,
            port,
        );
        const MAIN: u8 = 254;
        const BY_KERNEL: u8 = 2;
        const UNICAST: u8 = 1;
        let scope = if route.by.is_some() {
            SCOPE_ALL
        } else {
            SCOPE_LINK
        };
        // struct rtmsg: family, lengths of both ends, service, table, who made it, scope, type, flags.
        let info = [
            family(ip),
            route.prefix,
            0,
            0,
            MAIN,
            BY_KERNEL,
            scope,
            UNICAST,
        ];
        message.put(&info).put(&[0; 4]);
        if route.prefix > 0 {
            message.attribute(RTA_DST, &octets(ip));
        }
        if let Some(by) = route.by {
            message.attribute(RTA_GATEWAY, &octets(by));
        }
        message.attribute(RTA_OIF, &route.index.to_ne_bytes());
        out.put(message.finish());
    }
}
