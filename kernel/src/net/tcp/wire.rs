//! A connection to another machine: TCP proper.
//!
//! A [`Wire`] stands at the far end of a [`Joined`](super::connection::Joined) pair of streams. smoltcp's state machine, in an
//! interface of its own with one socket, makes segments of what the program wrote and bytes of what came; so a program sees no
//! difference between a connection inside this machine and one to another. It runs, under the connection's own lock, whenever
//! something may have changed: a packet came (where interrupts are handled), the program wrote, read or closed (in its
//! system call), a timer fired, the card has room again. What was written goes from there to the card at once.
//!
//! A [`Wire`] is in the table of wires from its first to its last packet and keeps its ports busy as long. In TIME_WAIT nothing
//! is left of it but its last packet. Memory: two rings (buffers.rs) and 2 KiB; streams hold only what is unread.
//! Costs: O(1) a packet; no connection is looked at for another's sake.
//! Locks: `machine`, above the listener's queues, the streams' queues, tables, and the card's.
use super::buffers;
use super::connection::{End, Joined};
use super::listener::Listener;
use super::wires::{self, Ends};
use crate::fs::dev::random;
use crate::net::events::Events;
use crate::net::ip::{self, COUNTS, Network, Port};
use crate::net::stream::Stream;
use crate::sync::{SpinGuard, SpinLock};
use crate::time::{self, Timer, TimerCallback};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;
use ringo_net::packet::{Ip, Segment};
use ringo_net::progress::{Progress, Reading};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint};

/// How long an answer to connect(2) may take: Linux's six repeated SYNs.
const CONNECT_SECONDS: u64 = 127;
/// How long somebody who wants to connect may take to confirm it.
const CONFIRM_SECONDS: u64 = 20;
/// How long a connection lives that the program has closed without a word from the other side (net.ipv4.tcp_fin_timeout).
const ORPHAN_SECONDS: u64 = 60;
/// TIME_WAIT.
const REST_NS: u64 = 60_000_000_000;
/// What a direction holds beside smoltcp's ring.
const ROOM: usize = 128 << 10;

/// What setsockopt(2) says that concerns segments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// SO_KEEPALIVE: seconds of silence before a question, and more before the end.
    pub keep_alive: Option<(u32, u32)>,
}

/// The protocol's part.
struct Live {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being opened.
    Opening,
    /// Both sides know of it.
    Open,
    /// TIME_WAIT.
    Resting,
    /// Nothing is left of it.
    Over,
}

struct Machine {
    stage: Stage,
    /// None from TIME_WAIT on.
    live: Option<Box<Live>>,
    /// The far end of the program's; none when there is nothing more to tell it.
    end: Option<End>,
    /// Who takes it once it is open, and what it takes.
    taker: Option<(Arc<Listener>, End)>,
    /// The other side's FIN was told, and ours was queued.
    finished: [bool; 2],
    /// The bytes of either side so far.
    course: Course,
    /// A reset came.
    reset: bool,
    /// What an ICMP message said.
    unreachable: Option<Errno>,
    orphan: bool,
    tuning: Option<Tuning>,
    /// When the timer fires; `u64::MAX` for not at all.
    armed: u64,
    /// When TIME_WAIT ends.
    rest_until: u64,
    /// TIME_WAIT's answer to everything.
    last: Vec<u8>,
}

/// Numbers of bytes, as segments count them; they wrap.
#[derive(Clone, Copy, Default)]
struct Course {
    /// Of the first byte that the program has not been given.
    given: u32,
    /// Of the first byte that smoltcp has not been given.
    queued: u32,
}

impl Course {
    /// Nothing is known of a connection but the segments that open it.
    fn begin(&mut self, segment: &Segment) {
        if segment.synchronizes {
            self.given = segment.sequence.wrapping_add(1);
        }
        self.queued = segment.acknowledges.unwrap_or(self.queued);
    }

