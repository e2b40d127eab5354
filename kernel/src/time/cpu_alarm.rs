//! Alarms by CPU time: of one thread, or of all.
//!
//! They cost nothing while the thread does not run: when a CPU switches to a thread it works out when the thread's
//! earliest alarm can be due, and counts that among the deadlines its hardware timer is armed for ([`arm_for_current`]).
//! The process's CPU time passes on all CPUs at once, so each that runs looks at it again after its part of what is left,
//! and not more often than every millisecond.
use super::timer::TimerCallback;
use super::{now, program_hardware};
use crate::cpu::percpu::{self, PerCpu, cpu_count, this_cpu};
use crate::cpu::{apic, interrupts};
use crate::sync::SpinLock;
use crate::task::{self, State, Thread, process};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// How often a CPU looks at the process's CPU time at most.
const PROCESS_CHECK_NS: u64 = 1_000_000;

struct Alarm {
    /// CPU time, ns.
    due: u64,
    callback: Arc<dyn TimerCallback>,
}

/// The alarms of a thread, or the process's.
pub struct CpuAlarms {
    armed: SpinLock<Vec<Alarm>>,
    /// The earliest, u64::MAX for none.
    next: AtomicU64,
}

static PROCESS: CpuAlarms = CpuAlarms::new();

/// The process's.
pub fn of_process() -> &'static CpuAlarms {
    &PROCESS
}

fn same(a: &Arc<dyn TimerCallback>, b: &Arc<dyn TimerCallback>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

impl CpuAlarms {
    /// None.
    pub const fn new() -> Self {
        Self {
            armed: SpinLock::new(Vec::new()),
            next: AtomicU64::new(u64::MAX),
        }
    }

    fn update_next(&self, armed: &[Alarm]) {
        let next = armed.iter().map(|alarm| alarm.due).min();
        self.next.store(next.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Forgets all: the thread's place is used again, by one with another number already.
    pub fn clear(&self) {
        let gone = core::mem::take(&mut *self.armed.lock());
        self.next.store(u64::MAX, Ordering::Release);
        drop(gone);
    }

    /// Fires `callback` once when the CPU time is `due`, instead of when it was armed for before; if `wanted` says so under
    /// the lock. Without memory it never fires.
    pub fn arm(&self, due: u64, callback: Arc<dyn TimerCallback>, wanted: impl FnOnce() -> bool) {
        self.disarm(&callback);
        let mut armed = self.armed.lock();
        if wanted() && armed.try_reserve(1).is_ok() {
            armed.push(Alarm { due, callback });
            self.update_next(&armed);
        }
    }

    /// Takes it back.
    pub fn disarm(&self, callback: &Arc<dyn TimerCallback>) {
        let mut armed = self.armed.lock();
        let at = armed
            .iter()
            .position(|alarm| same(&alarm.callback, callback));
        let gone = at.map(|at| armed.swap_remove(at));
        self.update_next(&armed);
        drop(armed);
        drop(gone);
    }

    fn take_due(&self, time: u64) -> Option<Arc<dyn TimerCallback>> {
        if self.next.load(Ordering::Acquire) > time {
            return None;
        }
        let mut armed = self.armed.lock();
        let at = armed.iter().position(|alarm| alarm.due <= time)?;
        let due = armed.swap_remove(at);
        self.update_next(&armed);
        Some(due.callback)
    }
}

/// When this CPU has to look at the alarms if `thread` goes on running on it (ns since boot).
fn deadline(thread: &Thread) -> u64 {
    let mut deadline = u64::MAX;
    let own = thread.cpu_alarms.next.load(Ordering::Acquire);
    if own != u64::MAX {
        deadline = now().saturating_add(own.saturating_sub(thread.cpu_time_now()));
    }
    let all = PROCESS.next.load(Ordering::Acquire);
    if all != u64::MAX {
        let left = all.saturating_sub(process().cpu_time()) / cpu_count() as u64;
        deadline = deadline.min(now().saturating_add(left.max(PROCESS_CHECK_NS)));
    }
    deadline
}

/// The thread that now runs on `cpu`, the calling one, has these alarms.
#[inline]
pub fn arm_for_current(cpu: &PerCpu) {
    let thread = cpu.current();
    let armed = thread.cpu_alarms.next.load(Ordering::Relaxed) != u64::MAX
        || PROCESS.next.load(Ordering::Relaxed) != u64::MAX;
    let deadline = if armed && thread.tid() != 0 {
        deadline(thread)
    } else {
        u64::MAX
    };
    cpu.cpu_alarm.store(deadline, Ordering::Relaxed);
}

/// Alarms of `thread` (or of all, without one) were armed: the CPUs it runs on look at them anew.
///
/// A CPU that switches to the thread just now either sees the alarm or is seen here (the fence). It is told by interrupt,
/// not by a store to its `cpu_alarm`, which its own [`arm_for_current`] may be about to overwrite.
pub fn rearmed(thread: Option<&Thread>) {
    fence(Ordering::SeqCst);
    let here = this_cpu();
    arm_for_current(here);
    program_hardware();
    for id in (0..cpu_count()).filter(|&id| id != here.id()) {
        let cpu = percpu::cpu(id);
        let concerned = match thread {
            Some(thread) => {
                thread.state() == State::Running
                    && thread.last_cpu.load(Ordering::Relaxed) as usize == id
            }
            None => cpu.idle.load(Ordering::Relaxed) == 0,
        };
        if concerned {
            apic::send_ipi(cpu, interrupts::RESCHEDULE);
        }
    }
}

/// Another CPU asks this one to look at its queue, or at these: see [`rearmed`].
pub fn on_reschedule() {
    let cpu = this_cpu();
    // While it idles, `current` is a thread whose CPU time stands still.
    if cpu.idle.load(Ordering::Relaxed) == 0 {
        arm_for_current(cpu);
    }
}

/// Fires what is due on this CPU. What is armed anew meanwhile is due later than the time that is looked at here.
#[cold]
pub fn run_due() {
    let cpu = this_cpu();
    let thread = task::current();
    let time = thread.cpu_time_now();
    while let Some(callback) = thread.cpu_alarms.take_due(time) {
        callback.expired();
    }
    if PROCESS.next.load(Ordering::Acquire) != u64::MAX {
        let time = process().cpu_time();
        while let Some(callback) = PROCESS.take_due(time) {
            callback.expired();
        }
    }
    arm_for_current(cpu);
}
