//! UDP (udp(7)).
//!
//! A datagram to this machine goes from the sender's system call straight into the receiver's queue: one copy from the
//! program into a buffer, a look-up by port, a push under the receiver's spin lock, one copy out. What finds no room is
//! dropped, as Linux drops it; what finds no socket comes back to a connected sender as ECONNREFUSED. One to another machine
//! goes from the sender's system call to the card (ip/output.rs), one from there into the queue ([`input`]).
//!
//! [`Endpoint`] is what the table of ports holds: it outlives the socket only while a datagram is on its way.
//! Locks: `binding` and `remote` (of the socket's own calls), the table's shard, an endpoint's queue.
mod control;
mod protocol;

use super::buffer::{self, Buffer};
use super::events::Events;
use super::filter::Slot;
use super::inet::{self, IpOptions, ORIGINAL_DESTINATION};
use super::mailbox::{Mailbox, Message};
use super::options::{self, ANY_TIMESTAMP, BROADCAST};
use super::socket::{Common, Receiving, Sending};
use super::table::{self, Claim};
use super::{groups, interface, ip};
use crate::memory::user::UserIo;
use crate::sync::SpinLock;
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use linux_raw_sys::net::{AF_INET, AF_INET6, AF_UNSPEC};
use ringo_abi::Errno;
use ringo_net::packet::{self, Ip, UDP_HEADER, Undelivered};
use ringo_net::ports::Entry;
use ringo_net::{Address, sockaddr};

/// The largest datagram: an IP packet's 65535 bytes less the headers.
const MAX_V4: usize = 65_507;
const MAX_V6: usize = 65_527;
/// Options of SOL_UDP that linux-raw-sys does not have.
const UDP_CORK: u32 = 1;
const UDP_NO_CHECK6_TX: u32 = 101;
const UDP_NO_CHECK6_RX: u32 = 102;
/// UDP_SEGMENT: how long the datagrams are that one call makes of its bytes.
pub const UDP_SEGMENT: u32 = 103;
/// The most datagrams one call makes of a large one.
const SEGMENTS_MAX: usize = 128;

struct Datagram {
    data: Buffer,
    length: usize,
    from: SocketAddr,
    to: IpAddr,
    ttl: u8,
    tos: u8,
    /// The number of the interface it came by.
    index: u32,
    /// When it came, ns since the epoch; 0 if nobody asked.
    time: u64,
}

impl Message for Datagram {
    fn charge(&self) -> usize {
        charge(self.length)
    }
}

/// What Linux counts against SO_RCVBUF: the packet's memory with its descriptor.
const fn charge(length: usize) -> usize {
    const DESCRIPTOR: usize = 256;
    const HEADERS: usize = 59;
    const TRAILER: usize = 320;
    const SMALL: usize = 256;
    DESCRIPTOR
        + if length + HEADERS <= SMALL {
            SMALL + TRAILER
        } else {
            (length + HEADERS + TRAILER).next_power_of_two()
        }
}

/// A socket as others send to it.
pub struct Endpoint {
    mailbox: Mailbox<Datagram>,
    /// Somebody wants to know when datagrams came.
    stamps: AtomicBool,
    events: Arc<Events>,
    /// Options of IP, groups among them.
    options: IpOptions,
    filter: Slot,
}

/// See the module's head.
pub struct Udp {
    v6: bool,
    endpoint: Arc<Endpoint>,
    binding: SpinLock<Option<(SocketAddr, Claim)>>,
    remote: SpinLock<Option<SocketAddr>>,
    /// The address it sends from since connect(2).
    source: SpinLock<Option<IpAddr>>,
    ended: AtomicBool,
    segment: AtomicI32,
}

impl Endpoint {
    /// Takes a datagram that was sent to `port`, unless the socket's filter drops it.
    fn push(&self, mut datagram: Datagram, port: u16) {
        let ports = [datagram.from.port(), port];
        let (data, v6) = (&datagram.data[..datagram.length], datagram.to.is_ipv6());
        let Some(kept) = self.filter.pass(ports, data, v6, datagram.index) else {
            return;
        };
        datagram.length = kept;
        if self.mailbox.push(datagram, false) {
            self.events.readable();
        } else {
            ip::COUNTS.udp_full.add();
        }
    }
}

