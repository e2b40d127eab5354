//! eventfd(2): a counter that wakes.
//!
//! Reads and writes are compare-and-swap on one word; nothing is locked unless somebody waits. Every write tells the
//! observers, even if the counter was not 0: edge-triggered epoll relies on it, and so does Go's netpollBreak.
use super::text::Text;
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, file};
use crate::memory::user::UserIo;
use crate::sync::{Wait, WaitQueue};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::{Errno, SysResult};

/// What is read and written.
const SIZE: usize = 8;

/// The counter.
pub struct EventFd {
    count: AtomicU64,
    /// EFD_SEMAPHORE: a read takes 1.
    semaphore: bool,
    readers: WaitQueue,
    writers: WaitQueue,
    queue: PollQueue,
}

impl EventFd {
    /// Starts at `count`.
    pub fn new(count: u32, semaphore: bool) -> Self {
        Self {
            count: AtomicU64::new(u64::from(count)),
            semaphore,
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            queue: PollQueue::new(),
        }
    }

    fn take(&self) -> Option<u64> {
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| match count {
                0 => None,
                _ if self.semaphore => Some(count - 1),
                _ => Some(0),
            })
            .ok()
            .map(|count| if self.semaphore { 1 } else { count })
    }

    /// Adds unless the counter would reach its maximum, which is kept for overflow from inside the kernel.
    fn add(&self, value: u64) -> Option<()> {
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                count.checked_add(value).filter(|&sum| sum != u64::MAX)
            })
            .ok()
            .map(|_| ())
    }
}

impl FileOps for EventFd {
    fn call_flags(&self, writes: bool) -> u32 {
        if writes {
            file::LOOP_FLAGS
        } else {
            file::WAITLESS_FLAGS
        }
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if io.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let value = match self.take() {
            Some(value) => value,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self
                .readers
                .wait_until(Wait::interruptible(), || self.take())?,
        };
        self.writers.wake_all();
        self.queue.notify(PollEvents::OUT);
        match io.copy_out(&value.to_ne_bytes())? {
            8 => Ok(8),
            _ => Err(Errno::EFAULT),
        }
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        // Since Linux 6.9 no more than that, either.
        if io.remaining() != SIZE {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; SIZE];
        if io.copy_in(&mut bytes)? != SIZE {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_ne_bytes(bytes);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        match self.add(value) {
            Some(()) => {}
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self
                .writers
                .wait_until(Wait::interruptible(), || self.add(value))?,
        }
        // A semaphore's value may be for several readers.
        if self.semaphore {
            self.readers.wake_all();
        } else {
            self.readers.wake_one();
        }
        self.queue.notify(PollEvents::IN);
        Ok(SIZE)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let count = self.count.load(Ordering::Acquire);
        let mut events = PollEvents::empty();
        events.set(PollEvents::IN, count > 0);
        events.set(PollEvents::ERR, count == u64::MAX);
        events.set(PollEvents::OUT, count < u64::MAX - 1);
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.queue)
    }

    /// As noop_llseek in Linux.
    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Ok(0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn describe(&self, out: &mut Text) -> Result<(), Errno> {
        let count = self.count.load(Ordering::Relaxed);
        writeln!(out, "eventfd-count: {count:16x}")?;
        writeln!(out, "eventfd-semaphore: {}", u8::from(self.semaphore))
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[eventfd]".to_vec()
    }
}
