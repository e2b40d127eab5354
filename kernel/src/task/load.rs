//! Load averages (Linux kernel/sched/loadavg.c): how many threads ran or could, over 1, 5 and 15 minutes.
//!
//! There is no tick to sample by. CPU time used since the last look, spread over the intervals of five seconds in between,
//! is what ran then; threads that wait for a CPU are seen only at the look itself. So with more runnable threads than CPUs
//! for a short while in between, the averages are a little low. Costs nothing while nobody asks.
use super::{State, process, thread};
use crate::sync::SpinLock;
use crate::time;

/// One, in the averages' fixed point.
const ONE: u64 = 1 << 11;
/// What is left of an average after five seconds: 1 / exp(5 s / 1, 5, 15 min).
const DECAY: [u64; 3] = [1884, 2014, 2037];
const INTERVAL: u64 = 5 * time::convert::SECOND;

struct Load {
    averages: [u64; 3],
    /// When they were brought up to date (ns since boot), and the CPU time then.
    updated: u64,
    cpu_time: u64,
}

static LOAD: SpinLock<Load> = SpinLock::new(Load {
    averages: [0; 3],
    updated: 0,
    cpu_time: 0,
});

/// `base` (in fixed point, at most one) to the power of `exponent`.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = ONE;
    while exponent != 0 {
        if exponent & 1 != 0 {
            result = (result * base + ONE / 2) / ONE;
        }
        base = (base * base + ONE / 2) / ONE;
        exponent >>= 1;
    }
    result
}

/// Threads that wait for a CPU now.
fn waiting() -> u64 {
    let mut waiting = 0;
    thread::find(|thread| {
        waiting += u64::from(thread.state() == State::Runnable);
        false
    });
    waiting
}

/// The averages, in units of 1/2048.
pub fn averages() -> [u64; 3] {
    let (now, cpu_time, waiting) = (time::now(), process().cpu_time(), waiting());
    let mut load = LOAD.lock();
    let since = now.saturating_sub(load.updated);
    let intervals = since / INTERVAL;
    if intervals > 0 {
        let used = cpu_time.saturating_sub(load.cpu_time);
        let part = |whole: u64, of: u64| {
            u64::try_from(u128::from(used) * u128::from(whole) / u128::from(of)).unwrap_or(0)
        };
        let passed = intervals * INTERVAL;
        let active = part(ONE, since) + waiting * ONE;
        load.cpu_time += part(passed, since);
        load.updated += passed;
        for (average, decay) in load.averages.iter_mut().zip(DECAY) {
            let left = power(decay, intervals);
            *average = (*average * left + active * (ONE - left)) / ONE;
        }
    }
    load.averages
}

/// A load as a decimal: whole and hundredths, rounded.
pub fn hundredths(load: u64) -> (u64, u64) {
    let rounded = load + ONE / 200;
    (rounded / ONE, rounded % ONE * 100 / ONE)
}
