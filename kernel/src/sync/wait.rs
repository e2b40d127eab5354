//! Wait queues.
//!
//! A waiter announces itself (state `Blocking`, entry in the queue) before it looks at its condition for the last time;
//! a waker changes the condition before it looks at the queue. Whatever the order, one of them sees the other:
//!
//! ```text
//!   waiter                                waker
//!   state = Blocking; enqueue             condition = true
//!   condition? -> yes: leave              dequeue a waiter
//!   block(): Blocking -> Blocked,         Blocking -> Running  (the block() that follows returns at once)
//!            switch away                  Blocked -> Runnable, onto a run queue
//! ```
//!
//! Entries are indices of threads in a queue that keeps its capacity, so a wait allocates nothing in the steady state.
//! Wakers look at an atomic count first: waking an empty queue takes no lock. Cost: O(1) to wake one.
use super::SpinLock;
use crate::task::{self, Thread, WakeList};
use crate::time;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use ringo_abi::Errno;

/// Threads waiting for one condition.
pub struct WaitQueue {
    waiters: SpinLock<VecDeque<&'static Thread>>,
    count: AtomicUsize,
}

/// How to wait.
#[derive(Clone, Copy, Default)]
pub struct Wait {
    interruptible: bool,
    deadline: Option<u64>,
}

impl Wait {
    /// Until the condition holds, whatever else happens.
    pub const fn uninterruptible() -> Self {
        Self {
            interruptible: false,
            deadline: None,
        }
    }

    /// A signal ends the wait with ERESTARTSYS.
    pub const fn interruptible() -> Self {
        Self {
            interruptible: true,
            deadline: None,
        }
    }

    /// Also ends with ETIMEDOUT when [`time::now`] reaches `deadline` (ns), if there is one.
    pub const fn deadline(mut self, deadline: Option<u64>) -> Self {
        self.deadline = deadline;
        self
    }
}

impl WaitQueue {
    /// A queue without waiters.
    pub const fn new() -> Self {
        Self {
            waiters: SpinLock::new(VecDeque::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// Blocks the calling thread until `ready` gives a value. `ready` must not block: a thread stands in one queue.
    ///
    /// # Errors
    /// ERESTARTSYS when a signal is pending (interruptible waits), ETIMEDOUT when the deadline has passed.
    pub fn wait_until<R>(
        &self,
        how: Wait,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, Errno> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let thread = task::current();
        loop {
            self.enter(thread);
            // From here on a wake-up is not lost: see the time line in the module's head.
            let outcome = if let Some(value) = ready() {
                Some(Ok(value))
            } else if how.interruptible && task::signal_pending() {
                Some(Err(Errno::ERESTARTSYS))
            } else if how.deadline.is_some_and(|deadline| time::now() >= deadline) {
                Some(Err(Errno::ETIMEDOUT))
            } else {
                None
            };
            if let Some(outcome) = outcome {
                task::cancel_block(thread);
                // A waker that took us meanwhile took nobody else: if we leave with an error, its event must not go
                // with us. Either it is ours now, or whoever has it will wake the next.
                if !self.leave(thread)
                    && outcome.is_err()
                    && let Some(value) = ready()
                {
                    return Ok(value);
                }
                return outcome;
            }
            task::block(how.deadline, how.interruptible);
            self.leave(thread);
        }
    }

    fn enter(&self, thread: &'static Thread) {
        let mut waiters = self.waiters.lock();
        waiters.push_back(thread);
        thread.in_wait_queue.store(true, Ordering::Relaxed);
        task::prepare_block(thread);
        self.count.store(waiters.len(), Ordering::Relaxed);
        drop(waiters);
        // Our entry before our look at the condition; pairs with the fence in wake.
        fence(Ordering::SeqCst);
    }

    /// Takes the thread out unless a waker did: then there is nothing to search, and it gives false.
    fn leave(&self, thread: &'static Thread) -> bool {
        if !thread.in_wait_queue.load(Ordering::Acquire) {
            return false;
        }
        let mut waiters = self.waiters.lock();
        if let Some(at) = waiters
            .iter()
            .position(|&waiter| core::ptr::eq(waiter, thread))
        {
            waiters.remove(at);
            thread.in_wait_queue.store(false, Ordering::Relaxed);
            self.count.store(waiters.len(), Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Wakes the thread that has waited longest. False if none waited.
    pub fn wake_one(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        while let Some(thread) = self.take_first() {
            if task::wake(thread) {
                return true;
            }
        }
        false
    }

    /// Wakes all that wait.
    pub fn wake_all(&self) {
        if self.is_empty() {
            return;
        }
        let mut woken = WakeList::new();
        let mut waiters = self.waiters.lock();
        self.count.store(0, Ordering::Relaxed);
        while let Some(thread) = waiters.pop_front() {
            thread.in_wait_queue.store(false, Ordering::Release);
            woken.add(thread);
        }
        drop(waiters);
        woken.wake();
    }

    /// Takes out who has waited longest. To be woken with the queue's lock free: wake_list.rs says why.
    fn take_first(&self) -> Option<&'static Thread> {
        let mut waiters = self.waiters.lock();
        let thread = waiters.pop_front()?;
        self.count.store(waiters.len(), Ordering::Relaxed);
        thread.in_wait_queue.store(false, Ordering::Release);
        Some(thread)
    }

    /// Whether nobody waits. Ordered after what the caller did to the condition.
    pub fn is_empty(&self) -> bool {
        fence(Ordering::SeqCst);
        self.count.load(Ordering::Relaxed) == 0
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
