//! What a CPU does that has nothing to run.
//!
//! It polls for a while, then halts; masked, the queues are looked at once more before the halt, so no wake-up is lost
//! (xv6's and every kernel's rule). How long to poll is learnt (as Linux's virt/kvm halt polling does it): a halt that was
//! over soon would better have been a poll, one that was not makes the next poll shorter, down to none in an idle VM.
//! How long the way back from a halt is, is learnt, too: the timer that shall end one is armed so much earlier, and the rest
//! of the time is polled.
//!
//! Polling CPUs take what waits for others ([`steal`]); one that waits alone not before [`PATIENCE_NS`]: most wakers block
//! right away, and one that does not is slowed by sharing its data with a second CPU more than the woken thread gains (Linux's
//! migration cost).
use super::sched::{BUSY, HALTED, HALTS, POLLING, POLLS, allowed, spread};
use super::thread::Thread;
use crate::cpu::percpu::{PerCpu, cpu_count, this_cpu};
use crate::cpu::{self, interrupts, percpu};
use crate::time;
use core::sync::atomic::{Ordering, fence};

/// An idle CPU polls for at most so long before it halts; a halt and the interrupt that ends it cost 30 µs on the
/// paravirtual KVM, some 5 elsewhere.
const POLL_MAX_NS: u64 = 200_000;
/// The first poll that is not nothing.
const POLL_MIN_NS: u64 = 10_000;
/// A halt's timer is armed at most so much before the time that it is for: what an idle VM may poll for each timer.
const LEAD_MAX_NS: u64 = 80_000;
/// How long a polling CPU leaves a thread that waits alone to the CPU it waits for: twice what a hand-over takes.
const PATIENCE_NS: u64 = 5_000;

/// Waits until there is a thread to run, and takes it; `now` is when that began. On the stack of `thread`, which blocks, this
/// CPU only polls: before it halts it changes to the idle thread, so that who wakes `thread` may take it without an interrupt.
pub fn idle(thread: &Thread, now: u64) -> &'static Thread {
    let cpu = this_cpu();
    let bit = 1u64 << cpu.id();
    time::sampling::pause(cpu);
    let leave_for = cpu
        .idle_thread
        .get()
        .filter(|own| !core::ptr::eq(*own, thread));
    // The idle thread comes after a poll that was in vain.
    let mut poll_until = now + leave_for.map_or(0, |_| cpu.poll_ns.get());
    // Since when a thread was seen to wait for another CPU at every look.
    let mut seen_since = None;
    cpu.idle.store(POLLS, Ordering::SeqCst);
    POLLING.0.fetch_or(bit, Ordering::SeqCst);
    let next = loop {
        if let Some(next) = look_for_work(cpu) {
            break next;
        }
        let now = time::now();
        if let Some(victim) = others(cpu).find(|other| stealable(other)) {
            let since = *seen_since.get_or_insert(now);
            if now < since + PATIENCE_NS && victim.run_queue.len() == 1 {
                core::hint::spin_loop();
                continue;
            }
            if let Some(next) = steal(cpu) {
                break next;
            }
        } else {
            seen_since = None;
        }
        if now < poll_until && !super::host::works() {
            core::hint::spin_loop();
            continue;
        }
        // A timer that is due sooner than a halt is worth is waited for as well.
        let deadline = time::next_deadline();
        if deadline.saturating_sub(now) < POLL_MIN_NS + cpu.halt_lead.get() {
            poll_until = deadline;
            continue;
        }
        if let Some(own) = leave_for {
            break own;
        }
        let armed = halt(cpu, bit);
        // What it is woken for has waited longer than that.
        seen_since = Some(now);
        let halted = time::now() - now;
        learn(cpu, halted);
        learn_lead(cpu, (now + halted).checked_sub(armed));
        poll_until = now + halted + cpu.poll_ns.get().max(POLL_MIN_NS);
    };
    POLLING.0.fetch_and(!bit, Ordering::SeqCst);
    cpu.idle.store(BUSY, Ordering::SeqCst);
    cpu::tlb::catch_up();
    stop_polling(cpu);
    next
}

