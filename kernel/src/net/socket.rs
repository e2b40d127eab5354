//! The socket: what is the same for all of them, and the file that stands for one.
//!
//! [`Common`] holds options and events, a [`Protocol`] does the rest; system calls reach it through the methods here.
use super::events::Events;
use super::netlink::Netlink;
use super::options;
pub use super::protocol::{Halves, Protocol, Receiving, Sending};
use super::tcp::Tcp;
use super::udp::Udp;
use super::unix::Unix;
use crate::fs::fd::Reserved;
use crate::fs::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon};
use crate::memory::user::{self, UserIo};
use crate::sync::{Wait, WaitQueue};
use crate::task;
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::ioctl;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};

/// SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET of the SOCK_* (linux-raw-sys leaves the flags out).
pub const SOCK_CLOEXEC: u32 = linux_raw_sys::general::O_CLOEXEC;
/// O_NONBLOCK of a new socket.
pub const SOCK_NONBLOCK: u32 = linux_raw_sys::general::O_NONBLOCK;
/// The ioctl for bytes sent and not acknowledged (SIOCOUTQ).
const TIOCOUTQ: u32 = ioctl::TIOCOUTQ;

/// What all sockets have.
pub struct Common {
    /// AF_*.
    pub family: u32,
    /// SOCK_*.
    pub kind: u32,
    /// IPPROTO_* and kin.
    pub protocol: u32,
    /// What others may do to it.
    pub events: Arc<Events>,
    /// Options that are on or off: bits of options.rs.
    pub flags: AtomicU32,
    /// SO_SNDBUF and SO_RCVBUF as they are told; 0 before they were set.
    pub send_buffer: AtomicU32,
    /// See `send_buffer`.
    pub receive_buffer: AtomicU32,
    /// SO_SNDTIMEO and SO_RCVTIMEO in ns, 0 for none.
    pub send_timeout: AtomicU64,
    /// See `send_timeout`.
    pub receive_timeout: AtomicU64,
    /// SO_RCVLOWAT.
    pub low_water: AtomicU32,
    /// SO_LINGER: seconds, -1 for off.
    pub linger: AtomicI32,
    /// SO_PRIORITY, SO_MARK.
    pub priority: AtomicU32,
    /// See `priority`.
    pub mark: AtomicU32,
    inode: u64,
    created: i64,
}

/// How long a call waits.
#[derive(Clone, Copy)]
pub struct Patience {
    nonblocking: bool,
    deadline: Option<u64>,
}

impl Patience {
    fn new(nonblocking: bool, timeout: &AtomicU64) -> Self {
        let timeout = match nonblocking {
            true => 0,
            false => timeout.load(Ordering::Relaxed),
        };
        Self {
            nonblocking,
            deadline: (timeout != 0).then(|| time::now().saturating_add(timeout)),
        }
    }

    /// Does not wait.
    pub const fn none(self) -> bool {
        self.nonblocking
    }

    /// Waits on `queue` until `ready` gives something.
    ///
    /// # Errors
    /// EAGAIN at once or after the time-out; ERESTARTSYS for a signal, or EINTR if there is a time-out, which a call made
    /// again would start anew.
    pub fn wait<R>(
        self,
        queue: &WaitQueue,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, Errno> {
        if self.nonblocking {
            return ready().ok_or(Errno::EAGAIN);
        }
        let how = Wait::interruptible().deadline(self.deadline);
        queue.wait_until(how, ready).map_err(|errno| match errno {
            Errno::ETIMEDOUT => Errno::EAGAIN,
            Errno::ERESTARTSYS if self.deadline.is_some() => Errno::EINTR,
            other => other,
        })
    }
}

impl Common {
    /// Options at their defaults.
    pub fn new(family: u32, kind: u32, protocol: u32) -> Self {
        Self::with_events(family, kind, protocol, Arc::new(Events::default()))
    }

    /// With events that something refers to already.
    pub fn with_events(family: u32, kind: u32, protocol: u32, events: Arc<Events>) -> Self {
        Self {
            family,
            kind,
            protocol,
            events,
            flags: AtomicU32::new(options::DEFAULT),
            send_buffer: AtomicU32::new(0),
            receive_buffer: AtomicU32::new(0),
            send_timeout: AtomicU64::new(0),
            receive_timeout: AtomicU64::new(0),
            low_water: AtomicU32::new(1),
            linger: AtomicI32::new(-1),
            priority: AtomicU32::new(0),
            mark: AtomicU32::new(0),
            inode: anon::next_inode(),
            created: anon::now(),
        }
    }

