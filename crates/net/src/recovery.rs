//! How much of a connection of TCP may be on its way, and what is repeated before smoltcp's timer says so.
//!
//! smoltcp's sender repeats one segment after three equal acknowledgements and everything after a time-out, begins with
//! two segments, and takes the first new acknowledgement for the end of a loss. So its congestion control is off, and
//! this is in its place: [`Recovery::room`] says how many bytes it may be given, [`Recovery::hear`] looks at each
//! acknowledgement before it does, and [`Recovery::take_repeat`] says when the first byte that is missing goes again: its
//! owner then shows smoltcp what makes it do that.
//!
//! - **Window.** Ten segments at first (RFC 6928), doubled each round trip up to the threshold, then one more a round trip
//!   (RFC 5681). It only grows while it is used (RFC 7661), and begins anew after a pause.
//! - **Loss** is what three acknowledgements say, or selective ones for more than two segments behind it (RFC 6675). The window
//!   is halved once, until all that was on its way then has arrived: each acknowledgement of a part of it says what is missing
//!   next (RFC 6582). What is repeated and gets lost again is repeated after twice the time, and so on.
//! - **The end** of what is sent has nothing behind it that could say that it is missing. After two round trips without a word
//!   the first byte that is missing goes again (after RFC 8985, 7); only if more is missing then, the window is halved.
//! - **Time-out.** smoltcp's. Everything goes again, but from a window of one segment: by the window that smoltcp is shown
//!   ([`Recovery::shown`]).
//!
//! Several segments that are lost take a round trip each. O(1). Times in ns since boot; numbers are those of segments, which
//! wrap.
use crate::packet::Ip;
use smoltcp::wire::TcpPacket;

const MS: u64 = 1_000_000;
/// The least that is waited for a word about the end of what was sent: Linux's TCP_TIMEOUT_MIN.
const PROBE_LEAST: u64 = 2 * MS;
/// smoltcp's least time-out, by the real clock, less what its clock may be ahead.
const TIME_OUT_LEAST: u64 = 195 * MS;
/// A segment whose receiver does not say how long it may be (RFC 9293, 3.7.1).
const MSS_UNSAID: u32 = 536;
/// The window's limits, in segments and bytes.
const WINDOW_FIRST: u32 = 10;
const WINDOW_MOST: u32 = 16 << 20;
/// So much at a time is enough: what is waited for makes larger frames.
const CHUNK: u32 = 16 << 10;

/// What has gone wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    /// Nobody answers: the first byte that is missing was sent again, perhaps for nothing.
    Silence,
    /// Something is lost.
    Loss,
    /// smoltcp sends everything again.
    TimeOut,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Everything before this has arrived.
    pub acknowledges: u32,
    /// The window, as the segment has it.
    pub window: u16,
    /// The segment is in order and has nothing else to say.
    pub bare: bool,
}

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Recovery {
    mss: u32,
    /// How far the other side's windows are shifted.
    scale: u8,
    window: u32,
    threshold: u32,
    /// What was acknowledged since the window grew last, beyond the threshold.
    credit: u32,
    /// The first byte that was not acknowledged, and the first that was not sent.
    first: u32,
    front: u32,
    /// What the other side said last of its window, and what smoltcp was shown of that.
    offered: u16,
    shown: u16,
    /// Equal acknowledgements, and bytes that selective ones say have arrived behind `first`.
    equal: u32,
    selected: u32,
    trouble: Option<Trouble>,
    /// It is over when this is acknowledged.
    until: u32,
    /// `first` is to go again; how often it has, and when it did.
    repeat: bool,
    repeats: u32,
    repeated: u64,
    /// Time-outs since something was acknowledged.
    time_outs: u32,
    /// Round trips, and the one that is measured: it ends with this number, and began then.
    smoothed: Option<u64>,
    variance: u64,
    sample: Option<(u32, u64)>,
    /// When smoltcp's timer was started last, and when something was sent.
    started: u64,
    sent: u64,
}

fn distance(number: u32, origin: u32) -> i32 {
    number.wrapping_sub(origin).cast_signed()
}

/// How many bytes behind `first` a segment's options say have arrived.
pub fn selected(ip: &Ip, first: u32) -> u32 {
    const NO_OPTIONS: u8 = 5;
    if ip
        .payload
        .get(12)
        .is_none_or(|byte| byte >> 4 <= NO_OPTIONS)
    {
        return 0;
    }
    let ranges = TcpPacket::new_checked(ip.payload)
        .ok()
        .and_then(|packet| packet.selective_ack_ranges().ok());
    let ranges = ranges.into_iter().flatten().flatten();
    // What lies before came twice, and says nothing of what is missing (RFC 2883).
    let behind = ranges.filter(|(begin, _)| distance(*begin, first) > 0);
    behind
        .map(|(begin, end)| distance(end, begin).max(0).cast_unsigned())
        .fold(0, u32::saturating_add)
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            mss: MSS_UNSAID,
            scale: 0,
            window: 0,
            threshold: u32::MAX,
            credit: 0,
            first: 0,
            front: 0,
            offered: 0,
            shown: 0,
            equal: 0,
            selected: 0,
            trouble: None,
            until: 0,
            repeat: false,
            repeats: 0,
            repeated: 0,
            time_outs: 0,
            smoothed: None,
            variance: 0,
            sample: None,
            started: 0,
            sent: 0,
        }
    }
}