impl Endpoint {
    /// Takes a datagram from outside.
    fn take(&self, datagram: &packet::Datagram, ip: &Ip) {
        let length = datagram.data.len();
        let Ok(mut data) = Buffer::take(length) else {
            ip::COUNTS.full.add();
            return;
        };
        data[..length].copy_from_slice(datagram.data);
        let time = match self.stamps.load(Ordering::Relaxed) {
            true => time::realtime(),
            false => 0,
        };
        let here = Datagram {
            data,
            length,
            from: datagram.from,
            to: datagram.to.ip(),
            ttl: ip.ttl,
            tos: ip.tos,
            index: interface::CARD_INDEX,
            time,
        };
        self.push(here, datagram.to.port());
    }
}

/// What is common to the datagrams of one call.
struct Header {
    from: SocketAddr,
    to: SocketAddr,
    ttl: u8,
    tos: u8,
}

impl Udp {
    /// An unbound socket.
    pub fn new(common: &Common, v6: bool) -> Self {
        Self {
            v6,
            endpoint: Arc::new(Endpoint {
                mailbox: Mailbox::new(options::receive_buffer(common) as usize),
                stamps: AtomicBool::new(false),
                events: common.events.clone(),
                options: IpOptions::new(v6),
                filter: Slot::new(),
            }),
            binding: SpinLock::new(None),
            remote: SpinLock::new(None),
            source: SpinLock::new(None),
            ended: AtomicBool::new(false),
            segment: AtomicI32::new(0),
        }
    }

    fn bind_to(&self, common: &Common, mut address: SocketAddr) -> Result<(), Errno> {
        let mut binding = self.binding.lock();
        if binding.is_some() {
            return Err(Errno::EINVAL);
        }
        let bound = inet::bound(common, address);
        let claim = table::UDP.bind(address.port(), bound, self.endpoint.clone())?;
        address.set_port(claim.port);
        *binding = Some((address, claim));
        Ok(())
    }

    /// Where it is bound to; binds it to a free port if it is not.
    fn binding(&self, common: &Common) -> Result<(SocketAddr, Claim), Errno> {
        if let Some(binding) = *self.binding.lock() {
            return Ok(binding);
        }
        let any = SocketAddr::new(sockaddr::unspecified(self.v6), 0);
        match self.bind_to(common, any) {
            // EINVAL: another thread did it meanwhile.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(Errno::EADDRINUSE) => return Err(Errno::EAGAIN),
            Err(errno) => return Err(errno),
        }
        (*self.binding.lock()).ok_or(Errno::EAGAIN)
    }

