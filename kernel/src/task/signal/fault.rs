//! Exceptions of the program become signals, page faults if they cannot be served (Linux arch/x86/kernel/traps.c has
//! the same table).
use super::{SI_KERNEL, SigInfo, force_current};
use crate::cpu::fpu;
use crate::cpu::trap::{self, TrapFrame};
use crate::memory;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;

const FPE_INTDIV: i32 = 1;
const ILL_ILLOPN: i32 = 2;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const BUS_ADRALN: i32 = 1;

/// Page-fault error code: a write, an instruction fetch.
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// Serves the exception in `frame`, which the program raised, or sends it the signal. `address` is the one a page fault
/// was at.
pub fn exception(frame: &mut TrapFrame, address: usize) {
    let info = match frame.vector {
        14 => {
            match memory::space().fault(address, frame.error & WRITE != 0, frame.error & FETCH != 0)
            {
                Ok(()) => return crate::task::current().count_fault(),
                Err(fault) => SigInfo::fault(fault.signo, fault.code, address),
            }
        }
        0 => SigInfo::fault(abi::SIGFPE as i32, FPE_INTDIV, frame.rip as usize),
        1 => {
            let code = match frame.rflags & trap::FLAG_TF {
                // The instruction `int1`.
                0 => TRAP_BRKPT,
                _ if super::deliver::in_call(frame) => {
                    // The parts of a rewritten `syscall` are no steps: the call starts without the flag, as the
                    // instruction does it by FMASK, and what follows is not stepped through.
                    frame.rflags &= !trap::FLAG_TF;
                    return;
                }
                _ => TRAP_TRACE,
            };
            SigInfo::fault(abi::SIGTRAP as i32, code, frame.rip as usize)
        }
        3 => SigInfo::from_kernel(abi::SIGTRAP as i32),
        6 => SigInfo::fault(abi::SIGILL as i32, ILL_ILLOPN, frame.rip as usize),
        16 | 19 => match fpu::exception_code(frame.vector) {
            Some(code) => SigInfo::fault(abi::SIGFPE as i32, code, frame.rip as usize),
            None => return,
        },
        17 => SigInfo::fault(abi::SIGBUS as i32, BUS_ADRALN, 0),
        12 => SigInfo::fault(abi::SIGBUS as i32, SI_KERNEL, 0),
        _ => SigInfo::fault(abi::SIGSEGV as i32, SI_KERNEL, 0),
    };
    let seen = &crate::task::current().signals.last_fault;
    seen[0].store(frame.vector, Ordering::Relaxed);
    seen[1].store(frame.error | USER_MODE, Ordering::Relaxed);
    seen[2].store(
        if frame.vector == 14 {
            address as u64
        } else {
            0
        },
        Ordering::Relaxed,
    );
    force_current(info);
}

/// Serves a page fault of the kernel's copies to and from the program; false if that cannot be. For want of memory the
/// program dies, as by a fault of its own: EFAULT would blame it.
pub fn of_copy(address: usize, error: u64) -> bool {
    match memory::space().fault(address, error & WRITE != 0, false) {
        Ok(()) => {
            crate::task::current().count_fault();
            true
        }
        Err(fault) => {
            if fault.signo == abi::SIGKILL as i32 {
                force_current(SigInfo::fault(fault.signo, fault.code, address));
            }
            false
        }
    }
}

/// What Linux's error code would have said: the access came from user mode.
const USER_MODE: u64 = 4;
