//! Unix sockets (unix(7)).
//!
//! - names.rs: what names lead to. node.rs: the part of a socket that others reach.
//! - connection.rs: the two ends of SOCK_STREAM and SOCK_SEQPACKET. parcel.rs: what goes along with bytes.
//! - transfer.rs: sending and receiving. rights.rs: open files in queues.
//!
//! A connection is established by connect(2) alone: accept(2) only fetches its other end. Locks: `changing` (one bind,
//! listen or connect at a time), then those of the rooms.
mod connection;
mod names;
mod node;
mod parcel;
mod rights;
mod transfer;

pub use node::Node;

use self::connection::{End, Party};
use self::node::Quota;
use super::events::{READABLE, WRITABLE};
use super::message::Credentials;
use super::options::{self, int_out};
use super::socket::{Common, Halves, Kind, Protocol, Receiving, Sending, Socket};
use super::tcp::BACKLOG_MAX;
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::sync::SleepMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::sockaddr::Given;
use ringo_net::{Address, UnixName};
use spin::Once;

/// See the module's head.
pub struct Unix {
    node: Arc<Node>,
    end: Once<End>,
    quota: Arc<Quota>,
    changing: SleepMutex<()>,
    /// shutdown(2) of a socket without a connection.
    ended: AtomicBool,
}

const fn is_datagram(kind: u32) -> bool {
    kind == abi::SOCK_DGRAM
}

fn unix_name(address: &Given) -> Result<UnixName, Errno> {
    match address.decode()? {
        Address::Unix(name) => Ok(name),
        _ => Err(Errno::EINVAL),
    }
}

fn room(common: &Common) -> usize {
    options::send_buffer(common) as usize
}

impl Unix {
    /// A nameless socket.
    pub fn new(common: &Common) -> Self {
        Self::with(common, Once::new())
    }

    fn with(common: &Common, end: Once<End>) -> Self {
        Self {
            node: Node::new(common.kind, common.events.clone()),
            end,
            quota: Arc::new(Quota::new(common.events.clone(), room(common))),
            changing: SleepMutex::new(()),
            ended: AtomicBool::new(false),
        }
    }

    /// What this socket brings into a connection.
    fn party(&self, common: &Common) -> Party {
        Party {
            events: common.events.clone(),
            name: self.node.name(),
            credentials: Credentials::own(),
            room: room(common),
        }
    }

    /// Throws away what was received, of a socket that nobody can reach.
    fn empty(&self) {
        self.node.mailbox.abandon();
        if let Some(end) = self.end.get() {
            end.incoming().stream.abandon();
            end.incoming().mailbox.abandon();
        }
    }

    /// connect(2) of a datagram socket.
    fn aim(&self, to: &Given) -> Result<(), Errno> {
        if to.family() == Some(abi::AF_UNSPEC) {
            *self.node.peer.lock() = None;
            return Ok(());
        }
        let other = names::find(self.node.kind, &unix_name(to)?)?;
        self.check_may_send(&other)?;
        let old = self.node.peer.lock().replace(other);
        drop(old);
        Ok(())
    }

    /// A socket that is connected takes messages from its peer only.
    fn check_may_send(&self, other: &Arc<Node>) -> Result<(), Errno> {
        let peer = other.peer.lock().clone();
        match peer {
            Some(peer) if !Arc::ptr_eq(&peer, &self.node) => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }
}

/// socketpair(2).
pub fn pair(kind: u32) -> (Socket, Socket) {
    let commons = [(); 2].map(|()| Common::new(abi::AF_UNIX, kind, 0));
    if is_datagram(kind) {
        let [first, second] = commons.map(|common| (Unix::new(&common), common));
        *first.0.node.peer.lock() = Some(second.0.node.clone());
        *second.0.node.peer.lock() = Some(first.0.node.clone());
        let socket = |(unix, common)| Socket::new(common, Kind::Unix(unix));
        return (socket(first), socket(second));
    }
    let party = |common: &Common| Party {
        events: common.events.clone(),
        name: UnixName::Unnamed,
        credentials: Credentials::own(),
        room: room(common),
    };
    let [first, second] = &commons;
    let packets = kind == abi::SOCK_SEQPACKET;
    let (a, b) = connection::open([party(first), party(second)], packets);
    let [first, second] = commons;
    let socket = |common: Common, end| {
        let unix = Unix::with(&common, Once::initialized(end));
        Socket::new(common, Kind::Unix(unix))
    };
    (socket(first, a), socket(second, b))
}

impl Protocol for Unix {
    fn bind(&self, _common: &Common, address: &Given) -> Result<(), Errno> {
        let name = unix_name(address)?;
        let _changing = self.changing.lock();
        if self.node.name() != UnixName::Unnamed {
            // Asking for any name is already granted.
            return match name {
                UnixName::Unnamed => Ok(()),
                _ => Err(Errno::EINVAL),
            };
        }
        let name = names::bind(&self.node, &name)?;
        self.node.set_name(name);
        Ok(())
    }

