//! When CPUs are looked at for `ringo run --profile` (cpu/sampler.rs).
//!
//! Times lie on one grid since boot, a prime number of times a second by default, so that a program that wakes at regular
//! times is not always met doing the same. A CPU has a time only while it runs a thread: an idle one is left alone.
//! Everything here is the CPU's own. Without a profile it costs a look at [`PERIOD`] at each switch.
use super::{now, ns_to_tsc_deadline, tsc_hertz};
use crate::cpu::percpu::PerCpu;
use crate::cpu::sampler;
use core::sync::atomic::{AtomicU64, Ordering};

/// ns from one sample to the next; 0 without a profile.
static PERIOD: AtomicU64 = AtomicU64::new(0);

/// From now on CPUs that run something are looked at `hertz` times a second.
pub fn start(hertz: u32) {
    PERIOD.store(1_000_000_000 / u64::from(hertz.max(1)), Ordering::Relaxed);
}

/// The CPU has something to run, perhaps after a pause.
#[inline]
pub fn resume(cpu: &PerCpu) {
    if PERIOD.load(Ordering::Relaxed) != 0 && cpu.sample_due.load(Ordering::Relaxed) == u64::MAX {
        set_next(cpu);
    }
}

/// The CPU idles.
#[inline]
pub fn pause(cpu: &PerCpu) {
    if PERIOD.load(Ordering::Relaxed) != 0 {
        set_due(cpu, u64::MAX);
    }
}

/// The timer's interrupt is handled: a sample was taken, or the timer was early.
pub fn on_timer(cpu: &PerCpu) {
    let period = PERIOD.load(Ordering::Relaxed);
    if period == 0 {
        return;
    }
    if let Some(ring) = sampler::ring(cpu.id()) {
        ring.settle(period_ticks(period));
        // Not if the timer was early, or fired for something else: then it is armed for the same time again.
        if ring.is_taken() && cpu.sample_due.load(Ordering::Relaxed) != u64::MAX {
            set_next(cpu);
        }
    }
}

fn period_ticks(period: u64) -> u64 {
    let ticks = u128::from(period) * u128::from(tsc_hertz()) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
}

fn set_next(cpu: &PerCpu) {
    let period = PERIOD.load(Ordering::Relaxed).max(1);
    set_due(cpu, (now() / period + 1) * period);
}

fn set_due(cpu: &PerCpu, due: u64) {
    cpu.sample_due.store(due, Ordering::Relaxed);
    if let Some(ring) = sampler::ring(cpu.id()) {
        ring.set_due(match due {
            u64::MAX => u64::MAX,
            _ => ns_to_tsc_deadline(due),
        });
    }
}
