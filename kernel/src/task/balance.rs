//! Balance between CPUs that are all busy. Idle ones take what waits elsewhere by themselves (idle.rs).
//!
//! It is looked at when a slice ends while somebody waits, so it costs nothing where nobody does; and little where the queues
//! are as long as one another: the lengths of the others, read until a shorter one is found. A queue longer than another by two
//! gives that a thread at each slice's end. By one: somebody has to share a CPU whatever is done, and they take turns. Of three
//! threads on two CPUs each so gets two thirds of one.
use super::idle::others;
use super::sched::{BUSY, allowed, kick};
use super::thread::Thread;
use crate::cpu::percpu::PerCpu;
use core::sync::atomic::{Ordering, fence};

/// A thread is moved for its turn at most so often (ns): ten slices, which pay for filling another CPU's caches.
const TURN_NS: u64 = 30_000_000;

/// The slice of `thread`, which runs on this CPU, has ended at `now`: a thread that waits here goes to a CPU where fewer wait,
/// if there is one.
pub fn balance(cpu: &PerCpu, thread: &Thread, now: u64) {
    let waiting = cpu.run_queue.len();
    // Not the shortest of all: others look at the same time, and would find the same.
    let Some(target) = others(cpu).find(|other| {
        other.run_queue.len() < waiting && other.idle.load(Ordering::Relaxed) == BUSY
    }) else {
        return;
    };
    let turns = waiting - target.run_queue.len().min(waiting) < 2;
    let runs_since = thread.moved.load(Ordering::Relaxed);
    let chosen = cpu.run_queue.remove_first(|waits| {
        let moved = waits.moved.load(Ordering::Relaxed);
        // Who was moved last stays. If that is who waits, the other will wait when the next slice ends.
        let in_turn = !turns || moved <= runs_since && now >= moved + TURN_NS;
        in_turn && !waits.on_cpu.load(Ordering::Acquire) && allowed(waits, target)
    });
    if let Some(chosen) = chosen {
        chosen.moved.store(now, Ordering::Relaxed);
        target.run_queue.push(chosen);
        // The push before the look at who is idle; pairs with the fence in idle.rs.
        fence(Ordering::SeqCst);
        kick(target);
    }
}
