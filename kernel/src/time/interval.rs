//! Timers as programs set them: a first expiry, then one every interval, by any clock. What timerfd_create(2),
//! timer_create(2) and setitimer(2) have in common.
//!
//! An [`Interval`] keeps when it expires next by its own clock; a kernel timer or a CPU-time alarm stands for that.
//! Expiries that were missed are counted, not made up for, and there is a least time between two firings, so that no
//! interval can occupy a CPU. An owner may ask for no more until it has seen to the last one (`Expiry`).
//! An expiry is told to the owner whole: whoever sets the timer anew waits for that, and then takes back what the old setting
//! has told, before the new one expires.
//! Locks: the firing's; under it what the owner takes to tell of an expiry, or the setting's, then the timer's.
use super::clocks::Clock;
use super::convert::{SECOND, timespec, to_ns};
use super::cpu_alarm;
use super::now;
use super::timer::{Timer, TimerCallback};
use crate::memory::user;
use crate::sync::SpinLock;
use crate::task::thread::ThreadRef;
use alloc::sync::{Arc, Weak};
use ringo_abi::Errno;

/// The least time between two firings of one kernel timer.
const FLOOR_NS: u64 = 20_000;
/// The least between two of which nobody takes notice, and between two by a CPU-time clock: a tick of Linux, which
/// looks at these clocks no more often.
const TICK_NS: u64 = 1_000_000;

/// When an owner wants to be told of the next expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// When it is due.
    AtOnce,
    /// Not too often: nobody took notice.
    Slowly,
    /// Not before [`Interval::catch_up`].
    WhenSeen,
}

/// Told of expiries.
pub trait Expiry: Send + Sync {
    /// It expired `count` times since it last did. Sets no timer: see the module's head.
    fn expired(&self, count: u64) -> Again;
}

/// What a timer is set to: ns. `first` of 0 disarms.
#[derive(Clone, Copy, Default, Debug)]
pub struct Setting {
    /// Until the first expiry, or when that is by the clock.
    pub first: u64,
    /// Between expiries, 0 for only one.
    pub interval: u64,
}

#[derive(Default)]
struct State {
    /// By the clock, ns; 0 is disarmed.
    next: u64,
    interval: u64,
    /// The owner has not caught up.
    paused: bool,
}

impl State {
    /// Moves `next` past `now`; gives how many expiries that were.
    fn advance(&mut self, now: u64) -> u64 {
        if self.next == 0 || now < self.next {
            return 0;
        }
        let Some(intervals) = (now - self.next).checked_div(self.interval) else {
            // Once only.
            self.next = 0;
            return 1;
        };
        let count = intervals + 1;
        self.next = self
            .next
            .saturating_add(count.saturating_mul(self.interval));
        count
    }

    fn left(&self, now: u64) -> Setting {
        let first = if self.next == 0 {
            0
        } else if now < self.next {
            self.next - now
        } else if self.interval == 0 {
            // Due, but not fired yet.
            1
        } else {
            self.interval - (now - self.next) % self.interval
        };
        Setting {
            first,
            interval: self.interval,
        }
    }
}

/// The timer.
pub struct Interval {
    clock: Clock,
    /// Held while the owner is told of an expiry, and while the timer is set.
    firing: SpinLock<()>,
    state: SpinLock<State>,
    timer: Timer,
    me: Weak<Fire>,
}

/// What the kernel timer calls.
struct Fire {
    interval: Weak<Interval>,
    owner: Arc<dyn Expiry>,
}

impl Interval {
    /// Disarmed. `owner` must not own the interval.
    pub fn new(clock: Clock, owner: Arc<dyn Expiry>) -> Arc<Self> {
        Arc::new_cyclic(|interval| {
            let fire = Arc::new(Fire {
                interval: interval.clone(),
                owner,
            });
            Self {
                clock,
                firing: SpinLock::new(()),
                state: SpinLock::new(State::default()),
                me: Arc::downgrade(&fire),
                timer: Timer::new(fire),
            }
        })
    }

    /// The thread whose CPU time it goes by.
    fn thread(&self) -> Option<ThreadRef> {
        match self.clock {
            Clock::ThreadCpu(thread) => Some(thread),
            _ => None,
        }
    }

