//! Timer queues.
//!
//! One a CPU. A timer fires between the earliest and the latest time that it may (ns since boot; Linux
//! include/linux/hrtimer.h, "range"): the hardware is armed for the latest of the first, since an interrupt in the middle
//! of a computation is dear, and whatever interrupt comes before takes those along whose earliest has passed. An idle CPU
//! has nothing better to do, and waits for the earliest. The queue is ordered by the latest.
//!
//! A timer is a sleeping thread, whose two times lie its slack apart (prctl(2), PR_SET_TIMERSLACK), or a callback, whose
//! two are the same. Both fire in ordinary kernel code, on the way out of the kernel or in the idle loop, never inside an
//! interrupt handler. Arming and cancelling cost O(log n). A queue's lock is a leaf but for the wait and run queues' that
//! firing takes after it was released.
use crate::cpu::{self, percpu::this_cpu};
use crate::sync::SpinLock;
use crate::task::{self, Thread};
use crate::time::now;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a [`Timer`] does when it fires: short, without blocking; it may wake threads, take spin locks and arm timers.
pub trait TimerCallback: Send + Sync {
    /// The deadline has passed.
    fn expired(&self);
}

enum Target {
    Thread(&'static Thread),
    Callback(Arc<dyn TimerCallback>),
}

struct Armed {
    earliest: u64,
    target: Target,
}

/// By the latest time, and the timer's id.
type ByLatest = BTreeMap<(u64, u64), Armed>;

/// The timers armed on one CPU.
pub struct TimerQueue {
    armed: SpinLock<ByLatest>,
    /// Earliest and latest time of the first, u64::MAX if there is none.
    earliest: AtomicU64,
    latest: AtomicU64,
}

impl TimerQueue {
    /// An empty queue of a CPU that has not begun.
    pub const fn new() -> Self {
        Self {
            armed: SpinLock::new(BTreeMap::new()),
            earliest: AtomicU64::new(0),
            latest: AtomicU64::new(0),
        }
    }

    /// The CPU begins, with no timer.
    pub fn begin(&self) {
        self.earliest.store(u64::MAX, Ordering::Release);
        self.latest.store(u64::MAX, Ordering::Release);
    }

    fn insert(&self, earliest: u64, latest: u64, id: u64, target: Target) {
        let mut armed = self.armed.lock();
        armed.insert((latest, id), Armed { earliest, target });
        self.update_next(&armed);
    }

    fn remove(&self, latest: u64, id: u64) -> bool {
        let mut armed = self.armed.lock();
        let was_armed = armed.remove(&(latest, id)).is_some();
        self.update_next(&armed);
        was_armed
    }

    fn pop_expired(&self, now: u64) -> Option<Target> {
        if self.earliest.load(Ordering::Acquire) > now {
            return None;
        }
        let mut armed = self.armed.lock();
        let first = armed
            .first_entry()
            .filter(|first| first.get().earliest <= now)?;
        let target = first.remove().target;
        self.update_next(&armed);
        Some(target)
    }

    fn update_next(&self, armed: &ByLatest) {
        let first = armed.first_key_value();
        let (earliest, latest) =
            first.map_or((u64::MAX, u64::MAX), |(key, timer)| (timer.earliest, key.0));
        self.earliest.store(earliest, Ordering::Release);
        self.latest.store(latest, Ordering::Release);
    }
}

/// What this CPU waits for if it is idle: when its first timer may fire, u64::MAX if it has none.
#[inline]
pub fn next_deadline() -> u64 {
    this_cpu().timers.earliest.load(Ordering::Acquire)
}

/// Fires what has expired on this CPU.
pub fn run_expired() {
    let queue = &this_cpu().timers;
    // What expires meanwhile is the next call's: short intervals of many timers would keep this one here.
    let due = now();
    while let Some(target) = queue.pop_expired(due) {
        match target {
            Target::Thread(thread) => {
                task::wake(thread);
            }
            Target::Callback(callback) => callback.expired(),
        }
    }
    if this_cpu().cpu_alarm.load(Ordering::Relaxed) <= now() {
        super::cpu_alarm::run_due();
    }
}

/// Arms this CPU's hardware timer for when the first timer has to fire, or the end of the slice, unless it already fires
/// early enough.
pub fn program_hardware() {
    let cpu = this_cpu();
    let wanted = cpu.timers.latest.load(Ordering::Acquire);
    arm_hardware(
        wanted
            .min(cpu.slice_end.load(Ordering::Relaxed))
            .min(cpu.cpu_alarm.load(Ordering::Relaxed))
            .min(cpu.sample_due.load(Ordering::Relaxed)),
    );
}

/// The same for a CPU that halts now, and needs `lead` ns from the interrupt until it goes on.
pub fn program_hardware_for_halt(lead: u64) {
    let first = next_deadline();
    if first != u64::MAX {
        arm_hardware(first.saturating_sub(lead));
    }
}

/// A timer that fires too early costs an interrupt, a needless arming costs a trap each time: so it is only moved forward.
fn arm_hardware(wanted: u64) {
    let cpu = this_cpu();
    if wanted < cpu.timer_armed.get() {
        cpu.timer_armed.set(wanted);
        cpu::apic::arm_timer(wanted);
    }
}

/// The timer of a thread's own timed waits.
pub struct SleepTimer {
    latest: AtomicU64,
    cpu: AtomicUsize,
}

impl SleepTimer {
    /// Not armed.
    pub const fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            cpu: AtomicUsize::new(0),
        }
    }

    /// Wakes `thread`, whose timer this is, between the two times.
    pub fn arm(&self, thread: &'static Thread, earliest: u64, latest: u64) {
        let cpu = this_cpu();
        self.latest.store(latest, Ordering::Relaxed);
        self.cpu.store(cpu.id(), Ordering::Relaxed);
        let target = Target::Thread(thread);
        cpu.timers
            .insert(earliest, latest, u64::from(thread.index), target);
    }

    /// The wait is over, by the timer or not.
    pub fn cancel(&self, thread: &Thread) {
        let queue = &cpu::percpu::cpu(self.cpu.load(Ordering::Relaxed)).timers;
        queue.remove(self.latest.load(Ordering::Relaxed), u64::from(thread.index));
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 32);

/// A timer with a callback: timerfd, POSIX timers, interval timers.
pub struct Timer {
    id: u64,
    callback: Arc<dyn TimerCallback>,
    armed: SpinLock<Option<(u64, usize)>>,
}

impl Timer {
    /// Not armed. The callback is kept alive as long as the timer is.
    pub fn new(callback: Arc<dyn TimerCallback>) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            callback,
            armed: SpinLock::new(None),
        }
    }

    /// Fires once at `deadline` (ns since boot), instead of when it was armed for before.
    pub fn arm(&self, deadline: u64) {
        let cpu = this_cpu();
        let target = Target::Callback(self.callback.clone());
        let mut armed = self.armed.lock();
        // In one step, or two that arm it would leave two entries.
        if let Some((before, on)) = armed.replace((deadline, cpu.id())) {
            cpu::percpu::cpu(on).timers.remove(before, self.id);
        }
        cpu.timers.insert(deadline, deadline, self.id, target);
        drop(armed);
        program_hardware();
    }

    /// Disarms. The callback may still run once if it is about to. False if it was not armed any more.
    pub fn cancel(&self) -> bool {
        match self.armed.lock().take() {
            Some((deadline, on)) => cpu::percpu::cpu(on).timers.remove(deadline, self.id),
            None => false,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}
