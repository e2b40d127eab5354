//! Samples of where a CPU is, for `ringo run --profile`.
//!
//! A CPU that runs a thread has a time at which it is to be looked at, one of a grid all CPUs share; its timer is armed for
//! that as for any deadline (time/timer.rs). The timer's interrupt takes the sample inside the trap, where the interrupted
//! registers are: return addresses by frame pointers, the kernel's first, then the program's, into this CPU's ring. What is
//! full loses samples, and counts them. task/profile.rs takes them out and sets the next time.
//! While the kernel runs the interrupt is noted once (interrupts.rs): a call that takes several periods is one sample
//! which counts for all of them ([`settle`]).
//!
//! A sample is some words:
//! ```text
//! counts: u8 kernel addresses · u8 program addresses · u16 CPU · u32 thread
//! periods it stands for
//! the word at the top of the program's stack: a return address, if the function there has no frame
//! kernel addresses, program addresses, innermost first
//! ```
//! One producer (the trap) and one consumer at a time a ring; no lock, since either may interrupt the other.
use super::backtrace::{self, Entered};
use super::trap::TrapFrame;
use super::{apic, interrupts, msr, percpu};
use crate::memory::peek;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use percpu::{PerCpu, this_cpu};
use ringo_abi::Errno;
use spin::Once;

/// Words of a ring, a power of two: over 600 samples of a usual depth.
const WORDS: usize = 16 * 1024;
const HEAD: usize = 3;
const KERNEL_FRAMES: usize = 32;
const PROGRAM_FRAMES: usize = 64;
/// Words of the longest sample.
pub const LONGEST: usize = HEAD + KERNEL_FRAMES + PROGRAM_FRAMES;

/// One CPU's samples.
pub struct Ring {
    words: Box<[AtomicU64]>,
    /// Words ever written, and taken out.
    written: AtomicUsize,
    taken: AtomicUsize,
    /// The TSC's value from which on a sample is due; u64::MAX: none is.
    due: AtomicU64,
    /// The TSC at the last sample, if that is of the kernel and not settled yet; where its periods stand.
    kernel_since: AtomicU64,
    kernel_periods: AtomicUsize,
    /// Samples there was no room for.
    lost: AtomicU64,
}

static RINGS: Once<Vec<Ring>> = Once::new();
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Makes the rings; samples are taken when they are due from now on.
///
/// # Errors
/// ENOMEM.
pub fn start(cpus: usize) -> Result<(), Errno> {
    let mut rings = Vec::new();
    rings.try_reserve(cpus).map_err(|_| Errno::ENOMEM)?;
    for _ in 0..cpus {
        rings.push(Ring::new()?);
    }
    RINGS.call_once(|| rings);
    Ok(())
}

/// No more samples. Another CPU may still be taking its last one.
pub fn stop() {
    STOPPED.store(true, Ordering::SeqCst);
}

/// The ring of a CPU, if samples are wanted.
pub fn ring(cpu: usize) -> Option<&'static Ring> {
    RINGS.get()?.get(cpu)
}

/// Inside the trap, on its stack: no locks, no faults. `from_program` says whose `frame` is. Only the timer's interrupt is
/// looked at, which is not a hot path.
pub fn on_interrupt(frame: &TrapFrame, from_program: bool) {
    if frame.vector != u64::from(interrupts::TIMER) {
        return;
    }
    let cpu = this_cpu();
    let Some(ring) = ring(cpu.id()) else {
        return;
    };
    let now = msr::rdtsc();
    let due = ring.due.load(Ordering::Relaxed);
    if due == u64::MAX || !cpu.has_current() || STOPPED.load(Ordering::Relaxed) {
        return;
    }
    if now >= due {
        ring.due.store(u64::MAX, Ordering::Relaxed);
        ring.take(cpu, frame, from_program, now);
    } else if !from_program {
        // It fired for something else, and the kernel arms it again only when it is left, which may be late.
        apic::arm_timer_at(due);
    }
}

impl Ring {
    fn new() -> Result<Self, Errno> {
        let mut words = Vec::new();
        words.try_reserve_exact(WORDS).map_err(|_| Errno::ENOMEM)?;
        words.resize_with(WORDS, AtomicU64::default);
        Ok(Self {
            words: words.into_boxed_slice(),
            written: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            due: AtomicU64::new(u64::MAX),
            kernel_since: AtomicU64::new(0),
            kernel_periods: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// The next sample is due when the TSC is at `tsc`; u64::MAX for none. On the ring's own CPU only.
    pub fn set_due(&self, tsc: u64) {
        self.due.store(tsc, Ordering::Relaxed);
    }

    /// Whether the sample that was due last has been taken.
    pub fn is_taken(&self) -> bool {
        self.due.load(Ordering::Relaxed) == u64::MAX
    }

    /// The kernel is about to be left, or was: a sample of it counts for all periods (of `period` ticks) since.
    pub fn settle(&self, period: u64) {
        let since = self.kernel_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            let more = msr::rdtsc().saturating_sub(since) / period;
            self.word(self.kernel_periods.load(Ordering::Relaxed))
                .fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Samples lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Words that wait.
    pub fn len(&self) -> usize {
        self.written
            .load(Ordering::Acquire)
            .wrapping_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Moves as many whole samples to `out` as fit; gives the number of words.
    pub fn take_out(&self, out: &mut [u64]) -> usize {
        let written = self.written.load(Ordering::Acquire);
        let mut at = self.taken.load(Ordering::Relaxed);
        let mut filled = 0;
        while at != written {
            let head = self.word(at).load(Ordering::Relaxed);
            let length = HEAD + (head & 0xff) as usize + (head >> 8 & 0xff) as usize;
            let Some(room) = out.get_mut(filled..filled + length) else {
                break;
            };
            for (offset, word) in room.iter_mut().enumerate() {
                *word = self.word(at.wrapping_add(offset)).load(Ordering::Relaxed);
            }
            filled += length;
            at = at.wrapping_add(length);
        }
        self.taken.store(at, Ordering::Release);
        filled
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at % WORDS]
    }

    fn take(&self, cpu: &PerCpu, frame: &TrapFrame, from_program: bool, now: u64) {
        let start = self.written.load(Ordering::Relaxed);
        if start.wrapping_sub(self.taken.load(Ordering::Acquire)) > WORDS - LONGEST {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut end = start.wrapping_add(HEAD);
        let mut push = |address: u64| {
            self.word(end).store(address, Ordering::Relaxed);
            end = end.wrapping_add(1);
        };
        let thread = cpu.current();
        let mut kernel = 0;
        let entered = if from_program {
            Some(Entered::from(frame))
        } else {
            let walked = backtrace::of_thread(frame, thread.stack_top(), KERNEL_FRAMES, &mut push);
            kernel = walked.count;
            self.kernel_since.store(now, Ordering::Relaxed);
            self.kernel_periods
                .store(start.wrapping_add(1), Ordering::Relaxed);
            backtrace::entered_from(walked)
        };
        let (mut count, mut top) = (0, 0);
        if let Some(entered) = entered {
            count = backtrace::of_program(entered, PROGRAM_FRAMES, &mut push);
            top = peek::program_word(entered.rsp as usize).unwrap_or(0);
        }
        let tid = u64::from(thread.tid().cast_unsigned());
        let cpu_id = cpu.id() as u64;
        let head = kernel as u64 | (count as u64) << 8 | cpu_id << 16 | tid << 32;
        for (offset, word) in [head, 1, top].into_iter().enumerate() {
            self.word(start.wrapping_add(offset))
                .store(word, Ordering::Relaxed);
        }
        self.written.store(end, Ordering::Release);
    }
}
