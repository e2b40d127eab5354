//! TCP (tcp(7)).
//!
//! A socket is idle, or listens ([`Listener`]), or is one end of a connection. A connection inside this machine is two
//! byte streams joined back to back ([`connection`]): no segment is ever made. What differs from Linux's loopback is only
//! what cannot be seen from a program: sequence numbers, delayed acknowledgements, window probes. One to another machine
//! has the same two streams, and at their far end a [`Wire`] that speaks TCP.
//!
//! `end` and `listener` are set once and read without a lock; `binding` is a spin lock of the rare calls. Sending takes
//! the locks of one stream, receiving those of the other.
mod buffers;
pub mod connection;
mod listener;
mod options;
mod wire;
mod wires;

pub use listener::Listener;
pub use wire::{Tuning, Wire};
pub use wires::{count, input, unreachable};

use self::connection::{DEFAULT_ROOM, End, Joined};
use self::wires::Ends;
use super::events::Events;
use super::options::{KEEP_ALIVE, REUSE, REUSE_PORT, V6_ONLY};
use super::socket::{Common, Halves, Kind, Patience, Protocol, Receiving, Sending, Socket};
use super::table::{self, Claim};
use super::{inet, interface, ip};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::sync::{SleepMutex, SpinLock};
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::ports::Bound;
use ringo_net::{Address, sockaddr};
use spin::Once;

/// net.core.somaxconn.
pub const BACKLOG_MAX: usize = 4096;
/// How long a connection waits for a listener's room: what Linux's six repeated SYNs take.
const CONNECT_TIMEOUT: u64 = 127_000_000_000;

/// See the module's head.
pub struct Tcp {
    v6: bool,
    end: Once<End>,
    listener: Once<Arc<Listener>>,
    /// Where bind(2), listen(2) or connect(2) put it.
    binding: SpinLock<Option<(SocketAddr, Claim)>>,
    /// One connect(2) or listen(2) at a time.
    changing: SleepMutex<()>,
    /// connect(2) said EINPROGRESS; the next one says how it went.
    in_progress: AtomicBool,
    /// A connection was refused.
    refused: AtomicBool,
    options: options::Options,
}

impl Tcp {
    /// An idle socket.
    pub fn new(v6: bool) -> Self {
        Self {
            v6,
            end: Once::new(),
            listener: Once::new(),
            binding: SpinLock::new(None),
            changing: SleepMutex::new(()),
            in_progress: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            options: options::Options::new(v6),
        }
    }

    fn accepted(&self, end: End) -> Self {
        Self {
            v6: self.v6,
            end: Once::initialized(end),
            listener: Once::new(),
            binding: SpinLock::new(None),
            changing: SleepMutex::new(()),
            in_progress: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            options: self.options.inherited(),
        }
    }

    fn bound(&self, common: &Common, address: SocketAddr) -> Bound {
        Bound {
            ip: address.ip(),
            remote: None,
            v6_only: common.has(V6_ONLY),
            reuse: common.has(REUSE),
            reuse_port: common.has(REUSE_PORT),
            listening: false,
        }
    }

    /// Binds to `address`, whose port may be 0.
    fn bind_to(&self, common: &Common, mut address: SocketAddr) -> Result<(), Errno> {
        if self.binding.lock().is_some() || self.end.is_completed() {
            return Err(Errno::EINVAL);
        }
        let claim = table::TCP.bind(address.port(), self.bound(common, address), None)?;
        address.set_port(claim.port);
        *self.binding.lock() = Some((address, claim));
        Ok(())
    }

    /// An address as this socket shows it.
    fn shown(&self, address: SocketAddr) -> Address {
        Address::Inet(inet::shown(address, self.v6))
    }

    fn established(&self) -> Option<&End> {
        self.end.get().filter(|end| end.established())
    }

    /// Where a connection to `to` is from; its port may be 0.
    fn source(&self, to: SocketAddr) -> Result<SocketAddr, Errno> {
        let bound = *self.binding.lock();
        let from = match bound {
            Some((address, _)) if !address.ip().is_unspecified() => address,
            Some((address, _)) => SocketAddr::new(interface::source_for(to.ip())?, address.port()),
            None => SocketAddr::new(interface::source_for(to.ip())?, 0),
        };
        if from.is_ipv4() == to.is_ipv4() {
            Ok(from)
        } else {
            Err(Errno::ENETUNREACH)
        }
    }

