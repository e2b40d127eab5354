//! What happens between smoltcp's state machine and the program's streams, under the connection's lock.
//!
//! [`Machine::exchange`] moves bytes and news both ways, [`Machine::settle`] draws conclusions from the protocol's state, and
//! [`Machine::keep_time`] says what the connection's clocks (ringo_net::clocks) want. None of them sends: who runs the
//! machine (wire.rs) polls smoltcp between.
use super::connection::End;
use super::course::{Course, drain};
use super::listener::Listener;
use super::live::Live;
use crate::net::ip::COUNTS;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;
use ringo_abi::Errno;
use ringo_net::clocks::{Action, Clocks, Settings, Situation};
use ringo_net::half_open;
use ringo_net::packet::{self, Ip, Segment, Undelivered};
use ringo_net::progress::Reading;
use ringo_net::recovery::{self, Recovery, Word};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::{Duration, Instant};

/// What setsockopt(2) says that concerns segments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// Time-outs and keep-alive.
    pub clocks: Settings,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Being opened.
    Opening,
    /// Both sides know of it.
    Open,
    /// TIME_WAIT.
    Resting,
    /// Nothing is left of it.
    Over,
}

/// See the module's head.
pub struct Machine {
    /// How far it is.
    pub stage: Stage,
    /// None from TIME_WAIT on.
    pub live: Option<Box<Live>>,
    /// The far end of the program's; none when there is nothing more to tell it.
    pub end: Option<End>,
    /// Who takes it once it is open, and what it takes.
    taker: Option<(Arc<Listener>, End)>,
    /// The other side's FIN was told, and ours was queued.
    finished: [bool; 2],
    /// The bytes of either side so far.
    course: Course,
    /// How much is on its way, and what is repeated.
    pub recovery: Recovery,
    /// Behind the last byte that was sent; what is before it is sent again.
    pub front: Option<u32>,
    /// A reset came.
    pub reset: bool,
    /// The other side has no room.
    no_room: bool,
    /// What ended the connection, if neither side did.
    failure: Option<Errno>,
    /// What a router said that may pass: the reason if it does not.
    hint: Option<Errno>,
    orphan: bool,
    /// Our FIN is acknowledged, which a program in close(2) waits for.
    confirmed: bool,
    /// Time-outs.
    pub clocks: Clocks,
    /// What decided the number that a connection begins with that we ask for, and when we asked last.
    pub dialled: Option<(u64, u64)>,
    /// When the timer fires; `u64::MAX` for not at all.
    pub armed: u64,
    /// When TIME_WAIT ends.
    pub rest_until: u64,
    /// TIME_WAIT's answer to everything, and what is behind everything that came.
    pub last: Vec<u8>,
    /// See `last`.
    pub expected: u32,
    /// When it was given to somebody who had nothing to say.
    answered: Option<u64>,
}

impl Machine {
    /// Of a connection that is being opened; with a taker by the other side.
    pub fn new(
        live: Box<Live>,
        end: End,
        taker: Option<(Arc<Listener>, End)>,
        clocks: Clocks,
    ) -> Self {
        Self {
            stage: Stage::Opening,
            live: Some(live),
            end: Some(end),
            clocks,
            taker,
            finished: [false; 2],
            course: Course::default(),
            recovery: Recovery::default(),
            front: None,
            reset: false,
            no_room: false,
            failure: None,
            hint: None,
            orphan: false,
            confirmed: false,
            dialled: None,
            armed: u64::MAX,
            rest_until: 0,
            last: Vec::new(),
            expected: 0,
            answered: None,
        }
    }

    /// Whether a segment is answered in TIME_WAIT; `ahead`: how far it is from what is expected.
    pub fn answers_late(&mut self, segment: &Segment, ahead: i32, now: u64) -> bool {
        if segment.length > 0 && !segment.opens {
            return true;
        }
        let recent = |last: u64| now.saturating_sub(last) < half_open::QUIET;
        if (segment.length == 0 && ahead == 0) || self.answered.is_some_and(recent) {
            return false;
        }
        self.answered = Some(now);
        true
    }

    /// Options changed.
    pub fn tune(&mut self, tuning: Tuning) {
        self.clocks.set(tuning.clocks);
        if let Some(live) = self.live.as_mut() {
            live.socket().set_nagle_enabled(!tuning.nodelay);
            if !tuning.clocks.keep_alive {
                // A question that is out is the last one.
                live.socket().set_keep_alive(None);
            }
        }
    }

