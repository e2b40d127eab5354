//! What was sent and not yet taken: a bit set, which everybody tests, and a list of siginfo, taken under a lock.
//!
//! Standard signals are pending once, real-time ones as often as sent, a timer's once for each timer. So only real-time
//! signals can become many: all targets' together are limited (RLIMIT_SIGPENDING), one target's by [`QUEUE_MAX`], since
//! taking one looks through its list; and a list that would need memory of the kernel's reserve to grow does not.
//! Source: signal(7); Linux kernel/signal.c.
use super::{FIRST_REALTIME, SigInfo, SignalSet, bit};
use crate::memory::frames;
use crate::sync::SpinLock;
use crate::task::limits;
use crate::time::posix;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// The most siginfos queued for one target, beside one for each timer.
const QUEUE_MAX: usize = 4096;
/// Real-time signals queued for all targets, without those of timers.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

/// How many siginfos count against RLIMIT_SIGPENDING.
pub fn queued() -> usize {
    QUEUED.load(Ordering::Relaxed)
}

/// Whether it counts against RLIMIT_SIGPENDING.
fn is_counted(info: &SigInfo) -> bool {
    info.signo >= FIRST_REALTIME && info.timer.is_none()
}

/// Whether the list may take one more. Standard signals are always taken, since they are few.
fn may_grow(queue: &VecDeque<SigInfo>, info: &SigInfo) -> bool {
    if info.signo < FIRST_REALTIME && info.timer.is_none() {
        return true;
    }
    if is_counted(info) {
        let limit = limits::get(abi::RLIMIT_SIGPENDING).map_or(u64::MAX, |[soft, _]| soft);
        if queued() as u64 >= limit {
            return false;
        }
    }
    let most = match info.timer {
        Some(_) => QUEUE_MAX + posix::MAX_TIMERS,
        None => QUEUE_MAX,
    };
    let grown = 2 * queue.capacity().max(4) * size_of::<SigInfo>();
    queue.len() < most
        && (queue.len() < queue.capacity() || frames::are_spare_now(grown.div_ceil(frames::FRAME)))
}

/// Pending signals of a thread or of the process.
pub struct Pending {
    set: AtomicU64,
    queue: SpinLock<VecDeque<SigInfo>>,
}

impl Pending {
    /// None.
    pub const fn new() -> Self {
        Self {
            set: AtomicU64::new(0),
            queue: SpinLock::new(VecDeque::new()),
        }
    }

    /// The set, for a look without the lock.
    #[inline]
    pub fn set(&self) -> SignalSet {
        self.set.load(Ordering::SeqCst)
    }

    /// False: one of that number, which stands for this one, is pending.
    pub(super) fn push(&self, info: SigInfo) -> Result<bool, Errno> {
        self.push_if(info, || true)
    }

    /// As [`Pending::push`], if `wanted` says so under the lock: else ESRCH.
    pub(super) fn push_if(
        &self,
        info: SigInfo,
        wanted: impl FnOnce() -> bool,
    ) -> Result<bool, Errno> {
        let mut queue = self.queue.lock();
        if !wanted() {
            return Err(Errno::ESRCH);
        }
        let already = self.set.load(Ordering::Relaxed) & bit(info.signo) != 0;
        // A timer's signal is queued once for each timer, whatever its number.
        if already && info.signo < FIRST_REALTIME && info.timer.is_none() {
            return Ok(false);
        }
        if !may_grow(&queue, &info) || queue.try_reserve(1).is_err() {
            return Err(Errno::EAGAIN);
        }
        if is_counted(&info) {
            QUEUED.fetch_add(1, Ordering::Relaxed);
        }
        queue.push_back(info);
        self.set.fetch_or(bit(info.signo), Ordering::SeqCst);
        Ok(true)
    }

    /// Takes the first signal out of `wanted`, lowest number first. A timer's goes on with that.
    pub fn take(&self, wanted: SignalSet) -> Option<SigInfo> {
        loop {
            let mut info = self.take_next(wanted)?;
            let Some(timer) = info.timer else {
                return Some(info);
            };
            if posix::taken(timer, &mut info) {
                return Some(info);
            }
        }
    }

    fn take_next(&self, wanted: SignalSet) -> Option<SigInfo> {
        if self.set() & wanted == 0 {
            return None;
        }
        let mut queue = self.queue.lock();
        let candidates = self.set.load(Ordering::Relaxed) & wanted;
        if candidates == 0 {
            return None;
        }
        let signo = candidates.trailing_zeros() as i32 + 1;
        let at = queue.iter().position(|info| info.signo == signo)?;
        self.remove(&mut queue, at)
    }

    fn remove(&self, queue: &mut VecDeque<SigInfo>, at: usize) -> Option<SigInfo> {
        let info = queue.remove(at)?;
        if is_counted(&info) {
            QUEUED.fetch_sub(1, Ordering::Relaxed);
        }
        if !queue.iter().any(|other| other.signo == info.signo) {
            self.set.fetch_and(!bit(info.signo), Ordering::SeqCst);
        }
        Some(info)
    }

    /// Forgets all: the thread's place is used again, by one with another number already. Whoever sends to the old one has
    /// done so before this, or sees under the lock that it is gone.
    pub fn clear(&self) {
        drop(self.queue.lock());
        self.discard(SignalSet::MAX);
    }

    /// Forgets the signals of `set` (they are ignored from now on). Timers whose signals these are go on.
    pub fn discard(&self, set: SignalSet) {
        if self.set() & set == 0 {
            return;
        }
        while let Some(timer) = self.discard_to_timer(set) {
            posix::discarded(timer);
        }
    }

    /// Up to the first that is a timer's, which it gives.
    fn discard_to_timer(&self, set: SignalSet) -> Option<i32> {
        let mut queue = self.queue.lock();
        while let Some(at) = queue.iter().position(|info| bit(info.signo) & set != 0) {
            if let Some(timer) = self.remove(&mut queue, at)?.timer {
                return Some(timer);
            }
        }
        None
    }

    /// Takes back what a timer has sent.
    pub fn retract(&self, timer: i32) {
        let mut queue = self.queue.lock();
        if let Some(at) = queue.iter().position(|info| info.timer == Some(timer)) {
            self.remove(&mut queue, at);
        }
    }
}