    fn listen(&self, common: &Common, backlog: i32) -> Result<(), Errno> {
        if is_datagram(common.kind) {
            return Err(Errno::EOPNOTSUPP);
        }
        let _changing = self.changing.lock();
        if self.node.name() == UnixName::Unnamed || self.end.is_completed() {
            return Err(Errno::EINVAL);
        }
        *self.node.credentials.lock() = Some(Credentials::own());
        let limit = (backlog.cast_unsigned() as usize).min(BACKLOG_MAX);
        self.node.listen(limit);
        Ok(())
    }

    fn accept(&self, common: &Common, nonblocking: bool) -> Result<Socket, Errno> {
        if is_datagram(common.kind) {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.node.listens() {
            return Err(Errno::EINVAL);
        }
        let node = &self.node;
        let end = common.receive_patience(nonblocking).wait(
            &common.events.readers,
            || match node.take() {
                Some(end) => Some(Ok(end)),
                None => {
                    let ended = self.ended.load(Ordering::SeqCst);
                    ended.then_some(Err(Errno::EINVAL))
                }
            },
        )??;
        let child = Common::with_events(
            common.family,
            common.kind,
            common.protocol,
            end.events().clone(),
        );
        child.set(
            options::PASS_CREDENTIALS,
            common.has(options::PASS_CREDENTIALS),
        );
        let unix = Self::with(&child, Once::initialized(end));
        Ok(Socket::new(child, Kind::Unix(unix)))
    }

    fn connect(&self, common: &Common, to: &Given, nonblocking: bool) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        if is_datagram(common.kind) {
            return self.aim(to);
        }
        let name = unix_name(to)?;
        let patience = common.send_patience(nonblocking);
        loop {
            let other = names::find(common.kind, &name)?;
            if self.end.is_completed() {
                return Err(Errno::EISCONN);
            }
            if self.node.listens() {
                return Err(Errno::EINVAL);
            }
            let credentials = *other.credentials.lock();
            let server = Party {
                events: Arc::default(),
                name: other.name(),
                credentials: credentials.unwrap_or_else(Credentials::own),
                room: options::BUFFER_DEFAULT as usize,
            };
            let packets = common.kind == abi::SOCK_SEQPACKET;
            let (client, server) = connection::open([self.party(common), server], packets);
            match other.offer(server) {
                Ok(()) => {
                    self.end.call_once(|| client);
                    common.events.changed();
                    return Ok(());
                }
                Err((Errno::EAGAIN, _)) => {
                    patience.wait(&other.room, || other.may_offer().then_some(()))?;
                }
                Err((errno, _)) => return Err(errno),
            }
        }
    }

    fn send(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        // Urgent data is not provided. What is not connected, or has an address, is told before that, as on Linux, where
        // streams have it.
        let unconnected = common.kind != abi::SOCK_DGRAM && !self.end.is_completed();
        let addressed = common.kind == abi::SOCK_STREAM && how.addressed().is_some();
        if how.flags & abi::MSG_OOB != 0 && !unconnected && !addressed {
            return Err(Errno::EOPNOTSUPP);
        }
        how.control.check()?;
        match common.kind {
            abi::SOCK_STREAM => self.send_bytes(common, io, how),
            abi::SOCK_SEQPACKET => self.send_packet(common, io, how),
            _ => self.send_datagram(common, io, how),
        }
    }

    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        if how.has(abi::MSG_OOB) {
            return Err(match common.kind {
                abi::SOCK_STREAM => Errno::EINVAL,
                _ => Errno::EOPNOTSUPP,
            });
        }
        match common.kind {
            abi::SOCK_STREAM => self.receive_bytes(common, io, how),
            _ => self.receive_message(common, io, how),
        }
    }