    /// connect(2) to another machine.
    fn dial(&self, common: &Common, to: SocketAddr) -> Result<&End, Errno> {
        let from = self.source(to)?;
        let network = ip::network().ok_or(Errno::ENETUNREACH)?;
        if from.ip().is_loopback() {
            return Err(Errno::EINVAL);
        }
        let reuse = common.has(REUSE);
        let local = table::TCP.connect(from, to, reuse)?;
        let ends = Ends { local, remote: to };
        match Wire::dial(network, ends, reuse, common.events.clone()) {
            Ok((end, wire)) => {
                let end = self.end.call_once(|| end);
                wire.tune(self.tuning(common));
                wire.run_now();
                Ok(end)
            }
            Err(errno) => {
                table::TCP.disconnect(local, to);
                table::TCP.remove_user(local, reuse, false);
                Err(errno)
            }
        }
    }

    /// What of the options concerns segments.
    fn tuning(&self, common: &Common) -> Tuning {
        let number = |name| self.options.number(name).cast_unsigned();
        let silence = number(abi::TCP_KEEPIDLE);
        let more = number(abi::TCP_KEEPINTVL).saturating_mul(number(abi::TCP_KEEPCNT));
        Tuning {
            nodelay: number(abi::TCP_NODELAY) != 0,
            keep_alive: common.has(KEEP_ALIVE).then_some((silence, more)),
        }
    }

    /// Options changed: tells who makes the segments.
    fn tune(&self, common: &Common) {
        if let Some(wire) = self.end.get().and_then(End::wire) {
            wire.tune(self.tuning(common));
        }
    }

    /// connect(2) on this machine.
    fn join(&self, common: &Common, to: SocketAddr) -> Result<&End, Errno> {
        let from = self.source(to)?;
        let reuse = common.has(REUSE);
        // The port first: it decides between listeners that share theirs.
        let from = table::TCP.connect(from, to, reuse)?;
        let listens =
            |entry: &ringo_net::ports::Entry<Option<Arc<Listener>>>| entry.value.is_some();
        let listener = table::TCP
            .find(to, from, listens, |entry| entry.value.clone())
            .flatten();
        let Some(listener) = listener else {
            table::TCP.disconnect(from, to);
            table::TCP.remove_user(from, reuse, false);
            return Err(Errno::ECONNREFUSED);
        };
        let events = [common.events.clone(), Arc::new(Events::default())];
        let reuse = [Some(reuse), Some(listener.reuse)];
        let (client, server) = Joined::open([from, to], reuse, events, DEFAULT_ROOM);
        listener.offer(server)?;
        Ok(self.end.call_once(|| client))
    }

    /// Waits until the listener has taken the connection.
    fn await_listener(common: &Common, end: &End, patience: Patience) -> Result<(), Errno> {
        let give_up = time::now() + CONNECT_TIMEOUT;
        let done = || {
            let over = end.established() || end.is_reset() || time::now() >= give_up;
            over.then_some(())
        };
        patience
            .wait(&common.events.writers, done)
            .map_err(|errno| match errno {
                Errno::EAGAIN => Errno::EINPROGRESS,
                other => other,
            })?;
        if let Some(errno) = common.events.take_error() {
            return Err(errno);
        }
        if end.established() {
            Ok(())
        } else {
            Err(Errno::ETIMEDOUT)
        }
    }

    /// Whether something is wrong with sending now.
    #[inline]
    fn cannot_send(common: &Common, end: &End) -> bool {
        common.events.error().is_some() || end.outgoing().ended() || end.is_reset()
    }