    /// What of the other side's word concerns clocks. Before smoltcp sees it.
    fn hear(&mut self, segment: &Segment, now: u64) {
        self.no_room = segment.window == 0;
        if self.clocks.heard(now)
            && let Some(live) = self.live.as_mut()
        {
            // Its next question is ours to time.
            live.socket().set_keep_alive(None);
        }
    }

    /// Does what is due by the clocks. False if the connection ends with that, without a word.
    pub fn keep_time(&mut self, live: &mut Live, now: u64) -> bool {
        match self.clocks.check(now) {
            Action::Nothing => {}
            Action::Repeat => {
                // Which of them is answered will not be known (Karn).
                self.dialled = self.dialled.map(|(seed, _)| (seed, now));
                let shown = self.shown(now);
                if let Some(due) = live.interface.poll_at(shown, &live.sockets) {
                    self.clocks.jump(due.total_micros(), now);
                }
            }
            Action::Probe => {
                COUNTS.probes.add();
                // smoltcp asks when it gets an interval for the first time, and each time one is over: a little later than
                // ours.
                let interval = Duration::from_millis(self.clocks.shown_interval());
                live.socket().set_keep_alive(Some(interval));
                let shown = self.shown(now);
                if let Some(due) = live.interface.poll_at(shown, &live.sockets) {
                    self.clocks.jump(due.total_micros(), now);
                }
            }
            Action::GiveUp { reset } => {
                COUNTS.given_up.add();
                self.failure = Some(self.hint.unwrap_or(Errno::ETIMEDOUT));
                if !reset {
                    self.fail();
                    return false;
                }
                live.socket().abort();
            }
        }
        true
    }

    /// The time as smoltcp is to see it.
    pub fn shown(&self, now: u64) -> Instant {
        Instant::from_micros(self.clocks.shown(now))
    }

    /// Tells the clocks how the connection is now.
    pub fn observe(&mut self, socket: &Socket, now: u64) {
        if self.stage != Stage::Open {
            return;
        }
        let state = socket.state();
        let closing = matches!(state, State::FinWait1 | State::Closing | State::LastAck);
        let situation = Situation {
            unacknowledged: self.course.unacknowledged(socket),
            waits: closing || socket.send_queue() > 0,
            no_room: self.no_room,
            orphan: self.orphan,
            awaits_end: state == State::FinWait2,
        };
        self.clocks.observe(now, situation);
    }

    /// Something that was sent did not arrive. False if it was not sent by this connection. True also if the connection is
    /// over because of that: it is to [fail](Machine::fail) then.
    pub fn undelivered(&mut self, what: &Undelivered) -> bool {
        let Some(front) = self.front else {
            return false;
        };
        let (stage, live) = (self.stage, self.live.as_mut());
        let first = match (stage, live) {
            (Stage::Opening, _) => front.wrapping_sub(1),
            (Stage::Open, Some(live)) => self.course.unacknowledged(live.socket()),
            _ => return false,
        };
        // What was acknowledged, or was never sent, somebody made up.
        if what.sequence.wrapping_sub(first) > front.wrapping_sub(first) {
            return false;
        }
        match stage {
            Stage::Opening if what.mtu.is_none() => self.failure = Some(what.errno),
            // Later it is only a hint (RFC 1122, 4.2.3.9).
            _ if what.mtu.is_none() => self.hint = Some(what.errno),
            _ => {}
        }
        true
    }

    /// Whether something has ended the connection that neither side did.
    pub const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// What a segment says.
    pub fn read(&mut self, ip: &Ip, segment: &Segment, now: u64) -> Reading {
        let reading = match (self.stage, &mut self.live) {
            (Stage::Opening, _) => self.read_first(ip, segment),
            (Stage::Open, Some(live)) => self.course.progress(live.socket()).read(ip, segment),
            _ => Reading::Whole,
        };
        if matches!(reading, Reading::Questioned(_) | Reading::Ignored) {
            return reading;
        }
        self.reset |= segment.resets;
        self.hear(segment, now);
        match segment.acknowledges {
            Some(number) if self.stage == Stage::Open && !segment.resets => {
                self.recover(ip, segment, number, reading, now)
            }
            _ => reading,
        }
    }

    /// What smoltcp is shown of a segment that acknowledges this.
    fn recover(
        &mut self,
        ip: &Ip,
        segment: &Segment,
        acknowledges: u32,
        reading: Reading,
        now: u64,
    ) -> Reading {
        let word = Word {
            acknowledges,
            window: segment.window,
            bare: segment.length == 0 && reading == Reading::Whole,
        };
        let selected = recovery::selected(ip, acknowledges);
        if self.recovery.hear(word, selected, now) {
            return Reading::Known;
        }
        match self.recovery.show(segment.window, acknowledges) {
            window if window == segment.window => reading,
            window => reading.with_window(ip, window),
        }
    }

