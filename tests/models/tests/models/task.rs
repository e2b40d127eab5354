//! The kernel's threads, run queues, scheduler and futexes; the switch hands a CPU's baton to another thread of the model.
#[path = "../../../../kernel/src/task/attributes.rs"]
mod attributes;
#[path = "../../../../kernel/src/task/credentials.rs"]
pub mod credentials;
#[path = "../../../../kernel/src/task/futex.rs"]
pub mod futex;
#[path = "../../../../kernel/src/task/queue.rs"]
mod queue;
#[path = "../../../../kernel/src/task/sched.rs"]
pub mod sched;
#[path = "../../../../kernel/src/task/thread.rs"]
pub mod thread;

pub use queue::RunQueue;
pub use sched::{
    block, cancel_block, finish_switch, idle_forever, init_cpu, move_to_allowed_cpu,
    preempt_if_due, prepare_block, wake, yield_now,
};
pub use thread::{State, Thread, Tid};

use crate::cpu::percpu::this_cpu;

pub const PID: Tid = 100;

pub fn current() -> &'static Thread {
    this_cpu().current()
}

pub fn signal_pending() -> bool {
    current().signals.deliverable()
}

pub struct Process;

impl Process {
    pub fn exiting(&self) -> bool {
        false
    }
}

pub fn process() -> &'static Process {
    &Process
}

pub mod context {
    use super::Thread;
    use crate::rig;

    /// As the kernel's: returns when `from` is switched to again.
    pub fn switch(from: &'static Thread, to: &'static Thread) {
        rig::hand_over(from, to);
    }
}

pub mod signal {
    use super::{Thread, wake};
    use core::sync::atomic::{AtomicBool, Ordering};

    /// One signal, never blocked.
    pub struct ThreadSignals {
        pending: AtomicBool,
        interruptible: AtomicBool,
    }

    impl ThreadSignals {
        pub const fn new() -> Self {
            Self {
                pending: AtomicBool::new(false),
                interruptible: AtomicBool::new(false),
            }
        }

        pub fn reset(&self) {
            self.pending.store(false, Ordering::SeqCst);
            self.interruptible.store(false, Ordering::SeqCst);
        }

        /// A handler has run.
        pub fn take(&self) {
            self.pending.store(false, Ordering::SeqCst);
        }

        pub fn deliverable(&self) -> bool {
            self.pending.load(Ordering::SeqCst)
        }

        pub fn set_interruptible(&self, on: bool) {
            self.interruptible.store(on, Ordering::SeqCst);
        }
    }

    /// The steps of signal/send.rs: pending first, then the look whether the thread sleeps.
    pub fn send(thread: &'static Thread) {
        thread.signals.pending.store(true, Ordering::SeqCst);
        if thread.signals.interruptible.load(Ordering::SeqCst) {
            wake(thread);
        }
    }
}
