//! The clocks of clock_gettime(2), by number.
//!
//! The monotonic ones are one clock here, whose rate follows the host's (host_clock.rs); the VM is never suspended. Wall time
//! runs beside it, and is stepped when the host's was set: who waits for a time of the wall then waits as long as was meant
//! before. The coarse ones are as fine as the others. CPU-time clocks count what a thread, or all of them, ran.
use super::{now, realtime};
use crate::task::thread::{Thread, ThreadRef};
use crate::task::{PID, process};
use ringo_abi::Errno;

/// What a clock number stands for.
#[derive(Clone, Copy)]
pub enum Clock {
    /// Since the epoch: REALTIME, TAI.
    Wall,
    /// Since boot: MONOTONIC, BOOTTIME.
    Boot,
    /// CPU time of the process.
    ProcessCpu,
    /// CPU time of a thread.
    ThreadCpu(ThreadRef),
}

/// Numbers (include/uapi/linux/time.h), and how those of a thread or process are made (posix-timers.h).
mod number {
    pub const REALTIME: i32 = 0;
    pub const MONOTONIC: i32 = 1;
    pub const PROCESS_CPUTIME: i32 = 2;
    pub const THREAD_CPUTIME: i32 = 3;
    pub const MONOTONIC_RAW: i32 = 4;
    pub const REALTIME_COARSE: i32 = 5;
    pub const MONOTONIC_COARSE: i32 = 6;
    pub const BOOTTIME: i32 = 7;
    pub const REALTIME_ALARM: i32 = 8;
    pub const BOOTTIME_ALARM: i32 = 9;
    pub const TAI: i32 = 11;
    pub const PER_THREAD: i32 = 4;
    pub const KIND: i32 = 3;
}

impl Clock {
    /// For reading it.
    ///
    /// # Errors
    /// EINVAL.
    pub fn from_number(number: i32) -> Result<Self, Errno> {
        Ok(match number {
            number::REALTIME | number::REALTIME_COARSE | number::REALTIME_ALARM | number::TAI => {
                Self::Wall
            }
            number::MONOTONIC
            | number::MONOTONIC_RAW
            | number::MONOTONIC_COARSE
            | number::BOOTTIME
            | number::BOOTTIME_ALARM => Self::Boot,
            number::PROCESS_CPUTIME => Self::ProcessCpu,
            number::THREAD_CPUTIME => Self::ThreadCpu(ThreadRef::current()),
            ..0 => return Self::cpu_clock(number),
            _ => return Err(Errno::EINVAL),
        })
    }

    /// `!id << 3 | flags`: the clock of a thread or process (clock_getcpuclockid(3)).
    fn cpu_clock(number: i32) -> Result<Self, Errno> {
        if number & number::KIND == number::KIND {
            return Err(Errno::EINVAL);
        }
        let id = !(number >> 3);
        let found = match (number & number::PER_THREAD != 0, id) {
            (true, 0) => Some(Self::ThreadCpu(ThreadRef::current())),
            (true, tid) => ThreadRef::find(tid).map(Self::ThreadCpu),
            (false, 0 | PID) => Some(Self::ProcessCpu),
            (false, _) => None,
        };
        found.ok_or(Errno::EINVAL)
    }

    /// For sleeping by it and for timers: not the coarse and raw ones.
    ///
    /// # Errors
    /// EINVAL; EOPNOTSUPP for those that cannot be slept by.
    pub fn for_timer(number: i32) -> Result<Self, Errno> {
        match number {
            number::MONOTONIC_RAW | number::REALTIME_COARSE | number::MONOTONIC_COARSE => {
                Err(Errno::EOPNOTSUPP)
            }
            _ => Self::from_number(number),
        }
    }

    /// Its time, ns.
    pub fn now(self) -> u64 {
        match self {
            Self::Wall => realtime(),
            Self::Boot => now(),
            Self::ProcessCpu => process().cpu_time(),
            // One that has ended gets no further.
            Self::ThreadCpu(thread) => thread.get().map_or(0, Thread::cpu_time_now),
        }
    }

    /// When [`now`] is what this clock calls `time`; for the CPU clocks: the earliest it can be, on one CPU.
    pub fn to_boot(self, time: u64) -> u64 {
        match self {
            Self::Boot => time,
            _ => now().saturating_add(time.saturating_sub(self.now())),
        }
    }

    /// clock_getres(2), ns.
    pub fn resolution(number: i32) -> u64 {
        /// A tick of 250 Hz, which is what the coarse clocks promise.
        const TICK: u64 = 4_000_000;
        match number {
            number::REALTIME_COARSE | number::MONOTONIC_COARSE => TICK,
            _ => 1,
        }
    }
}
