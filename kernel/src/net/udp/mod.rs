//! UDP (udp(7)).
//!
//! A datagram to this machine goes from the sender's system call straight into the receiver's queue: one copy from the
//! program into a buffer, a look-up by port, a push under the receiver's spin lock, one copy out. What finds no room is
//! dropped, as Linux drops it; what finds no socket comes back to a connected sender as ECONNREFUSED. One to another machine
//! goes from the sender's system call to the card (ip/output.rs), one from there into the queue ([`input`]).
//!
//! [`Endpoint`] is what the table of ports holds: it outlives the socket only while a datagram is on its way.
//! Locks: `binding` and `remote` (of the socket's own calls), the table's shard, an endpoint's queue.
mod protocol;

use super::buffer::{self, Buffer};
use super::events::Events;
use super::filter::Slot;
use super::inet::{self, IpOptions, ORIGINAL_DESTINATION, PACKET_INFO, RECEIVE_TOS, RECEIVE_TTL};
use super::mailbox::{Mailbox, Message};
use super::options::{self, ANY_TIMESTAMP, TIMESTAMP_NS};
use super::socket::{Common, Receiving, Sending};
use super::table::{self, Claim};
use super::{groups, interface, ip};
use crate::memory::user::UserIo;
use crate::sync::SpinLock;
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use linux_raw_sys::net as abi;
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
            None if !bound.ip().is_unspecified() && !bound.ip().is_multicast() => bound.ip(),
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

    fn destination(&self, how: &Sending) -> Result<SocketAddr, Errno> {
        match &how.to {
            None => (*self.remote.lock()).ok_or(Errno::EDESTADDRREQ),
            Some(address) => {
                // A socket of AF_INET6 also sends to addresses of AF_INET.
                let v6 = self.v6 && !matches!(address, Address::Inet(SocketAddr::V4(_)));
                let to = match address {
                    Address::Unspecified if self.v6 => {
                        return (*self.remote.lock()).ok_or(Errno::EDESTADDRREQ);
                    }
                    _ => inet::to_connect(address, v6)?,
                };
                if to.port() == 0 {
                    return Err(Errno::EINVAL);
                }
                Ok(to)
            }
        }
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
        if to.is_multicast() {
            self.deliver_to_group(&data[room..room + length], header, index);
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
        let mut targets = Vec::new();
        table::UDP.for_all(header.to, header.from, |entry| {
            if entry.value.options.hears(group, index) {
                targets.push(entry.value.clone());
            }
        });
        for target in targets {
            let Ok(mut copy) = Buffer::take(data.len()) else {
                continue;
            };
            copy[..data.len()].copy_from_slice(data);
            target.push(
                Datagram {
                    data: copy,
                    length: data.len(),
                    from: header.from,
                    to: group,
                    ttl: header.ttl,
                    tos: header.tos,
                    index,
                    time: time::realtime(),
                },
                header.to.port(),
            );
        }
    }

    fn tell(&self, common: &Common, datagram: &Datagram, how: &mut Receiving) {
        if how.wants_address {
            how.from = Some(Address::Inet(inet::shown(datagram.from, self.v6)));
        }
        if datagram.time != 0 && common.has(ANY_TIMESTAMP) {
            stamp(common, datagram.time, how);
        }
        let flags = self.endpoint.options.flags();
        if flags & (PACKET_INFO | RECEIVE_TTL | RECEIVE_TOS) != 0 {
            packet_info(flags, self.v6, datagram, how);
        }
        if flags & ORIGINAL_DESTINATION != 0
            && let Some((bound, _)) = *self.binding.lock()
        {
            original_destination(SocketAddr::new(datagram.to, bound.port()), self.v6, how);
        }
    }
}

/// A datagram came from outside. False if no socket wants it. Runs where interrupts are handled.
pub fn input(datagram: &packet::Datagram, ip: &Ip) -> bool {
    let mut targets = Targets::new();
    if datagram.to.ip().is_multicast() {
        let group = datagram.to.ip();
        table::UDP.for_all(datagram.to, datagram.from, |entry| {
            if entry.value.options.hears(group, interface::CARD_INDEX) {
                // More than that many members of a group in one program go without.
                let _ = targets.try_push(entry.value.clone());
            }
        });
    } else {
        let found = |entry: &Entry<Arc<Endpoint>>| entry.value.clone();
        targets.extend(table::UDP.find(datagram.to, datagram.from, |_| true, found));
    }
    for target in &targets {
        let length = datagram.data.len();
        let Ok(mut data) = Buffer::take(length) else {
            ip::COUNTS.full.add();
            continue;
        };
        data[..length].copy_from_slice(datagram.data);
        let time = match target.stamps.load(Ordering::Relaxed) {
            true => time::realtime(),
            false => 0,
        };
        target.push(
            Datagram {
                data,
                length,
                from: datagram.from,
                to: datagram.to.ip(),
                ttl: ip.ttl,
                tos: ip.tos,
                index: interface::CARD_INDEX,
                time,
            },
            datagram.to.port(),
        );
    }
    if !targets.is_empty() {
        ip::COUNTS.udp_in.add();
    }
    !targets.is_empty()
}

