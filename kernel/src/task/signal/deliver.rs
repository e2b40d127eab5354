//! Delivery: on the way out of the kernel, with the frame the thread would leave with.
use super::{DefaultAction, SIG_DFL, SIG_IGN, SigInfo, default_action, frame};
use crate::cpu::trap::{NO_VECTOR, SYSCALL_VECTOR, TrapFrame};
use crate::program;
use crate::task::process::ExitStatus;
use crate::task::{current, exit_group, process};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

const SA_RESTART: u64 = abi::SA_RESTART as u64;
const SA_RESETHAND: u64 = abi::SA_RESETHAND as u64;

/// Takes the pending signals of the running thread, until one runs a handler or none is left; then restarts an
/// interrupted system call if that is due.
pub fn deliver(frame: &mut TrapFrame) {
    if process().exiting() {
        crate::task::process::park();
    }
    let thread = current();
    while thread.signals.deliverable() {
        let wanted = !thread.signals.mask();
        let Some(info) = thread
            .signals
            .pending
            .take(wanted)
            .or_else(|| process().signals.pending.take(wanted))
        else {
            break;
        };
        if handle(frame, &info) {
            // The next one, if any, interrupts the handler's first instruction: look again.
            continue;
        }
    }
    thread.signals.end_temporary_mask(false);
    restart_without_handler(frame);
}

/// One signal. True if a handler's frame was built.
fn handle(frame: &mut TrapFrame, info: &SigInfo) -> bool {
    let mut action = process().signals.action(info.signo);
    match action.handler {
        SIG_IGN => false,
        SIG_DFL => match default_action(info.signo) {
            DefaultAction::Ignore => false,
            DefaultAction::Stop => {
                crate::drivers::control::send(&ringo_control::ToHost::Stopped {
                    signal: info.signo as u8,
                    written: crate::drivers::written(),
                });
                false
            }
            DefaultAction::Terminate => exit_group(ExitStatus::Signal(info.signo as u8)),
        },
        _ => {
            interrupt_call(frame, action.flags & SA_RESTART != 0);
            if frame::push(frame, info, &action).is_err() {
                crate::klog!(
                    "signal {}: no room for its frame at {:#x}",
                    info.signo,
                    frame.rsp
                );
                exit_group(ExitStatus::Signal(abi::SIGSEGV as u8));
            }
            if action.flags & SA_RESETHAND != 0 {
                action.handler = SIG_DFL;
                process().signals.set_action(info.signo, action);
            }
            true
        }
    }
}

fn result(frame: &TrapFrame) -> Option<isize> {
    (frame.vector == SYSCALL_VECTOR).then_some(frame.rax as isize)
}

fn is(result: isize, errno: Errno) -> bool {
    result == -(errno.number() as isize)
}

/// A handler is about to run over an interrupted call: it fails with EINTR or starts again afterwards.
fn interrupt_call(frame: &mut TrapFrame, restart: bool) {
    if let Some(result) = result(frame) {
        if is(result, Errno::ERESTARTNOINTR) || restart && is(result, Errno::ERESTARTSYS) {
            start_again(frame);
        } else if is(result, Errno::ERESTARTSYS)
            || is(result, Errno::ERESTARTNOHAND)
            || is(result, Errno::ERESTART_RESTARTBLOCK)
        {
            frame.rax = Errno::EINTR.to_register() as u64;
            current().restart_deadline.store(0, Ordering::Relaxed);
        }
    }
    frame.vector = NO_VECTOR;
}

/// No handler ran: an interrupted call starts again.
fn restart_without_handler(frame: &mut TrapFrame) {
    if let Some(result) = result(frame)
        && [
            Errno::ERESTARTSYS,
            Errno::ERESTARTNOINTR,
            Errno::ERESTARTNOHAND,
            Errno::ERESTART_RESTARTBLOCK,
        ]
        .iter()
        .any(|&errno| is(result, errno))
    {
        start_again(frame);
    }
}

/// Goes back to the site: to the rewritten `jmp`, or to the `syscall` instruction itself.
fn start_again(frame: &mut TrapFrame) {
    frame.rip = program::site_before(frame.rip as usize).unwrap_or(frame.rip as usize - 2) as u64;
    frame.rax = frame.error;
    frame.vector = NO_VECTOR;
}
