//! Locks, wait queues and the descriptor table: everything that lets CPUs and threads wait for one another.
//!
//! - [`SpinLock`]: short critical sections; taken by ordinary kernel code only, never by interrupt handlers.
//! - [`SleepMutex`]: may be held across blocking; a waiter leaves the CPU.
//! - [`WaitQueue`]: a thread sleeps until a condition holds; the shape of [`WaitQueue::wait_until`] makes a lost
//!   wake-up impossible.
//! - [`SlotTable`]: small integers to reference-counted objects, read without locks.
//! - [`contention`]: which locks are waited for, for `--stats`.
//!
//! Order: a SleepMutex before a SpinLock; a wait queue's own lock is taken last but for the run queues'.
pub mod contention;
mod mutex;
mod slots;
mod spin;
mod used_numbers;
mod wait;

pub use mutex::{SleepGuard, SleepMutex};
pub use slots::{Pool, PoolArc, PoolWeak, SlotRef, SlotTable};
pub use spin::{SpinGuard, SpinLock, lock_by_force};
pub use wait::{Wait, WaitLink, WaitQueue};
