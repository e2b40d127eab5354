//! Netlink sockets (netlink(7), rtnetlink(7)): programs ask for interfaces, addresses and routes.
//!
//! Only NETLINK_ROUTE and NETLINK_GENERIC (generic.rs), and only questions: what would change something is EPERM. Answers are
//! made when asked and wait in the socket's mailbox, several messages a datagram, as Linux packs them. Sockets in the groups of
//! links and addresses hear what changes; the list of these, `LISTENERS`, has a spin lock above theirs. answers.rs has the
//! messages.
mod answers;

pub use self::answers::Answer;

use self::answers::{address, addresses, family, link, links, routes};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::net::buffer::Buffer;
use crate::net::events::{Events, READABLE, WRITABLE};
use crate::net::generic;
use crate::net::interface;
use crate::net::mailbox::{self, Mailbox};
use crate::net::options;
use crate::net::socket::{Common, Halves, Protocol, Receiving, Sending};
use crate::sync::SpinLock;
use crate::task;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::net as abi;
use linux_raw_sys::netlink as nl;
use ringo_abi::{Errno, SysResult};
use ringo_net::netlink::{self, Request};
use ringo_net::sockaddr::Given;
use ringo_net::{Address, control};

/// The most bytes of requests in one.
const REQUEST_MAX: usize = 65_536;
const GET_LINK: u16 = nl::RTM_GETLINK as u16;
const GET_ADDRESS: u16 = nl::RTM_GETADDR as u16;
const GET_ROUTE: u16 = nl::RTM_GETROUTE as u16;
/// Requests of rtnetlink begin here; of each four numbers the third is the question.
const BASE: u16 = 16;
const QUESTION: u16 = 2;

struct Datagram(Vec<u8>);

impl mailbox::Message for Datagram {
    fn charge(&self) -> usize {
        self.0.len()
    }
}

/// See the module's head.
pub struct Netlink {
    hears: Arc<Hears>,
    /// nl_pid; 0 before it is bound.
    port: AtomicU32,
    peer: SpinLock<Option<u32>>,
    /// NETLINK_GENERIC.
    generic: bool,
}

/// What others send to.
struct Hears {
    mailbox: Mailbox<Datagram>,
    events: Arc<Events>,
    /// A bit for each, from the first.
    groups: AtomicU32,
}

impl Hears {
    fn push(&self, datagram: Vec<u8>) {
        if !self.mailbox.push(Datagram(datagram), false) {
            self.events.set_error(Errno::ENOBUFS);
        }
        self.events.readable();
    }
}

/// Sockets that are in groups.
static LISTENERS: SpinLock<Vec<Arc<Hears>>> = SpinLock::new(Vec::new());
/// Bits of groups.
const LINKS: u32 = 1 << (nl::rtnetlink_groups::RTNLGRP_LINK as u32 - 1);
const ADDRESSES: u32 = 1 << (nl::rtnetlink_groups::RTNLGRP_IPV4_IFADDR as u32 - 1);
const ADDRESSES_V6: u32 = 1 << (nl::rtnetlink_groups::RTNLGRP_IPV6_IFADDR as u32 - 1);

/// Tells those in a group.
fn tell(group: u32, make: impl FnOnce(&mut Answer)) {
    let listeners: Vec<Arc<Hears>> = {
        let all = LISTENERS.lock();
        let wants = |it: &&Arc<Hears>| it.groups.load(Ordering::Relaxed) & group != 0;
        all.iter().filter(wants).cloned().collect()
    };
    if listeners.is_empty() {
        return;
    }
    let mut news = Answer::default();
    make(&mut news);
    for datagram in news.datagrams {
        for listener in &listeners {
            listener.push(datagram.clone());
        }
    }
}

/// Somebody plugged or unplugged the card.
pub fn link_changed() {
    tell(LINKS, |out| {
        if let Ok(card) = interface::by_index(interface::CARD_INDEX) {
            out.put(link(&card, 0, 0, 0));
        }
    });
}

