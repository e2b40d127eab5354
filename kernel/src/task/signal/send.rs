//! Sending: which thread gets it, and how it learns.
use super::{SIG_DFL, SigInfo, bit, ignores};
use crate::cpu::{apic, interrupts, percpu};
use crate::fs::PollEvents;
use crate::task::thread::{self, State, Thread};
use crate::task::{PID, process, wake};
use core::sync::atomic::Ordering;
use ringo_abi::Errno;

/// Sends to one thread, as tgkill(2) does. Ignored signals vanish unless they are blocked.
///
/// # Errors
/// EAGAIN when too many are queued.
pub fn send_thread(thread: &'static Thread, info: SigInfo) -> Result<(), Errno> {
    let action = process().signals.action(info.signo);
    if thread.signals.mask() & bit(info.signo) == 0 && ignores(info.signo, &action) {
        return Ok(());
    }
    thread.signals.pending.push(info)?;
    process().signals.arrivals.wake_all();
    process().signals.observers.notify(PollEvents::IN);
    if thread.signals.mask() & bit(info.signo) == 0 {
        notify(thread);
    }
    Ok(())
}

/// Sends to the process, as kill(2) does: any thread that does not block the signal takes it, the first one by choice.
///
/// # Errors
/// EAGAIN when too many are queued.
pub fn send_process(info: SigInfo) -> Result<(), Errno> {
    let unblocked = |thread: &'static Thread| thread.signals.mask() & bit(info.signo) == 0;
    let action = process().signals.action(info.signo);
    let taker = match thread::by_tid(PID).filter(|&leader| unblocked(leader)) {
        Some(leader) => Some(leader),
        None => thread::find(unblocked),
    };
    if taker.is_some() && ignores(info.signo, &action) {
        return Ok(());
    }
    process().signals.pending.push(info)?;
    process().signals.arrivals.wake_all();
    process().signals.observers.notify(PollEvents::IN);
    if let Some(taker) = taker {
        notify(taker);
        // It has ended since it was chosen. Either it sees the signal after that (thread_ends), or we see that.
        if taker.state() == State::Dead {
            thread_ends();
        }
    }
    Ok(())
}

/// Makes the thread look at its signals: wakes it if it sleeps interruptibly, interrupts its CPU if it runs.
fn notify(thread: &'static Thread) {
    // One that was woken already, and has not come to say that it no longer sleeps, is as one that runs.
    if thread.signals.interruptible() && wake(thread) {
        return;
    }
    if thread.state() != State::Running && thread.state() != State::Blocking {
        // It looks when it is switched in and leaves the kernel.
        return;
    }
    let cpu = percpu::cpu(thread.last_cpu.load(Ordering::Relaxed) as usize);
    cpu.pending.store(1, Ordering::SeqCst);
    if !core::ptr::eq(cpu, percpu::this_cpu()) {
        apic::send_ipi(cpu, interrupts::RESCHEDULE);
    }
}

/// A fault of the running thread: it cannot go on, so a blocked or ignored signal takes its default action.
pub fn force_current(info: SigInfo) {
    let thread = crate::task::current();
    let signals = &process().signals;
    let mut action = signals.action(info.signo);
    let blocked = thread.signals.mask() & bit(info.signo) != 0;
    if blocked || ignores(info.signo, &action) {
        action.handler = SIG_DFL;
        signals.set_action(info.signo, action);
        thread
            .signals
            .set_mask(thread.signals.mask() & !bit(info.signo));
    }
    // The queue is full of others: the thread cannot go on all the same.
    if thread.signals.pending.push(info).is_err() {
        crate::task::exit_group(crate::task::process::ExitStatus::Signal(info.signo as u8));
    }
    crate::task::set_pending();
}

/// A thread has ended, and can no longer be found: signals for the process that it was to take go to another.
pub fn thread_ends() {
    let pending = process().signals.pending.set();
    if pending == 0 {
        return;
    }
    if let Some(taker) = thread::find(|thread| pending & !thread.signals.mask() != 0) {
        notify(taker);
    }
}
