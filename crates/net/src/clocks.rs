//! The clocks of a connection of TCP: when it repeats itself, when it asks whether anybody is there, and when it gives up.
//!
//! smoltcp retransmits on a clock that is shown to it. It knows no time-out below a second (RFC 6298), counts no tries, and
//! has one interval for keep-alive. Linux is quicker and gives up at last, and programs set how (tcp(7)): so the time that
//! smoltcp sees is made here ([`Clocks::shown`]), and what is due beside it is said here ([`Clocks::check`]).
//!
//! - **Opening.** SYNs are repeated each second, from the fifth on at twice the distance each time, until TCP_SYNCNT's time
//!   is over (6: some 130 s); answers to SYNs after 1, 2, 4, 8, 16 s. The shown clock stands still between them, short of
//!   smoltcp's own
//!   time-out, and jumps to it when a repetition is due.
//! - **Open.** The shown clock runs [`FAST`] times as fast, so that the second becomes Linux's 200 ms. Nothing else is
//!   distorted:
//!   round trips are measured and waited for by the same clock. Without an answer for [`SLOW_AFTER`] it runs as ours, so that
//!   repetitions end up a minute apart.
//! - **Giving up.** What is not acknowledged for 924.6 s (Linux's 15 tries), for TCP_USER_TIMEOUT, or for 102 s once the
//!   program has
//!   closed (8 tries), ends the connection; so do TCP_KEEPCNT unanswered probes, and a FIN that does not come
//!   within a minute (TCP_LINGER2) after a program that has closed.
//!
//! Sources: RFC 6298, 9293, 1122; Linux net/ipv4/tcp_timer.c. All times in ns since boot, but where it says otherwise.

const SECOND: u64 = 1_000_000_000;
/// How often an answer to a SYN is repeated (net.ipv4.tcp_synack_retries).
const ANSWER_RETRIES: u32 = 5;
/// How many SYNs are repeated at the same distance (net.ipv4.tcp_syn_linear_timeouts).
const LINEAR: u32 = 4;
/// Linux's 15 tries, of 200 ms and more.
const GIVE_UP: u64 = 924_600_000_000;
/// Its 8 for what no program waits for.
const ORPHAN_GIVE_UP: u64 = 102_200_000_000;
/// How much faster the shown clock runs on an open connection.
pub const FAST: u64 = 5;
/// Without progress for so long it does not.
const SLOW_AFTER: u64 = 25 * SECOND;
/// The shown clock stops so far behind a SYN, in shown ns: before smoltcp would repeat it.
const HELD: u64 = 900_000_000;
/// What the shown clock begins with.
const BEGIN: u64 = 10 * SECOND;

/// What setsockopt(2) says that concerns clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// SO_KEEPALIVE.
    pub keep_alive: bool,
    /// TCP_KEEPIDLE, in s.
    pub idle: u32,
    /// TCP_KEEPINTVL, in s.
    pub interval: u32,
    /// TCP_KEEPCNT.
    pub count: u32,
    /// TCP_SYNCNT.
    pub tries: u32,
    /// TCP_USER_TIMEOUT in ms; 0 for the usual.
    pub user_timeout: u32,
    /// How long a program that has closed waits for the other side's end, in s.
    pub linger: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_alive: false,
            idle: 7200,
            interval: 75,
            count: 9,
            tries: 6,
            user_timeout: 0,
            linger: 60,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// What opens the connection is to be sent again.
    Repeat,
    /// The other side is to be asked whether it is there.
    Probe,
    /// The connection is over; with `reset` the other side is told.
    GiveUp {
        /// See [`Action::GiveUp`].
        reset: bool,
    },
}

/// How the connection is, as far as clocks are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Situation {
    /// The number of the first byte that is not acknowledged.
    pub unacknowledged: u32,
    /// Something was sent that is not acknowledged, or there is something to send.
    pub waits: bool,
    /// The other side has no room, which it may have as long as it answers.
    pub no_room: bool,
    /// The program has closed.
    pub orphan: bool,
    /// All that is left to come is the other side's end.
    pub awaits_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// When the first SYN or answer went out, how often it was repeated, and when it is again.
    Opening {
        dials: bool,
        began: u64,
        repeated: u32,
        next: u64,
    },
    Open,
}

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Clocks {
    stage: Stage,
    settings: Settings,
    /// The shown clock was here when ours was there, and how many times as fast it runs.
    shown: u64,
    at: u64,
    rate: u64,
    /// When something came last.
    heard: u64,
    /// When something was acknowledged last, or began to wait for it, and what that is about.
    progress: u64,
    situation: Situation,
    /// Since when only the other side's end is missing, and no program waits for it.
    awaits_since: u64,
    /// Probes without an answer, and when the last one went out.
    probes: u32,
    probed: u64,
}

impl Clocks {
    /// Of a connection of which the first segment is sent now; `dials`: it is ours.
    pub fn new(now: u64, dials: bool) -> Self {
        Self {
            stage: Stage::Opening {
                dials,
                began: now,
                repeated: 0,
                next: now + SECOND,
            },
            settings: Settings::default(),
            shown: BEGIN,
            at: now,
            rate: FAST,
            heard: now,
            progress: now,
            situation: Situation {
                unacknowledged: 0,
                waits: false,
                no_room: false,
                orphan: false,
                awaits_end: false,
            },
            awaits_since: now,
            probes: 0,
            probed: 0,
        }
    }

    /// Options changed.
    pub const fn set(&mut self, settings: Settings) {
        if !settings.keep_alive {
            // Whether the last question was answered is no matter any more.
            self.probes = 0;
        }
        self.settings = settings;
    }