/// The card's addresses of a family may be others now: they are told as they are.
pub fn addresses_changed(v6: bool) {
    let (group, wanted) = match v6 {
        false => (ADDRESSES, abi::AF_INET),
        true => (ADDRESSES_V6, abi::AF_INET6),
    };
    tell(group, |out| {
        if let Ok(card) = interface::by_index(interface::CARD_INDEX) {
            let mut addresses = card.addresses.iter();
            while let Some(address) = addresses.find(|it| u32::from(family(it.ip)) == wanted) {
                out.put(self::address(&card, address, (0, 0, 0)));
            }
        }
    });
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
            hears: Arc::new(Hears {
                mailbox: Mailbox::new(options::receive_buffer(common) as usize),
                events: common.events.clone(),
                groups: AtomicU32::new(0),
            }),
            port: AtomicU32::new(0),
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

    /// The groups that it is in from now on.
    fn set_groups(&self, groups: u32) {
        self.hears.groups.store(groups, Ordering::Relaxed);
        let mut listeners = LISTENERS.lock();
        listeners.retain(|it| !Arc::ptr_eq(it, &self.hears));
        if groups != 0 && !self.generic {
            listeners.push(self.hears.clone());
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

impl Protocol for Netlink {
    fn bind(&self, _common: &Common, address: &Given) -> Result<(), Errno> {
        let Address::Netlink { port, groups } = address.decode()? else {
            return Err(Errno::EINVAL);
        };
        let bound = self.port.load(Ordering::Relaxed);
        if port != 0 && bound != 0 && bound != port {
            return Err(Errno::EINVAL);
        }
        match port {
            0 => {
                self.port();
            }
            port if port != bound => {
                if !PORTS.lock().insert(port) {
                    return Err(Errno::EADDRINUSE);
                }
                self.take_port(port);
            }
            _ => {}
        }
        self.set_groups(groups);
        Ok(())
    }

    fn connect(&self, _common: &Common, to: &Given, _nonblocking: bool) -> Result<(), Errno> {
        *self.peer.lock() = match to.decode()? {
            Address::Unspecified => None,
            Address::Netlink { port, .. } => Some(port),
            _ => return Err(Errno::EINVAL),
        };
        self.port();
        Ok(())
    }

    fn send(&self, _common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        if how.flags & abi::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let length = io.remaining();
        if length == 0 {
            return Err(Errno::ENODATA);
        }
        how.control.check()?;
        let to = match how.addressed().map(Given::decode).transpose()? {
            Some(Address::Netlink { port, .. }) => port,
            Some(_) => return Err(Errno::EINVAL),
            None => (*self.peer.lock()).unwrap_or(0),
        };
        if to != 0 {
            return Err(Errno::ECONNREFUSED);
        }
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
            self.hears.push(datagram);
        }
        Ok(length)
    }

    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        if how.has(abi::MSG_OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let patience = common.receive_patience(how.nonblocking);
        let datagram =
            patience.wait(&common.events.readers, || match self.hears.mailbox.pop() {
                Some(datagram) => Some(Ok(datagram)),
                None => common.events.take_error().map(Err),
            })??;
        let copied = how.copy(io, &datagram.0);
        if how.wants_address {
            how.from = Some(Address::Netlink { port: 0, groups: 0 });
        }
        pass_credentials(common, &mut how.control);
        if how.has(abi::MSG_PEEK) {
            self.hears.mailbox.unpop(datagram);
        }
        copied.result(how)
    }

    fn shutdown(&self, _common: &Common, _halves: Halves) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn local(&self) -> Address {
        Address::Netlink {
            port: self.port.load(Ordering::Relaxed),
            groups: self.hears.groups.load(Ordering::Relaxed),
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
        events.set(READABLE, self.hears.mailbox.len() > 0);
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
        const ADD_MEMBERSHIP: u32 = 1;
        const DROP_MEMBERSHIP: u32 = 2;
        let value = options::int(value)?;
        let groups = self.hears.groups.load(Ordering::Relaxed);
        match (name, value) {
            (ADD_MEMBERSHIP | DROP_MEMBERSHIP, ..1) => return Err(Errno::EINVAL),
            // Of those beyond nobody tells anything.
            (ADD_MEMBERSHIP, 1..=32) => self.set_groups(groups | 1 << (value - 1)),
            (DROP_MEMBERSHIP, 1..=32) => self.set_groups(groups & !(1 << (value - 1))),
            // They choose what else an answer tells: extended errors, strict checks.
            (..=OPTIONS, _) => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// These sockets know neither FIONREAD nor TIOCOUTQ.
    fn readable_bytes(&self) -> SysResult {
        Err(Errno::ENOTTY)
    }

    fn unsent_bytes(&self) -> SysResult {
        Err(Errno::ENOTTY)
    }

    fn close(&self, _common: &Common) {
        self.set_groups(0);
        self.hears.mailbox.abandon();
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
