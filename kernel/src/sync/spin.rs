//! Spin locks.
//!
//! Test-and-set with back-off, not a queue: with more vCPUs than host CPUs a FIFO lock stalls whenever the next in line
//! is not running. The kernel is not preemptible and interrupt handlers take no locks, so interrupts stay enabled.
//! Hold one for a bounded, short time; never touch the program's memory, block or wait for another CPU meanwhile.
//! Who finds one free pays a compare-exchange; who has to wait is counted (contention.rs).
use super::contention::{self, Place};
use core::panic::Location;
use core::sync::atomic::{AtomicBool, Ordering};

/// The lock word behind [`SpinLock`].
pub struct RawSpinLock {
    locked: AtomicBool,
}

// SAFETY: the compare-exchange gives exclusive ownership, with acquire and release ordering, until unlock.
unsafe impl lock_api::RawMutex for RawSpinLock {
    // A const is how lock_api asks for the initial value.
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self {
        locked: AtomicBool::new(false),
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
    }

    fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }
}

impl RawSpinLock {
    // Out of line: callers are hot paths, and this is a long loop.
    #[cold]
    #[inline(never)]
    fn lock_contended(&self, place: Place) {
        let mut pauses = 1;
        let mut spins = 0;
        loop {
            spins += pauses;
            for _ in 0..pauses {
                core::hint::spin_loop();
            }
            // Read before writing: the cache line stays shared while the lock is held.
            if !self.locked.load(Ordering::Relaxed) && lock_api::RawMutex::try_lock(self) {
                contention::waited(place, spins, false);
                return;
            }
            pauses = (pauses * 2).min(64);
        }
    }
}

/// A value behind a spin lock.
pub type SpinLock<T> = lock_api::Mutex<RawSpinLock, T>;
/// Holding a [`SpinLock`].
pub type SpinGuard<'a, T> = lock_api::MutexGuard<'a, RawSpinLock, T>;

/// Takes a lock even if somebody else holds it: only for a kernel that is going down, whose other CPUs were stopped.
pub fn lock_by_force<T>(lock: &SpinLock<T>) -> SpinGuard<'_, T> {
    for _ in 0..1_000_000 {
        if let Some(guard) = lock.try_lock() {
            return guard;
        }
        core::hint::spin_loop();
    }
    // SAFETY: its holder was stopped or is this CPU, which never comes back to it; what it left half done may be wrong,
    // which is a risk the last words are worth.
    unsafe { lock.force_unlock() };
    lock.lock()
}
