//! What turns the TSC into time, and how it is changed while everybody reads it.
//!
//! `time = start + (tsc - base) * mult`, in seconds with 64 bits behind the point, so that seconds come without a division
//! and a change of rate loses nothing. There are two starts, for the wall clock and for the monotonic one; one rate.
//!
//! ```text
//!   reader: e = end         writer (one at a time): begin = n
//!           data, TSC                               data
//!           begin == e, or again                    end = n
//! ```
//! Stores are seen in their order (x86-64), so a reader that finds `begin` at what `end` was has data of that version alone.
//! Here rather than in time/ since assembly reads the words, too: vdso.rs, in the same way. tests/models runs this file.
//!
//! A change keeps both times continuous where it is made. A reader may still use the old rate for as long as its loads are
//! under way: each change adds a nanosecond, so that a slower rate does not show it a time that lies before.
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// The words, as the vDSO's data page has them.
#[repr(C)]
pub struct Words {
    begin: AtomicU64,
    end: AtomicU64,
    base: AtomicU64,
    mult: AtomicU64,
    starts: [[AtomicU64; 2]; 2],
}

/// Bytes from the page's start to each.
pub mod offset {
    #![allow(missing_docs)]
    pub const BEGIN: usize = 0;
    pub const END: usize = 8;
    pub const BASE: usize = 16;
    pub const MULT: usize = 24;
    /// Fraction and seconds of the wall clock, then of the monotonic one.
    pub const STARTS: usize = 32;
}
const _: () = assert!(core::mem::offset_of!(Words, end) == offset::END);
const _: () = assert!(core::mem::offset_of!(Words, base) == offset::BASE);
const _: () = assert!(core::mem::offset_of!(Words, mult) == offset::MULT);
const _: () = assert!(core::mem::offset_of!(Words, starts) == offset::STARTS);

/// Which of the two, by its place: the numbers of clock_gettime(2).
#[derive(Clone, Copy)]
pub enum Which {
    /// Since the epoch.
    Wall = 0,
    /// Since boot.
    Monotonic = 1,
}

const SECOND: u64 = 1_000_000_000;

/// Whole nanoseconds of a time.
#[inline]
pub fn nanoseconds(time: u128) -> u64 {
    let (seconds, fraction) = ((time >> 64) as u64, time as u64);
    let part = (u128::from(fraction) * u128::from(SECOND)) >> 64;
    seconds.wrapping_mul(SECOND).wrapping_add(part as u64)
}

/// A time of so many nanoseconds, rounded up.
pub fn from_nanoseconds(ns: u64) -> u128 {
    let part = (u128::from(ns % SECOND) << 64).div_ceil(u128::from(SECOND));
    (u128::from(ns / SECOND) << 64) + part
}

/// The rate of a TSC with this frequency.
pub fn mult_of(hertz: u64) -> u64 {
    ((1u128 << 64) / u128::from(hertz)) as u64
}

/// What a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The TSC at which the clocks show `starts`.
    pub base: u64,
    /// Seconds a tick, times 2^64.
    pub mult: u64,
    /// By [`Which`].
    pub starts: [u128; 2],
}

impl Parameters {
    /// What a clock shows at `tsc`.
    pub fn at(&self, which: Which, tsc: u64) -> u128 {
        let ticks = u128::from(tsc.wrapping_sub(self.base));
        self.starts[which as usize].wrapping_add(ticks * u128::from(self.mult))
    }

    /// The same times at `tsc`, and from there on another rate. The base lies `slack` ticks before: another CPU's counter
    /// may be behind this one's.
    pub fn with_rate(&self, tsc: u64, mult: u64, slack: u64) -> Self {
        let back = u128::from(slack) * u128::from(mult);
        let start = |which| {
            self.at(which, tsc)
                .wrapping_add(from_nanoseconds(1))
                .wrapping_sub(back)
        };
        Self {
            base: tsc.wrapping_sub(slack),
            mult,
            starts: [start(Which::Wall), start(Which::Monotonic)],
        }
    }

    /// The wall clock set forward or back.
    pub fn with_step(mut self, ns: i64) -> Self {
        let by = from_nanoseconds(ns.unsigned_abs());
        let wall = &mut self.starts[Which::Wall as usize];
        *wall = if ns < 0 {
            wall.wrapping_sub(by)
        } else {
            wall.wrapping_add(by)
        };
        self
    }
}

impl Words {
    /// All zero: time stands still.
    pub const fn new() -> Self {
        Self {
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
            base: AtomicU64::new(0),
            mult: AtomicU64::new(0),
            starts: [const { [const { AtomicU64::new(0) }; 2] }; 2],
        }
    }

    /// What a clock shows now; `tsc` reads the counter.
    #[inline]
    pub fn read(&self, which: Which, tsc: impl Fn() -> u64) -> u128 {
        loop {
            let version = self.end.load(Ordering::Acquire);
            let ticks = tsc().wrapping_sub(self.base.load(Ordering::Relaxed));
            let passed = u128::from(ticks) * u128::from(self.mult.load(Ordering::Relaxed));
            let time = self.start(which).wrapping_add(passed);
            fence(Ordering::Acquire);
            if self.begin.load(Ordering::Relaxed) == version {
                return time;
            }
            core::hint::spin_loop();
        }
    }

    /// The rate; the caller keeps changes out.
    pub fn mult(&self) -> u64 {
        self.mult.load(Ordering::Relaxed)
    }

    #[inline]
    fn start(&self, which: Which) -> u128 {
        let [fraction, seconds] = &self.starts[which as usize];
        u128::from(seconds.load(Ordering::Relaxed)) << 64
            | u128::from(fraction.load(Ordering::Relaxed))
    }

    /// Replaces the parameters by what `next` makes of the present ones. One caller at a time: the lock is the caller's.
    pub fn change(&self, next: impl FnOnce(Parameters) -> Parameters) {
        let version = self.begin.load(Ordering::Relaxed) + 1;
        self.begin.store(version, Ordering::Relaxed);
        // Seen before `next` looks at the TSC, too: who still reads the old data reads a TSC from before.
        fence(Ordering::SeqCst);
        let next = next(Parameters {
            base: self.base.load(Ordering::Relaxed),
            mult: self.mult.load(Ordering::Relaxed),
            starts: [self.start(Which::Wall), self.start(Which::Monotonic)],
        });
        self.base.store(next.base, Ordering::Relaxed);
        self.mult.store(next.mult, Ordering::Relaxed);
        for (slot, start) in self.starts.iter().zip(next.starts) {
            slot[0].store(start as u64, Ordering::Relaxed);
            slot[1].store((start >> 64) as u64, Ordering::Relaxed);
        }
        self.end.store(version, Ordering::Release);
    }
}
