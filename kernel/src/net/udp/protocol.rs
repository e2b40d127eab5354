//! What system calls do to a socket of UDP: [`Protocol`] for [`Udp`].
use super::{
    Header, MAX_V4, MAX_V6, SEGMENTS_MAX, UDP_CORK, UDP_NO_CHECK6_RX, UDP_NO_CHECK6_TX,
    UDP_SEGMENT, Udp,
};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use crate::net::events::{READABLE, WRITABLE};
use crate::net::options::{self, ANY_TIMESTAMP, REUSE, REUSE_PORT, V6_ONLY, int, int_out};
use crate::net::socket::{Common, Halves, Protocol, Receiving, Sending};
use crate::net::{inet, interface, table};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::Address;
use ringo_net::sockaddr::{self, Given};

impl Protocol for Udp {
    fn bind(&self, common: &Common, address: &Given) -> Result<(), Errno> {
        let address = inet::to_bind(address, self.v6, common.has(V6_ONLY))?;
        self.bind_to(common, address)
    }

    fn connect(&self, common: &Common, to: &Given, _nonblocking: bool) -> Result<(), Errno> {
        let remote = match to.family().ok_or(Errno::EINVAL)? {
            abi::AF_UNSPEC => None,
            // A socket of AF_INET6 is also connected to addresses of AF_INET.
            family => {
                let v6 = self.v6 && family != abi::AF_INET;
                Some(inet::to_connect_for_good(to, v6)?)
            }
        };
        let (bound, claim) = self.binding(common)?;
        let source = match remote {
            Some(to) if bound.ip().is_unspecified() && to.ip().is_multicast() => {
                Some(interface::source_by(self.leaves_by(to.ip()), to.ip())?)
            }
            Some(to) if bound.ip().is_unspecified() => Some(interface::source_for(to.ip())?),
            Some(to) if bound.ip().is_ipv4() != to.is_ipv4() => return Err(Errno::ENETUNREACH),
            Some(_) => Some(bound.ip()),
            None => None,
        };
        if let Some(remote) = remote {
            Self::may_reach(common, remote.ip())?;
        }
        *self.remote.lock() = remote;
        *self.source.lock() = source;
        table::UDP.update(claim, |entry| {
            entry.bound.remote = remote;
            entry.bound.ip = source.unwrap_or(bound.ip());
        });
        Ok(())
    }

    fn send(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult {
        let total = io.remaining();
        // What no datagram of IPv4 holds is told before anything else.
        let to_v4 = |to: &Given| to.family() == Some(abi::AF_INET);
        let v4 = !self.v6 || how.to.as_ref().is_some_and(to_v4);
        if v4 && total > 0xffff {
            return Err(Errno::EMSGSIZE);
        }
        // Those of IPv6 don't look.
        if v4 && how.flags & abi::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let to = self.destination(how)?;
        how.control.check()?;
        let max = if to.is_ipv4() { MAX_V4 } else { MAX_V6 };
        if total > max {
            return Err(Errno::EMSGSIZE);
        }
        if self.ended.load(Ordering::Relaxed) {
            return Err(Errno::EPIPE);
        }
        if let Some(errno) = common.events.take_error() {
            return Err(errno);
        }
        Self::may_reach(common, to.ip())?;
        let from = self.source(common, to, how.control.source)?;
        let ip = &self.endpoint.options;
        let header = Header {
            from,
            to,
            ttl: how.control.ttl.unwrap_or_else(|| ip.ttl_for(to.ip())),
            tos: how.control.tos.unwrap_or_else(|| ip.tos_for(to.ip())),
        };
        let segment = match how.control.segment {
            Some(segment) => usize::from(segment),
            None => self.segment.load(Ordering::Relaxed) as usize,
        };
        if segment == 0 || total <= segment {
            self.send_one(common, io, total, &header)?;
            return Ok(total);
        }
        if total.div_ceil(segment) > SEGMENTS_MAX {
            return Err(Errno::EINVAL);
        }
        while io.remaining() > 0 {
            let length = io.remaining().min(segment);
            self.send_one(common, io, length, &header)?;
        }
        Ok(total)
    }

    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        let mailbox = &self.endpoint.mailbox;
        let datagram = match mailbox.pop() {
            Some(datagram) if common.events.error().is_none() => datagram,
            first => {
                if let Some(errno) = common.events.take_error() {
                    first
                        .into_iter()
                        .for_each(|datagram| mailbox.unpop(datagram));
                    return Err(errno);
                }
                let patience = common.receive_patience(how.nonblocking);
                let next = patience.wait(&common.events.readers, || {
                    if let Some(errno) = common.events.take_error() {
                        return Some(Err(errno));
                    }
                    match mailbox.pop() {
                        Some(datagram) => Some(Ok(Some(datagram))),
                        None => mailbox.is_closed().then_some(Ok(None)),
                    }
                })??;
                let Some(datagram) = next else { return Ok(0) };
                datagram
            }
        };
        let copied = how.copy(io, &datagram.data[..datagram.length]);
        self.tell(common, &datagram, how);
        if how.has(abi::MSG_PEEK) {
            mailbox.unpop(datagram);
        }
        copied.result(how)
    }

