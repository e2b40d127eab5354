//! The kernel's threads, run queues, scheduler and futexes; the switch hands a CPU's baton to another thread of the model.
#[path = "../../../../kernel/src/task/attributes.rs"]
mod attributes;
#[path = "../../../../kernel/src/task/balance.rs"]
mod balance;
#[path = "../../../../kernel/src/task/credentials.rs"]
pub mod credentials;
#[path = "../../../../kernel/src/task/futex.rs"]
pub mod futex;
#[path = "../../../../kernel/src/task/futex_queue.rs"]
pub mod futex_queue;
#[path = "../../../../kernel/src/task/host.rs"]
pub mod host;
#[path = "../../../../kernel/src/task/idle.rs"]
mod idle;
#[path = "../../../../kernel/src/task/queue.rs"]
mod queue;
#[path = "../../../../kernel/src/task/restart.rs"]
pub mod restart;
#[path = "../../../../kernel/src/task/sched.rs"]
pub mod sched;
#[path = "../../../../kernel/src/task/thread.rs"]
pub mod thread;
#[path = "../../../../kernel/src/task/wake_list.rs"]
mod wake_list;

#[path = "signal.rs"]
pub mod signal;

pub use queue::RunQueue;
pub use sched::{
    block, cancel_block, finish_switch, idle_forever, init_cpu, move_to_allowed_cpu,
    preempt_if_due, prepare_block, set_affinity, wake, yield_now,
};
pub use thread::{State, Thread, Tid};
pub use wake_list::WakeList;

use crate::cpu::percpu::this_cpu;

pub const PID: Tid = 100;

pub fn current() -> &'static Thread {
    this_cpu().current()
}

pub fn signal_pending() -> bool {
    current().signals.deliverable()
}

/// Makes the running thread look at its signals before it goes on in the program.
pub fn set_pending() {
    use core::sync::atomic::Ordering;
    this_cpu().pending.store(1, Ordering::Relaxed);
}

pub struct Process {
    pub signals: signal::ProcessSignals,
}

impl Process {
    pub fn exiting(&self) -> bool {
        false
    }
}

static PROCESS: Process = Process {
    signals: signal::ProcessSignals::new(),
};

pub fn process() -> &'static Process {
    &PROCESS
}

pub mod context {
    use super::Thread;
    use crate::rig;

    /// As the kernel's: returns when `from` is switched to again.
    pub fn switch(from: &'static Thread, to: &'static Thread) {
        rig::hand_over(from, to);
    }
}
