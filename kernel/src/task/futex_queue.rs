//! A bucket's waiters: a list through the threads themselves, in the order they came. Entering, leaving and moving allocate
//! nothing and take the same time whatever the list's length.
//!
//! A thread waits on one futex at a time, so one set of links is enough. Links and address are only changed under the lock of
//! the bucket that the address belongs to.
use super::thread::{Thread, by_index};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A thread's place in a list.
pub struct Link {
    /// The futex it waits on, 0 for none. Read without the lock, too: whoever wakes the thread clears it last.
    pub address: AtomicUsize,
    bitset: AtomicU32,
    /// Index + 1 of the neighbours, 0 for none.
    next: AtomicU32,
    previous: AtomicU32,
}

impl Link {
    /// In no list.
    pub const fn new() -> Self {
        Self {
            address: AtomicUsize::new(0),
            bitset: AtomicU32::new(0),
            next: AtomicU32::new(0),
            previous: AtomicU32::new(0),
        }
    }
}

/// See the module's head. Empty, it is all zeros: the table of buckets is not part of the kernel's image.
pub struct Waiters {
    /// Index + 1 of the first and the last, 0 for none.
    head: u32,
    tail: u32,
}

fn at(link: u32) -> Option<&'static Thread> {
    link.checked_sub(1).and_then(by_index)
}

impl Waiters {
    /// Nobody.
    pub const fn new() -> Self {
        Self { head: 0, tail: 0 }
    }

    /// Appends a thread that is in no list.
    pub fn push(&mut self, thread: &'static Thread, address: usize, bitset: u32) {
        let link = &thread.futex;
        link.bitset.store(bitset, Ordering::Relaxed);
        link.next.store(0, Ordering::Relaxed);
        link.previous.store(self.tail, Ordering::Relaxed);
        match at(self.tail) {
            Some(last) => last.futex.next.store(thread.index + 1, Ordering::Relaxed),
            None => self.head = thread.index + 1,
        }
        self.tail = thread.index + 1;
        link.address.store(address, Ordering::Release);
    }

    /// Takes out a thread that is in this list. Its address stays.
    fn unlink(&mut self, thread: &'static Thread) {
        let next = thread.futex.next.load(Ordering::Relaxed);
        let previous = thread.futex.previous.load(Ordering::Relaxed);
        match at(previous) {
            Some(before) => before.futex.next.store(next, Ordering::Relaxed),
            None => self.head = next,
        }
        match at(next) {
            Some(behind) => behind.futex.previous.store(previous, Ordering::Relaxed),
            None => self.tail = previous,
        }
    }

    /// Takes out a thread that is in this list; from then on it counts as woken.
    pub fn remove(&mut self, thread: &'static Thread) {
        self.unlink(thread);
        thread.futex.address.store(0, Ordering::Release);
    }

    /// Moves a thread of this list to the end of another, to wait on a futex of that one's.
    pub fn move_to(&mut self, thread: &'static Thread, other: &mut Self, address: usize) {
        self.unlink(thread);
        let bitset = thread.futex.bitset.load(Ordering::Relaxed);
        other.push(thread, address, bitset);
    }

    /// A thread of this list waits on another futex of the same bucket, in the same place.
    pub fn readdress(&mut self, thread: &'static Thread, address: usize) {
        thread.futex.address.store(address, Ordering::Release);
    }

    /// The waiters of `address` that share a bit with `bitset`, in order. What was given may be taken out before the next is
    /// asked for.
    pub fn of(&self, address: usize, bitset: u32) -> Of {
        Of {
            next: self.head,
            address,
            bitset,
        }
    }
}

/// See [`Waiters::of`].
pub struct Of {
    next: u32,
    address: usize,
    bitset: u32,
}

impl Iterator for Of {
    type Item = &'static Thread;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let thread = at(self.next)?;
            self.next = thread.futex.next.load(Ordering::Relaxed);
            if thread.futex.address.load(Ordering::Relaxed) == self.address
                && thread.futex.bitset.load(Ordering::Relaxed) & self.bitset != 0
            {
                return Some(thread);
            }
        }
    }
}
