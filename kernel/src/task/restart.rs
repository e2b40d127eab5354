//! A timed call that a signal without a handler interrupted starts again and goes on to the same deadline (Linux
//! kernel/signal.c, restart_block).
//!
//! The call notes its deadline and gives ERESTART_RESTARTBLOCK; on the way out signal/deliver.rs sends the thread back to
//! the site, where the call finds the deadline. A handler that comes in between makes the call fail with EINTR after all,
//! as on Linux: what it calls itself must not find the deadline. Touched by the thread itself only.
use crate::cpu::trap::TrapFrame;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ringo_abi::Errno;

/// What a thread has to go on with.
pub struct Restart {
    /// By the call's own clock; 0 for none.
    deadline: AtomicU64,
    /// Where the call is made again, and where it would have returned to; 0 before that is known.
    site: AtomicUsize,
    back: AtomicUsize,
}

impl Restart {
    /// Nothing.
    pub const fn new() -> Self {
        Self {
            deadline: AtomicU64::new(0),
            site: AtomicUsize::new(0),
            back: AtomicUsize::new(0),
        }
    }

    /// The deadline of the call that begins, if it was interrupted before.
    #[inline]
    pub fn take(&self) -> Option<u64> {
        match self.deadline.load(Ordering::Relaxed) {
            0 => None,
            deadline => {
                self.forget();
                Some(deadline)
            }
        }
    }

    /// A signal interrupts the running call, whose deadline this is.
    pub fn note(&self, deadline: u64) -> Errno {
        self.deadline.store(deadline.max(1), Ordering::Relaxed);
        Errno::ERESTART_RESTARTBLOCK
    }

    /// The call is made again from `site`; it would have returned to `back`.
    pub fn goes_on(&self, site: usize, back: usize) {
        self.site.store(site, Ordering::Relaxed);
        self.back.store(back, Ordering::Relaxed);
    }

    /// A handler runs before the call is made again: it fails.
    pub fn fail(&self, frame: &mut TrapFrame) {
        let site = self.site.load(Ordering::Relaxed);
        if self.deadline.load(Ordering::Relaxed) != 0 && site != 0 && frame.rip as usize == site {
            frame.rip = self.back.load(Ordering::Relaxed) as u64;
            frame.rax = Errno::EINTR.to_register() as u64;
        }
        self.forget();
    }

    /// There is nothing to go on with.
    pub fn forget(&self) {
        self.deadline.store(0, Ordering::Relaxed);
        self.site.store(0, Ordering::Relaxed);
    }
}