    fn shutdown(&self, common: &Common, halves: Halves) -> Result<(), Errno> {
        if let Some(end) = self.end.get() {
            end.shut(halves.reading, halves.writing);
            return Ok(());
        }
        if halves.reading {
            self.node.mailbox.close();
        }
        if halves.writing || self.node.listens() && halves.reading {
            self.ended.store(true, Ordering::SeqCst);
        }
        common.events.changed();
        Ok(())
    }

    fn local(&self) -> Address {
        let own = self.node.name();
        Address::Unix(match self.end.get() {
            Some(end) if own == UnixName::Unnamed => end.local(),
            _ => own,
        })
    }

    fn remote(&self) -> Result<Address, Errno> {
        if let Some(end) = self.end.get() {
            return Ok(Address::Unix(end.remote()));
        }
        let peer = self.node.peer.lock().clone();
        let peer = peer.ok_or(Errno::ENOTCONN)?;
        Ok(Address::Unix(peer.name()))
    }

    fn poll(&self, common: &Common) -> PollEvents {
        let mut events = PollEvents::empty();
        events.set(PollEvents::ERR, common.events.error().is_some());
        if let Some(end) = self.end.get() {
            let (no_input, no_output) =
                (end.incoming().stream.ended(), end.outgoing().stream.ended());
            events.set(READABLE, no_input || end.has_input());
            events.set(PollEvents::RDHUP, no_input);
            events.set(PollEvents::HUP, no_input && no_output);
            let room = match end.packets() {
                true => self.quota.writable(),
                false => end.outgoing().stream.writable(),
            };
            events.set(WRITABLE, room);
            return events;
        }
        if self.node.listens() {
            events.set(READABLE, self.node.ready() > 0);
            if self.ended.load(Ordering::SeqCst) {
                events |= READABLE | PollEvents::RDHUP;
            }
            return events;
        }
        let declined = self.node.mailbox.is_closed();
        if !is_datagram(common.kind) {
            events.set(READABLE | PollEvents::RDHUP, declined);
            return events | PollEvents::HUP | WRITABLE;
        }
        events.set(READABLE, declined || self.node.mailbox.len() > 0);
        events.set(PollEvents::RDHUP, declined);
        let ended = self.ended.load(Ordering::SeqCst);
        events.set(PollEvents::HUP, declined && ended);
        events.set(WRITABLE, self.quota.writable() && !self.peer_is_crowded());
        events
    }

    fn set_option(
        &self,
        _common: &Common,
        _level: u32,
        _name: u32,
        _value: &[u8],
    ) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn option(
        &self,
        _common: &Common,
        level: u32,
        name: u32,
        _length: usize,
    ) -> Result<Vec<u8>, Errno> {
        match (level, name) {
            (abi::SOL_SOCKET, abi::SO_PEERCRED) => {
                let peer = match self.end.get() {
                    Some(end) => Some(end.peer_credentials()),
                    None if self.node.peer.lock().is_some() => Some(Credentials::own()),
                    None => *self.node.credentials.lock(),
                };
                Ok(peer.unwrap_or(Credentials::NOBODY).bytes().to_vec())
            }
            (abi::SOL_SOCKET, abi::SO_PEERGROUPS) => Ok(int_out(0)[..0].to_vec()),
            (abi::SOL_SOCKET, _) => Err(Errno::ENOPROTOOPT),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn options_changed(&self, common: &Common) {
        self.quota.set_limit(room(common));
        if let Some(end) = self.end.get() {
            end.outgoing().stream.set_capacity(room(common));
        }
    }

    fn readable_bytes(&self) -> SysResult {
        if self.node.listens() {
            return Err(Errno::EINVAL);
        }
        let first = |message: &node::Message| message.length;
        Ok(match self.end.get() {
            Some(end) if end.packets() => end.incoming().mailbox.with_first(first).unwrap_or(0),
            Some(end) => end.incoming().stream.unread(),
            None => self.node.mailbox.with_first(first).unwrap_or(0),
        })
    }

    fn unsent_bytes(&self) -> SysResult {
        if self.node.listens() {
            return Err(Errno::EINVAL);
        }
        Ok(match self.end.get() {
            Some(end) if !end.packets() => end.outgoing().stream.unread(),
            _ => self.quota.used(),
        })
    }

    fn listens(&self) -> bool {
        self.node.listens()
    }

    fn close(&self, _common: &Common) {
        self.node.close();
        if let Some(end) = self.end.get() {
            end.close();
        }
        rights::collect();
    }
}
