//! timerfd_create(2): a timer that is read.
//!
//! An interval timer fires once and is then counted up when it is read, as on Linux: one that nobody reads costs nothing.
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, file};
use crate::memory::user::UserIo;
use crate::sync::{Wait, WaitQueue};
use crate::time::clocks::Clock;
use crate::time::interval::{Again, Expiry, Interval, Setting};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::{Errno, SysResult};

const SIZE: usize = 8;

/// What the timer tells.
struct Ticks {
    count: AtomicU64,
    readers: WaitQueue,
    queue: PollQueue,
}

impl Expiry for Ticks {
    fn expired(&self, count: u64) -> Again {
        self.count.fetch_add(count, Ordering::SeqCst);
        self.readers.wake_all();
        self.queue.notify(PollEvents::IN);
        Again::WhenSeen
    }
}

/// The timer.
pub struct TimerFd {
    ticks: Arc<Ticks>,
    interval: Arc<Interval>,
}

impl TimerFd {
    /// Disarmed.
    pub fn new(clock: Clock) -> Self {
        let ticks = Arc::new(Ticks {
            count: AtomicU64::new(0),
            readers: WaitQueue::new(),
            queue: PollQueue::new(),
        });
        Self {
            interval: Interval::new(clock, ticks.clone()),
            ticks,
        }
    }

    /// timerfd_settime(2): gives what was left.
    pub fn set(&self, setting: Setting, absolute: bool) -> Setting {
        let forget = || self.ticks.count.store(0, Ordering::SeqCst);
        self.interval.set(setting, absolute, forget)
    }

    /// timerfd_gettime(2).
    pub fn left(&self) -> Setting {
        self.interval.left()
    }

    fn take(&self) -> Option<u64> {
        match self.ticks.count.swap(0, Ordering::SeqCst) {
            0 => None,
            count => Some(count),
        }
    }
}

impl FileOps for TimerFd {
    fn writes(&self) -> bool {
        false
    }

    fn call_flags(&self, _writes: bool) -> u32 {
        file::WAITLESS_FLAGS
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if io.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let count = match self.take() {
            Some(count) => count,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self
                .ticks
                .readers
                .wait_until(Wait::interruptible(), || self.take())?,
        };
        let count = count.saturating_add(self.interval.catch_up());
        match io.copy_out(&count.to_ne_bytes())? {
            8 => Ok(8),
            _ => Err(Errno::EFAULT),
        }
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let mut events = PollEvents::empty();
        events.set(
            PollEvents::IN,
            self.ticks.count.load(Ordering::Acquire) != 0,
        );
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.ticks.queue)
    }

    /// As noop_llseek in Linux.
    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Ok(0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[timerfd]".to_vec()
    }
}
