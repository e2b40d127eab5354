//! A connection to another machine: TCP proper.
//!
//! A [`Wire`] stands at the far end of a [`Joined`](super::connection::Joined) pair of streams. smoltcp's state machine, in an
//! interface of its own with one socket, makes segments of what the program wrote and bytes of what came; so a program sees no
//! difference between a connection inside this machine and one to another. It runs, under the connection's own lock, whenever
//! something may have changed: a packet came (where interrupts are handled), the program wrote, read or closed (in its
//! system call), a timer fired, the card has room again. What was written goes from there to the card at once.
//!
//! A [`Wire`] is in the table of wires from its first to its last packet and keeps its ports busy as long. In TIME_WAIT
//! nothing is left of it but its last packet. Memory: two rings (buffers.rs) and 2 KiB; streams hold only what is unread.
//! Costs: O(1) a packet; no connection is looked at for another's sake. Locks: `machine`, above the listener's queues, the
//! streams' queues, tables, and the card's.
use super::buffers;
use super::connection::{End, Joined};
use super::listener::Listener;
use super::live::Live;
use super::machine::{Machine, Stage, Tuning};
use super::wires::{self, Ends};
use crate::net::events::Events;
use crate::net::ip::{self, Network, Port};
use crate::net::stream::Stream;
use crate::sync::{SpinGuard, SpinLock};
use crate::time::{self, Timer, TimerCallback};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;
use ringo_net::packet::{Ip, Segment, Undelivered};
use ringo_net::progress::Reading;
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::Socket;
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

/// TIME_WAIT.
const REST_NS: u64 = 60_000_000_000;
/// What a direction holds beside smoltcp's ring.
const ROOM: usize = 128 << 10;
/// The shortest time that a timer is armed for.
const SOON_NS: u64 = 1_000_000;

/// See the module's head.
pub struct Wire {
    ends: Ends,
    network: &'static Network,
    machine: SpinLock<Machine>,
    /// The program's stream was full: more follows when it has read.
    stalled: AtomicBool,
    timer: Timer,
}

struct Due(Weak<Wire>);

impl TimerCallback for Due {
    fn expired(&self) {
        if let Some(wire) = self.0.upgrade() {
            wire.machine.lock().armed = u64::MAX;
            wire.run_now();
        }
    }
}