    /// The address to send from.
    fn source(
        &self,
        common: &Common,
        to: SocketAddr,
        wanted: Option<IpAddr>,
    ) -> Result<SocketAddr, Errno> {
        let (bound, claim) = self.binding(common)?;
        let connected = *self.source.lock();
        let ip = match wanted.or(connected) {
            Some(ip) => sockaddr::canonical(SocketAddr::new(ip, 0)).ip(),
            None if names_us(bound.ip()) => bound.ip(),
            None if to.ip().is_multicast() => {
                interface::source_by(self.leaves_by(to.ip()), to.ip())?
            }
            None => interface::source_for(to.ip())?,
        };
        if ip.is_ipv4() != to.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        }
        Ok(SocketAddr::new(ip, claim.port))
    }

    /// Everybody is only reached by who said that it means to (SO_BROADCAST).
    fn may_reach(common: &Common, to: IpAddr) -> Result<(), Errno> {
        let everybody =
            || to == IpAddr::V4(Ipv4Addr::BROADCAST) || interface::broadcasts_by(to).is_some();
        if common.has(BROADCAST) || !everybody() {
            return Ok(());
        }
        Err(Errno::EACCES)
    }

    fn destination(&self, how: &Sending) -> Result<SocketAddr, Errno> {
        let connected = || (*self.remote.lock()).ok_or(Errno::EDESTADDRREQ);
        let Some(given) = &how.to else {
            return connected();
        };
        let to = match given.family() {
            // For AF_INET an address without a family is one of its own.
            Some(AF_UNSPEC) if !self.v6 => inet::reached(given.decode_inet(false)?)?,
            _ if !self.v6 => inet::to_connect(given, false)?,
            Some(AF_UNSPEC) => return connected(),
            // A socket of AF_INET6 also sends to addresses of AF_INET.
            Some(AF_INET) => inet::to_connect(given, false)?,
            Some(AF_INET6) => inet::to_connect(given, true)?,
            _ => return Err(Errno::EINVAL),
        };
        if to.port() == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(to)
    }

    /// Takes a datagram from the program and sends it.
    fn send_one(
        &self,
        common: &Common,
        io: &mut UserIo,
        length: usize,
        header: &Header,
    ) -> Result<(), Errno> {
        let to = header.to.ip();
        let index = self.leaves_by(to);
        // Groups are here and outside; with a time to live of 0 only here.
        let outside = match to.is_multicast() {
            true => index == interface::CARD_INDEX && header.ttl > 0 && !is_inside(to),
            false => !interface::is_local(to),
        };
        let room = if outside { UDP_HEADER } else { 0 };
        let mut data = Buffer::take(room + length)?;
        if io.copy_in(&mut data[room..room + length])? < length {
            return Err(Errno::EFAULT);
        }
        if !outside {
            self.deliver(common, data, length, header);
            return Ok(());
        }
        // Who is here hears it, too.
        if to.is_multicast() {
            self.deliver_to_group(&data[room..room + length], header, index);
        } else if let Some(index) = interface::broadcasts_by(to) {
            deliver_to_all(&data[room..room + length], header, index, |_| true);
        }
        ip::send_datagram(ip::Datagram {
            from: header.from,
            to: header.to,
            ttl: header.ttl,
            tos: header.tos,
            cut: self.endpoint.options.cut_for(to),
            data: &mut data[..room + length],
        })
    }

    fn deliver(&self, common: &Common, data: Buffer, length: usize, header: &Header) {
        let (to, from) = (header.to, header.from);
        let datagram = |data, time| Datagram {
            data,
            length,
            from,
            to: to.ip(),
            ttl: header.ttl,
            tos: header.tos,
            index: interface::LOOPBACK_INDEX,
            time,
        };
        if to.ip().is_multicast() {
            self.deliver_to_group(&data[..length], header, self.leaves_by(to.ip()));
            return;
        }
        if let Some(index) = interface::broadcasts_by(to.ip()) {
            deliver_to_all(&data[..length], header, index, |_| true);
            return;
        }
        let target = table::UDP.find(to, from, |_| true, |entry| entry.value.clone());
        match target {
            Some(target) => {
                let time = match target.stamps.load(Ordering::Relaxed) {
                    true => time::realtime(),
                    false => 0,
                };
                target.push(datagram(data, time), to.port());
            }
            // An ICMP message comes back: only a connected socket hears of it.
            None if self.remote.lock().is_some() => common.events.fail(Errno::ECONNREFUSED),
            None => {}
        }
    }

    /// The interface that something to a group leaves by, which others hear it come from.
    fn leaves_by(&self, to: IpAddr) -> u32 {
        match self.endpoint.options.multicast_interface() {
            0 => interface::multicast_default(to).unwrap_or(interface::LOOPBACK_INDEX),
            index => index,
        }
    }

    /// Gives it to those in a group who are here, whom it comes to by this interface.
    fn deliver_to_group(&self, data: &[u8], header: &Header, index: u32) {
        let group = header.to.ip();
        if self.endpoint.options.has(inet::NO_LOOP) || !groups::has(group, index) {
            return;
        }
        deliver_to_all(data, header, index, |target| {
            target.options.hears(group, index)
        });
    }

    fn tell(&self, common: &Common, datagram: &Datagram, how: &mut Receiving) {
        if how.wants_address {
            how.from = Some(Address::Inet(inet::shown(datagram.from, self.v6)));
        }
        if datagram.time != 0 && common.has(ANY_TIMESTAMP) {
            control::stamp(common, datagram.time, how);
        }
        let flags = self.endpoint.options.flags();
        if flags & inet::TOLD_OF_PACKETS != 0 {
            control::packet_info(flags, self.v6, datagram, how);
        }
        if flags & ORIGINAL_DESTINATION != 0
            && let Some((bound, _)) = *self.binding.lock()
        {
            control::original_destination(SocketAddr::new(datagram.to, bound.port()), self.v6, how);
        }
    }
}

