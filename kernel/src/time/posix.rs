//! POSIX timers (timer_create(2)) and the three interval timers of setitimer(2).
//!
//! An expiry sends a signal to the process or to one thread, or nothing. While the signal of the last one is still
//! pending, expiries only count as overrun.
use super::clocks::Clock;
use super::interval::{Expiry, Interval, Setting};
use crate::memory::frames::check_spare;
use crate::sync::SpinLock;
use crate::task::signal::{SI_KERNEL, SI_TIMER, SigInfo, bit, send_process, send_thread};
use crate::task::{Tid, process, thread};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
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
    /// Expiries since the last signal was sent, beyond its own.
    missed: AtomicU64,
    /// The overrun of the last signal.
    overrun: AtomicU64,
}

/// The largest overrun (DELAYTIMER_MAX).
const OVERRUN_MAX: u64 = i32::MAX as u64;

impl Sender {
    fn info(&self, signo: i32) -> SigInfo {
        let overrun = self.missed.swap(0, Ordering::Relaxed).min(OVERRUN_MAX);
        self.overrun.store(overrun, Ordering::Relaxed);
        SigInfo {
            signo,
            code: SI_TIMER,
            errno: 0,
            fields: [u64::from(self.id as u32) | overrun << 32, self.value, 0],
        }
    }
}

impl Expiry for Sender {
    fn expired(&self, count: u64) -> bool {
        self.missed.fetch_add(count - 1, Ordering::Relaxed);
        let sent = match self.notify {
            Notify::Nothing => return true,
            Notify::Process(signo) => {
                if process().signals.pending.set() & bit(signo) != 0 {
                    Err(Errno::EAGAIN)
                } else {
                    send_process(self.info(signo))
                }
            }
            Notify::Thread(tid, signo) => match thread::by_tid(tid) {
                Some(thread) if thread.signals.pending.set() & bit(signo) == 0 => {
                    send_thread(thread, self.info(signo))
                }
                Some(_) => Err(Errno::EAGAIN),
                None => return false,
            },
        };
        if sent.is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        true
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
        missed: AtomicU64::new(0),
        overrun: AtomicU64::new(0),
    });
    let timer = Arc::new(PosixTimer {
        interval: Interval::new(clock, sender.clone()),
        sender,
    });
    let mut timers = TIMERS.lock();
    if timers.contains_key(&id) {
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
    timer.interval.set(Setting::default(), false);
    Ok(())
}

impl PosixTimer {
    /// timer_settime(2): gives what was left.
    pub fn set(&self, setting: Setting, absolute: bool) -> Setting {
        self.sender.missed.store(0, Ordering::Relaxed);
        self.sender.overrun.store(0, Ordering::Relaxed);
        self.interval.set(setting, absolute)
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
    fn expired(&self, _count: u64) -> bool {
        let info = SigInfo {
            code: SI_KERNEL,
            ..SigInfo::from_kernel(self.0)
        };
        // One that is pending already stands for this one, too.
        let _ = send_process(info);
        true
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
