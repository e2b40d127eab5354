//! Timer queues.
//!
//! One a CPU, ordered by deadline (ns since boot). A timer is a sleeping thread or a callback; both fire in ordinary
//! kernel code, on the way out of the kernel or in the idle loop, never inside an interrupt handler. Arming and
//! cancelling cost O(log n). A queue's lock is a leaf but for the wait and run queues' that firing takes after it was
//! released.
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

/// The timers armed on one CPU.
pub struct TimerQueue {
    armed: SpinLock<BTreeMap<(u64, u64), Target>>,
    next: AtomicU64,
}

impl TimerQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            armed: SpinLock::new(BTreeMap::new()),
            next: AtomicU64::new(u64::MAX),
        }
    }

    fn insert(&self, deadline: u64, id: u64, target: Target) {
        let mut armed = self.armed.lock();
        armed.insert((deadline, id), target);
        self.update_next(&armed);
    }

    fn remove(&self, deadline: u64, id: u64) -> bool {
        let mut armed = self.armed.lock();
        let was_armed = armed.remove(&(deadline, id)).is_some();
        self.update_next(&armed);
        was_armed
    }

    fn pop_expired(&self, now: u64) -> Option<Target> {
        if self.next.load(Ordering::Acquire) > now {
            return None;
        }
        let mut armed = self.armed.lock();
        let first = armed.first_entry().filter(|first| first.key().0 <= now)?;
        let target = first.remove();
        self.update_next(&armed);
        Some(target)
    }

    fn update_next(&self, armed: &BTreeMap<(u64, u64), Target>) {
        let next = armed.first_key_value().map_or(u64::MAX, |(key, _)| key.0);
        self.next.store(next, Ordering::Release);
    }
}

/// The earliest deadline on this CPU, u64::MAX if none.
#[inline]
pub fn next_deadline() -> u64 {
    this_cpu().timers.next.load(Ordering::Acquire)
}

/// Fires what has expired on this CPU.
pub fn run_expired() {
    let queue = &this_cpu().timers;
    while let Some(target) = queue.pop_expired(now()) {
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

/// Arms this CPU's hardware timer for the next deadline or the end of the slice, unless it already fires early enough.
/// A timer that fires too early costs an interrupt, a needless arming costs a trap each time: so it is only moved
/// forward.
pub fn program_hardware() {
    let cpu = this_cpu();
    let wanted = next_deadline()
        .min(cpu.slice_end.load(Ordering::Relaxed))
        .min(cpu.cpu_alarm.load(Ordering::Relaxed))
        .min(cpu.sample_due.load(Ordering::Relaxed));
    if wanted < cpu.timer_armed.get() {
        cpu.timer_armed.set(wanted);
        cpu::apic::arm_timer(wanted);
    }
}

/// The timer of a thread's own timed waits.
pub struct SleepTimer {
    deadline: AtomicU64,
    cpu: AtomicUsize,
}

impl SleepTimer {
    /// Not armed.
    pub const fn new() -> Self {
        Self {
            deadline: AtomicU64::new(0),
            cpu: AtomicUsize::new(0),
        }
    }

    /// Wakes `thread`, whose timer this is, at `deadline`.
    pub fn arm(&self, thread: &'static Thread, deadline: u64) {
        let cpu = this_cpu();
        self.deadline.store(deadline, Ordering::Relaxed);
        self.cpu.store(cpu.id.get(), Ordering::Relaxed);
        cpu.timers
            .insert(deadline, u64::from(thread.index), Target::Thread(thread));
    }

    /// The wait is over, by the timer or not.
    pub fn cancel(&self, thread: &Thread) {
        let queue = &cpu::percpu::cpu(self.cpu.load(Ordering::Relaxed)).timers;
        queue.remove(
            self.deadline.load(Ordering::Relaxed),
            u64::from(thread.index),
        );
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
        self.cancel();
        let cpu = this_cpu();
        *self.armed.lock() = Some((deadline, cpu.id.get()));
        cpu.timers
            .insert(deadline, self.id, Target::Callback(self.callback.clone()));
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
