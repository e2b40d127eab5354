//! Sending and receiving on Unix sockets.
use super::super::buffer::Buffer;
use super::super::options::PASS_CREDENTIALS;
use super::super::socket::{Common, Receiving, Sending};
use super::Unix;
use super::node::{Message, Node};
use super::parcel::{self, Parcel};
use super::rights::Rights;
use crate::memory::user::UserIo;
use crate::net::events::Events;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::Ordering;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::{Address, UnixName};

/// What Linux keeps of SO_SNDBUF when it looks whether a message fits at all.
const RESERVE: usize = 32;

impl Unix {
    /// SOCK_STREAM.
    pub(super) fn send_bytes(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        let end = self.end.get();
        if how.addressed().is_some() {
            return Err(match end {
                Some(_) => Errno::EISCONN,
                None => Errno::EOPNOTSUPP,
            });
        }
        let end = end.ok_or(Errno::ENOTCONN)?;
        let stream = &end.outgoing().stream;
        let patience = common.send_patience(how.nonblocking);
        let rights = Rights::new(&how.control.rights, end.peer_events())?;
        let rights = Cell::new(rights);
        let mut done = 0;
        loop {
            if stream.ended() {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EPIPE)
                };
            }
            match stream.write(io, || Parcel::new(how, rights.take())) {
                Ok(went) => done += went,
                Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
            }
            if io.remaining() == 0 {
                return Ok(done);
            }
            let ready = || (stream.writable() || stream.ended()).then_some(());
            match patience.wait(&common.events.writers, ready) {
                Ok(()) => {}
                Err(_) if done > 0 => return Ok(done),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// SOCK_STREAM.
    pub(super) fn receive_bytes(
        &self,
        common: &Common,
        io: &mut UserIo,
        how: &mut Receiving,
    ) -> SysResult {
        let end = self.end.get().ok_or(Errno::EINVAL)?;
        let stream = &end.incoming().stream;
        let patience = common.receive_patience(how.nonblocking);
        let peek = how.has(abi::MSG_PEEK);
        let target = match how.has(abi::MSG_WAITALL) {
            true => io.remaining(),
            false => (common.low_water.load(Ordering::Relaxed) as usize).min(io.remaining()),
        };
        let tells_sender = common.has(PASS_CREDENTIALS);
        let mut sender = None;
        let mut known = false;
        let mut rights = Vec::new();
        let mut done = 0;
        let result = loop {
            // Bytes of one sender only, and none behind those that open files came with.
            let mut goes_on = |parcel: &Parcel, has_rights: bool| {
                if has_rights || known && tells_sender && !parcel.same_sender(sender) {
                    return false;
                }
                (sender, known) = (parcel.credentials(), true);
                true
            };
            let went = if peek {
                stream.peek(io, |parcel, _| {
                    let go = goes_on(parcel, !rights.is_empty());
                    if go {
                        rights = parcel.rights();
                    }
                    go
                })
            } else {
                stream.read(io, |parcel, _| {
                    let go = goes_on(parcel, !rights.is_empty());
                    if go && parcel.has_rights() {
                        rights = parcel.take_rights();
                    }
                    go
                })
            };
            match went {
                Ok(went) => done += went,
                Err(errno) if done == 0 => break Err(errno),
                Err(_) => break Ok(()),
            }
            if done >= target || !rights.is_empty() || (peek && done > 0) {
                break Ok(());
            }
            if stream.unread() > 0 {
                if done > 0 && tells_sender {
                    break Ok(());
                }
                continue;
            }
            if common.events.error().is_some() && done == 0 {
                break Err(common.events.take_error().unwrap_or(Errno::ECONNRESET));
            }
            if stream.ended() {
                if stream.unread() > 0 {
                    continue;
                }
                break Ok(());
            }
            let ready = || {
                let look = stream.unread() > 0 || stream.ended() || common.events.error().is_some();
                look.then_some(())
            };
            match patience.wait(&common.events.readers, ready) {
                Ok(()) => {}
                Err(_) if done > 0 => break Ok(()),
                Err(errno) => break Err(errno),
            }
        };
        if known {
            parcel::tell(common, sender, rights, how);
        }
        if how.wants_address {
            how.from = named(end.remote());
        }
        if !peek && stream.unread() > 0 {
            common.events.readers.wake_one();
        }
        result.map(|()| done)
    }

    /// What `io` holds, for the socket with `to`'s events.
    fn message(
        &self,
        io: &mut UserIo,
        how: &Sending,
        from: UnixName,
        to: &Arc<Events>,
    ) -> Result<Message, Errno> {
        let rights = Rights::new(&how.control.rights, to)?;
        let length = io.remaining();
        let mut data = Buffer::take(length)?;
        if io.copy_in(&mut data[..length])? < length {
            return Err(Errno::EFAULT);
        }
        Ok(Message {
            data,
            length,
            from,
            parcel: Parcel::new(how, rights),
            _counted: self.quota.count(length),
        })
    }

    fn check_size(&self, io: &UserIo) -> Result<(), Errno> {
        if io.remaining() > self.quota.limit().saturating_sub(RESERVE) {
            Err(Errno::EMSGSIZE)
        } else {
            Ok(())
        }
    }

    /// SOCK_SEQPACKET.
    pub(super) fn send_packet(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        let end = self.end.get().ok_or(Errno::ENOTCONN)?;
        self.check_size(io)?;
        let half = end.outgoing();
        let patience = common.send_patience(how.nonblocking);
        patience.wait(&common.events.writers, || {
            (self.quota.has_room() || half.stream.ended()).then_some(())
        })?;
        if half.stream.ended() {
            return Err(Errno::EPIPE);
        }
        let message = self.message(io, how, end.local(), end.peer_events())?;
        let length = message.length;
        if !half.mailbox.push(message, true) {
            return Err(match half.mailbox.is_closed() {
                true => Errno::EPIPE,
                false => Errno::ENOBUFS,
            });
        }
        end.peer_events().readable();
        Ok(length)
    }

    /// Whether messages to the peer must wait for it.
    pub(super) fn peer_is_crowded(&self) -> bool {
        let peer = self.node.peer.lock().clone();
        peer.is_some_and(|peer| self.is_crowded(&peer))
    }

    /// Whether messages to `to` must wait for it. Asked so, this socket will be told when they need not.
    fn is_crowded(&self, to: &Arc<Node>) -> bool {
        let ours = to
            .peer
            .lock()
            .as_ref()
            .is_some_and(|peer| Arc::ptr_eq(peer, &self.node));
        if ours || Arc::ptr_eq(to, &self.node) || !to.is_crowded() {
            return false;
        }
        to.block(&self.node.events);
        to.is_crowded()
    }

    /// SOCK_DGRAM.
    pub(super) fn send_datagram(
        &self,
        common: &Common,
        io: &mut UserIo,
        how: &Sending,
    ) -> SysResult {
        if self.ended.load(Ordering::SeqCst) {
            return Err(Errno::EPIPE);
        }
        if let Some(errno) = common.events.take_error() {
            return Err(errno);
        }
        let given = how.addressed().map(super::unix_name).transpose()?;
        let peer = match given {
            None => Some(self.node.peer.lock().clone().ok_or(Errno::ENOTCONN)?),
            Some(_) => None,
        };
        self.check_size(io)?;
        let to = match (peer, &given) {
            (Some(peer), _) => peer,
            (None, Some(name)) => super::names::find(common.kind, name)?,
            (None, None) => return Err(Errno::ENOTCONN),
        };
        if to.is_dead() {
            if given.is_none() {
                *self.node.peer.lock() = None;
            }
            return Err(Errno::ECONNREFUSED);
        }
        self.check_may_send(&to)?;
        if to.mailbox.is_closed() {
            return Err(Errno::EPIPE);
        }
        let patience = common.send_patience(how.nonblocking);
        patience.wait(&common.events.writers, || {
            let go = to.is_dead() || self.quota.has_room() && !self.is_crowded(&to);
            go.then_some(())
        })?;
        let message = self.message(io, how, self.node.name(), &to.events)?;
        let length = message.length;
        if !to.mailbox.push(message, true) {
            return Err(match to.mailbox.is_closed() {
                _ if to.is_dead() => Errno::ECONNREFUSED,
                true => Errno::EPIPE,
                false => Errno::ENOBUFS,
            });
        }
        to.events.readable();
        Ok(length)
    }

    /// SOCK_DGRAM and SOCK_SEQPACKET.
    pub(super) fn receive_message(
        &self,
        common: &Common,
        io: &mut UserIo,
        how: &mut Receiving,
    ) -> SysResult {
        let end = self.end.get();
        if end.is_none() && common.kind == abi::SOCK_SEQPACKET {
            return Err(Errno::ENOTCONN);
        }
        let next = || match end {
            Some(end) => end.incoming().mailbox.pop(),
            None => self.node.receive(),
        };
        let over = || match end {
            Some(end) => end.incoming().stream.ended(),
            None => self.node.mailbox.is_closed(),
        };
        let patience = common.receive_patience(how.nonblocking);
        let message = patience.wait(&common.events.readers, || {
            if let Some(errno) = common.events.take_error() {
                return Some(Err(errno));
            }
            if let Some(message) = next() {
                return Some(Ok(Some(message)));
            }
            // What came before the end was pushed before it was told.
            over().then(|| Ok(next()))
        })??;
        let Some(mut message) = message else {
            return Ok(0);
        };
        let copied = how.copy(io, &message.data[..message.length]);
        if how.wants_address {
            how.from = named(message.from.clone());
        }
        let peek = how.has(abi::MSG_PEEK);
        let rights = match peek {
            true => message.parcel.rights(),
            false => message.parcel.take_rights(),
        };
        parcel::tell(common, message.parcel.credentials(), rights, how);
        if peek {
            match end {
                Some(end) => end.incoming().mailbox.unpop(message),
                None => self.node.mailbox.unpop(message),
            }
        }
        copied.result(how)
    }
}

/// Only a named sender has an address.
fn named(name: UnixName) -> Option<Address> {
    match name {
        UnixName::Unnamed => None,
        name => Some(Address::Unix(name)),
    }
}
