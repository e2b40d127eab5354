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
//! A queue is linked through its threads, each of which stands in one at most: entering and leaving allocate nothing, since
//! whoever waits may do so because memory is short, and take the same time whatever the length.
//! Wakers look at an atomic count first: waking an empty queue takes no lock. Cost: O(1) to wake one.
use super::SpinLock;
use crate::task::{self, Thread, WakeList};
use crate::time;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use ringo_abi::Errno;

/// Threads waiting for one condition.
pub struct WaitQueue {
    waiters: SpinLock<Waiters>,
    count: AtomicUsize,
}

/// A thread's place in a queue, changed under that queue's lock.
pub struct WaitLink {
    next: AtomicPtr<Thread>,
    previous: AtomicPtr<Thread>,
}

impl WaitLink {
    /// In no queue.
    pub const fn new() -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
            previous: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

fn linked(link: &AtomicPtr<Thread>) -> Option<&'static Thread> {
    // SAFETY: null or made of a reference; threads' places are never freed.
    unsafe { link.load(Ordering::Relaxed).as_ref() }
}

fn set_link(link: &AtomicPtr<Thread>, to: Option<&'static Thread>) {
    let to = to.map_or(ptr::null_mut(), |to| ptr::from_ref(to).cast_mut());
    link.store(to, Ordering::Relaxed);
}

/// In the order in which they came.
struct Waiters {
    first: Option<&'static Thread>,
    last: Option<&'static Thread>,
    count: usize,
}

impl Waiters {
    /// Appends a thread that is in no queue.
    fn push(&mut self, thread: &'static Thread) {
        set_link(&thread.waiting.next, None);
        set_link(&thread.waiting.previous, self.last);
        match self.last {
            Some(last) => set_link(&last.waiting.next, Some(thread)),
            None => self.first = Some(thread),
        }
        self.last = Some(thread);
        self.count += 1;
    }

    /// Takes out a thread that is in this queue.
    fn remove(&mut self, thread: &'static Thread) {
        let (next, previous) = (
            linked(&thread.waiting.next),
            linked(&thread.waiting.previous),
        );
        match previous {
            Some(before) => set_link(&before.waiting.next, next),
            None => self.first = next,
        }
        match next {
            Some(behind) => set_link(&behind.waiting.previous, previous),
            None => self.last = previous,
        }
        self.count -= 1;
    }

    /// Takes out the first.
    fn pop(&mut self) -> Option<&'static Thread> {
        let thread = self.first?;
        self.remove(thread);
        Some(thread)
    }
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
            waiters: SpinLock::new(Waiters {
                first: None,
                last: None,
                count: 0,
            }),
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
        waiters.push(thread);
        thread.in_wait_queue.store(true, Ordering::Relaxed);
        task::prepare_block(thread);
        self.count.store(waiters.count, Ordering::Relaxed);
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
        // A thread stands in no other queue than the one it waits in.
        if !thread.in_wait_queue.load(Ordering::Relaxed) {
            return false;
        }
        waiters.remove(thread);
        thread.in_wait_queue.store(false, Ordering::Relaxed);
        self.count.store(waiters.count, Ordering::Relaxed);
        true
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
        while let Some(thread) = waiters.pop() {
            thread.in_wait_queue.store(false, Ordering::Release);
            woken.add(thread);
        }
        drop(waiters);
        woken.wake();
    }

    /// Takes out who has waited longest. To be woken with the queue's lock free: wake_list.rs says why.
    fn take_first(&self) -> Option<&'static Thread> {
        let mut waiters = self.waiters.lock();
        let thread = waiters.pop()?;
        self.count.store(waiters.count, Ordering::Relaxed);
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