    /// read(2) in its two common cases: something is there, or nothing is and nobody waits for it. None: the long way.
    #[inline]
    pub fn read_now(
        &self,
        common: &Common,
        io: &mut UserIo,
        nonblocking: bool,
    ) -> Option<SysResult> {
        let end = self.established()?;
        let stream = end.incoming();
        if stream.unread() == 0 {
            let waits = !nonblocking || end.no_more_input() || common.events.error().is_some();
            return (!waits).then_some(Err(Errno::EAGAIN));
        }
        if common.low_water.load(Ordering::Relaxed) > 1 {
            return None;
        }
        let went = stream.read(io, |(), _| true);
        end.took();
        match went {
            Ok(0) => None,
            result if stream.unread() == 0 => Some(result),
            result => {
                // More than this reader wanted: the next one's.
                common.events.readers.wake_one();
                Some(result)
            }
        }
    }

    /// write(2) in its common case: all of it finds room. None: the long way, with what is left.
    #[inline]
    pub fn write_now(&self, common: &Common, io: &mut UserIo) -> Option<SysResult> {
        let end = self.established()?;
        let stream = end.outgoing();
        if io.remaining() > stream.room() || !stream.is_open() || Self::cannot_send(common, end) {
            return None;
        }
        let empty = io.remaining() == 0;
        match stream.write(io, || ()) {
            // The reader went meanwhile.
            Ok(0) if !empty => None,
            result => {
                end.moved();
                Some(result)
            }
        }
    }

    /// The end to send or receive with, once it is established.
    fn connected(&self, common: &Common, patience: Patience) -> Result<Option<&End>, Errno> {
        let Some(end) = self.end.get() else {
            return Ok(None);
        };
        if !end.established() && !end.is_reset() {
            if patience.none() {
                return Err(Errno::EAGAIN);
            }
            Self::await_listener(common, end, patience)?;
        }
        Ok(Some(end))
    }
}

impl Protocol for Tcp {
    fn bind(&self, common: &Common, address: &Address) -> Result<(), Errno> {
        let address = inet::to_bind(address, self.v6, common.has(V6_ONLY))?;
        if address.ip().is_multicast() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.bind_to(common, address)
    }

