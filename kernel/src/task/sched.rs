//! The scheduler.
//!
//! A run queue a CPU, first come first served. No periodic tick: a slice is timed only while another thread waits for
//! the same CPU. A thread that blocks with nobody to switch to polls on its own stack: if it is woken before anything
//! else happens, it just goes on, and no context was switched at all. A CPU that halts does so on its idle thread's.
//!
//! Waking puts the thread on its old CPU if that one idles, else on the waker's: a waker that blocks right away hands
//! over for the price of one switch, and idle CPUs that poll take what waits elsewhere (idle.rs). A halted CPU is only
//! kicked by interrupt if nobody polls. Whoever takes a thread, and leaves others waiting, kicks the next ([`spread`]): so
//! a burst of wake-ups reaches all CPUs, though the waker kicks one (Go's scheduler wakes its Ps so). Where all are busy,
//! threads move when slices end (balance.rs).
//!
//! A thread whose affinity excludes the CPU it is on finishes its system call there, and moves before it goes on in the
//! program.
use super::balance::balance;
use super::context;
use super::idle::idle;
use super::queue::RunQueue;
use super::thread::{State, Thread};
use crate::cpu::percpu::{PerCpu, cpu_count, this_cpu};
use crate::cpu::{apic, interrupts, percpu};
use crate::time;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use ringo_abi::Errno;

/// How long a thread runs while others wait for its CPU.
const SLICE_NS: u64 = 3_000_000;
/// A word that many CPUs write, in a cache line of its own.
#[repr(align(64))]
pub struct CpuSet(pub AtomicU64);

/// Halted CPUs that nobody has kicked, a bit each; and those that poll.
pub static HALTED: CpuSet = CpuSet(AtomicU64::new(0));
/// See above.
pub static POLLING: CpuSet = CpuSet(AtomicU64::new(0));

/// `PerCpu::idle`: it runs a thread.
pub const BUSY: u8 = 0;
/// It idles, and sees what comes.
pub const POLLS: u8 = 1;
/// It idles, and wants an interrupt.
pub const HALTS: u8 = 2;

/// Gives the calling CPU its idle thread, which is what it runs now.
///
/// # Errors
/// EAGAIN: no memory for its stack.
pub fn init_cpu() -> Result<(), Errno> {
    let thread = Thread::create(false)?;
    thread.set_state(State::Running);
    thread.on_cpu.store(true, Ordering::Relaxed);
    let cpu = this_cpu();
    cpu.idle_thread.set(Some(thread));
    cpu.set_current(thread);
    Ok(())
}

/// Announces that `thread`, the caller, is about to block. Whoever wakes it from here on makes [`block`] return.
#[inline]
pub fn prepare_block(thread: &Thread) {
    thread.set_state(State::Blocking);
}

/// Takes the announcement back: the condition holds already.
#[inline]
pub fn cancel_block(thread: &Thread) {
    thread.set_state(State::Running);
}

/// Leaves the CPU until somebody wakes the calling thread, `deadline` (ns) passes or, if `interruptible`, a signal
/// comes. Returns at once if that happened since [`prepare_block`]. Wake-ups may be spurious.
pub fn block(deadline: Option<u64>, interruptible: bool) {
    let slack = slack(super::current());
    block_between(
        deadline.map(|deadline| (deadline, deadline.saturating_add(slack))),
        interruptible,
    );
}

/// How late a deadline of `thread` may be.
#[inline]
fn slack(thread: &Thread) -> u64 {
    thread.attributes.timer_slack.load(Ordering::Relaxed)
}

/// [`block`] with the earliest and the latest time at which it ends.
fn block_between(times: Option<(u64, u64)>, interruptible: bool) {
    let thread = super::current();
    if let Some((earliest, latest)) = times {
        thread.sleep_timer.arm(thread, earliest, latest);
    }
    thread.signals.set_interruptible(interruptible);
    // A signal that came before the flag was set did not wake us.
    if !(interruptible && thread.signals.deliverable())
        && thread.change_state(State::Blocking, State::Blocked)
    {
        if !interruptible {
            // Blocked by now, so that it is not found to be one who will take them.
            thread.signals.hand_on();
        }
        schedule(thread);
    }
    thread.set_state(State::Running);
    thread.signals.set_interruptible(false);
    // A sender that found us Runnable, or was the one that woke us, told nobody (signal/notify.rs). What we waited for
    // may have come as well, so that the caller does not ask: this sets `pending`.
    thread.signals.deliverable();
    if times.is_some() {
        thread.sleep_timer.cancel(thread);
    }
}

