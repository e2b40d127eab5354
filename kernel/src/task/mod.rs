//! Threads, scheduling, futexes and signals of the one process.
//!
//! - thread.rs: what a thread is; the arena they live in. queue.rs: a CPU's run queue.
//! - sched.rs: blocking, waking, who runs next. idle.rs: what a CPU does without a thread. context.rs: the switch itself.
//! - balance.rs: threads that move between busy CPUs.
//! - credentials.rs: who a thread is. futex.rs, futex_queue.rs, shared_word.rs: futex(2). clone.rs: clone(2) and the end of a
//!   thread.
//! - signal/: signals. restart.rs: timed calls that go on after a signal. process.rs: what all share. load.rs: load averages.
//!   rest.rs: what is due during long calls. wake_list.rs: waking once a lock is free.
//! - attributes.rs, limits.rs: what is kept and told of a thread's and the process's wishes; limits.rs enforces some.
//!   robust.rs: futexes of threads that end. host.rs: threads that wait for the host.
//! - profile.rs: samples on their way to the command.
//!
//! Lock order: process and signal locks, then a futex bucket or wait queue, then a run queue, then a timer queue.
pub mod attributes;
mod balance;
mod clone;
mod context;
pub mod credentials;
pub mod futex;
mod futex_queue;
pub mod host;
mod idle;
pub mod limits;
pub mod load;
pub mod process;
pub mod profile;
mod queue;
pub mod rest;
pub mod restart;
mod robust;
mod sched;
pub mod shared_word;
pub mod signal;
pub mod thread;
mod wake_list;

pub use clone::{clone, exit_thread, start_program, thread_started};
pub use process::{exit_group, note_another_program, process};
pub use queue::RunQueue;
pub use sched::{
    block, cancel_block, finish_switch, idle_forever, init_cpu, move_to_allowed_cpu,
    preempt_if_due, prepare_block, set_affinity, sleep_until, wake, yield_now,
};
pub use thread::{State, Thread, Tid};
pub use wake_list::WakeList;

use crate::cpu::percpu::this_cpu;
use core::sync::atomic::Ordering;

/// The process's number, getpid(2). Not 1: programs that find themselves to be init change what they do.
pub const PID: Tid = 100;
/// Its parent's number, getppid(2).
pub const PARENT_PID: Tid = 1;

/// The thread that runs on this CPU.
#[inline]
pub fn current() -> &'static Thread {
    this_cpu().current()
}

/// Who it is.
#[inline]
pub fn credentials() -> &'static credentials::Credentials {
    &current().credentials
}

/// Whether the running thread has a signal to take: blocking calls then return ERESTARTSYS.
#[inline]
pub fn signal_pending() -> bool {
    current().signals.deliverable()
}

/// Makes the running thread look at its pending work before it goes on in the program.
#[inline]
pub fn set_pending() {
    this_cpu().pending.store(1, Ordering::Relaxed);
}
