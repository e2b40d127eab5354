//! A bucket's waiters: a list through the threads themselves, in the order they came. Entering, leaving and moving allocate
//! nothing and take the same time whatever the list's length.
//!
//! A thread waits on one futex at a time, so one set of links is enough. Links and key are only changed under the lock of
//! the bucket that the key belongs to.
use super::thread::{Thread, by_index};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What a futex is known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its address; of a shared one the place in the file, or the address where there is none, with the lowest bit set.
    place: usize,
    /// The file's number; 0 for none.
    file: usize,
}

impl Key {
    /// Of one that only this address leads to.
    pub const fn private(address: usize) -> Self {
        Self {
            place: address,
            file: 0,
        }
    }

    /// Of one that others could have, too: `file` is the file that is mapped shared there, and the place in it.
    pub fn shared(address: usize, file: Option<(usize, u64)>) -> Self {
        let (file, place) = file.unwrap_or((0, address as u64));
        Self {
            place: place as usize | 1,
            file,
        }
    }

    /// A number for a table's choice of a bucket.
    pub const fn hash(self) -> u64 {
        // Fibonacci hashing of the word's number; the low bits alone would put all of one struct's futexes together.
        let word = (self.place >> 2) as u64 ^ (self.file as u64).rotate_left(32);
        word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A thread's place in a list.
pub struct Link {
    /// Of which bucket's list, plus 1; 0 for none. Read without the lock, too: whoever wakes the thread clears it last.
    pub bucket: AtomicU32,
    /// The key of the futex it waits on.
    place: AtomicUsize,
    file: AtomicUsize,
    bitset: AtomicU32,
    /// Index + 1 of the neighbours, 0 for none.
    next: AtomicU32,
    previous: AtomicU32,
}

impl Link {
    /// In no list.
    pub const fn new() -> Self {
        Self {
            bucket: AtomicU32::new(0),
            place: AtomicUsize::new(0),
            file: AtomicUsize::new(0),
            bitset: AtomicU32::new(0),
            next: AtomicU32::new(0),
            previous: AtomicU32::new(0),
        }
    }
}

impl Link {
    fn key(&self) -> Key {
        Key {
            place: self.place.load(Ordering::Relaxed),
            file: self.file.load(Ordering::Relaxed),
        }
    }

    fn set_key(&self, key: Key) {
        self.place.store(key.place, Ordering::Relaxed);
        self.file.store(key.file, Ordering::Relaxed);
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

    /// Appends a thread that is in no list to this one, of `bucket`.
    pub fn push(&mut self, thread: &'static Thread, bucket: u32, key: Key, bitset: u32) {
        let link = &thread.futex;
        link.bitset.store(bitset, Ordering::Relaxed);
        link.next.store(0, Ordering::Relaxed);
        link.previous.store(self.tail, Ordering::Relaxed);
        match at(self.tail) {
            Some(last) => last.futex.next.store(thread.index + 1, Ordering::Relaxed),
            None => self.head = thread.index + 1,
        }
        self.tail = thread.index + 1;
        link.set_key(key);
        link.bucket.store(bucket + 1, Ordering::Release);
    }

    /// Takes out a thread that is in this list. Its key stays.
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
        thread.futex.bucket.store(0, Ordering::Release);
    }

    /// Moves a thread of this list to the end of another, of `bucket`, to wait on a futex of that one's.
    pub fn move_to(&mut self, thread: &'static Thread, other: &mut Self, bucket: u32, key: Key) {
        self.unlink(thread);
        let bitset = thread.futex.bitset.load(Ordering::Relaxed);
        other.push(thread, bucket, key, bitset);
    }

    /// A thread of this list waits on another futex of the same bucket, in the same place.
    pub fn rename(&mut self, thread: &'static Thread, key: Key) {
        thread.futex.set_key(key);
    }

    /// The waiters of `key` that share a bit with `bitset`, in order. What was given may be taken out before the next is
    /// asked for.
    pub fn of(&self, key: Key, bitset: u32) -> Of {
        Of {
            next: self.head,
            key,
            bitset,
        }
    }
}

/// See [`Waiters::of`].
pub struct Of {
    next: u32,
    key: Key,
    bitset: u32,
}

impl Iterator for Of {
    type Item = &'static Thread;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let thread = at(self.next)?;
            self.next = thread.futex.next.load(Ordering::Relaxed);
            if thread.futex.key() == self.key
                && thread.futex.bitset.load(Ordering::Relaxed) & self.bitset != 0
            {
                return Some(thread);
            }
        }
    }
}