/// Whether a group's members are all in this machine.
fn is_inside(group: IpAddr) -> bool {
    matches!(group, IpAddr::V6(group) if group.octets()[1] & 15 < 2)
}

/// Sockets that one datagram is for.
type Targets = arrayvec::ArrayVec<Arc<Endpoint>, 16>;

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

/// SCM_TIMESTAMP and SCM_TIMESTAMPNS.
fn stamp(common: &Common, time: u64, how: &mut Receiving) {
    const SECOND: u64 = 1_000_000_000;
    let ns = common.has(TIMESTAMP_NS);
    let (kind, part) = match ns {
        true => (abi::SO_TIMESTAMPNS_OLD, time % SECOND),
        false => (abi::SO_TIMESTAMP_OLD, time % SECOND / 1000),
    };
    let mut data = [0; 16];
    data[..8].copy_from_slice(&(time / SECOND).to_ne_bytes());
    data[8..].copy_from_slice(&part.to_ne_bytes());
    how.control.put(abi::SOL_SOCKET, kind, &data);
}

fn packet_info(flags: u32, v6: bool, datagram: &Datagram, how: &mut Receiving) {
    let index = datagram.index.to_ne_bytes();
    match datagram.to {
        IpAddr::V4(to) if !v6 => {
            if flags & PACKET_INFO != 0 {
                // struct in_pktinfo: interface, the local address, the header's.
                let local = match to.is_multicast() {
                    true => interface::ipv4_of(datagram.index),
                    false => to,
                };
                let mut data = [0; 12];
                data[..4].copy_from_slice(&index);
                data[4..8].copy_from_slice(&local.octets());
                data[8..].copy_from_slice(&to.octets());
                how.control.put(abi::SOL_IP, abi::IP_PKTINFO, &data);
            }
            if flags & RECEIVE_TTL != 0 {
                let ttl = i32::from(datagram.ttl).to_ne_bytes();
                how.control.put(abi::SOL_IP, abi::IP_TTL, &ttl);
            }
            if flags & RECEIVE_TOS != 0 {
                how.control.put(abi::SOL_IP, abi::IP_TOS, &[datagram.tos]);
            }
        }
        to => {
            if flags & PACKET_INFO != 0 {
                let SocketAddr::V6(shown) = sockaddr::mapped(SocketAddr::new(to, 0)) else {
                    return;
                };
                let mut data = [0; 20];
                data[..16].copy_from_slice(&shown.ip().octets());
                data[16..].copy_from_slice(&index);
                how.control.put(abi::SOL_IPV6, abi::IPV6_PKTINFO, &data);
            }
            if flags & RECEIVE_TTL != 0 {
                let ttl = i32::from(datagram.ttl).to_ne_bytes();
                how.control.put(abi::SOL_IPV6, abi::IPV6_HOPLIMIT, &ttl);
            }
            if flags & RECEIVE_TOS != 0 {
                let class = i32::from(datagram.tos).to_ne_bytes();
                how.control.put(abi::SOL_IPV6, abi::IPV6_TCLASS, &class);
            }
        }
    }
}

/// Where the datagram was sent to: nobody rewrites addresses on the way here. A socket of AF_INET6 is told of none of AF_INET.
fn original_destination(to: SocketAddr, v6: bool, how: &mut Receiving) {
    let (level, kind) = match to {
        SocketAddr::V4(_) if v6 => return,
        SocketAddr::V4(_) => (abi::SOL_IP, abi::IP_ORIGDSTADDR),
        SocketAddr::V6(_) => (abi::SOL_IPV6, abi::IPV6_ORIGDSTADDR),
    };
    let address = sockaddr::encode(&Address::Inet(inet::shown(to, v6)));
    how.control.put(level, kind, &address);
}

const _: () = assert!(MAX_V6 <= buffer::MAX);