    /// The options of an accepted connection: those of the socket that listened.
    pub fn accepted(&self, events: Arc<Events>) -> Self {
        let child = Self::with_events(self.family, self.kind, self.protocol, events);
        let copy = |to: &AtomicU32, from: &AtomicU32| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        copy(&child.flags, &self.flags);
        copy(&child.send_buffer, &self.send_buffer);
        copy(&child.receive_buffer, &self.receive_buffer);
        copy(&child.low_water, &self.low_water);
        copy(&child.priority, &self.priority);
        copy(&child.mark, &self.mark);
        let linger = self.linger.load(Ordering::Relaxed);
        child.linger.store(linger, Ordering::Relaxed);
        for (to, from) in [
            (&child.send_timeout, &self.send_timeout),
            (&child.receive_timeout, &self.receive_timeout),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        child
    }

    /// A number no other socket has (SO_COOKIE).
    pub const fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether an option of options.rs is on.
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    /// Switches an option.
    pub fn set(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// How long a send waits.
    pub fn send_patience(&self, nonblocking: bool) -> Patience {
        Patience::new(nonblocking, &self.send_timeout)
    }

    /// How long a receive waits.
    pub fn receive_patience(&self, nonblocking: bool) -> Patience {
        Patience::new(nonblocking, &self.receive_timeout)
    }
}

/// The kinds of sockets.
pub enum Kind {
    /// AF_INET and AF_INET6, SOCK_STREAM.
    Tcp(Tcp),
    /// AF_INET and AF_INET6, SOCK_DGRAM.
    Udp(Udp),
    /// AF_UNIX.
    Unix(Unix),
    /// AF_NETLINK.
    Netlink(Netlink),
}

/// See the module's head.
pub struct Socket {
    /// Options and events.
    pub common: Common,
    kind: Kind,
}

impl Socket {
    /// A socket.
    pub const fn new(common: Common, kind: Kind) -> Self {
        Self { common, kind }
    }

    /// What it does.
    #[inline]
    pub fn protocol(&self) -> &dyn Protocol {
        match &self.kind {
            Kind::Tcp(tcp) => tcp,
            Kind::Udp(udp) => udp,
            Kind::Unix(unix) => unix,
            Kind::Netlink(netlink) => netlink,
        }
    }

    /// The Unix socket, if it is one.
    pub const fn unix(&self) -> Option<&Unix> {
        match &self.kind {
            Kind::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    /// Gives it a descriptor.
    ///
    /// # Errors
    /// EMFILE.
    pub fn install(self, flags: u32) -> SysResult {
        Reserved::new().map(|descriptor| self.install_in(descriptor, flags))
    }

    /// Gives it this descriptor.
    pub fn install_in(self, descriptor: Reserved, flags: u32) -> usize {
        let status = linux_raw_sys::general::O_RDWR | flags & SOCK_NONBLOCK;
        let file = OpenFile::new(Arc::new(self), status);
        descriptor.install(file, flags & SOCK_CLOEXEC != 0) as usize
    }

    /// send(2) and kin.
    ///
    /// # Errors
    /// As the protocol's.
    pub fn send(&self, io: &mut UserIo, how: &Sending) -> SysResult {
        self.protocol().send(&self.common, io, how)
    }

    /// recv(2) and kin.
    ///
    /// # Errors
    /// As the protocol's.
    pub fn receive(&self, io: &mut UserIo, how: &mut Receiving) -> SysResult {
        // Others than the Internet's have no such queue, and don't look.
        let inet = matches!(self.common.family, abi::AF_INET | abi::AF_INET6);
        if inet && how.has(abi::MSG_ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        self.protocol().receive(&self.common, io, how)
    }
}

impl FileOps for Socket {
    fn call_flags(&self, _writes: bool) -> u32 {
        crate::fs::file::WAITLESS_FLAGS
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        // A read of nothing does not even look, as on Linux.
        if io.remaining() == 0 {
            return Ok(0);
        }
        let nonblocking = file.nonblocking();
        if let Kind::Tcp(tcp) = &self.kind
            && let Some(result) = tcp.read_now(&self.common, io, nonblocking)
        {
            return result;
        }
        let mut how = Receiving {
            nonblocking,
            ..Receiving::default()
        };
        self.protocol().receive(&self.common, io, &mut how)
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if let Kind::Tcp(tcp) = &self.kind
            && let Some(result) = tcp.write_now(&self.common, io)
        {
            return result;
        }
        let how = Sending {
            nonblocking: file.nonblocking(),
            ..Sending::default()
        };
        self.protocol().send(&self.common, io, &how)
    }

    /// As on Linux, where only streams send the signal.
    fn breaks_loudly(&self) -> bool {
        self.common.kind == abi::SOCK_STREAM
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.protocol().poll(&self.common)
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.common.events.poll)
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        let count = match request {
            ioctl::FIONREAD => self.protocol().readable_bytes()?,
            TIOCOUTQ => self.protocol().unsent_bytes()?,
            _ => return super::device::ioctl(request, argument),
        };
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        user::write(argument, &count).map(|()| 0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let owner = task::credentials().file_ids();
        Ok(anon::socket_stat(
            self.common.inode,
            self.common.created,
            owner,
        ))
    }

    fn release(&self, _file: &OpenFile) {
        self.protocol().close(&self.common);
    }

    fn name(&self) -> Vec<u8> {
        alloc::format!("socket:[{}]", self.common.inode).into_bytes()
    }
}
