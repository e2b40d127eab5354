//! POSIX timers (timer_create(2)) and the three interval timers of setitimer(2).
//!
//! An expiry sends a signal to the process or to one thread, or nothing. Each timer has one signal of its own: while it is
//! pending the timer rests, and when a thread takes it, what the timer would have expired meanwhile is the signal's overrun
//! (Linux kernel/time/posix-timers.c). So a timer whose signal nobody takes costs nothing.
//! Locks: the timers', alone; a timer's firing (interval.rs), then a signal queue.
use super::clocks::Clock;
use super::interval::{Again, Expiry, Interval, Setting};
use crate::memory::frames::check_spare;
use crate::sync::SpinLock;
use crate::task::signal::{SI_TIMER, SigInfo, send_process, send_thread};
use crate::task::thread::{self, ThreadRef};
use crate::task::{Tid, process};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use spin::Lazy;

/// What an expiry does.
#[derive(Clone, Copy, Debug)]
pub enum Notify {
    /// SIGEV_NONE.
    Nothing,
    /// SIGEV_SIGNAL.
    Process(i32),
    /// SIGEV_THREAD_ID.
    Thread(Tid, i32),
}

struct Sender {
    id: i32,
    notify: Notify,
    /// sigev_value.
    value: u64,
    /// Its signal is pending.
    queued: AtomicBool,
    /// Expiries since the last signal was taken, beyond its own.
    missed: AtomicU64,
    /// The overrun of the last signal.
    overrun: AtomicU64,
}

/// The largest overrun (DELAYTIMER_MAX).
const OVERRUN_MAX: u64 = i32::MAX as u64;
/// The most timers: more than threads of which each is profiled by one.
pub const MAX_TIMERS: usize = 16_384;

impl Sender {
    fn info(&self, signo: i32) -> SigInfo {
        SigInfo {
            signo,
            code: SI_TIMER,
            errno: 0,
            // The overrun follows when it is taken.
            fields: [u64::from(self.id as u32), self.value, 0],
            timer: Some(self.id),
        }
    }

    /// What it has sent is no longer of use.
    fn retract(&self) {
        if !self.queued.swap(false, Ordering::SeqCst) {
            return;
        }
        match self.notify {
            Notify::Nothing => {}
            Notify::Process(_) => process().signals.pending.retract(self.id),
            Notify::Thread(tid, _) => {
                if let Some(thread) = thread::by_tid(tid) {
                    thread.signals.pending.retract(self.id);
                }
            }
        }
    }
}

impl Expiry for Sender {
    fn expired(&self, count: u64) -> Again {
        self.missed.fetch_add(count - 1, Ordering::Relaxed);
        // Before it is: it may be taken at once.
        self.queued.store(true, Ordering::SeqCst);
        let sent = match self.notify {
            Notify::Nothing => return Again::WhenSeen,
            Notify::Process(signo) => send_process(self.info(signo)),
            Notify::Thread(tid, signo) => match ThreadRef::find(tid) {
                Some(thread) => send_thread(thread, self.info(signo)),
                None => return Again::WhenSeen,
            },
        };
        if sent == Ok(true) {
            return Again::WhenSeen;
        }
        // Ignored, or no room.
        self.queued.store(false, Ordering::SeqCst);
        self.missed.fetch_add(1, Ordering::Relaxed);
        Again::Slowly
    }
}

/// A thread takes the signal of this timer, which goes on; `info` is told what it missed. False if it was deleted or set
/// anew since: then there is no such signal any more.
pub fn taken(id: i32, info: &mut SigInfo) -> bool {
    let Ok(timer) = find(id) else { return false };
    let sender = &timer.sender;
    if !sender.queued.swap(false, Ordering::SeqCst) {
        return false;
    }
    let missed = sender.missed.swap(0, Ordering::Relaxed);
    let overrun = missed
        .saturating_add(timer.interval.catch_up())
        .min(OVERRUN_MAX);
    sender.overrun.store(overrun, Ordering::Relaxed);
    info.fields[0] |= overrun << 32;
    true
}