/// Sleeps until `deadline` (ns since boot) and the thread's slack are over. Those who sleep so are in no hurry (Go's
/// runtime: who finds no work, and the monitor), and count on its taking as long as on an idle Linux: one that looks for
/// work to take away from others after 3 µs instead of 53 disturbs them.
///
/// # Errors
/// ERESTARTSYS when a signal came first.
pub fn sleep_until(deadline: u64) -> Result<(), Errno> {
    let thread = super::current();
    loop {
        if time::now() >= deadline {
            return Ok(());
        }
        if thread.signals.deliverable() {
            return Err(Errno::ERESTARTSYS);
        }
        prepare_block(thread);
        let end = deadline.saturating_add(slack(thread));
        block_between(Some((end, end)), true);
    }
}

/// Wakes a thread. False if it was not blocked (or about to block).
pub fn wake(thread: &'static Thread) -> bool {
    loop {
        match thread.state() {
            State::Blocking => {
                if thread.change_state(State::Blocking, State::Running) {
                    return true;
                }
            }
            State::Blocked => {
                if thread.change_state(State::Blocked, State::Runnable) {
                    enqueue(thread);
                    return true;
                }
            }
            State::Running | State::Runnable | State::Dead => return false,
        }
    }
}

/// Puts a runnable thread where it will run soonest; see the module's head.
pub fn enqueue(thread: &'static Thread) {
    let here = this_cpu();
    let last = percpu::cpu(thread.last_cpu.load(Ordering::Relaxed) as usize);
    let target = if thread.on_cpu.load(Ordering::Acquire)
        || (last.idle.load(Ordering::Relaxed) == POLLS && allowed(thread, last))
    {
        // It idles on its own stack there, or that CPU has nothing else to do.
        last
    } else if allowed(thread, here) {
        here
    } else {
        allowed_cpu(thread)
    };
    target.run_queue.push(thread);
    // The push before the look at who is idle; pairs with the fence in idle.rs.
    fence(Ordering::SeqCst);
    if core::ptr::eq(target, here) {
        share_queue(here, thread);
    } else if target.idle.load(Ordering::SeqCst) == HALTS || !thread.on_cpu.load(Ordering::SeqCst) {
        kick(target);
        if target.idle.load(Ordering::SeqCst) == BUSY {
            // It has found something else meanwhile, or was busy all along.
            kick_taker(thread.affinity.load(Ordering::Relaxed));
        }
    }
    // Else it is still leaving its CPU, which looks at its queue after that (finish_switch).
}

/// Whether the thread may run on that CPU.
#[inline]
pub fn allowed(thread: &Thread, cpu: &PerCpu) -> bool {
    thread.affinity.load(Ordering::Relaxed) >> cpu.id() & 1 != 0
}

/// Where a thread shall go that may not run here: to an idle CPU of its mask, else where the fewest wait.
#[cold]
fn allowed_cpu(thread: &Thread) -> &'static PerCpu {
    let mask = thread.affinity.load(Ordering::Relaxed);
    for idle in [&POLLING, &HALTED] {
        let usable = idle.0.load(Ordering::Relaxed) & mask;
        if usable != 0 {
            return percpu::cpu(usable.trailing_zeros() as usize);
        }
    }
    (0..cpu_count())
        .map(percpu::cpu)
        .filter(|cpu| allowed(thread, cpu))
        .min_by_key(|cpu| cpu.run_queue.len())
        .unwrap_or_else(this_cpu)
}

/// `queued` waits here while another thread runs: see that it does not wait for long.
fn share_queue(here: &'static PerCpu, queued: &Thread) {
    if here.idle.load(Ordering::Relaxed) != BUSY {
        return;
    }
    if here.slice_end.load(Ordering::Relaxed) == u64::MAX {
        here.slice_end
            .store(time::now() + SLICE_NS, Ordering::Relaxed);
        // Mostly armed for something earlier already; no reason to leave the kernel the slow way.
        time::program_hardware();
    }
    kick_taker(queued.affinity.load(Ordering::Relaxed));
}