/// Whether an address that a socket is bound to is one to send from.
fn names_us(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && interface::broadcasts_by(ip).is_none()
}

/// Gives a datagram of this machine's to all sockets here that it is for and that are `wanted`.
fn deliver_to_all(
    data: &[u8],
    header: &Header,
    index: u32,
    wanted: impl Fn(&Arc<Endpoint>) -> bool,
) {
    for target in all(header.to, header.from, wanted) {
        let Ok(mut copy) = Buffer::take(data.len()) else {
            continue;
        };
        copy[..data.len()].copy_from_slice(data);
        target.push(
            Datagram {
                data: copy,
                length: data.len(),
                from: header.from,
                to: header.to.ip(),
                ttl: header.ttl,
                tos: header.tos,
                index,
                time: time::realtime(),
            },
            header.to.port(),
        );
    }
}

/// All sockets that a datagram is for and that are `wanted`; as many as there is memory for.
fn all(
    to: SocketAddr,
    from: SocketAddr,
    wanted: impl Fn(&Arc<Endpoint>) -> bool,
) -> Vec<Arc<Endpoint>> {
    let mut targets = Vec::new();
    table::UDP.for_all(to, from, |entry| {
        if wanted(&entry.value) && targets.try_reserve(1).is_ok() {
            targets.push(entry.value.clone());
        }
    });
    targets
}

/// A datagram came from outside, for `everybody` or one socket. False if no socket wants it. Runs where interrupts are
/// handled.
pub fn input(datagram: &packet::Datagram, ip: &Ip, everybody: bool) -> bool {
    let (to, from) = (datagram.to, datagram.from);
    let some = if everybody {
        let group = to.ip();
        let hears = |target: &Arc<Endpoint>| {
            !group.is_multicast() || target.options.hears(group, interface::CARD_INDEX)
        };
        let targets = all(to, from, hears);
        targets.iter().for_each(|target| target.take(datagram, ip));
        !targets.is_empty()
    } else {
        let found = |entry: &Entry<Arc<Endpoint>>| entry.value.clone();
        let target = table::UDP.find(to, from, |_| true, found);
        if let Some(target) = &target {
            target.take(datagram, ip);
        }
        target.is_some()
    };
    if some {
        ip::COUNTS.udp_in.add();
    }
    some
}

/// Whether a group's members are all in this machine.
fn is_inside(group: IpAddr) -> bool {
    matches!(group, IpAddr::V6(group) if group.octets()[1] & 15 < 2)
}

/// What a socket sent did not arrive: a connected one hears of it if that will not change, or if it asked to hear of
/// everything (IP_RECVERR). False if there is none that sent it.
pub fn undelivered(what: &Undelivered) -> bool {
    let sent = |entry: &Entry<Arc<Endpoint>>| {
        let connected = entry.bound.remote == Some(what.to);
        (entry.value.clone(), connected)
    };
    let Some((target, connected)) = table::UDP.find(what.from, what.to, |_| true, sent) else {
        return false;
    };
    // Who lets others cut does not hear that they should have.
    let too_large = what.mtu.is_some();
    if too_large && target.options.cut_for(what.to.ip()) == ip::Cut::Anywhere {
        return true;
    }
    if let (Some(mtu), Some(network)) = (what.mtu, ip::network()) {
        network.learn_mtu(what.to.ip(), mtu);
    }
    let asked = target.options.has(inet::RECEIVE_ERRORS);
    if asked || (connected && (what.hard || too_large)) {
        target.events.fail(what.errno);
    }
    true
}

const _: () = assert!(MAX_V6 <= buffer::MAX);
