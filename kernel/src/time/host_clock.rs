//! Asks the host for the time, and lets follow.rs say what to do: after 4 s, 8 s, ... and then about each minute.
//!
//! kvmclock answers at once; without it the command is asked over the control port, and answers when it can. One question
//! is under way at a time: an answer that comes after the next question was asked is thrown away. What runs here runs as
//! timers and messages do, on the way out of the kernel or in the idle loop: it takes spin locks, and does not block.
use super::clock::{adjust, tsc_hertz, wall_at};
use super::follow::{Follower, Sample};
use super::{Timer, TimerCallback, now};
use crate::cpu::tsc::mult_of;
use crate::cpu::{interrupts, kvm, msr};
use crate::drivers::control;
use crate::klog;
use crate::sync::SpinLock;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ringo_control::ToHost;
use spin::Once;

const FIRST_NS: u64 = 4_000_000_000;
const LONGEST_NS: u64 = 64_000_000_000;

static FOLLOWER: Once<SpinLock<Follower>> = Once::new();
static TIMER: Once<Timer> = Once::new();
/// How long until the next question.
static PAUSE: AtomicU64 = AtomicU64::new(FIRST_NS);
/// Before the program starts the best answer sets the clock: its bound.
static STARTED: AtomicBool = AtomicBool::new(false);
static BEST: AtomicU64 = AtomicU64::new(u64::MAX);
/// The question that an answer is awaited for, and the TSC when it was asked.
static QUESTION: AtomicU32 = AtomicU32::new(0);
static ANSWERED: AtomicU32 = AtomicU32::new(0);
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Sets the wall clock by the hypervisor, if it tells. From here on the clock follows.
pub fn ask_hypervisor() -> bool {
    let before = msr::rdtsc();
    kvm::realtime()
        .inspect(|&wall| arrived(before, wall))
        .is_some()
}

/// Begins to ask again and again, once timers work. The program is about to start.
pub fn start() {
    STARTED.store(true, Ordering::Relaxed);
    let timer = TIMER.call_once(|| Timer::new(Arc::new(Due)));
    timer.arm(now() + FIRST_NS);
}

/// It is time to ask.
struct Due;

impl TimerCallback for Due {
    fn expired(&self) {
        let pause = PAUSE.load(Ordering::Relaxed);
        PAUSE.store((2 * pause).min(LONGEST_NS), Ordering::Relaxed);
        if !ask_hypervisor() {
            ask();
        }
        if let Some(timer) = TIMER.get() {
            timer.arm(now() + PAUSE.load(Ordering::Relaxed));
        }
    }
}

/// Asks the command.
fn ask() {
    let id = QUESTION.fetch_add(1, Ordering::Relaxed) + 1;
    ASKED.store(msr::rdtsc(), Ordering::Relaxed);
    control::send(&ToHost::ClockQuery { id });
}

/// The command's answer to question `id`.
pub fn answered(id: u32, wall: u64) {
    if id == QUESTION.load(Ordering::Relaxed) {
        arrived(ASKED.load(Ordering::Relaxed), wall);
        ANSWERED.store(id, Ordering::Release);
    }
}

/// Before the program starts: asks the command, and waits for the answer a little while; again, if it took long. Without
/// one the clock is late by what the machine took to start.
pub fn await_answer() {
    const PATIENCE_NS: u64 = 100_000_000;
    const GOOD_NS: u64 = 2_000_000;
    let until = now() + PATIENCE_NS;
    while BEST.load(Ordering::Relaxed) > GOOD_NS && now() < until {
        ask();
        let id = QUESTION.load(Ordering::Relaxed);
        while ANSWERED.load(Ordering::Acquire) != id && now() < until {
            interrupts::handle_noted();
            core::hint::spin_loop();
        }
    }
}

/// The host's clock showed `wall` at some time since the TSC was `before`.
fn arrived(before: u64, wall: u64) {
    let width = msr::rdtsc().saturating_sub(before);
    let ns = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / u128::from(tsc_hertz())) as u64;
    let sample = Sample {
        tsc: before + width / 2,
        wall,
        bound: ns(width.div_ceil(2)),
    };
    let follower = FOLLOWER.call_once(|| SpinLock::new(Follower::new(mult_of(tsc_hertz()))));
    let mut follower = follower.lock();
    if !STARTED.load(Ordering::Relaxed) {
        if BEST.fetch_min(sample.bound, Ordering::Relaxed) <= sample.bound {
            return;
        }
        follower.forget();
    }
    let (shown, mult) = wall_at(sample.tsc);
    let change = follower.follow(sample, shown, PAUSE.load(Ordering::Relaxed));
    adjust(change.step, change.mult);
    drop(follower);
    let parts = i128::from(change.mult) * 1_000_000_000 / i128::from(mult) - 1_000_000_000;
    klog!(
        "clock: off by {} us, give or take {}; stepped by {} us, rate changed by {parts} ppb",
        wall.wrapping_sub(shown).cast_signed() / 1000,
        sample.bound / 1000,
        change.step / 1000
    );
}