/// One CPU of the set `takers` shall look for work: a halted one, if none of them polls.
fn kick_taker(takers: u64) {
    if POLLING.0.load(Ordering::Relaxed) & takers != 0 {
        return;
    }
    let mut halted = HALTED.0.load(Ordering::Relaxed) & takers;
    while halted != 0 {
        let id = halted.trailing_zeros() as usize;
        // Ours to kick: the next one to look for a halted CPU finds another. It announces its next halt itself.
        if HALTED.0.fetch_and(!(1 << id), Ordering::SeqCst) >> id & 1 != 0 {
            return kick(percpu::cpu(id));
        }
        halted &= halted - 1;
    }
}

/// A thread was taken to run, and others still wait in `queue`: another CPU shall take the first of them.
pub fn spread(queue: &RunQueue) {
    if queue.len() > 0
        && HALTED.0.load(Ordering::Relaxed) != 0
        && let Some(takers) = queue.first(|thread| thread.affinity.load(Ordering::Relaxed))
    {
        kick_taker(takers);
    }
}

/// Makes `target` look at its queues: by interrupt if it has halted. A polling CPU sees them anyway; a busy one when
/// its thread's slice ends.
pub fn kick(target: &'static PerCpu) {
    match target.idle.load(Ordering::SeqCst) {
        HALTS => apic::send_ipi(target, interrupts::RESCHEDULE),
        BUSY if target.slice_end.load(Ordering::Relaxed) == u64::MAX => {
            // Visible before the interrupt is.
            target
                .slice_end
                .store(time::now() + SLICE_NS, Ordering::SeqCst);
            apic::send_ipi(target, interrupts::RESCHEDULE);
        }
        _ => {}
    }
}

/// Lets others run first.
pub fn yield_now() {
    let cpu = this_cpu();
    if cpu.run_queue.len() == 0 {
        return;
    }
    let thread = cpu.current();
    if let Some(next) = cpu.run_queue.pop() {
        account(thread, time::now());
        thread.set_state(State::Runnable);
        cpu.run_queue.push(thread);
        switch(thread, next);
        thread.set_state(State::Running);
    }
}

/// On the way out of the kernel: gives way if the slice is over and somebody waits.
pub fn preempt_if_due() {
    let cpu = this_cpu();
    let slice_end = cpu.slice_end.load(Ordering::Relaxed);
    if slice_end == u64::MAX {
        return;
    }
    let now = time::now();
    if cpu.run_queue.len() > 0 && now >= slice_end {
        balance(cpu, super::current(), now);
    }
    if cpu.run_queue.len() == 0 {
        set_slice(cpu, now);
    } else if now >= slice_end {
        super::current().switches[1].fetch_add(1, Ordering::Relaxed);
        yield_now();
    } else {
        time::program_hardware();
    }
}

/// Finds something else to do for the CPU of `thread`, which has just become Blocked (or Dead), or moves. Returns when
/// `thread` runs again.
pub fn schedule(thread: &'static Thread) {
    thread.switches[0].fetch_add(1, Ordering::Relaxed);
    let now = time::now();
    account(thread, now);
    let next = match this_cpu().run_queue.pop() {
        Some(next) => next,
        None if thread.moves.load(Ordering::Relaxed) => idle_thread(),
        None => idle(thread, now),
    };
    if core::ptr::eq(next, thread) {
        thread.set_state(State::Running);
        thread.switched_in.store(time::now(), Ordering::Relaxed);
        after_pick(this_cpu());
    } else {
        switch(thread, next);
    }
}

/// Adds the time since it was switched in to what the thread has used.
fn account(thread: &Thread, now: u64) {
    let used = now.saturating_sub(thread.switched_in.load(Ordering::Relaxed));
    thread.cpu_time.fetch_add(used, Ordering::Relaxed);
    let cpu = this_cpu();
    if thread.tid() != 0 {
        cpu.threads_time.fetch_add(used, Ordering::Relaxed);
    }
    cpu.running_since.store(0, Ordering::Relaxed);
    cpu.cpu_alarm.store(u64::MAX, Ordering::Relaxed);
}

