//! What a program may say about a thread's scheduling. All of it is kept and told; with one program in the machine nothing
//! but its own threads could be favoured, and Go's are alike.
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// See the module's head.
pub struct Attributes {
    /// nice(2): -20 to 19.
    pub nice: AtomicI32,
    /// SCHED_OTHER, SCHED_BATCH or SCHED_IDLE, with SCHED_RESET_ON_FORK.
    pub policy: AtomicU32,
    /// ioprio_set(2).
    pub io_priority: AtomicU32,
    /// prctl(PR_SET_PDEATHSIG): the parent never ends before.
    pub death_signal: AtomicI32,
    /// prctl(PR_SET_TIMERSLACK), in ns.
    pub timer_slack: AtomicU64,
}

impl Attributes {
    /// Nothing special.
    pub const fn new() -> Self {
        Self {
            nice: AtomicI32::new(0),
            policy: AtomicU32::new(0),
            io_priority: AtomicU32::new(0),
            death_signal: AtomicI32::new(0),
            timer_slack: AtomicU64::new(50_000),
        }
    }

    /// As the thread that makes this one.
    pub fn inherit(&self, parent: &Self) {
        self.death_signal.store(0, Ordering::Relaxed);
        self.timer_slack.store(
            parent.timer_slack.load(Ordering::Relaxed),
            Ordering::Relaxed,
        );
        self.nice
            .store(parent.nice.load(Ordering::Relaxed), Ordering::Relaxed);
        for (to, from) in [
            (&self.policy, &parent.policy),
            (&self.io_priority, &parent.io_priority),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