/// The signal of this timer was thrown away: it is ignored from now on.
pub fn discarded(id: i32) {
    if let Ok(timer) = find(id)
        && timer.sender.queued.swap(false, Ordering::SeqCst)
    {
        timer.interval.catch_up();
    }
}

/// One timer_create(2).
pub struct PosixTimer {
    sender: Arc<Sender>,
    interval: Arc<Interval>,
}

static TIMERS: SpinLock<BTreeMap<i32, Arc<PosixTimer>>> = SpinLock::new(BTreeMap::new());

/// Makes a timer; gives its number. `notify` and `value` come from the sigevent; without one: SIGALRM and the number.
///
/// # Errors
/// EAGAIN.
pub fn create(clock: Clock, event: Option<(Notify, u64)>) -> Result<i32, Errno> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    check_spare().map_err(|_| Errno::EAGAIN)?;
    let id = (NEXT.fetch_add(1, Ordering::Relaxed) & OVERRUN_MAX) as i32;
    let (notify, value) = event.unwrap_or((Notify::Process(abi::SIGALRM as i32), id as u64));
    let sender = Arc::new(Sender {
        id,
        notify,
        value,
        queued: AtomicBool::new(false),
        missed: AtomicU64::new(0),
        overrun: AtomicU64::new(0),
    });
    let timer = Arc::new(PosixTimer {
        interval: Interval::new(clock, sender.clone()),
        sender,
    });
    let mut timers = TIMERS.lock();
    if timers.len() >= MAX_TIMERS || timers.contains_key(&id) {
        return Err(Errno::EAGAIN);
    }
    timers.insert(id, timer);
    Ok(id)
}

/// The timer with this number.
///
/// # Errors
/// EINVAL.
pub fn find(id: i32) -> Result<Arc<PosixTimer>, Errno> {
    TIMERS.lock().get(&id).cloned().ok_or(Errno::EINVAL)
}

/// Deletes it.
///
/// # Errors
/// EINVAL.
pub fn delete(id: i32) -> Result<(), Errno> {
    let timer = TIMERS.lock().remove(&id).ok_or(Errno::EINVAL)?;
    let sender = &timer.sender;
    timer
        .interval
        .set(Setting::default(), false, || sender.retract());
    Ok(())
}

impl PosixTimer {
    /// timer_settime(2): gives what was left.
    pub fn set(&self, setting: Setting, absolute: bool) -> Setting {
        self.interval.set(setting, absolute, || {
            self.sender.retract();
            self.sender.missed.store(0, Ordering::Relaxed);
            self.sender.overrun.store(0, Ordering::Relaxed);
        })
    }

    /// timer_gettime(2).
    pub fn left(&self) -> Setting {
        self.interval.left()
    }

    /// timer_getoverrun(2).
    pub fn overrun(&self) -> u64 {
        self.sender.overrun.load(Ordering::Relaxed)
    }
}

/// Sends the signal of an interval timer.
struct Ring(i32);

impl Expiry for Ring {
    fn expired(&self, _count: u64) -> Again {
        match send_process(SigInfo::from_kernel(self.0)) {
            Ok(true) => Again::AtOnce,
            // One that is pending already stands for this one, too; or nobody wants it.
            _ => Again::Slowly,
        }
    }
}

/// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
static ITIMERS: Lazy<[Arc<Interval>; 3]> = Lazy::new(|| {
    let ring = |clock, signo: u32| Interval::new(clock, Arc::new(Ring(signo as i32)));
    [
        ring(Clock::Boot, abi::SIGALRM),
        ring(Clock::ProcessCpu, abi::SIGVTALRM),
        ring(Clock::ProcessCpu, abi::SIGPROF),
    ]
});

/// One of the interval timers.
///
/// # Errors
/// EINVAL.
pub fn itimer(which: u32) -> Result<&'static Arc<Interval>, Errno> {
    ITIMERS.get(which as usize).ok_or(Errno::EINVAL)
}
