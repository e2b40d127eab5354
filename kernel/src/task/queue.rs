//! A CPU's run queue: a FIFO of runnable threads, linked through the threads themselves, so that waking allocates
//! nothing and costs O(1) whatever the number of threads.
use super::thread::{Thread, by_index};
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Threads ready to run on one CPU. Any CPU may push and steal.
pub struct RunQueue {
    list: SpinLock<List>,
    length: AtomicUsize,
}

/// Index + 1 of the first and the last thread, 0 for none.
struct List {
    head: u32,
    tail: u32,
}

impl RunQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            list: SpinLock::new(List { head: 0, tail: 0 }),
            length: AtomicUsize::new(0),
        }
    }

    /// How many threads wait here; exact only for the lock's holder, a hint for others.
    #[inline]
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Appends a thread that is in no queue.
    pub fn push(&self, thread: &'static Thread) {
        let mut list = self.list.lock();
        thread.next.store(0, Ordering::Relaxed);
        let link = thread.index + 1;
        match list.tail.checked_sub(1).and_then(by_index) {
            Some(last) => last.next.store(link, Ordering::Relaxed),
            None => list.head = link,
        }
        list.tail = link;
        self.length.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes the thread that has waited longest.
    pub fn pop(&self) -> Option<&'static Thread> {
        if self.len() == 0 {
            return None;
        }
        self.remove_first(|_| true)
    }

    /// Whether there is a thread for which `wanted` holds. O(1) for one that most threads meet.
    pub fn any(&self, wanted: impl Fn(&Thread) -> bool) -> bool {
        let list = self.list.lock();
        let mut at = list.head;
        while let Some(thread) = at.checked_sub(1).and_then(by_index) {
            if wanted(thread) {
                return true;
            }
            at = thread.next.load(Ordering::Relaxed);
        }
        false
    }

    /// What `look` finds at the thread that has waited longest.
    pub fn first<R>(&self, look: impl FnOnce(&Thread) -> R) -> Option<R> {
        let list = self.list.lock();
        list.head.checked_sub(1).and_then(by_index).map(look)
    }

    /// Takes the first thread for which `wanted` holds.
    pub fn remove_first(&self, wanted: impl Fn(&Thread) -> bool) -> Option<&'static Thread> {
        let mut list = self.list.lock();
        let mut before: Option<&'static Thread> = None;
        let mut at = list.head;
        while let Some(thread) = at.checked_sub(1).and_then(by_index) {
            let next = thread.next.load(Ordering::Relaxed);
            if wanted(thread) {
                match before {
                    Some(before) => before.next.store(next, Ordering::Relaxed),
                    None => list.head = next,
                }
                if next == 0 {
                    list.tail = before.map_or(0, |before| before.index + 1);
                }
                self.length.fetch_sub(1, Ordering::SeqCst);
                return Some(thread);
            }
            before = Some(thread);
            at = next;
        }
        None
    }
}
