//! Futexes (futex(2)).
//!
//! A table of buckets by hashed key, a lock each, so that threads on different futexes do not meet. A bucket's
//! waiters (futex_queue.rs) stand in the order they came. The word is read under the bucket's lock without faulting; if its
//! page is not there, the lock is dropped, the page faulted in, and all begins again.
//!
//! ```text
//!   waiter (bucket locked)                waker
//!   read the word, enqueue, Blocking      change the word (program)
//!   unlock, block                         lock, dequeue, unlock, wake
//! ```
//!
//! Keys of private futexes are addresses: there is one address space. A shared one's is the place in the file that is mapped,
//! so that whoever maps it elsewhere is matched.
//! Cost: waiting and giving up are O(1); waking is O(waiters in the bucket), with 1024 buckets, and O(woken) when the bucket
//! holds only the key's waiters.
pub use super::futex_queue::Key;
use super::futex_queue::Waiters;
use super::thread::Thread;
use super::{WakeList, block, cancel_block, current, prepare_block, wake as wake_thread};
use crate::memory::user;
use crate::sync::{SpinGuard, SpinLock};
use crate::time;
use core::sync::atomic::Ordering;
use ringo_abi::{Errno, SysResult};

const BUCKETS: usize = 1024;

type Bucket = SpinLock<Waiters>;

static TABLE: [Bucket; BUCKETS] = [const { SpinLock::new(Waiters::new()) }; BUCKETS];

/// A futex: where it is read, and what it is known by.
#[derive(Clone, Copy)]
pub struct Word {
    /// Its address.
    pub address: usize,
    /// Its key.
    pub key: Key,
}

/// A private one.
impl From<usize> for Word {
    fn from(address: usize) -> Self {
        let key = Key::private(address);
        Self { address, key }
    }
}

impl Word {
    /// The number of its bucket.
    const fn number(self) -> u32 {
        const BITS: u32 = BUCKETS.ilog2();
        (self.key.hash() >> (64 - BITS)) as u32
    }

    fn bucket(self) -> &'static Bucket {
        &TABLE[self.number() as usize]
    }

    /// What it holds, under the lock of its bucket.
    fn lock_and_read(self) -> Result<(SpinGuard<'static, Waiters>, u32), Errno> {
        loop {
            let guard = self.bucket().lock();
            if let Some(value) = user::read_u32_no_fault(self.address) {
                return Ok((guard, value));
            }
            drop(guard);
            user::read::<u32>(self.address)?;
        }
    }
}

/// FUTEX_WAIT and FUTEX_WAIT_BITSET: blocks while the word is `expected`, until woken through one of the bits, or until
/// `deadline` (ns since boot).
///
/// # Errors
/// EAGAIN if the word differs, ETIMEDOUT, ERESTARTSYS (ERESTART_RESTARTBLOCK with a deadline), EFAULT.
pub fn wait(word: impl Into<Word>, expected: u32, deadline: Option<u64>, bitset: u32) -> SysResult {
    let word = word.into();
    let thread = current();
    let (mut guard, value) = word.lock_and_read()?;
    if value != expected {
        return Err(Errno::EAGAIN);
    }
    prepare_block(thread);
    guard.push(thread, word.number(), word.key, bitset);
    drop(guard);
    loop {
        // Woken: whoever took us out of the bucket cleared this.
        if thread.futex.bucket.load(Ordering::Acquire) == 0 {
            cancel_block(thread);
            return Ok(0);
        }
        let outcome = if thread.signals.deliverable() {
            // With a deadline, EINTR after a handler whatever SA_RESTART says: the runtime counts on what is left of it.
            Some(match deadline {
                Some(_) => Errno::ERESTART_RESTARTBLOCK,
                None => Errno::ERESTARTSYS,
            })
        } else if deadline.is_some_and(|deadline| time::now() >= deadline) {
            Some(Errno::ETIMEDOUT)
        } else {
            None
        };
        if let Some(errno) = outcome {
            cancel_block(thread);
            return if withdraw(thread) { Err(errno) } else { Ok(0) };
        }
        block(deadline, true);
        prepare_block(thread);
    }
}

/// Takes the thread out of whichever bucket it stands in (a requeue may move it). False if it was woken meanwhile.
fn withdraw(thread: &'static Thread) -> bool {
    loop {
        let bucket = thread.futex.bucket.load(Ordering::Acquire);
        let Some(number) = bucket.checked_sub(1) else {
            return false;
        };
        let mut waiters = TABLE[number as usize].lock();
        // Still the same: the lock held is the one that its place is changed under.
        if thread.futex.bucket.load(Ordering::Acquire) == bucket {
            waiters.remove(thread);
            return true;
        }
    }
}

/// FUTEX_WAKE and FUTEX_WAKE_BITSET: wakes up to `count` waiters of a futex that share a bit; gives how many.
pub fn wake(word: impl Into<Word>, count: usize, bitset: u32) -> usize {
    let word = word.into();
    if count == 1 {
        // What nearly all ask for, without a list.
        let mut waiters = word.bucket().lock();
        let Some(thread) = waiters.of(word.key, bitset).next() else {
            return 0;
        };
        waiters.remove(thread);
        drop(waiters);
        wake_thread(thread);
        return 1;
    }
    let mut woken = WakeList::new();
    let mut waiters = word.bucket().lock();
    let taken = take(&mut waiters, word.key, count, bitset, &mut woken);
    drop(waiters);
    woken.wake();
    taken
}

/// Moves up to `count` waiters of `key` that share a bit to those who will be woken; gives how many.
fn take(waiters: &mut Waiters, key: Key, count: usize, bitset: u32, woken: &mut WakeList) -> usize {
    let mut taken = 0;
    for thread in waiters.of(key, bitset).take(count) {
        waiters.remove(thread);
        woken.add(thread);
        taken += 1;
    }
    taken
}

/// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes `wake_count`, moves up to `move_count` others to `target`; gives how many
/// were woken and how many moved.
///
/// # Errors
/// EAGAIN if the word is not what CMP_REQUEUE `expected`, EFAULT.
pub fn requeue(
    word: impl Into<Word>,
    target: impl Into<Word>,
    wake_count: usize,
    move_count: usize,
    expected: Option<u32>,
) -> Result<(usize, usize), Errno> {
    let (word, target) = (word.into(), target.into());
    // The word's page now, so that the read under the locks succeeds unless somebody unmaps it meanwhile.
    if expected.is_some() {
        user::read::<u32>(word.address)?;
    }
    let (from, to) = (word.bucket(), target.bucket());
    // Two buckets: the lower address first.
    let (mut first, mut second) = if core::ptr::eq(from, to) {
        (from.lock(), None)
    } else if core::ptr::from_ref(from) < core::ptr::from_ref(to) {
        let first = from.lock();
        (first, Some(to.lock()))
    } else {
        let second = to.lock();
        (from.lock(), Some(second))
    };
    if let Some(expected) = expected
        && user::read_u32_no_fault(word.address).ok_or(Errno::EFAULT)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let mut list = WakeList::new();
    let woken = take(&mut first, word.key, wake_count, u32::MAX, &mut list);
    let mut moved = 0;
    for thread in first.of(word.key, u32::MAX).take(move_count) {
        match &mut second {
            Some(second) => first.move_to(thread, second, target.number(), target.key),
            None => first.rename(thread, target.key),
        }
        moved += 1;
    }
    drop((first, second));
    list.wake();
    Ok((woken, moved))
}