impl Recovery {
    /// What the other side said when it opened the connection; `ours`: the largest segment that the way takes.
    pub fn meet(&mut self, mss: Option<u16>, scale: Option<u8>, ours: u32) {
        let theirs = mss.filter(|mss| *mss != 0).map_or(MSS_UNSAID, u32::from);
        self.mss = theirs.min(ours).max(1);
        self.scale = scale.unwrap_or(0).min(14);
    }

    /// What the other side said of its window meanwhile; `unscaled`, as only segments that open a connection do.
    pub const fn greet(&mut self, window: u16, unscaled: bool) {
        let shift = if unscaled { self.scale } else { 0 };
        self.offered = window >> shift;
        self.shown = self.offered;
    }

    /// The way takes no more than segments of this size from now on.
    pub fn narrow(&mut self, ours: u32) {
        self.mss = self.mss.min(ours).max(1);
    }

    /// The connection is open, and `first` is the number of the first byte.
    pub fn open(&mut self, first: u32, now: u64) {
        self.first = first;
        self.front = first;
        self.window = self.first_window();
        self.sent = now;
    }

    const fn first_window(&self) -> u32 {
        WINDOW_FIRST * self.mss
    }

    /// The number of the first byte that was not acknowledged.
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Bytes on their way, an end counting as one.
    fn flight(&self) -> u32 {
        distance(self.front, self.first).max(0).cast_unsigned()
    }

    /// An acknowledgement came, which says that `selected` bytes have arrived behind what it acknowledges. True if that is all
    /// it says: then it is not for smoltcp.
    pub fn hear(&mut self, word: Word, selected: u32, now: u64) -> bool {
        let same = word.window == self.offered;
        self.offered = word.window;
        let ahead = distance(word.acknowledges, self.first);
        if ahead < 0 || distance(word.acknowledges, self.front) > 0 {
            return false;
        }
        if ahead > 0 {
            self.selected = selected;
            self.advance(word.acknowledges, ahead.cast_unsigned(), now);
            return false;
        }
        if self.flight() == 0 {
            return false;
        }
        self.selected = self.selected.max(selected);
        let equal = word.bare && same;
        self.equal += u32::from(equal);
        let lost = self.equal >= 3 || self.selected > 2 * self.mss;
        if lost && matches!(self.trouble, None | Some(Trouble::Silence)) {
            self.lose();
            self.again(now);
        }
        equal
    }

    /// Something new has arrived.
    fn advance(&mut self, acknowledges: u32, count: u32, now: u64) {
        let flight = self.flight();
        self.first = acknowledges;
        self.equal = 0;
        self.repeats = 0;
        self.time_outs = 0;
        self.started = now;
        self.measure(now);
        let over = distance(acknowledges, self.until) >= 0;
        match self.trouble {
            None => self.grow(count, flight),
            Some(Trouble::Silence | Trouble::Loss) if over => self.trouble = None,
            Some(Trouble::Silence) => {
                let until = self.until;
                self.lose();
                self.until = until;
                self.again(now);
            }
            Some(Trouble::Loss) => self.again(now),
            Some(Trouble::TimeOut) => {
                self.grow(count, u32::MAX);
                self.trouble = self.trouble.filter(|_| !over);
            }
        }
    }

    /// The window shrinks, until all that is on its way has arrived.
    fn lose(&mut self) {
        self.threshold = (self.flight() / 2).max(2 * self.mss);
        self.window = self.threshold;
        self.trouble = Some(Trouble::Loss);
        self.until = self.front;
    }

    /// `first` is to go again.
    const fn again(&mut self, now: u64) {
        self.repeat = true;
        self.repeated = now;
        self.started = now;
        self.sample = None;
    }

    fn grow(&mut self, count: u32, flight: u32) {
        if flight < self.window / 2 {
            return;
        }
        if self.window < self.threshold {
            self.window += count;
        } else {
            self.credit += count;
            if self.credit >= self.window {
                self.credit -= self.window;
                self.window += self.mss;
            }
        }
        self.window = self.window.min(WINDOW_MOST);
    }

    /// RFC 6298, 2.
    fn measure(&mut self, now: u64) {
        let Some((number, began)) = self.sample else {
            return;
        };
        if distance(self.first, number) < 0 {
            return;
        }
        self.sample = None;
        let took = now.saturating_sub(began);
        match self.smoothed {
            None => {
                self.smoothed = Some(took);
                self.variance = took / 2;
            }
            Some(smoothed) => {
                self.variance = (self.variance * 3 + smoothed.abs_diff(took)) / 4;
                self.smoothed = Some((smoothed * 7 + took) / 8);
            }
        }
    }

