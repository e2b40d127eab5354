//! Netlink sockets (netlink(7), rtnetlink(7)): programs ask for interfaces, addresses and routes.
//!
//! Only NETLINK_ROUTE and NETLINK_GENERIC (generic.rs), and only questions: what would change something is EPERM. Answers are
//! made when asked and wait in the socket's mailbox, several messages a datagram, as Linux packs them.
use super::buffer::Buffer;
use super::events::{READABLE, WRITABLE};
use super::generic;
use super::interface::{self, Interface};
use super::mailbox::{self, Mailbox};
use super::options;
use super::socket::{Common, Halves, Protocol, Receiving, Sending};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::sync::SpinLock;
use crate::task;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::net as abi;
use linux_raw_sys::netlink as nl;
use ringo_abi::{Errno, SysResult};
use ringo_net::netlink::{self, Message, Request};
use ringo_net::{Address, control};

/// The most bytes of answers in one datagram: what Linux puts into it for readers with small buffers.
const DATAGRAM: usize = 4096;
/// The most bytes of requests in one.
const REQUEST_MAX: usize = 65_536;
const GET_LINK: u16 = nl::RTM_GETLINK as u16;
const GET_ADDRESS: u16 = nl::RTM_GETADDR as u16;
const GET_ROUTE: u16 = nl::RTM_GETROUTE as u16;
/// Requests of rtnetlink begin here; of each four numbers the third is the question.
const BASE: u16 = 16;
const QUESTION: u16 = 2;

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
struct Datagram(Vec<u8>);

impl mailbox::Message for Datagram {
    fn charge(&self) -> usize {
        self.0.len()
    }
}

/// See the module's head.
pub struct Netlink {
    mailbox: Mailbox<Datagram>,
    /// nl_pid; 0 before it is bound.
    port: AtomicU32,
    groups: AtomicU32,
    peer: SpinLock<Option<u32>>,
    /// NETLINK_GENERIC.
    generic: bool,
}

static PORTS: SpinLock<BTreeSet<u32>> = SpinLock::new(BTreeSet::new());

/// Takes a port: the process's id where it is free, else a number that is no process's, as Linux does.
fn any_port() -> u32 {
    const HIGHEST: u32 = 0xffff_efff;
    let mut ports = PORTS.lock();
    let own = task::PID.cast_unsigned();
    let mut candidates = core::iter::once(own).chain((0..=HIGHEST).rev());
    let port = candidates.find(|port| !ports.contains(port)).unwrap_or(own);
    ports.insert(port);
    port
}

/// The options that are accepted, by number; SOL_NETLINK.
const OPTIONS: u32 = 12;

impl Netlink {
    /// An unbound socket.
    pub fn new(common: &Common) -> Self {
        Self {
            mailbox: Mailbox::new(options::receive_buffer(common) as usize),
            port: AtomicU32::new(0),
            groups: AtomicU32::new(0),
            peer: SpinLock::new(None),
            generic: common.protocol == nl::NETLINK_GENERIC,
        }
    }

    fn port(&self) -> u32 {
        match self.port.load(Ordering::Relaxed) {
            0 => self.take_port(any_port()),
            port => port,
        }
    }

    /// Makes `port`, which is taken, this socket's; gives the one it had if it had one.
    fn take_port(&self, port: u32) -> u32 {
        let before = self
            .port
            .compare_exchange(0, port, Ordering::Relaxed, Ordering::Relaxed);
        match before {
            Ok(_) => port,
            Err(before) => {
                PORTS.lock().remove(&port);
                before
            }
        }
    }

    fn answer(&self, request: &Request<'_>, out: &mut Answer) {
        let port = self.port();
        // What asks for nothing can still ask whether it came.
        let asks = request.flags & netlink::REQUEST != 0 && request.kind >= BASE;
        let either = asks && request.flags & netlink::DUMP != 0;
        let dump = either && request.flags & netlink::DUMP == netlink::DUMP
            || either && !self.generic && request.kind != GET_LINK;
        let result = match request.kind {
            _ if !asks => Ok(()),
            _ if self.generic => generic::answer(request, port, out),
            GET_LINK => links(request, port, dump, out),
            GET_ADDRESS if dump => {
                addresses(request, port, out);
                Ok(())
            }
            GET_ROUTE if dump => {
                routes(request, port, out);
                Ok(())
            }
            kind if (kind - BASE) % 4 != QUESTION && !task::credentials().privileged() => {
                Err(Errno::EPERM)
            }
            _ => Err(Errno::EOPNOTSUPP),
        };
        match result {
            Ok(()) if dump => out.put(netlink::done(request, port)),
            Ok(()) if request.flags & netlink::ACK != 0 => {
                out.put(netlink::error(request, port, None));
            }
            Ok(()) => {}
            Err(errno) => out.put(netlink::error(request, port, Some(errno))),
        }
    }
}

/// Messages, packed into datagrams.
#[derive(Default)]
pub struct Answer {
    datagrams: Vec<Vec<u8>>,
}

impl Answer {
    /// Appends one.
    pub fn put(&mut self, message: Vec<u8>) {
        match self.datagrams.last_mut() {
            Some(last) if last.len() + message.len() <= DATAGRAM => last.extend(message),
            _ => self.datagrams.push(message),
        }
    }
}

fn links(request: &Request<'_>, port: u32, dump: bool, out: &mut Answer) -> Result<(), Errno> {
    if dump {
        for each in interface::list() {
            out.put(link(&each, request, port, netlink::MULTI));
        }
        return Ok(());
    }
    let each = interface::by_index(request.index())?;
    out.put(link(&each, request, port, 0));
    Ok(())
}

