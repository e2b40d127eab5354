//! A mutex whose waiters leave the CPU: for sections that may block (a page fault, a request to a device).
use super::contention::{self, Place};
use super::{Wait, WaitQueue};
use core::panic::Location;
use core::sync::atomic::{AtomicBool, Ordering};

/// How often a taker looks again before it sleeps: most sections are shorter than a context switch.
const SPINS: u64 = 100;

/// The lock word behind [`SleepMutex`].
pub struct RawSleepMutex {
    locked: AtomicBool,
    waiters: WaitQueue,
}

// SAFETY: the compare-exchange gives exclusive ownership, with acquire and release ordering, until unlock.
unsafe impl lock_api::RawMutex for RawSleepMutex {
    // A const is how lock_api asks for the initial value.
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self {
        locked: AtomicBool::new(false),
        waiters: WaitQueue::new(),
    };
    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(Location::caller());
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
        self.waiters.wake_one();
    }

    fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }
}

impl RawSleepMutex {
    #[cold]
    #[inline(never)]
    fn lock_contended(&self, place: Place) {
        use lock_api::RawMutex;
        for spins in 1..=SPINS {
            core::hint::spin_loop();
            if !self.locked.load(Ordering::Relaxed) && self.try_lock() {
                contention::waited(place, spins, false);
                return;
            }
        }
        // An uninterruptible wait without a deadline has no error.
        let _ = self
            .waiters
            .wait_until(Wait::uninterruptible(), || self.try_lock().then_some(()));
        contention::waited(place, SPINS, true);
    }
}

/// A value behind a sleeping lock.
pub type SleepMutex<T> = lock_api::Mutex<RawSleepMutex, T>;
/// Holding a [`SleepMutex`].
pub type SleepGuard<'a, T> = lock_api::MutexGuard<'a, RawSleepMutex, T>;
