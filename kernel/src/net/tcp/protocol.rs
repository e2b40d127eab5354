//! What system calls do to a socket of TCP: [`Protocol`] for [`Tcp`].
use super::connection::DEFAULT_ROOM;
use super::listener::Listener;
use super::{BACKLOG_MAX, Tcp};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::net::events::{READABLE, WRITABLE};
use crate::net::options::{REUSE, REUSE_PORT, V6_ONLY};
use crate::net::socket::{Common, Halves, Kind, Protocol, Receiving, Sending, Socket};
use crate::net::{inet, interface, table};
use crate::sync::Wait;
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::Address;
use ringo_net::sockaddr::{self, Given};

impl Protocol for Tcp {
    fn bind(&self, common: &Common, address: &Given) -> Result<(), Errno> {
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

    fn connect(&self, common: &Common, to: &Given, nonblocking: bool) -> Result<(), Errno> {
        let family = to.family().ok_or(Errno::EINVAL)?;
        let _changing = self.changing.lock();
        if family == abi::AF_UNSPEC {
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
            if end.is_reset() {
                // How it went was told already, by SO_ERROR.
                return Err(common.events.take_error().unwrap_or(Errno::ECONNABORTED));
            }
            if nonblocking {
                return Err(Errno::EALREADY);
            }
            return Self::await_listener(common, end, patience);
        }
        if let Some(errno) = common.events.take_error() {
            return Err(errno);
        }
        let to = inet::to_connect_for_good(to, self.v6)?;
        let joined = match interface::is_local(to.ip()) {
            true => self.join(common, to),
            false => self.dial(common, to),
        };
        match joined {
            Ok(end) if end.established() && !nonblocking => {
                common.events.poll.notify(WRITABLE);
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
        let patience = common.send_patience(how.nonblocking);
        let Some(end) = self.connected(common, patience)? else {
            return Err(common.events.take_error().unwrap_or(Errno::EPIPE));
        };
        how.control.check()?;
        // Urgent data is not provided.
        if how.flags & abi::MSG_OOB != 0 && !Self::cannot_send(common, end) {
            return Err(Errno::EOPNOTSUPP);
        }
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
        if how.has(abi::MSG_OOB) && !self.listener.is_completed() {
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
            events.set(READABLE, listener.ready() > 0);
            if listener.ready() == 0 && listener.is_closed() {
                events |= PollEvents::HUP | READABLE | PollEvents::RDHUP;
            }
            return events;
        }
        let mut events = PollEvents::HUP | WRITABLE;
        if self.refused.load(Ordering::Relaxed) {
            events |= READABLE | PollEvents::RDHUP;
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
            _ => {
                let connected = self.established().is_some();
                inet::option(common, &self.options.ip, level, name, connected)
            }
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
        let Some(end) = self.end.get() else { return };
        let linger = common.linger.load(Ordering::Relaxed);
        end.close(linger == 0);
        if linger > 0
            && let Some(wire) = end.wire()
        {
            // As long as SO_LINGER says, until the other side has all of it; O_NONBLOCK does not matter, as on Linux.
            let deadline = time::now() + linger.cast_unsigned() as u64 * 1_000_000_000;
            let how = Wait::interruptible().deadline(Some(deadline));
            let arrived = || wire.is_confirmed().then_some(());
            let _ = common.events.writers.wait_until(how, arrived);
        }
    }
}
