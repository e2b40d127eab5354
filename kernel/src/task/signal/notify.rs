//! Telling a thread that it has a signal to take. What is pending was made so before; no locks are held but the
//! registry's.
//!
//! A thread looks for signals when it is switched in, after each sleep, and when it leaves the kernel with `pending` set
//! on its CPU. So only one that sleeps such that a signal shall wake it, and one that runs, must be told:
//!
//! ```text
//!   sender                                thread
//!   signal pending                        state = Running, or interruptible = true
//!   interruptible? wake                   signal pending? then `pending`, or no sleep
//!   state Running? `pending`, interrupt
//! ```
//! Both sides write before they read, so one of them sees the other.
use super::SignalSet;
use crate::cpu::{interrupts, percpu};
use crate::task::thread::{self, State, Thread};
use crate::task::wake;
use core::sync::atomic::Ordering;

/// Makes the thread look at its signals: wakes it if it sleeps interruptibly, interrupts its CPU if it runs. False if
/// it will not soon: it sleeps until something else happens, or has ended.
pub fn notify(thread: &'static Thread) -> bool {
    // One that was woken already, and has not come to say that it no longer sleeps, is as one that runs.
    if thread.signals.interruptible() && wake(thread) {
        return true;
    }
    match thread.state() {
        State::Running | State::Blocking => {
            let cpu = thread.last_cpu.load(Ordering::Relaxed) as usize;
            interrupts::poke(percpu::cpu(cpu));
            true
        }
        // It looks when it is switched in.
        State::Runnable => true,
        State::Blocked | State::Dead => false,
    }
}

/// Tells of the process's pending signals `set`: each is announced to the first thread, by number, that does not block it
/// and can take it soon. If there is none, whoever wakes up or unblocks it first takes it.
pub fn announce(set: SignalSet) {
    let mut left = set;
    thread::find(|thread| {
        let taken = left & !thread.signals.mask();
        if taken != 0 && notify(thread) {
            left &= !taken;
        }
        left == 0
    });
}