    fn shutdown(&self, common: &Common, halves: Halves) -> Result<(), Errno> {
        let connected = self.remote.lock().is_some();
        if halves.reading {
            self.endpoint.mailbox.close();
        }
        if halves.writing {
            self.ended.store(true, Ordering::Relaxed);
        }
        common.events.changed();
        if connected {
            Ok(())
        } else {
            Err(Errno::ENOTCONN)
        }
    }

    fn local(&self) -> Address {
        let any = SocketAddr::new(sockaddr::unspecified(self.v6), 0);
        let mut address = (*self.binding.lock()).map_or(any, |(address, _)| address);
        if let Some(ip) = *self.source.lock() {
            address.set_ip(ip);
        }
        Address::Inet(inet::shown(address, self.v6))
    }

    fn remote(&self) -> Result<Address, Errno> {
        let remote = (*self.remote.lock()).ok_or(Errno::ENOTCONN)?;
        Ok(Address::Inet(inet::shown(remote, self.v6)))
    }

    fn poll(&self, common: &Common) -> PollEvents {
        let mut events = WRITABLE;
        let declined = self.endpoint.mailbox.is_closed();
        if declined || self.endpoint.mailbox.len() > 0 {
            events |= READABLE;
        }
        events.set(PollEvents::RDHUP, declined);
        events.set(
            PollEvents::HUP,
            declined && self.ended.load(Ordering::Relaxed),
        );
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
        if level == abi::SOL_SOCKET {
            return self.endpoint.filter.set(name, value);
        }
        if level != abi::SOL_UDP {
            let options = &self.endpoint.options;
            return inet::set_option(common, options, self.v6, level, name, value);
        }
        match (name, int(value)?) {
            (UDP_SEGMENT, size @ 0..=65535) => {
                self.segment.store(size, Ordering::Relaxed);
                Ok(())
            }
            (UDP_SEGMENT, _) => Err(Errno::EINVAL),
            // Checksums: nothing inside this machine has one.
            (UDP_NO_CHECK6_TX | UDP_NO_CHECK6_RX, _) | (UDP_CORK, 0) => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn option(
        &self,
        common: &Common,
        level: u32,
        name: u32,
        _length: usize,
    ) -> Result<Vec<u8>, Errno> {
        if level == abi::SOL_SOCKET {
            return Ok(int_out(self.endpoint.filter.is_locked().into()));
        }
        if level != abi::SOL_UDP {
            let connected = self.remote.lock().is_some();
            return inet::option(common, &self.endpoint.options, level, name, connected);
        }
        match name {
            UDP_SEGMENT => Ok(int_out(self.segment.load(Ordering::Relaxed))),
            UDP_CORK | UDP_NO_CHECK6_TX | UDP_NO_CHECK6_RX => Ok(int_out(0)),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn options_changed(&self, common: &Common) {
        let endpoint = &self.endpoint;
        let capacity = options::receive_buffer(common) as usize;
        endpoint.mailbox.set_capacity(capacity);
        let stamps = common.has(ANY_TIMESTAMP);
        endpoint.stamps.store(stamps, Ordering::Relaxed);
        if let Some((_, claim)) = *self.binding.lock() {
            table::UDP.update(claim, |entry| {
                entry.bound.reuse = common.has(REUSE);
                entry.bound.reuse_port = common.has(REUSE_PORT);
            });
        }
    }

    fn readable_bytes(&self) -> SysResult {
        let first = self.endpoint.mailbox.with_first(|first| first.length);
        Ok(first.unwrap_or(0))
    }

    fn close(&self, _common: &Common) {
        let claim = self.binding.lock().take();
        if let Some((_, claim)) = claim {
            table::UDP.release(claim);
        }
        self.endpoint.mailbox.abandon();
    }
}
