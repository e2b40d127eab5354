//! The part of an instance that its items refer to: which of them are ready, and which ended with their files.
//!
//! An item is on the ready list at most once; one that ended stays there until it is met or until such ones are half of
//! the list. So the list is never longer than twice the items, and room for it is made when an item is added: whoever
//! lists one, with a file's spin lock held, allocates nothing.
//! Locks: `ready` and `ended`, leaves.
use super::{Item, Key};
use crate::fs::{PollEvents, PollQueue};
use crate::memory::spare::Spare;
use crate::sync::{SpinLock, WaitQueue};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ringo_abi::Errno;

#[derive(Default)]
struct Ready {
    items: VecDeque<Arc<Item>>,
    /// How many of them have ended.
    ended: usize,
}

/// See the module's head.
pub struct Core {
    ready: SpinLock<Ready>,
    ready_count: AtomicUsize,
    pub(super) waiters: WaitQueue,
    pub(super) queue: PollQueue,
    /// Keys of items whose file is gone.
    ended: SpinLock<Vec<Key>>,
    ended_count: AtomicUsize,
    closed: AtomicBool,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            ready: SpinLock::default(),
            ready_count: AtomicUsize::new(0),
            waiters: WaitQueue::new(),
            queue: PollQueue::new(),
            ended: SpinLock::new(Vec::new()),
            ended_count: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Makes room for this many items.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn make_room(&self, items: usize) -> Result<(), Errno> {
        let mut ready = self.ready.lock();
        let missing = (2 * items).saturating_sub(ready.items.len());
        ready.items.spare(missing)?;
        drop(ready);
        let mut ended = self.ended.lock();
        let missing = items.saturating_sub(ended.len());
        ended.spare(missing)
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready_count.load(Ordering::SeqCst)
    }

    pub(super) fn has_ready(&self) -> bool {
        self.ready_count() != 0
    }

    /// Puts the item on the ready list unless it is there.
    pub(super) fn push(&self, item: Arc<Item>) {
        let mut ready = self.ready.lock();
        if item.ended.load(Ordering::Relaxed) || self.closed.load(Ordering::Relaxed) {
            return;
        }
        if !item.listed.swap(true, Ordering::Relaxed) {
            ready.items.push_back(item);
            self.ready_count.store(ready.items.len(), Ordering::SeqCst);
        }
    }

    pub(super) fn pop(&self) -> Option<Arc<Item>> {
        let mut ready = self.ready.lock();
        let item = ready.items.pop_front()?;
        // Before the file is asked: what happens from here on lists the item again.
        item.listed.store(false, Ordering::SeqCst);
        ready.ended -= usize::from(item.ended.load(Ordering::Relaxed));
        self.ready_count.store(ready.items.len(), Ordering::SeqCst);
        Some(item)
    }

    /// The item tells nothing any more.
    pub(super) fn end_item(&self, item: &Item) {
        let mut ready = self.ready.lock();
        if item.ended.swap(true, Ordering::SeqCst) || !item.listed.load(Ordering::Relaxed) {
            return;
        }
        ready.ended += 1;
        if 2 * ready.ended > ready.items.len() {
            ready
                .items
                .retain(|item| !item.ended.load(Ordering::Relaxed));
            ready.ended = 0;
            self.ready_count.store(ready.items.len(), Ordering::SeqCst);
        }
    }

    /// Notes the key of an item that ended with its file.
    pub(super) fn note_ended(&self, key: Key) {
        let mut ended = self.ended.lock();
        ended.push(key);
        self.ended_count.store(ended.len(), Ordering::SeqCst);
    }

    /// Takes one such key.
    #[inline]
    pub(super) fn take_ended(&self) -> Option<Key> {
        if self.ended_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut ended = self.ended.lock();
        let key = ended.pop();
        self.ended_count.store(ended.len(), Ordering::SeqCst);
        key
    }

    /// Tells who waits for the instance.
    pub(super) fn announce(&self) {
        self.waiters.wake_one();
        self.queue.notify(PollEvents::IN | PollEvents::RDNORM);
    }

    /// Lists nothing any more, and lets go of what is listed.
    pub(super) fn close(&self) {
        let listed = {
            let mut ready = self.ready.lock();
            self.closed.store(true, Ordering::SeqCst);
            self.ready_count.store(0, Ordering::SeqCst);
            core::mem::take(&mut *ready)
        };
        drop(listed);
    }
}