impl Wire {
    fn new(
        network: &'static Network,
        ends: Ends,
        live: Box<Live>,
        end: End,
        taker: Option<(Arc<Listener>, End)>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| Self {
            ends,
            network,
            machine: SpinLock::new(Machine::new(live, end, taker, time::now())),
            stalled: AtomicBool::new(false),
            timer: Timer::new(Arc::new(Due(me.clone()))),
        })
    }

    /// Opens a connection from `local`, which is entered in the table of ports, to `remote`. Gives the program's end.
    ///
    /// # Errors
    /// ENOBUFS, EADDRNOTAVAIL.
    pub fn dial(
        network: &'static Network,
        ends: Ends,
        reuse: bool,
        events: Arc<Events>,
    ) -> Result<(End, Arc<Self>), Errno> {
        let mut live = Live::new(network, &ends, ip::now())?;
        let Live {
            interface,
            sockets,
            handle,
        } = &mut *live;
        let socket = sockets.get_mut::<Socket>(*handle);
        let [remote, local] = [ends.remote, ends.local].map(IpEndpoint::from);
        socket
            .connect(interface.context(), remote, local)
            .map_err(|_| Errno::EADDRNOTAVAIL)?;
        let (ours, theirs) = Joined::open(
            [ends.local, ends.remote],
            [Some(reuse), None],
            [events, Arc::new(Events::default())],
            ROOM,
        );
        let wire = Self::new(network, ends, live, theirs, None);
        ours.set_wire(&wire);
        wires::enter(ends, wire.clone());
        Ok((ours, wire))
    }

    /// Somebody wants to connect to a listener: its first segment follows.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn answer(
        network: &'static Network,
        ends: Ends,
        listener: Arc<Listener>,
    ) -> Result<Arc<Self>, Errno> {
        let mut live = Live::new(network, &ends, ip::now())?;
        let socket = live.socket();
        socket
            .listen(IpEndpoint::from(ends.local))
            .map_err(|_| Errno::ENOBUFS)?;
        let events = [(); 2].map(|()| Arc::new(Events::default()));
        let reuse = [None, Some(listener.reuse)];
        let (theirs, ours) = Joined::open([ends.remote, ends.local], reuse, events, ROOM);
        buffers::opening_begins();
        let wire = Self::new(network, ends, live, theirs, Some((listener, ours.clone())));
        ours.set_wire(&wire);
        wires::enter(ends, wire.clone());
        Ok(wire)
    }

    /// Does what there is to do and sends it off.
    pub fn run_now(self: &Arc<Self>) {
        self.run();
        self.network.nic.flush();
    }

    /// A segment came.
    pub fn arrived(self: &Arc<Self>, ip: &Ip, segment: &Segment) {
        let mut machine = self.machine.lock();
        if machine.stage == Stage::Resting {
            if !segment.resets {
                self.repeat(&machine.last);
            }
            return;
        }
        machine.reset |= segment.resets;
        machine.hear(segment, time::now());
        match machine.read(ip, segment) {
            Reading::Whole => self.run_locked(machine, &[ip.whole]),
            Reading::AlsoAcknowledges(first) => self.run_locked(machine, &[&first, ip.whole]),
            Reading::OnlyAcknowledges(other) | Reading::Renewed(other) => {
                self.run_locked(machine, &[&other]);
            }
        }
    }

    /// Does what there is to do; what is to be sent waits for the card's flush.
    pub fn run(self: &Arc<Self>) {
        self.run_locked(self.machine.lock(), &[]);
    }

    fn run_locked(self: &Arc<Self>, mut machine: SpinGuard<'_, Machine>, packets: &[&[u8]]) {
        let mut gone = None;
        if machine.stage == Stage::Resting {
            if time::now() >= machine.rest_until {
                machine.stage = Stage::Over;
            }
        } else if let Some(mut live) = machine.live.take() {
            self.poll(&mut machine, &mut live, packets);
            match machine.stage {
                Stage::Opening | Stage::Open => machine.live = Some(live),
                Stage::Resting => {
                    gone = machine.end.take();
                    let until = time::now() + REST_NS;
                    machine.rest_until = until;
                    self.timer.arm(until);
                }
                Stage::Over => {}
            }
        }
        if machine.stage == Stage::Over {
            machine.live = None;
            gone = gone.or(machine.end.take());
            let taker = machine.take_taker();
            drop(machine);
            drop(taker);
            self.timer.cancel();
            wires::leave(&self.ends, self);
        } else {
            drop(machine);
        }
        // Its ports become free: not under the lock.
        drop(gone);
    }

    /// Lets the protocol run: takes packets in, exchanges bytes with the program, sends.
    fn poll(self: &Arc<Self>, machine: &mut Machine, live: &mut Live, packets: &[&[u8]]) {
        let mut port = Port::new(self.network, self.ends.remote.ip(), machine.front);
        let now = time::now();
        if !machine.keep_time(live, now) {
            return;
        }
        for packet in packets {
            port.packet = Some(packet);
            let shown = machine.shown(now);
            live.interface
                .poll_ingress_single(shown, &mut port, &mut live.sockets);
        }
        if machine.is_forgotten() {
            machine.stage = Stage::Over;
            return;
        }
        machine.exchange(live.socket(), &self.stalled, now);
        let shown = machine.shown(now);
        let (interface, sockets) = (&mut live.interface, &mut live.sockets);
        while interface.poll_egress(shown, &mut port, sockets) == PollResult::SocketStateChanged {}
        machine.front = port.front;
        machine.settle(live.socket().state(), !port.last.is_empty());
        machine.observe(live.socket(), now);
        match machine.stage {
            Stage::Opening | Stage::Open if port.busy => self.network.wait_for_room(self.clone()),
            Stage::Opening | Stage::Open => {
                let due = live.interface.poll_at(shown, &live.sockets);
                self.arm(machine, due, now);
            }
            Stage::Resting => machine.last = port.last.to_vec(),
            Stage::Over => {}
        }
    }

    /// Arms the timer if it would fire too late; one that fires too early costs less than to move it with each packet.
    fn arm(&self, machine: &mut Machine, due: Option<Instant>, now: u64) {
        let due = due.map_or(u64::MAX, |due| machine.clocks.real(due.total_micros()));
        // Never at once: what could be done was done just now.
        let due = due.min(machine.clocks.due()).max(now + SOON_NS);
        if due < machine.armed {
            machine.armed = due;
            self.timer.arm(due);
        }
    }

    /// The program has read from `stream`: takes in what found no room in it.
    pub fn took(self: &Arc<Self>, stream: &Stream<()>) {
        if self.stalled.load(Ordering::SeqCst)
            && stream.room() >= ROOM / 2
            && self.stalled.swap(false, Ordering::SeqCst)
        {
            self.run_now();
        }
    }

    /// Options changed.
    pub fn tune(self: &Arc<Self>, tuning: Tuning) {
        let mut machine = self.machine.lock();
        machine.tune(tuning);
        let now = time::now();
        self.arm(&mut machine, None, now);
    }

    /// Something that was sent did not arrive. False if this connection has not sent it.
    pub fn undelivered(self: &Arc<Self>, what: &Undelivered) -> bool {
        let mut machine = self.machine.lock();
        let known = machine.undelivered(what);
        if machine.has_failed()
            && let Some(live) = machine.live.as_mut()
        {
            live.socket().abort();
            self.run_locked(machine, &[]);
        }
        known
    }

    /// Whether everything the program sent has arrived, its end included.
    pub fn is_confirmed(&self) -> bool {
        self.machine.lock().is_confirmed()
    }

    /// Whether a new connection between the same ends may take its place.
    pub fn is_resting(&self) -> bool {
        self.machine.lock().stage == Stage::Resting
    }

    /// Ends TIME_WAIT early.
    pub fn end_rest(self: &Arc<Self>) {
        let mut machine = self.machine.lock();
        if machine.stage == Stage::Resting {
            machine.rest_until = 0;
            self.run_locked(machine, &[]);
        }
    }

    /// Bytes that were sent and not acknowledged, and those in the ring.
    pub fn unsent(&self) -> usize {
        let mut machine = self.machine.lock();
        machine
            .live
            .as_mut()
            .map_or(0, |live| live.socket().send_queue())
    }

    /// Says once more what was said last.
    fn repeat(&self, packet: &[u8]) {
        if packet.is_empty() {
            return;
        }
        let Some(mut frame) = self.network.nic.frame() else {
            return;
        };
        frame.packet(packet.len()).copy_from_slice(packet);
        self.network.send(frame, self.ends.remote.ip());
    }
}