    /// What the other side said when it opened the connection.
    pub fn meet(&mut self, mss: Option<u16>, scale: Option<u8>) {
        let Some(live) = self.live.as_mut() else {
            return;
        };
        self.recovery.meet(mss, scale, live.segment);
        if scale.is_none() {
            live.rescale = 0;
        }
    }

    /// The number of the byte that is expected next.
    pub fn expected_next(&self, socket: &Socket) -> u32 {
        self.course.progress(socket).expected
    }

    fn read_first(&mut self, ip: &Ip, segment: &Segment) -> Reading {
        // Only who has seen our SYN can refuse it; of who has sent one we know the number.
        let refuses = match self.taker {
            None => segment.acknowledges.is_some() && segment.acknowledges == self.front,
            Some(_) => segment.sequence == self.course.given,
        };
        if segment.resets && !refuses {
            return Reading::Ignored;
        }
        self.course.begin(segment);
        if segment.synchronizes
            && let Ok(opening) = packet::opening(ip)
        {
            self.meet(opening.mss, opening.scale);
        }
        self.recovery.greet(segment.window, segment.synchronizes);
        Reading::Whole
    }

    /// The first segment of the other side was this.
    pub fn begin(&mut self, sequence: u32) {
        self.course.given = sequence.wrapping_add(1);
    }

    /// Whether the program has given up a connection that nobody has answered: there is nobody to tell of it.
    pub fn is_forgotten(&self) -> bool {
        let closed = self
            .end
            .as_ref()
            .is_some_and(|end| end.outgoing().abandoned());
        self.stage == Stage::Opening && self.taker.is_none() && closed
    }

    /// Moves bytes and news between the protocol and the program's streams.
    pub fn exchange(&mut self, socket: &mut Socket, stalled: &AtomicBool, now: u64) {
        if self.stage == Stage::Opening {
            self.open(socket, now);
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
            self.orphan = true;
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
            let (held, ring) = (socket.send_queue(), socket.send_capacity());
            let most = self.recovery.room(held, outgoing.unread(), ring, now);
            outgoing.take_bytes(|bytes| {
                let left = (held + most).saturating_sub(socket.send_queue());
                let bytes = &bytes[..bytes.len().min(left)];
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

    /// Who was to take it.
    pub fn take_taker(&mut self) -> Option<(Arc<Listener>, End)> {
        self.taker.take()
    }

    /// The connection may have been opened.
    fn open(&mut self, socket: &mut Socket, now: u64) {
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
        self.clocks.open(now);
        self.recovery.open(self.course.queued, now);
        if self.taker.is_some() {
            COUNTS.accepted.add();
        }
        match self.taker.take() {
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
    pub fn settle(&mut self, state: State, answered: bool) {
        let confirmed = matches!(state, State::FinWait2 | State::TimeWait | State::Closed);
        if confirmed && self.finished[1] && !self.confirmed {
            self.confirmed = true;
            if self.orphan
                && let Some(end) = &self.end
            {
                end.tell_peer();
            }
        }
        match state {
            State::TimeWait if self.finished[0] && answered => self.stage = Stage::Resting,
            State::Closed => self.fail(),
            _ => {}
        }
    }

    /// Whether everything the program sent has arrived, its end included.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed || matches!(self.stage, Stage::Resting | Stage::Over)
    }

    /// The connection is over: tells the program why, if it ought to know.
    pub fn fail(&mut self) {
        match self.stage {
            Stage::Opening => COUNTS.refused.add(),
            _ if self.reset => COUNTS.reset_in.add(),
            _ => {}
        }
        if let Some(end) = &self.end {
            let opening = self.stage == Stage::Opening;
            if opening && self.taker.is_none() {
                let refused = self.reset.then_some(Errno::ECONNREFUSED);
                let errno = self.failure.or(refused);
                end.break_off(errno.unwrap_or(Errno::ETIMEDOUT));
            } else if !opening && self.finished != [true; 2] {
                if let Some(errno) = self.failure {
                    end.break_off(errno);
                } else if self.reset {
                    end.broken();
                } else if !end.is_reset() {
                    end.break_off(Errno::ETIMEDOUT);
                }
            }
        }
        self.stage = Stage::Over;
    }
}
