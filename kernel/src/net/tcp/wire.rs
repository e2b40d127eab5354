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
use crate::drivers::virtio::net::MTU;
use crate::fs::dev::random;
use crate::net::events::Events;
use crate::net::ip::{self, COUNTS, Network, Port};
use crate::net::stream::Stream;
use crate::sync::{SpinGuard, SpinLock};
use crate::time::{self, Timer, TimerCallback};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;
use ringo_net::clocks::Clocks;
use ringo_net::half_open::Entry;
use ringo_net::packet::{self, Ip, Segment, Undelivered};
use ringo_net::progress::Reading;
use smoltcp::iface::PollResult;
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

/// TIME_WAIT.
const REST_NS: u64 = 60_000_000_000;
/// What a direction holds beside smoltcp's ring.
const ROOM: usize = 128 << 10;
/// What a packet takes at least, as the headers have no options.
const SEGMENT: usize = MTU - 40;
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
    fn new(network: &'static Network, ends: Ends, machine: Machine) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| Self {
            ends,
            network,
            machine: SpinLock::new(machine),
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
        let rings = [buffers::size(); 2];
        let seed = random::word();
        let live = Live::dial(network, &ends, ip::now(), seed, rings)?;
        let (ours, theirs) = Joined::open(
            [ends.local, ends.remote],
            [Some(reuse), None],
            [events, Arc::new(Events::default())],
            ROOM,
        );
        let clocks = Clocks::new(time::now(), true);
        let mut machine = Machine::new(live, theirs, None, clocks);
        machine.dialled = Some((seed, time::now()));
        let wire = Self::new(network, ends, machine);
        ours.set_wire(&wire);
        wires::enter(ends, wire.clone());
        COUNTS.dialled.add();
        Ok((ours, wire))
    }

    /// Somebody has confirmed that a connection to a listener is meant: the segment that did so follows.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn answered(
        network: &'static Network,
        ends: Ends,
        entry: &Entry<Arc<Listener>>,
        ring: usize,
    ) -> Result<Arc<Self>, Errno> {
        // Time begins with the answer, so that the way there and back is measured; not if that was repeated (Karn).
        let began = match entry.repeated {
            0 => entry.answered,
            _ => time::now(),
        };
        let clocks = Clocks::new(began, false);
        let shown = Instant::from_micros(clocks.shown(began));
        let round_trip = time::now().saturating_sub(began);
        let far = [buffers::size_for(ring, round_trip); 2];
        let mut live = Live::new(network, &ends, shown, entry.seed, far)
            .or_else(|_| Live::new(network, &ends, shown, entry.seed, [ring; 2]))?;
        live.socket()
            .listen(IpEndpoint::from(ends.local))
            .map_err(|_| Errno::ENOBUFS)?;
        // What has been said, once more, for smoltcp.
        let first = entry.theirs.packet(ends.remote, ends.local);
        let mut port = Port::new(network, ends.remote.ip(), None);
        port.mute = true;
        port.packet = Some(&first);
        let Live {
            interface, sockets, ..
        } = &mut *live;
        interface.poll_ingress_single(shown, &mut port, sockets);
        interface.poll_egress(shown, &mut port, sockets);
        if port.front != Some(entry.ours.sequence.wrapping_add(1)) {
            return Err(Errno::ENOBUFS);
        }
        let front = port.front;
        let listener = entry.taker.clone();
        let events = [(); 2].map(|()| Arc::new(Events::default()));
        let reuse = [None, Some(listener.reuse)];
        let (theirs, ours) = Joined::open([ends.remote, ends.local], reuse, events, ROOM);
        let mut machine = Machine::new(live, theirs, Some((listener, ours.clone())), clocks);
        machine.front = front;
        machine.begin(entry.theirs.sequence);
        machine.meet(entry.theirs.mss, entry.theirs.scale);
        let wire = Self::new(network, ends, machine);
        ours.set_wire(&wire);
        wires::enter(ends, wire.clone());
        Ok(wire)
    }

    /// Does what there is to do and sends it off.
    pub fn run_now(self: &Arc<Self>) {
        self.run();
        self.network.nic.flush();
    }

    /// A segment came. False if it begins a new connection between the same ends, for which this one makes room.
    pub fn arrived(self: &Arc<Self>, ip: &Ip, segment: &Segment) -> bool {
        let mut machine = self.machine.lock();
        if machine.stage == Stage::Resting {
            return self.arrived_late(machine, segment);
        }
        if machine.stage == Stage::Opening && segment.synchronizes && !segment.resets {
            self.know_distance(&mut machine, segment, time::now());
        }
        match machine.read(ip, segment, time::now()) {
            Reading::Whole => self.run_locked(machine, &[ip.whole]),
            Reading::AlsoAcknowledges(first) => self.run_locked(machine, &[&first, ip.whole]),
            Reading::OnlyAcknowledges(other) | Reading::Renewed(other) => {
                self.run_locked(machine, &[&other]);
            }
            Reading::Questioned(other) => {
                COUNTS.questioned.add();
                self.run_locked(machine, &[&other]);
            }
            Reading::Known => self.run_locked(machine, &[]),
            Reading::Ignored => COUNTS.forged.add(),
        }
        true
    }

    /// Our SYN is answered, and so it is known how far away the other side is: before smoltcp sees the answer, another one
    /// with the rings for that takes its place, which has said the same.
    fn know_distance(&self, machine: &mut Machine, segment: &Segment, now: u64) {
        let Some((seed, asked)) = machine.dialled else {
            return;
        };
        let Some(before) = machine.live.as_mut().map(|live| live.socket()) else {
            return;
        };
        if segment.acknowledges.is_none() || segment.acknowledges != machine.front {
            return;
        }
        machine.dialled = None;
        let (ring, nagle) = (before.recv_capacity(), before.nagle_enabled());
        let far = buffers::size_for(ring, now.saturating_sub(asked));
        if far == ring {
            return;
        }
        let shown = machine.shown(now);
        let Ok(mut live) = Live::dial(self.network, &self.ends, shown, seed, [far; 2]) else {
            return;
        };
        live.socket().set_nagle_enabled(nagle);
        let mut port = Port::new(self.network, self.ends.remote.ip(), None);
        port.mute = true;
        let Live {
            interface, sockets, ..
        } = &mut *live;
        interface.poll_egress(shown, &mut port, sockets);
        if port.front == machine.front {
            machine.live = Some(live);
        }
    }

    /// TIME_WAIT (RFC 9293, 3.10.7.4; RFC 1122, 4.2.2.13): a reset with the right number ends it, and so does a SYN behind
    /// everything that came. Other segments are told once more what was told last, but for an acknowledgement that is in order;
    /// those without data not more than twice a second, or two ends that disagree would answer each other for ever (as Linux's
    /// tcp_timewait_state_process() and tcp_invalid_ratelimit).
    fn arrived_late(
        self: &Arc<Self>,
        mut machine: SpinGuard<'_, Machine>,
        segment: &Segment,
    ) -> bool {
        let ahead = segment
            .sequence
            .wrapping_sub(machine.expected)
            .cast_signed();
        let renews = segment.opens && ahead > 0;
        if renews || (segment.resets && ahead == 0) {
            machine.rest_until = 0;
            self.run_locked(machine, &[]);
        } else if !segment.resets && machine.answers_late(segment, ahead, time::now()) {
            self.repeat(&machine.last);
        }
        !renews
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
                wires::rested();
            }
        } else if let Some(mut live) = machine.live.take() {
            self.poll(&mut machine, &mut live, packets);
            match machine.stage {
                Stage::Opening | Stage::Open => machine.live = Some(live),
                Stage::Resting => {
                    gone = machine.end.take();
                    let rest = if wires::may_rest() { REST_NS } else { 0 };
                    let until = time::now() + rest;
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
        self.look_at_time(machine, live, now);
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
        self.repeat_first(machine, live, now);
        port.rescale = live.rescale;
        port.bulk = live.cuts && live.socket().send_queue() > SEGMENT;
        let shown = machine.shown(now);
        let due = send(live, &mut port, shown);
        machine.front = port.front;
        if let Some(front) = port.front {
            machine.recovery.sent(front, now);
        }
        machine.settle(live.socket().state(), !port.last.is_empty());
        machine.observe(live.socket(), now);
        match machine.stage {
            Stage::Opening | Stage::Open => {
                // What is due and found the card busy is so until there is room.
                let told = port.busy && self.network.wait_for_room(self.clone());
                let due = due.filter(|_| !told);
                self.arm(machine, due, now);
            }
            Stage::Resting => {
                machine.last = port.last.to_vec();
                machine.expected = packet::acknowledged(&machine.last);
            }
            Stage::Over => {}
        }
    }

    /// What is lost, as far as time says: smoltcp's timer that fires now finds a window of a segment.
    fn look_at_time(&self, machine: &mut Machine, live: &mut Live, now: u64) {
        let shown = machine.shown(now);
        let fires = |live: &mut Live| {
            let due = live.interface.poll_at(shown, &live.sockets);
            due.is_some_and(|due| due <= shown)
        };
        if machine.stage == Stage::Open && machine.recovery.may_time_out(now) && fires(live) {
            let window = machine.recovery.time_outs(now);
            let first = machine.recovery.first();
            self.show(machine, live, first, window, now);
        }
        machine.recovery.tick(now);
    }

    /// Has smoltcp send again what is missing first: three equal acknowledgements make it do that, behind one that is another.
    fn repeat_first(&self, machine: &mut Machine, live: &mut Live, now: u64) {
        let Some((first, window)) = machine.recovery.take_repeat() else {
            return;
        };
        // An end alone it would not send.
        if live.socket().send_queue() == 0 {
            return;
        }
        for _ in 0..4 {
            self.show(machine, live, first, window, now);
        }
    }

    /// Shows smoltcp an acknowledgement that nobody sent.
    fn show(&self, machine: &Machine, live: &mut Live, number: u32, window: u16, now: u64) {
        let expected = machine.expected_next(live.socket());
        let Ends { local, remote } = self.ends;
        let packet = packet::acknowledgement(remote, local, expected, number, window);
        let mut port = Port::new(self.network, remote.ip(), machine.front);
        port.mute = true;
        port.packet = Some(&packet);
        let shown = machine.shown(now);
        live.interface
            .poll_ingress_single(shown, &mut port, &mut live.sockets);
    }

    /// Arms the timer if it would fire too late; one that fires too early costs less than to move it with each packet.
    fn arm(&self, machine: &mut Machine, due: Option<Instant>, now: u64) {
        let due = due.map_or(u64::MAX, |due| machine.clocks.real(due.total_micros()));
        // Never at once: what could be done was done just now.
        let due = due.min(machine.clocks.due()).min(machine.recovery.due());
        let due = due.max(now + SOON_NS);
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
        if machine.stage == Stage::Resting {
            // Only its end is timed, which no option moves.
            return;
        }
        machine.tune(tuning);
        let now = time::now();
        self.arm(&mut machine, None, now);
    }

    /// Something that was sent did not arrive. False if this connection has not sent it.
    pub fn undelivered(self: &Arc<Self>, what: &Undelivered) -> bool {
        let mut machine = self.machine.lock();
        let known = machine.undelivered(what);
        if let (true, Some(mtu)) = (known, what.mtu) {
            let to = self.ends.remote.ip();
            self.network.learn_mtu(to, mtu);
            // Another connection may have learnt it before.
            let mtu = self.network.mtu_to(to);
            let shown = machine.shown(time::now());
            if let Some(live) = machine.live.as_mut() {
                live.narrow(self.network, &self.ends, shown, mtu);
                let segment = live.segment;
                machine.recovery.narrow(segment);
            }
        }
        if machine.has_failed() && machine.live.is_some() {
            // As on Linux, who has not answered is not told: nothing more is sent.
            machine.fail();
            machine.live = None;
            self.run_locked(machine, &[]);
        }
        known
    }

    /// Whether everything the program sent has arrived, its end included.
    pub fn is_confirmed(&self) -> bool {
        self.machine.lock().is_confirmed()
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

/// Sends what is due, as far as the card has room, and gives when something is next.
fn send(live: &mut Live, port: &mut Port, shown: Instant) -> Option<Instant> {
    loop {
        let due = live.interface.poll_at(shown, &live.sockets);
        if due.is_none_or(|due| due > shown) || !port.is_ready() {
            return due;
        }
        let (interface, sockets) = (&mut live.interface, &mut live.sockets);
        if interface.poll_egress(shown, port, sockets) != PollResult::SocketStateChanged {
            return live.interface.poll_at(shown, &live.sockets);
        }
    }
}
