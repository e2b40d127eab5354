//! Delivery: on the way out of the kernel, with the frame the thread would leave with.
use super::{DefaultAction, SIG_DFL, SIG_IGN, SigInfo, default_action, frame};
use crate::cpu::trap::{NO_VECTOR, SYSCALL_VECTOR, TrapFrame};
use crate::program;
use crate::task::process::ExitStatus;
use crate::task::{current, exit_group, process};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

const SA_RESTART: u64 = abi::SA_RESTART as u64;
const SA_RESETHAND: u64 = abi::SA_RESETHAND as u64;

/// Takes the pending signals of the running thread: a handler's frame each, on top of one another. Afterwards, and once
/// nothing else is pending, the interrupted call may have to start again: [`restart_call`].
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
        // The next one, if any, interrupts the handler's first instruction.
        handle(frame, &info);
    }
    thread.signals.end_temporary_mask(false);
}

/// Whether the program makes a call that the kernel does not know of yet.
pub fn in_call(frame: &TrapFrame) -> bool {
    program::in_call(frame)
}

/// One signal.
fn handle(frame: &mut TrapFrame, info: &SigInfo) {
    let mut action = process().signals.action(info.signo);
    match action.handler {
        SIG_IGN => {}
        SIG_DFL => match default_action(info.signo) {
            DefaultAction::Ignore => {}
            DefaultAction::Stop => {
                crate::drivers::files::settle();
                crate::drivers::control::send(&ringo_control::ToHost::Stopped {
                    signal: info.signo as u8,
                    written: crate::drivers::written(),
                });
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
        }
    }
    // Or it was to be made again, and the thread has not come to it.
    program::settle(frame);
    current().restart.fail(frame);
    frame.vector = NO_VECTOR;
}

/// Last thing before the program goes on: if no handler ran, an interrupted call starts again.
pub fn restart_call(frame: &mut TrapFrame) {
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
    let back = frame.rip as usize;
    let site = program::site_before(back).unwrap_or(back - 2);
    current().restart.goes_on(site, back);
    frame.rip = site as u64;
    frame.rax = frame.error;
    frame.vector = NO_VECTOR;
}