fn link(each: &Interface, request: &Request<'_>, port: u32, flags: u16) -> Vec<u8> {
    const IF_OPER_UNKNOWN: u8 = 0;
    const IF_OPER_UP: u8 = 6;
    let mut message = Message::new(nl::RTM_NEWLINK as u16, flags, request.sequence, port);
    let (kind, state) = match each.is_loopback() {
        true => (LOOPBACK, IF_OPER_UNKNOWN),
        false => (ETHERNET, IF_OPER_UP),
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
        .attribute(nl::IFLA_CARRIER as u16, &[1])
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

fn family(ip: IpAddr) -> u8 {
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

fn addresses(request: &Request<'_>, port: u32, out: &mut Answer) {
    let mut all = Vec::new();
    for each in interface::list() {
        for address in &each.addresses {
            all.push((each.clone(), *address));
        }
    }
    // IPv4's first, as Linux lists them; each interface's are in its order already.
    all.sort_by_key(|(each, address)| (address.ip.is_ipv6(), each.index));
    for (each, address) in all {
        let ip = address.ip;
        if request.family() != 0 && request.family() != family(ip) {
            continue;
        }
        let mut message = Message::new(
            nl::RTM_NEWADDR as u16,
            netlink::MULTI,
            request.sequence,
            port,
        );
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
        out.put(message.finish());
    }
}

fn routes(request: &Request<'_>, port: u32, out: &mut Answer) {
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

impl Protocol for Netlink {
    fn bind(&self, _common: &Common, address: &Address) -> Result<(), Errno> {
        let Address::Netlink { port, groups } = address else {
            return Err(Errno::EINVAL);
        };
        let bound = self.port.load(Ordering::Relaxed);
        if *port != 0 && bound != 0 && bound != *port {
            return Err(Errno::EINVAL);
        }
        match port {
            0 => {
                self.port();
            }
            port if *port != bound => {
                if !PORTS.lock().insert(*port) {
                    return Err(Errno::EADDRINUSE);
                }
                self.take_port(*port);
            }
            _ => {}
        }
        // Groups tell of changes, of which there are none.
        self.groups.store(*groups, Ordering::Relaxed);
        Ok(())
    }

    fn connect(&self, _common: &Common, to: &Address, _nonblocking: bool) -> Result<(), Errno> {
        *self.peer.lock() = match to {
            Address::Unspecified => None,
            Address::Netlink { port, .. } => Some(*port),
            _ => return Err(Errno::EINVAL),
        };
        self.port();
        Ok(())
    }

    fn send(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        if how.flags & abi::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let to = match &how.to {
            Some(Address::Netlink { port, .. }) => *port,
            Some(_) => return Err(Errno::EINVAL),
            None => (*self.peer.lock()).unwrap_or(0),
        };
        if to != 0 {
            return Err(Errno::ECONNREFUSED);
        }
        let length = io.remaining();
        if length > REQUEST_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let mut bytes = Buffer::take(length)?;
        if io.copy_in(&mut bytes[..length])? < length {
            return Err(Errno::EFAULT);
        }
        let mut out = Answer::default();
        for request in netlink::requests(&bytes[..length]) {
            self.answer(&request, &mut out);
        }
        for datagram in out.datagrams {
            if !self.mailbox.push(Datagram(datagram), false) {
                common.events.set_error(Errno::ENOBUFS);
            }
        }
        common.events.readable();
        Ok(length)
    }

    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        if how.has(abi::MSG_OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let patience = common.receive_patience(how.nonblocking);
        let datagram = patience.wait(&common.events.readers, || match self.mailbox.pop() {
            Some(datagram) => Some(Ok(datagram)),
            None => common.events.take_error().map(Err),
        })??;
        let copied = how.copy(io, &datagram.0);
        if how.wants_address {
            how.from = Some(Address::Netlink { port: 0, groups: 0 });
        }
        pass_credentials(common, &mut how.control);
        if how.has(abi::MSG_PEEK) {
            self.mailbox.unpop(datagram);
        }
        copied.result(how)
    }

    fn shutdown(&self, _common: &Common, _halves: Halves) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn local(&self) -> Address {
        Address::Netlink {
            port: self.port.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
        }
    }

    fn remote(&self) -> Result<Address, Errno> {
        Ok(Address::Netlink {
            port: (*self.peer.lock()).unwrap_or(0),
            groups: 0,
        })
    }

    fn poll(&self, common: &Common) -> PollEvents {
        let mut events = WRITABLE;
        events.set(READABLE, self.mailbox.len() > 0);
        events.set(PollEvents::ERR, common.events.error().is_some());
        events
    }

    fn set_option(
        &self,
        _common: &Common,
        level: u32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        if level != abi::SOL_NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        options::int(value)?;
        // They choose what else an answer tells: extended errors, strict checks, groups' news.
        if name <= OPTIONS {
            Ok(())
        } else {
            Err(Errno::ENOPROTOOPT)
        }
    }

    fn readable_bytes(&self) -> SysResult {
        let first = self.mailbox.with_first(|first| first.0.len());
        Ok(first.unwrap_or(0))
    }

    fn close(&self, _common: &Common) {
        self.mailbox.abandon();
        match self.port.load(Ordering::Relaxed) {
            0 => {}
            port => {
                PORTS.lock().remove(&port);
            }
        }
    }
}

/// SO_PASSCRED: the answers are the kernel's.
fn pass_credentials(common: &Common, control: &mut control::Writer) {
    if common.has(options::PASS_CREDENTIALS) {
        let kernel = super::message::Credentials {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        control.put(abi::SOL_SOCKET, abi::SCM_CREDENTIALS, &kernel.bytes());
    }
}