/// This CPU has found a thread, and polls no longer. While it did nobody was kicked for others that wait.
fn stop_polling(cpu: &PerCpu) {
    if POLLING.0.load(Ordering::SeqCst) == 0 && HALTED.0.load(Ordering::Relaxed) != 0 {
        others(cpu)
            .filter(|other| stealable(other))
            .for_each(|other| spread(&other.run_queue));
    }
}

/// Halts until an interrupt comes, unless there is something to do. Gives the time for which the timer was armed.
fn halt(cpu: &'static PerCpu, bit: u64) -> u64 {
    POLLING.0.fetch_and(!bit, Ordering::SeqCst);
    // Before the bit: whoever takes that sends the interrupt.
    cpu.idle.store(HALTS, Ordering::SeqCst);
    HALTED.0.fetch_or(bit, Ordering::SeqCst);
    // Our announcement before the last look; pairs with the fence in `enqueue`.
    fence(Ordering::SeqCst);
    time::program_hardware_for_halt(cpu.halt_lead.get());
    let armed = cpu.timer_armed.get();
    interrupts::mask();
    if cpu.run_queue.len() == 0 && !interrupts::any_noted() && !others_have_work(cpu) {
        PerCpu::count(&cpu.halts, 1);
        interrupts::unmask_and_halt();
    } else {
        interrupts::unmask();
    }
    cpu.idle.store(POLLS, Ordering::SeqCst);
    HALTED.0.fetch_and(!bit, Ordering::SeqCst);
    POLLING.0.fetch_or(bit, Ordering::SeqCst);
    armed
}

/// A halt was over `late` ns after the time for which its timer was armed; none if something else ended it before.
fn learn_lead(cpu: &PerCpu, late: Option<u64>) {
    if let Some(late) = late {
        let lead = cpu.halt_lead.get();
        cpu.halt_lead
            .set(lead - lead / 8 + late.min(LEAD_MAX_NS) / 8);
    }
}

/// Makes the next poll longer after a halt that was over soon, shorter after a long one.
fn learn(cpu: &PerCpu, halted: u64) {
    let poll = cpu.poll_ns.get();
    cpu.poll_ns.set(if halted < POLL_MAX_NS {
        (poll * 2).clamp(POLL_MIN_NS, POLL_MAX_NS)
    } else if poll > POLL_MIN_NS {
        poll / 2
    } else {
        0
    });
}

/// One look at everything an idle CPU may find to do of its own.
fn look_for_work(cpu: &'static PerCpu) -> Option<&'static Thread> {
    if interrupts::any_noted() {
        interrupts::handle_noted();
    }
    time::run_expired();
    cpu.run_queue.pop()
}

/// The other CPUs, the next one first.
pub fn others(cpu: &PerCpu) -> impl Iterator<Item = &'static PerCpu> {
    let (count, id) = (cpu_count(), cpu.id());
    (1..count).map(move |step| percpu::cpu((id + step) % count))
}

/// Whether a thread waits for another CPU that could run here; one that is still stepping off its stack counts, since
/// nobody tells when it has.
fn others_have_work(cpu: &PerCpu) -> bool {
    others(cpu)
        .any(|victim| stealable(victim) && victim.run_queue.any(|thread| allowed(thread, cpu)))
}

/// Whether another CPU has a thread waiting behind a running one.
fn stealable(victim: &PerCpu) -> bool {
    victim.run_queue.len() > 0 && victim.idle.load(Ordering::Relaxed) == BUSY
}

/// Takes a thread that waits for another CPU, starting with the next one.
fn steal(cpu: &'static PerCpu) -> Option<&'static Thread> {
    others(cpu)
        .filter(|victim| stealable(victim))
        .find_map(|victim| {
            victim.run_queue.remove_first(|thread| {
                !thread.on_cpu.load(Ordering::Acquire) && allowed(thread, cpu)
            })
        })
}