    /// Everything before `front` has been sent.
    pub fn sent(&mut self, front: u32, now: u64) {
        if distance(front, self.front) <= 0 {
            return;
        }
        if self.flight() == 0 {
            self.started = now;
        }
        self.front = front;
        self.sent = now;
        if self.sample.is_none() && self.trouble.is_none() {
            self.sample = Some((front, now));
        }
    }

    /// How many of the program's `waiting` bytes smoltcp is given, which has `queued` bytes in a ring of this size. What would
    /// be little waits for more, as long as something is on its way whose arrival makes room.
    pub fn room(&mut self, queued: usize, waiting: usize, ring: usize, now: u64) -> usize {
        if self.flight() == 0 && now.saturating_sub(self.sent) > self.time_out() {
            self.window = self.window.min(self.first_window());
        }
        let arrived = self.selected.max(self.equal.saturating_mul(self.mss));
        let most = self.window.saturating_add(arrived.min(self.flight())) as usize;
        let mss = self.mss as usize;
        let most = most.min(ring);
        let free = most.saturating_sub(queued);
        if waiting <= free {
            return waiting;
        }
        // Whole segments; at least one, if there is nothing on its way.
        let free = free / mss * mss;
        if queued == 0 {
            return free.max(mss).min(ring);
        }
        match free < most.min(4 * CHUNK as usize) / 4 {
            true => 0,
            false => free,
        }
    }

    /// RFC 6298, 2.3, with Linux's least.
    fn time_out(&self) -> u64 {
        let round = self
            .smoothed
            .map_or(0, |smoothed| smoothed + 3 * self.variance);
        round.max(TIME_OUT_LEAST) << self.time_outs.min(8)
    }

    /// How long silence is believed to be a round trip's.
    fn patience(&self) -> Option<u64> {
        let smoothed = self.smoothed?;
        let patience = smoothed + smoothed.max(4 * self.variance);
        Some(patience.max(PROBE_LEAST))
    }

    /// When [`Recovery::tick`] is to be called next.
    pub fn due(&self) -> u64 {
        let Some(patience) = self.patience().filter(|_| self.flight() > 0) else {
            return u64::MAX;
        };
        match self.trouble {
            // One segment may wait for its acknowledgement to have company.
            None if self.flight() <= self.mss => u64::MAX,
            None => self.sent.max(self.started) + patience,
            Some(Trouble::Loss) if self.repeats < 8 => self.repeated + (patience << self.repeats),
            Some(_) => u64::MAX,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64) {
        if now < self.due() {
            return;
        }
        match self.trouble {
            None => {
                self.trouble = Some(Trouble::Silence);
                self.until = self.front;
            }
            Some(_) => self.repeats += 1,
        }
        self.again(now);
    }

    /// Whether it is so late that smoltcp's timer, if it fires now, means that nothing has arrived.
    pub fn may_time_out(&self, now: u64) -> bool {
        self.flight() > 0 && now.saturating_sub(self.started) >= self.time_out()
    }

    /// smoltcp's timer fires. The window that it is to be shown before.
    pub fn time_outs(&mut self, now: u64) -> u16 {
        if self.time_outs == 0 {
            self.threshold = (self.flight() / 2).max(2 * self.mss);
        }
        self.window = self.mss;
        self.credit = 0;
        self.trouble = Some(Trouble::TimeOut);
        self.until = self.front;
        self.time_outs += 1;
        self.again(now);
        self.repeat = false;
        (self.equal, self.selected) = (0, 0);
        self.show(self.offered, self.first)
    }

    /// The window that smoltcp is shown of one that came with an acknowledgement of this. While everything goes again it is no
    /// more than ours; and it is never closed over what is on its way (progress.rs says why).
    pub fn show(&mut self, window: u16, acknowledges: u32) -> u16 {
        let on_its_way = distance(self.front, acknowledges) > 0;
        let ours = (self.window >> self.scale).clamp(1, u32::from(u16::MAX)) as u16;
        self.shown = match self.trouble {
            Some(Trouble::TimeOut) if on_its_way => window.min(ours).max(1),
            _ if on_its_way => window.max(1),
            _ => window,
        };
        self.shown
    }

    /// Whether `first` is to go again now. If so, smoltcp is to be shown an acknowledgement with this window, which is another
    /// than it was shown last, and three more like it.
    pub fn take_repeat(&mut self) -> Option<(u32, u16)> {
        if !core::mem::take(&mut self.repeat) {
            return None;
        }
        let other = match self.shown {
            0 | 1 => 2,
            shown => shown - 1,
        };
        self.shown = other;
        Some((self.first, other))
    }
}

#[cfg(test)]
mod tests;