    fn listen(&self, common: &Common, backlog: i32) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        // A negative number is a very large one, as on Linux.
        let limit = (backlog.cast_unsigned() as usize).min(BACKLOG_MAX);
        if self.end.is_completed() {
            return Err(Errno::EINVAL);
        }
        if let Some(listener) = self.listener.get() {
            listener.set_limit(limit);
            return Ok(());
        }
        if self.binding.lock().is_none() {
            let any = SocketAddr::new(sockaddr::unspecified(self.v6), 0);
            self.bind_to(common, any)?;
        }
        let Some((_, claim)) = *self.binding.lock() else {
            return Err(Errno::EINVAL);
        };
        let listener = Arc::new(Listener::new(
            common.events.clone(),
            limit,
            common.has(REUSE),
        ));
        table::TCP.update_if_allowed(claim, |entry| {
            entry.bound.listening = true;
            entry.value = Some(listener.clone());
        })?;
        self.listener.call_once(|| listener);
        Ok(())
    }

    fn accept(&self, common: &Common, nonblocking: bool) -> Result<Socket, Errno> {
        let listener = self.listener.get().ok_or(Errno::EINVAL)?;
        let end = common
            .receive_patience(nonblocking)
            .wait(&common.events.readers, || match listener.take() {
                Some(end) => Some(Ok(end)),
                None => listener.is_closed().then_some(Err(Errno::EINVAL)),
            })??;
        let child = common.accepted(end.events().clone());
        let accepted = self.accepted(end);
        accepted.tune(&child);
        Ok(Socket::new(child, Kind::Tcp(accepted)))
    }

    fn connect(&self, common: &Common, to: &Address, nonblocking: bool) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        if *to == Address::Unspecified {
            if let Some(end) = self.end.get() {
                end.close(true);
            }
            return Ok(());
        }
        if self.listener.is_completed() {
            return Err(Errno::EISCONN);
        }
        let patience = common.send_patience(nonblocking);
        if let Some(end) = self.end.get() {
            if end.established() {
                return match self.in_progress.swap(false, Ordering::Relaxed) {
                    true => common.events.take_error().map_or(Ok(()), Err),
                    false => Err(Errno::EISCONN),
                };
            }
            if nonblocking && !end.is_reset() {
                return Err(Errno::EALREADY);
            }
            return Self::await_listener(common, end, patience);
        }
        if let Some(errno) = common.events.take_error() {
            return Err(errno);
        }
        let to = inet::to_connect(to, self.v6)?;
        let joined = match interface::is_local(to.ip()) {
            true => self.join(common, to),
            false => self.dial(common, to),
        };
        match joined {
            Ok(end) if end.established() && !nonblocking => {
                common.events.poll.notify(super::events::WRITABLE);
                Ok(())
            }
            Ok(end) if !nonblocking => Self::await_listener(common, end, patience),
            // Linux answers before the answer to its SYN is looked at.
            Ok(_) => {
                self.in_progress.store(true, Ordering::Relaxed);
                Err(Errno::EINPROGRESS)
            }
            Err(Errno::ECONNREFUSED) => {
                self.refused.store(true, Ordering::Relaxed);
                if nonblocking {
                    common.events.fail(Errno::ECONNREFUSED);
                    return Err(Errno::EINPROGRESS);
                }
                Err(Errno::ECONNREFUSED)
            }
            Err(errno) => Err(errno),
        }
    }

    fn send(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        if how.flags & abi::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let patience = common.send_patience(how.nonblocking);
        let Some(end) = self.connected(common, patience)? else {
            return Err(common.events.take_error().unwrap_or(Errno::EPIPE));
        };
        let mut done = 0;
        loop {
            if Self::cannot_send(common, end) {
                // The error stays for the next call if this one has sent something.
                return match done {
                    0 => Err(common.events.take_error().unwrap_or(Errno::EPIPE)),
                    done => Ok(done),
                };
            }
            if end.sends_into_void() {
                // As much as would have been on its way before the answer came.
                let count = io.remaining().min(DEFAULT_ROOM);
                end.bounce();
                return Ok(done + count);
            }
            match end.outgoing().write(io, || ()) {
                Ok(went) => done += went,
                Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
            }
            end.moved();
            if io.remaining() == 0 {
                return Ok(done);
            }
            let ready = || {
                let go_on = end.outgoing().writable()
                    || end.sends_into_void()
                    || end.is_reset()
                    || end.outgoing().ended();
                go_on.then_some(())
            };
            match patience.wait(&common.events.writers, ready) {
                Ok(()) => {}
                Err(_) if done > 0 => return Ok(done),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        if how.has(abi::MSG_OOB) {
            return Err(Errno::EINVAL);
        }
        let patience = common.receive_patience(how.nonblocking);
        let Some(end) = self.connected(common, patience)? else {
            let error = common.events.take_error();
            return match error {
                Some(errno) => Err(errno),
                None if self.refused.load(Ordering::Relaxed) => Ok(0),
                None => Err(Errno::ENOTCONN),
            };
        };
        let stream = end.incoming();
        let peek = how.has(abi::MSG_PEEK);
        let target = match how.has(abi::MSG_WAITALL) {
            true => io.remaining(),
            false => (common.low_water.load(Ordering::Relaxed) as usize).min(io.remaining()),
        };
        let mut done = 0;
        loop {
            let went = if peek {
                stream.peek(io, |_, _| true)
            } else if how.has(abi::MSG_TRUNC) {
                let went = stream.discard(io.remaining());
                io.truncate(io.remaining() - went);
                Ok(went)
            } else {
                stream.read(io, |_, _| true)
            };
            end.took();
            match went {
                Ok(went) => done += went,
                Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
            }
            if done >= target || (peek && done > 0) {
                break;
            }
            if stream.unread() > 0 {
                continue;
            }
            if end.no_more_input() || common.events.error().is_some() {
                // What came before the end was pushed before it was told.
                if stream.unread() > 0 {
                    continue;
                }
                let quiet = done > 0 || stream.ended() || stream.declined();
                match common.events.error() {
                    Some(_) if !quiet => {
                        return Err(common.events.take_error().unwrap_or(Errno::ECONNRESET));
                    }
                    _ => break,
                }
            }
            let ready = || {
                let look =
                    stream.unread() > 0 || end.no_more_input() || common.events.error().is_some();
                look.then_some(())
            };
            match patience.wait(&common.events.readers, ready) {
                Ok(()) => {}
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        if !peek && stream.unread() > 0 {
            // More than this reader wanted: the next one's.
            common.events.readers.wake_one();
        }
        Ok(done)
    }

    fn shutdown(&self, common: &Common, halves: Halves) -> Result<(), Errno> {
        if let Some(listener) = self.listener.get() {
            if halves.reading {
                listener.close();
                self.release();
            }
            return Ok(());
        }
        let end = self.end.get().filter(|end| !end.is_closed());
        let end = end.ok_or(Errno::ENOTCONN)?;
        if halves.reading {
            end.decline_input();
        }
        if halves.writing {
            end.end_output();
        }
        common.events.changed();
        Ok(())
    }

    fn local(&self) -> Address {
        let address = match self.end.get() {
            Some(end) => end.local(),
            None => match *self.binding.lock() {
                Some((address, _)) => address,
                None => SocketAddr::new(sockaddr::unspecified(self.v6), 0),
            },
        };
        self.shown(address)
    }

    fn remote(&self) -> Result<Address, Errno> {
        let end = self.established().filter(|end| !end.is_closed());
        end.map(|end| self.shown(end.remote()))
            .ok_or(Errno::ENOTCONN)
    }

    fn poll(&self, common: &Common) -> PollEvents {
        if let Some(end) = self.end.get() {
            return end.poll(common.low_water.load(Ordering::Relaxed) as usize);
        }
        if let Some(listener) = self.listener.get() {
            let mut events = PollEvents::empty();
            events.set(super::events::READABLE, listener.ready() > 0);
            if listener.ready() == 0 && listener.is_closed() {
                events |= PollEvents::HUP | super::events::READABLE | PollEvents::RDHUP;
            }
            return events;
        }
        let mut events = PollEvents::HUP | super::events::WRITABLE;
        if self.refused.load(Ordering::Relaxed) {
            events |= super::events::READABLE | PollEvents::RDHUP;
        }
        events.set(PollEvents::ERR, common.events.error().is_some());
        events
    }

    fn set_option(
        &self,
        common: &Common,
        level: u32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        match level {
            abi::SOL_TCP => {
                self.options.set(name, value)?;
                self.tune(common);
                Ok(())
            }
            _ => inet::set_option(common, &self.options.ip, self.v6, level, name, value),
        }
    }

    fn option(
        &self,
        common: &Common,
        level: u32,
        name: u32,
        length: usize,
    ) -> Result<Vec<u8>, Errno> {
        match level {
            abi::SOL_TCP => self.options.get(self, name, length),
            _ => inet::option(common, &self.options.ip, level, name),
        }
    }

    fn options_changed(&self, common: &Common) {
        if let Some((_, claim)) = *self.binding.lock() {
            table::TCP.update(claim, |entry| {
                entry.bound.reuse = common.has(REUSE);
                entry.bound.reuse_port = common.has(REUSE_PORT);
            });
        }
        let size = common.send_buffer.load(Ordering::Relaxed);
        if let Some(end) = self.end.get().filter(|_| size != 0) {
            end.outgoing().set_capacity(size as usize);
        }
        self.tune(common);
    }

    fn readable_bytes(&self) -> SysResult {
        if self.listener.is_completed() {
            return Err(Errno::EINVAL);
        }
        Ok(self.end.get().map_or(0, |end| end.incoming().unread()))
    }

    fn unsent_bytes(&self) -> SysResult {
        if self.listener.is_completed() {
            return Err(Errno::EINVAL);
        }
        // Inside this machine what was sent has arrived: there is nothing between the ends.
        let wire = self.end.get().and_then(|end| Some((end, end.wire()?)));
        Ok(wire.map_or(0, |(end, wire)| end.outgoing().unread() + wire.unsent()))
    }

    fn listens(&self) -> bool {
        self.listener
            .get()
            .is_some_and(|listener| !listener.is_closed())
    }

    fn close(&self, common: &Common) {
        self.release();
        if let Some(listener) = self.listener.get() {
            listener.close();
        }
        if let Some(end) = self.end.get() {
            end.close(common.linger.load(Ordering::Relaxed) == 0);
        }
    }
}

impl Tcp {
    /// Gives the port back.
    fn release(&self) {
        if let Some((_, claim)) = self.binding.lock().take() {
            table::TCP.release(claim);
        }
    }
}