    fn progress(&self, socket: &Socket) -> Progress {
        let came = matches!(
            socket.state(),
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        let confirmed = matches!(socket.state(), State::FinWait2 | State::TimeWait);
        let [received, sent] = [socket.recv_queue(), socket.send_queue()].map(|n| n as u32);
        let ring = socket.recv_capacity() as u32;
        Progress {
            expected: self.given.wrapping_add(received + u32::from(came)),
            ring,
            free: ring - received,
            unacknowledged: self
                .queued
                .wrapping_sub(sent)
                .wrapping_add(u32::from(confirmed)),
        }
    }
}

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

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

impl Live {
    fn new(network: &'static Network, ends: &Ends) -> Result<Box<Self>, Errno> {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = random::word();
        let mut port = Port::new(network, ends.remote.ip());
        let mut interface = Interface::new(config, &mut port, ip::now());
        let full = match ends.local.ip() {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        interface.update_ip_addrs(|addresses| {
            // Its capacity is one.
            let _ = addresses.push(IpCidr::new(ends.local.ip().into(), full));
        });
        // Which way packets go is the layer's below; here there must only be one.
        let _ = interface
            .routes_mut()
            .add_default_ipv4_route(Ipv4Addr::UNSPECIFIED);
        let [receive, send] = [buffers::ring()?, buffers::ring()?];
        let mut socket = Socket::new(SocketBuffer::new(receive), SocketBuffer::new(send));
        socket.set_congestion_control(CongestionControl::Reno);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Ok(Box::new(Self {
            interface,
            sockets,
            handle,
        }))
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let socket: &Socket = self.sockets.get(self.handle);
        buffers::gone(socket.recv_capacity() + socket.send_capacity());
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
            machine: SpinLock::new(Machine {
                stage: Stage::Opening,
                live: Some(live),
                end: Some(end),
                taker,
                finished: [false; 2],
                course: Course::default(),
                reset: false,
                unreachable: None,
                orphan: false,
                tuning: None,
                armed: u64::MAX,
                rest_until: 0,
                last: Vec::new(),
            }),
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
        let mut live = Live::new(network, &ends)?;
        let Live {
            interface,
            sockets,
            handle,
        } = &mut *live;
        let socket = sockets.get_mut::<Socket>(*handle);
        socket.set_timeout(seconds(CONNECT_SECONDS));
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
        let mut live = Live::new(network, &ends)?;
        let socket = live.socket();
        socket.set_timeout(seconds(CONFIRM_SECONDS));
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
            let mut port = Port::new(self.network, self.ends.remote.ip());
            let now = ip::now();
            for packet in packets {
                port.packet = Some(packet);
                live.interface
                    .poll_ingress_single(now, &mut port, &mut live.sockets);
            }
            machine.exchange(live.socket(), &self.stalled);
            let (interface, sockets) = (&mut live.interface, &mut live.sockets);
            while interface.poll_egress(now, &mut port, sockets) == PollResult::SocketStateChanged {
            }
            machine.settle(live.socket().state(), !port.last.is_empty());
            match machine.stage {
                Stage::Opening | Stage::Open => {
                    let due = live.interface.poll_at(now, &live.sockets);
                    if port.busy {
                        self.network.wait_for_room(self.clone());
                    } else {
                        self.arm(&mut machine, due);
                    }
                    machine.live = Some(live);
                }
                Stage::Resting => {
                    machine.last = port.last.to_vec();
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

    /// Arms the timer if it would fire too late; one that fires too early costs less than to move it with each packet.
    fn arm(&self, machine: &mut Machine, due: Option<Instant>) {
        let Some(due) = due.map(ip::deadline) else {
            return;
        };
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
    pub fn tune(&self, tuning: Tuning) {
        let mut machine = self.machine.lock();
        machine.tuning = Some(tuning);
        let open = machine.stage == Stage::Open;
        if let Some(live) = machine.live.as_mut() {
            apply(live.socket(), tuning, open);
        }
    }

    /// An ICMP message said that the other side cannot be reached.
    pub fn unreachable(self: &Arc<Self>, errno: Errno) {
        let mut machine = self.machine.lock();
        // Later it is only a hint (RFC 1122, 4.2.3.9).
        if machine.stage != Stage::Opening {
            return;
        }
        machine.unreachable = Some(errno);
        if let Some(live) = machine.live.as_mut() {
            live.socket().abort();
        }
        self.run_locked(machine, &[]);
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

fn apply(socket: &mut Socket, tuning: Tuning, open: bool) {
    socket.set_nagle_enabled(!tuning.nodelay);
    if !open {
        return;
    }
    match tuning.keep_alive {
        Some((silence, more)) => {
            socket.set_keep_alive(seconds(u64::from(silence)));
            socket.set_timeout(seconds(u64::from(silence) + u64::from(more)));
        }
        None => {
            socket.set_keep_alive(None);
            socket.set_timeout(None);
        }
    }
}

impl Machine {
    /// What a segment says.
    fn read(&mut self, ip: &Ip, segment: &Segment) -> Reading {
        match (self.stage, &mut self.live) {
            (Stage::Opening, _) => self.course.begin(segment),
            (Stage::Open, Some(live)) => {
                return self.course.progress(live.socket()).read(ip, segment);
            }
            _ => {}
        }
        Reading::Whole
    }

    /// Moves bytes and news between the protocol and the program's streams.
    fn exchange(&mut self, socket: &mut Socket, stalled: &AtomicBool) {
        if self.stage == Stage::Opening {
            self.open(socket);
        }
        let Some(end) = &self.end else { return };
        if end.is_reset() {
            // The program did that; what comes from outside is told below, when the socket is closed.
            socket.abort();
            return;
        }
        let incoming = end.outgoing();
        if incoming.abandoned() {
            if socket.can_recv() {
                // Nobody will ever read it (RFC 9293, 3.10.4).
                socket.abort();
                return;
            }
            if !self.orphan {
                self.orphan = true;
                socket.set_timeout(seconds(ORPHAN_SECONDS));
            }
        } else {
            let count = drain(socket, incoming, stalled);
            if count > 0 {
                self.course.given = self.course.given.wrapping_add(count);
                incoming.reader().readable();
            }
        }
        if self.stage == Stage::Open
            && !self.finished[0]
            && !socket.may_recv()
            && socket.state() != State::Closed
        {
            self.finished[0] = true;
            end.finish();
        }
        let outgoing = end.incoming();
        // The mark first: what was written before it is seen then.
        let ended = outgoing.ended();
        if socket.may_send() && outgoing.unread() > 0 {
            let queued = &mut self.course.queued;
            outgoing.take_bytes(|bytes| {
                let count = socket.send_slice(bytes).unwrap_or(0);
                *queued = queued.wrapping_add(count as u32);
                count
            });
        }
        let opened = socket.state() != State::SynSent || incoming.abandoned();
        if ended && outgoing.unread() == 0 && !self.finished[1] && opened {
            self.finished[1] = true;
            // The answer to the other side's FIN is the last that is said, and is kept for TIME_WAIT.
            socket.set_ack_delay(None);
            socket.close();
        }
    }

    fn take_taker(&mut self) -> Option<(Arc<Listener>, End)> {
        let taker = self.taker.take();
        if taker.is_some() {
            buffers::opening_ends();
        }
        taker
    }

    /// The connection may have been opened.
    fn open(&mut self, socket: &mut Socket) {
        let opening = [
            State::Listen,
            State::SynSent,
            State::SynReceived,
            State::Closed,
        ];
        if opening.contains(&socket.state()) {
            return;
        }
        self.stage = Stage::Open;
        socket.set_timeout(None);
        if let Some(tuning) = self.tuning {
            apply(socket, tuning, true);
        }
        match self.take_taker() {
            Some((listener, end)) => {
                if listener.offer(end).is_err() {
                    socket.abort();
                }
            }
            None => {
                if let Some(end) = &self.end {
                    end.establish();
                    end.tell_peer();
                }
            }
        }
    }

    /// Draws conclusions from the protocol's state. `answered`: the segment sent last acknowledges what came last.
    fn settle(&mut self, state: State, answered: bool) {
        match state {
            State::TimeWait if self.finished[0] && answered => self.stage = Stage::Resting,
            State::Closed => {
                if let Some(end) = &self.end {
                    let opening = self.stage == Stage::Opening;
                    if opening && self.taker.is_none() {
                        let refused = self.reset.then_some(Errno::ECONNREFUSED);
                        let errno = self.unreachable.or(refused);
                        end.break_off(errno.unwrap_or(Errno::ETIMEDOUT));
                    } else if !opening && self.finished != [true; 2] {
                        if self.reset {
                            end.broken();
                        } else if !end.is_reset() {
                            end.break_off(Errno::ETIMEDOUT);
                        }
                    }
                }
                self.stage = Stage::Over;
            }
            _ => {}
        }
    }
}

/// Moves what came to the program, and gives how many bytes that were. Behind the other side's FIN nothing more comes, so that
/// all of it is moved, whatever the room: the ring may be gone before the program has read.
fn drain(socket: &mut Socket, incoming: &Stream<()>, stalled: &AtomicBool) -> u32 {
    let mut given = 0;
    let ended = [
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];
    let all = ended.contains(&socket.state());
    while socket.can_recv() {
        if incoming.room() == 0 && !all {
            stalled.store(true, Ordering::SeqCst);
            // The program may have read before it could see the mark.
            if incoming.room() == 0 || !stalled.swap(false, Ordering::SeqCst) {
                break;
            }
        }
        let moved = socket.recv(|bytes| {
            let count = incoming.push_bytes(bytes, (), all);
            (count, count)
        });
        match moved {
            Ok(count) if count > 0 => given += count as u32,
            _ => {
                // No memory now: it is looked at again when more comes or the program has read.
                stalled.store(true, Ordering::SeqCst);
                COUNTS.full.add();
                break;
            }
        }
    }
    given
}