/// Switches to `next`; returns when `thread` is switched to again, on whatever CPU.
fn switch(thread: &'static Thread, next: &'static Thread) {
    // Its last CPU may still be leaving its stack.
    while next.on_cpu.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    next.on_cpu.store(true, Ordering::Relaxed);
    let cpu = this_cpu();
    next.last_cpu.store(cpu.id() as u32, Ordering::Relaxed);
    next.set_state(State::Running);
    cpu.set_current(next);
    cpu.switched_from.set(Some(thread));
    PerCpu::count(&cpu.switches, 1);
    context::switch(thread, next);
    finish_switch();
}

/// First thing after a switch, on the new thread's stack: the old thread may now be taken by others.
pub fn finish_switch() {
    let cpu = this_cpu();
    if let Some(previous) = cpu.switched_from.take() {
        if previous.state() == State::Dead {
            previous.on_cpu.store(false, Ordering::Release);
            previous.retire();
        } else {
            // Read first: stepped off, it may be picked elsewhere and move again.
            let moves = previous.moves.swap(false, Ordering::Relaxed);
            previous.on_cpu.store(false, Ordering::Release);
            if moves {
                previous.set_state(State::Runnable);
                enqueue(previous);
            }
        }
    }
    // Our stepping off before the look at the queue; pairs with the fence in `enqueue`.
    fence(Ordering::SeqCst);
    let thread = cpu.current();
    thread.switched_in.store(time::now(), Ordering::Relaxed);
    after_pick(cpu);
}

/// The running thread has a slice from `now` on if others wait, else none. Without one first, and then the look at the
/// queue: whoever queues a thread looks in the other order (`kick`), so one of the two starts a slice.
fn set_slice(cpu: &PerCpu, now: u64) {
    cpu.slice_end.store(u64::MAX, Ordering::SeqCst);
    if cpu.run_queue.len() > 0 {
        cpu.slice_end.store(now + SLICE_NS, Ordering::Relaxed);
    }
}

/// A thread was picked to run here: set its slice, the timer, and its pending work.
fn after_pick(cpu: &PerCpu) {
    let thread = cpu.current();
    let switched_in = thread.switched_in.load(Ordering::Relaxed);
    set_slice(cpu, switched_in);
    let since = match thread.tid() {
        0 => 0,
        _ => switched_in,
    };
    cpu.running_since.store(since, Ordering::Relaxed);
    time::cpu_alarm::arm_for_current(cpu);
    time::sampling::resume(cpu);
    // The idle thread arms the timer when it halts.
    if since != 0 {
        time::program_hardware();
    }
    spread(&cpu.run_queue);
    // The new thread may have signals to take, or to move. It was made Running before this look, so a sender either sees
    // that and tells this CPU, or is seen here.
    if thread.signals.deliverable() || super::process().exiting() || !allowed(thread, cpu) {
        cpu.pending.store(1, Ordering::Relaxed);
    }
}

/// The idle loop of a CPU without threads. Never returns.
pub fn idle_forever() -> ! {
    let thread = super::current();
    loop {
        thread.set_state(State::Blocked);
        schedule(thread);
    }
}

/// This CPU's idle thread: what runs when the current one may not even wait here.
fn idle_thread() -> &'static Thread {
    match this_cpu().idle_thread.get() {
        Some(thread) => thread,
        None => super::current(),
    }
}

/// sched_setaffinity(2): the thread runs on the CPUs of `mask` only. The running one moves at once; another one is told
/// to, and does before it goes on in the program.
pub fn set_affinity(thread: &'static Thread, mask: u64) {
    thread.affinity.store(mask, Ordering::SeqCst);
    if core::ptr::eq(thread, super::current()) {
        move_to_allowed_cpu();
    } else if matches!(thread.state(), State::Running | State::Blocking) {
        // Else it looks when it is picked (after_pick).
        let cpu = thread.last_cpu.load(Ordering::Relaxed) as usize;
        interrupts::poke(percpu::cpu(cpu));
    }
}

/// Leaves this CPU if the running thread may not stay.
#[inline]
pub fn move_to_allowed_cpu() {
    let thread = super::current();
    if !allowed(thread, this_cpu()) {
        move_away(thread);
    }
}

#[cold]
fn move_away(thread: &'static Thread) {
    thread.moves.store(true, Ordering::Relaxed);
    // Running until it has stepped off its stack (finish_switch): were it Blocked, a late wake-up would queue it elsewhere
    // meanwhile, and of two CPUs that pick each other's moving thread neither would ever leave its own.
    schedule(thread);
}
