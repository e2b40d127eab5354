//! Whose turn it is at a port: one write, or read, is one piece, and it may wait for the host in the middle.
//!
//! As Linux's terminals have it (drivers/tty/tty_io.c, `tty_write_lock`): the next one waits interruptibly, and one that
//! may not wait gets EAGAIN. Whoever was refused hears from the port's [`PollQueue`] when the turn ends, for poll(2) said
//! that the port is ready, and an edge it already had would not come again.
use crate::fs::{PollEvents, PollQueue};
use crate::sync::{Wait, WaitQueue};
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;

/// How often a taker looks again before it sleeps: most turns are shorter than a context switch.
const SPINS: usize = 100;

/// See the module's head.
pub struct Turn {
    taken: AtomicBool,
    refused: AtomicBool,
    waiters: WaitQueue,
}

/// Having the turn.
pub struct Taken<'a> {
    turn: &'a Turn,
    poll: &'a PollQueue,
    ready: PollEvents,
}

impl Turn {
    /// Nobody's.
    pub const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            waiters: WaitQueue::new(),
        }
    }

    fn try_take(&self) -> bool {
        self.taken
            .compare_exchange(false, true, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the turn. `poll` hears of its end as `ready` if it was refused to somebody.
    ///
    /// # Errors
    /// EAGAIN, ERESTARTSYS.
    pub fn take<'a>(
        &'a self,
        nonblocking: bool,
        poll: &'a PollQueue,
        ready: PollEvents,
    ) -> Result<Taken<'a>, Errno> {
        if !self.try_take() {
            self.contend(nonblocking)?;
        }
        Ok(Taken {
            turn: self,
            poll,
            ready,
        })
    }

    #[cold]
    #[inline(never)]
    fn contend(&self, nonblocking: bool) -> Result<(), Errno> {
        for _ in 0..SPINS {
            core::hint::spin_loop();
            if !self.taken.load(Ordering::Relaxed) && self.try_take() {
                return Ok(());
            }
        }
        if nonblocking {
            // Before the last look: the one whose turn it is looks at it after the end of the turn.
            self.refused.store(true, Ordering::SeqCst);
            return if self.try_take() {
                Ok(())
            } else {
                Err(Errno::EAGAIN)
            };
        }
        self.waiters
            .wait_until(Wait::interruptible(), || self.try_take().then_some(()))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let turn = self.turn;
        turn.taken.store(false, Ordering::SeqCst);
        turn.waiters.wake_one();
        if turn.refused.load(Ordering::SeqCst) && turn.refused.swap(false, Ordering::SeqCst) {
            self.poll.notify(self.ready);
            super::terminal_poll().notify(self.ready);
        }
    }
}