    /// TCP_KEEPINTVL as the shown clock has it, in ms, and a little more.
    pub fn shown_interval(&self) -> u64 {
        u64::from(self.settings.interval) * 1000 * self.rate + 50
    }

    /// The time for smoltcp, in us.
    pub fn shown(&self, now: u64) -> i64 {
        let mut passed = now.saturating_sub(self.at).saturating_mul(self.rate);
        if self.stage != Stage::Open {
            passed = passed.min(HELD);
        }
        (self.shown.saturating_add(passed) / 1000) as i64
    }

    /// When the shown clock, in us, will be there.
    pub fn real(&self, shown: i64) -> u64 {
        let shown = (shown.max(0) as u64).saturating_mul(1000);
        let ahead = shown.saturating_sub(self.shown).div_ceil(self.rate);
        match self.stage {
            // It stands still; its own repetitions are not wanted.
            Stage::Opening { .. } if shown.saturating_sub(self.shown) > HELD => u64::MAX,
            _ => self.at.saturating_add(ahead),
        }
    }

    /// The shown clock jumps ahead: something is to be repeated now.
    pub fn jump(&mut self, shown: i64, now: u64) {
        let shown = (shown.max(0) as u64).saturating_mul(1000);
        self.shown = self.shown.max(shown);
        self.at = now;
    }

    fn set_rate(&mut self, rate: u64, now: u64) {
        if self.rate != rate {
            self.shown = (self.shown(now) as u64).saturating_mul(1000);
            self.at = now;
            self.rate = rate;
        }
    }

    /// The connection is open.
    pub fn open(&mut self, now: u64) {
        self.shown = (self.shown(now) as u64).saturating_mul(1000);
        self.at = now;
        self.stage = Stage::Open;
        self.heard = now;
        self.progress = now;
    }

    /// Something came. True if it was asked for.
    pub const fn heard(&mut self, now: u64) -> bool {
        self.heard = now;
        let asked = self.probes > 0;
        self.probes = 0;
        asked
    }

    /// How the connection is now.
    pub fn observe(&mut self, now: u64, situation: Situation) {
        let before = self.situation;
        if !situation.waits || !before.waits || situation.unacknowledged != before.unacknowledged {
            self.progress = now;
            self.set_rate(FAST, now);
        }
        let alone = |situation: &Situation| situation.awaits_end && situation.orphan;
        if alone(&situation) && !alone(&before) {
            self.awaits_since = now;
        }
        self.situation = situation;
    }

    /// What is due now. A repetition or probe counts as done.
    pub fn check(&mut self, now: u64) -> Action {
        let user = u64::from(self.settings.user_timeout) * (SECOND / 1000);
        if let Stage::Opening {
            dials,
            began,
            repeated,
            next,
        } = &mut self.stage
        {
            if now < *next {
                return Action::Nothing;
            }
            let passed = now - *began;
            let over = match dials {
                true if user > 0 => passed >= user,
                true => {
                    let tries = self.settings.tries;
                    *repeated >= tries + LINEAR
                        || passed >= (2u64 << tries.min(32)).saturating_sub(1) * SECOND
                }
                false => *repeated >= ANSWER_RETRIES,
            };
            if over {
                return Action::GiveUp { reset: false };
            }
            *repeated += 1;
            let same = if *dials { LINEAR } else { 0 };
            let distance = SECOND << repeated.saturating_sub(same).min(16);
            *next = now + distance;
            if *dials && user > 0 {
                *next = (*next).min(*began + user);
            }
            return Action::Repeat;
        }
        if now >= self.ends() {
            return Action::GiveUp { reset: false };
        }
        if self.situation.waits && now.saturating_sub(self.progress) >= SLOW_AFTER {
            self.set_rate(1, now);
        }
        if now < self.asks() {
            return Action::Nothing;
        }
        let unanswered = match user {
            0 => self.probes >= self.settings.count,
            user => self.probes > 0 && now.saturating_sub(self.heard) >= user,
        };
        if unanswered {
            return Action::GiveUp { reset: true };
        }
        self.probes += 1;
        self.probed = now;
        Action::Probe
    }

    /// When an open connection is given up if nothing comes.
    fn ends(&self) -> u64 {
        let situation = &self.situation;
        let mut ends = u64::MAX;
        if situation.waits {
            let limit = match self.settings.user_timeout {
                0 if situation.orphan => ORPHAN_GIVE_UP,
                0 => GIVE_UP,
                user => u64::from(user) * (SECOND / 1000),
            };
            let since = match situation.no_room {
                true => self.heard.max(self.progress),
                false => self.progress,
            };
            ends = since.saturating_add(limit);
        }
        if situation.orphan && situation.awaits_end {
            let linger = u64::from(self.settings.linger) * SECOND;
            ends = ends.min(self.awaits_since.saturating_add(linger));
        }
        ends
    }

    /// When it is asked whether the other side is there, or what the last of these questions led to is looked at.
    fn asks(&self) -> u64 {
        if !self.settings.keep_alive || self.situation.waits || self.situation.orphan {
            return u64::MAX;
        }
        let (since, wait) = match self.probes {
            0 => (self.heard, self.settings.idle),
            _ => (self.probed, self.settings.interval),
        };
        since.saturating_add(u64::from(wait) * SECOND)
    }

    /// When [`Clocks::check`] is to be asked next.
    pub fn due(&self) -> u64 {
        match self.stage {
            Stage::Opening { next, .. } => next,
            Stage::Open => {
                let slows = match self.situation.waits && self.rate != 1 {
                    true => self.progress + SLOW_AFTER,
                    false => u64::MAX,
                };
                self.ends().min(self.asks()).min(slows)
            }
        }
    }
}

#[cfg(test)]
mod tests;
