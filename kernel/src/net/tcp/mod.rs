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
mod course;
mod listener;
mod live;
mod machine;
mod opening;
mod options;
mod protocol;
mod wire;
mod wires;

pub use listener::Listener;
pub use wire::Wire;
pub use wires::{count, input, undelivered};

use self::connection::{DEFAULT_ROOM, End, Joined};
use self::machine::Tuning;
use self::wires::Ends;
use super::events::Events;
use super::options::{KEEP_ALIVE, REUSE};
use super::socket::{Common, Patience};
use super::table::{self, Claim};
use super::{inet, interface, ip};
use crate::memory::user::UserIo;
use crate::sync::{SleepMutex, SpinLock};
use crate::time::{self, Timer, TimerCallback};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::Address;
use ringo_net::clocks::{Action, Clocks, Settings};
use spin::Once;

/// net.core.somaxconn.
pub const BACKLOG_MAX: usize = 4096;

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
    /// When a connection inside this machine gives up to wait for a listener's room.
    patience: Once<Box<Timer>>,
    options: options::Options,
}

/// The end of a connection that a listener has not taken.
struct Unanswered(End);

impl TimerCallback for Unanswered {
    fn expired(&self) {
        if !self.0.established() {
            self.0.break_off(Errno::ETIMEDOUT);
        }
    }
}

/// When a connection that is opened now is given up.
fn give_up_at(settings: Settings) -> u64 {
    let mut clocks = Clocks::new(time::now(), true);
    clocks.set(settings);
    loop {
        let due = clocks.due();
        if matches!(clocks.check(due), Action::GiveUp { .. }) {
            return due;
        }
    }
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
            patience: Once::new(),
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
            patience: Once::new(),
            options: self.options.inherited(),
        }
    }

    /// Binds to `address`, whose port may be 0.
    fn bind_to(&self, common: &Common, mut address: SocketAddr) -> Result<(), Errno> {
        if self.binding.lock().is_some() || self.end.is_completed() {
            return Err(Errno::EINVAL);
        }
        let claim = table::TCP.bind(address.port(), inet::bound(common, address), None)?;
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
        let linger = match self.options.number(abi::TCP_LINGER2) {
            seconds @ 0.. => seconds.cast_unsigned(),
            _ => 0,
        };
        Tuning {
            nodelay: number(abi::TCP_NODELAY) != 0,
            clocks: Settings {
                keep_alive: common.has(KEEP_ALIVE),
                idle: number(abi::TCP_KEEPIDLE),
                interval: number(abi::TCP_KEEPINTVL),
                count: number(abi::TCP_KEEPCNT),
                tries: number(abi::TCP_SYNCNT),
                user_timeout: number(abi::TCP_USER_TIMEOUT),
                linger,
            },
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
        listener.offer(server.clone())?;
        if !client.established() {
            let timer = self
                .patience
                .call_once(|| Box::new(Timer::new(Arc::new(Unanswered(server)))));
            timer.arm(give_up_at(self.tuning(common).clocks));
        }
        Ok(self.end.call_once(|| client))
    }

    /// Waits until the listener has taken the connection.
    fn await_listener(common: &Common, end: &End, patience: Patience) -> Result<(), Errno> {
        let done = || (end.established() || end.is_reset()).then_some(());
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

impl Tcp {
    /// Gives the port back.
    fn release(&self) {
        if let Some((_, claim)) = self.binding.lock().take() {
            table::TCP.release(claim);
        }
    }
}
