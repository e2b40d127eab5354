//! Sending: what becomes pending, and for whom.
use super::notify::{announce, notify};
use super::{DefaultAction, SIG_DFL, SigInfo, bit, default_action, ignores};
use crate::fs::PollEvents;
use crate::task::process;
use crate::task::thread::{self, Thread, ThreadRef};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// Sends to one thread, as tgkill(2) does. False if it is not queued: ignored signals vanish unless they are blocked, and
/// a standard one that is pending already stands for this one.
///
/// # Errors
/// EAGAIN when too many are queued; ESRCH when it has ended and another has its place.
pub fn send_thread(target: ThreadRef, info: SigInfo) -> Result<bool, Errno> {
    let thread = target.get().ok_or(Errno::ESRCH)?;
    let action = process().signals.action(info.signo);
    if thread.signals.mask() & bit(info.signo) == 0 && ignores(info.signo, &action) {
        return Ok(false);
    }
    let still_it = || target.get().is_some();
    let queued = thread.signals.pending.push_if(info, still_it)?;
    process().signals.arrivals.wake_all();
    process().signals.observers.notify(PollEvents::IN);
    if thread.signals.mask() & bit(info.signo) == 0 {
        notify(thread);
    }
    Ok(queued)
}

/// Sends to the process, as kill(2) does: any thread that does not block the signal takes it, the first one by choice. Gives
/// what [`send_thread`] does.
///
/// # Errors
/// EAGAIN when too many are queued.
pub fn send_process(info: SigInfo) -> Result<bool, Errno> {
    let signals = &process().signals;
    let unblocked = |thread: &'static Thread| thread.signals.mask() & bit(info.signo) == 0;
    if ignores(info.signo, &signals.action(info.signo)) && thread::find(unblocked).is_some() {
        return Ok(false);
    }
    let queued = signals.pending.push(info)?;
    signals.arrivals.wake_all();
    signals.observers.notify(PollEvents::IN);
    announce(bit(info.signo));
    Ok(queued)
}

/// Sends for the running thread's system call, to one thread or to the process. A signal that ends the process does so
/// here: its sender never goes back to the program, whichever thread would have taken it (Linux's complete_signal).
///
/// # Errors
/// EAGAIN when too many are queued; ESRCH as [`send_thread`].
pub fn send_by_call(target: Option<ThreadRef>, info: SigInfo) -> Result<(), Errno> {
    let signo = info.signo;
    match target {
        Some(target) => send_thread(target, info)?,
        None => send_process(info)?,
    };
    let takes = |thread: &'static Thread| thread.signals.mask() & bit(signo) == 0;
    let taken = || match target {
        Some(target) => target.get().is_some_and(takes),
        None => thread::find(takes).is_some(),
    };
    if ends_at_once(signo) && taken() {
        crate::task::exit_group(crate::task::process::ExitStatus::Signal(signo as u8));
    }
    Ok(())
}

/// Whether nothing but the process's end can come of the signal. Those that Linux would write a core file for are the
/// chosen thread's to take.
fn ends_at_once(signo: i32) -> bool {
    let core = matches!(
        signo as u32,
        abi::SIGQUIT
            | abi::SIGILL
            | abi::SIGTRAP
            | abi::SIGABRT
            | abi::SIGBUS
            | abi::SIGFPE
            | abi::SIGSEGV
            | abi::SIGXCPU
            | abi::SIGXFSZ
            | abi::SIGSYS
    );
    !core
        && process().signals.action(signo).handler == SIG_DFL
        && default_action(signo) == DefaultAction::Terminate
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
    if pending != 0 {
        announce(pending);
    }
}
