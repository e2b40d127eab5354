//! Clocks and timers.
//!
//! Time is the CPU's time-stamp counter, scaled to nanoseconds since boot (clock.rs); the program reads it through the
//! vDSO page (vdso.rs) without entering the kernel. It follows the host's clock (host_clock.rs, follow.rs).
//! Timers (timer.rs) stand in a queue a CPU; there is no periodic tick: the hardware timer is armed for the next real
//! deadline, and only before the CPU runs a thread or halts. An idle CPU that still polls looks at its queue itself.
//!
//! What programs see: clocks.rs and convert.rs (clock_gettime(2) and its structs), interval.rs (timers with intervals, of
//! any clock), posix.rs (timer_create(2), setitimer(2)), cpu_alarm.rs (by CPU time). sampling.rs: when profiles look.
mod clock;
pub mod clocks;
pub mod convert;
pub mod cpu_alarm;
mod follow;
pub mod host_clock;
pub mod interval;
pub mod posix;
pub mod sampling;
mod timer;
pub mod vdso;

pub use clock::{init, now, ns_to_tsc_deadline, realtime, report, set_realtime, tsc_hertz};
pub use timer::{
    SleepTimer, Timer, TimerCallback, TimerQueue, next_deadline, program_hardware,
    program_hardware_for_halt, run_expired,
};