    /// Arms what fires for `state.next`, `floor` from now at the earliest.
    fn start(&self, state: &State, floor: u64) {
        let callback = || -> Option<Arc<dyn TimerCallback>> { Some(self.me.upgrade()?) };
        match (self.clock, state.next) {
            (Clock::Wall | Clock::Boot, 0) => {
                self.timer.cancel();
            }
            (Clock::Wall | Clock::Boot, next) => self
                .timer
                .arm(self.clock.to_boot(next).max(now().saturating_add(floor))),
            (_, next) => {
                let Some(callback) = callback() else { return };
                let target = self.thread();
                let thread = target.map(ThreadRef::get);
                let alarms = match thread {
                    Some(Some(thread)) => &thread.cpu_alarms,
                    // It has ended.
                    Some(None) => return,
                    None => cpu_alarm::of_process(),
                };
                if next == 0 {
                    alarms.disarm(&callback);
                } else {
                    let floor = self.clock.now().saturating_add(floor);
                    let still_it = || target.is_none_or(|target| target.get().is_some());
                    alarms.arm(next.max(floor), callback, still_it);
                    cpu_alarm::rearmed(thread.flatten());
                }
            }
        }
    }

    /// Sets it; `absolute`: the first expiry is a time of the clock. Gives what was left of the old setting. `take_back` runs
    /// between the old setting's last expiry and the new one's first.
    pub fn set(&self, setting: Setting, absolute: bool, take_back: impl FnOnce()) -> Setting {
        let _set = self.firing.lock();
        take_back();
        let time = self.clock.now();
        let mut state = self.state.lock();
        let old = state.left(time);
        *state = State {
            next: match setting.first {
                0 => 0,
                first if absolute => first,
                first => time.saturating_add(first),
            },
            interval: setting.interval,
            paused: false,
        };
        // One in the past by its clock fires at once.
        self.start(&state, FLOOR_NS);
        old
    }

    /// What is left of its setting.
    pub fn left(&self) -> Setting {
        let time = self.clock.now();
        self.state.lock().left(time)
    }

    /// The owner has seen to the last expiry: goes on, and gives how many it missed meanwhile.
    pub fn catch_up(&self) -> u64 {
        let time = self.clock.now();
        let mut state = self.state.lock();
        if !core::mem::take(&mut state.paused) {
            return 0;
        }
        let missed = state.advance(time);
        self.start(&state, self.pace());
        missed
    }

    fn fire(&self, owner: &dyn Expiry) {
        let _firing = self.firing.lock();
        let time = self.clock.now();
        let mut state = self.state.lock();
        let count = state.advance(time);
        if count == 0 {
            // Set anew meanwhile, or its clock is behind.
            if state.next != 0 && !state.paused {
                self.start(&state, self.pace());
            }
            return;
        }
        state.paused = true;
        drop(state);
        let floor = match owner.expired(count) {
            Again::WhenSeen => return,
            Again::AtOnce => self.pace(),
            Again::Slowly => TICK_NS,
        };
        let mut state = self.state.lock();
        if core::mem::take(&mut state.paused) && state.next != 0 {
            self.start(&state, floor);
        }
    }

    /// The least time between two firings.
    fn pace(&self) -> u64 {
        match self.clock {
            Clock::Wall | Clock::Boot => FLOOR_NS,
            Clock::ProcessCpu | Clock::ThreadCpu(_) => TICK_NS,
        }
    }
}

impl TimerCallback for Fire {
    fn expired(&self) {
        if let Some(interval) = self.interval.upgrade() {
            interval.fire(&*self.owner);
        }
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        self.timer.cancel();
    }
}

/// Reads a struct itimerspec.
///
/// # Errors
/// EFAULT, EINVAL.
pub fn read_itimerspec(at: usize) -> Result<Setting, Errno> {
    let [is, ins, fs, fns]: [i64; 4] = user::read(at)?;
    Ok(Setting {
        interval: to_ns([is, ins], SECOND)?,
        first: to_ns([fs, fns], SECOND)?,
    })
}

/// Writes a struct itimerspec.
///
/// # Errors
/// EFAULT.
pub fn write_itimerspec(at: usize, setting: Setting) -> Result<(), Errno> {
    user::write(at, &[timespec(setting.interval), timespec(setting.first)])
}
