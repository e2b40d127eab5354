//! Messages for one socket: datagrams, and packets of connections that keep boundaries.
//!
//! A queue under a spin lock, bounded by what Linux would count for its messages against SO_RCVBUF. Who pushes wakes the
//! receiver afterwards. O(1) a message; an empty mailbox holds no memory but itself.
use crate::memory::spare::Spare;
use crate::sync::SpinLock;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// The longest queue whose memory is kept when it is empty.
const KEPT_QUEUE: usize = 16;

/// What a mailbox holds.
pub trait Message: Send {
    /// What it counts.
    fn charge(&self) -> usize;
}

/// See the module's head.
pub struct Mailbox<M> {
    queue: SpinLock<VecDeque<M>>,
    count: AtomicUsize,
    charged: AtomicUsize,
    capacity: AtomicUsize,
    dropped: AtomicU32,
    closed: AtomicBool,
}

impl<M: Message> Mailbox<M> {
    /// An empty one.
    pub fn new(capacity: usize) -> Self {
        Self {
            queue: SpinLock::new(VecDeque::new()),
            count: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            capacity: AtomicUsize::new(capacity),
            dropped: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// How much its messages may count.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// How many messages there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Nothing more shall come.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes no more messages; what is there can still be read.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Appends a message, whatever the room if `always`. False if it was dropped: then it found no room, memory is short, or
    /// nobody wants it. A first message always fits.
    pub fn push(&self, message: M, always: bool) -> bool {
        let charge = message.charge();
        let mut queue = self.queue.lock();
        if self.is_closed() {
            drop(queue);
            return false;
        }
        let charged = self.charged.load(Ordering::Relaxed) + charge;
        let full = charged > self.capacity.load(Ordering::Relaxed) && !always && !queue.is_empty();
        if full || queue.spare(1).is_err() {
            drop(queue);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        queue.push_back(message);
        self.charged.store(charged, Ordering::Relaxed);
        self.count.store(queue.len(), Ordering::SeqCst);
        true
    }

    /// Takes the first message.
    pub fn pop(&self) -> Option<M> {
        if self.len() == 0 {
            return None;
        }
        let mut queue = self.queue.lock();
        let message = queue.pop_front()?;
        let charged = self.charged.load(Ordering::Relaxed);
        self.charged
            .store(charged.saturating_sub(message.charge()), Ordering::Relaxed);
        self.count.store(queue.len(), Ordering::SeqCst);
        if queue.is_empty() && queue.capacity() > KEPT_QUEUE {
            queue.shrink_to(0);
        }
        Some(message)
    }

    /// Puts back what was only looked at.
    pub fn unpop(&self, message: M) {
        let mut queue = self.queue.lock();
        self.charged.fetch_add(message.charge(), Ordering::Relaxed);
        queue.push_front(message);
        self.count.store(queue.len(), Ordering::SeqCst);
    }

    /// Runs `f` on the first message, which stays.
    pub fn with_first<R>(&self, f: impl FnOnce(&M) -> R) -> Option<R> {
        self.queue.lock().front().map(f)
    }

    /// Closes it and throws away what is there; gives how many messages that were.
    pub fn abandon(&self) -> usize {
        self.close();
        let mut queue = self.queue.lock();
        let rest = core::mem::take(&mut *queue);
        self.charged.store(0, Ordering::Relaxed);
        self.count.store(0, Ordering::SeqCst);
        drop(queue);
        // Outside the lock: messages may hold open files.
        rest.len()
    }
}
