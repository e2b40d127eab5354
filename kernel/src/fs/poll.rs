//! Readiness: who is told when a file becomes readable or writable.
//!
//! A file owns a [`PollQueue`]; poll(2), select(2) and epoll(7) put observers on it. The file calls [`PollQueue::notify`]
//! after its state changed; with nobody observing that costs one load. Observers run under the queue's lock: they take
//! locks of their own object only, wake threads, and never block or touch the program's memory.
//! Lock order: the file's own lock -> PollQueue -> observer's lock (epoll's ready list) -> wait queue.
use crate::memory::spare::Spare;
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use ringo_abi::Errno;

bitflags! {
    /// What a file is ready for: the values of POLL* and EPOLL*.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PollEvents: u32 {
        /// Readable.
        const IN = 1;
        /// Urgent.
        const PRI = 2;
        /// Writable.
        const OUT = 4;
        /// Broken.
        const ERR = 8;
        /// The other end is gone.
        const HUP = 16;
        /// Not an open descriptor (poll only).
        const NVAL = 32;
        /// As IN.
        const RDNORM = 0x40;
        /// As OUT.
        const WRNORM = 0x100;
        /// The other end writes no more.
        const RDHUP = 0x2000;
    }
}

/// Told of readiness.
pub trait Observer: Send + Sync + Any {
    /// The file may have become ready for `events`.
    fn notify(&self, events: PollEvents);
}

/// The observers of one file.
pub struct PollQueue {
    observers: SpinLock<Vec<Arc<dyn Observer>>>,
    count: AtomicUsize,
}

impl PollQueue {
    /// Without observers.
    pub const fn new() -> Self {
        Self {
            observers: SpinLock::new(Vec::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// Adds an observer. It must look at the file's state once more afterwards.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> Result<(), Errno> {
        let mut observers = self.observers.lock();
        observers.spare(1)?;
        observers.push(observer);
        self.count.store(observers.len(), Ordering::Relaxed);
        drop(observers);
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Calls `f`, which takes no lock, for every observer.
    pub fn for_each(&self, mut f: impl FnMut(&dyn Observer)) {
        for observer in self.observers.lock().iter() {
            f(&**observer);
        }
    }

    /// Removes an observer.
    pub fn forget(&self, observer: &Arc<dyn Observer>) {
        let mut observers = self.observers.lock();
        let at = observers
            .iter()
            .position(|other| core::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(observer)));
        let gone = at.map(|at| observers.swap_remove(at));
        self.count.store(observers.len(), Ordering::Relaxed);
        drop(observers);
        // Dropped outside the lock: it may be the last reference.
        drop(gone);
    }

    /// Whether anybody observes.
    pub fn is_observed(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Tells all observers; called after the state changed.
    #[inline]
    pub fn notify(&self, events: PollEvents) {
        // The change of state before the look at the observers; pairs with the fence in observe.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) != 0 {
            self.tell(events);
        }
    }

    #[cold]
    fn tell(&self, events: PollEvents) {
        for observer in self.observers.lock().iter() {
            observer.notify(events);
        }
    }
}

impl Default for PollQueue {
    fn default() -> Self {
        Self::new()
    }
}
