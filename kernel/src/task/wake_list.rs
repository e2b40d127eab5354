//! Threads to wake once a lock is free.
//!
//! Waking may send an interrupt, which leaves the guest: the host may then run the woken vCPU in the waker's place. Under a
//! lock that the woken thread takes first thing, it would turn there until the host's time slice is over (Linux's wake_q is
//! for the same). A thread may so be woken late, by which time it waits for something else: all waits allow for that.
use super::sched::wake;
use super::thread::Thread;
use arrayvec::ArrayVec;

/// How many are woken together. Few waits have more; a list is on the stack of every wake-up.
const MOST: usize = 16;

/// See the module's head.
#[must_use]
pub struct WakeList(ArrayVec<&'static Thread, MOST>);

impl WakeList {
    /// Nobody.
    #[inline]
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// One more. If there are too many already those are woken now, lock or not.
    #[inline]
    pub fn add(&mut self, thread: &'static Thread) {
        if self.0.is_full() {
            self.wake_those();
        }
        self.0.push(thread);
    }

    /// Wakes them, in the order they were added.
    #[inline]
    pub fn wake(mut self) {
        self.wake_those();
    }

    fn wake_those(&mut self) {
        for thread in self.0.drain(..) {
            wake(thread);
        }
    }
}
