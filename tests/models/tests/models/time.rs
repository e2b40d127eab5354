//! A clock that goes on with each look, and jumps to a timer when a CPU waits for it. The timer queues are the kernel's.
#[path = "../../../../kernel/src/time/timer.rs"]
mod timer;

pub use timer::{
    SleepTimer, TimerQueue, next_deadline, program_hardware, program_hardware_for_halt, run_expired,
};

use std::sync::atomic::{AtomicU64, Ordering};

static NOW: AtomicU64 = AtomicU64::new(0);

/// Time 0.
pub fn reset() {
    NOW.store(0, Ordering::Relaxed);
}

pub fn now() -> u64 {
    NOW.fetch_add(1000, Ordering::Relaxed)
}

/// It is at least `time`.
pub fn pass_until(time: u64) {
    NOW.fetch_max(time, Ordering::Relaxed);
}

pub mod cpu_alarm {
    use crate::cpu::percpu::PerCpu;

    pub struct CpuAlarms;

    impl CpuAlarms {
        pub const fn new() -> Self {
            Self
        }

        pub fn clear(&self) {}
    }

    pub fn arm_for_current(_cpu: &PerCpu) {}

    pub fn run_due() {}
}

/// No profile.
pub mod sampling {
    use crate::cpu::percpu::PerCpu;

    pub fn resume(_cpu: &PerCpu) {}

    pub fn pause(_cpu: &PerCpu) {}
}
