//! The frame a handler runs on, and the way back (Linux arch/x86/kernel/signal_64.c, uapi sigcontext.h).
//!
//! ```text
//!   higher   XSAVE image, 64-byte aligned, with Linux's magic numbers
//!            siginfo (128)
//!            ucontext (304): flags, link, stack, sigcontext (256), mask
//!   lower    return address (the restorer)            <- RSP, 16n + 8
//! ```
//! The lower part is built in kernel memory and copied out at once; the CPU itself stores and loads the XSAVE image in the
//! program's memory. Go reads rip, rsp, si_code, si_addr, and writes rip and rsp (go/src/runtime/signal_amd64.go).
use super::{Action, AltStack, SigInfo, SignalSet, bit};
use crate::cpu::entry::SyscallFrame;
use crate::cpu::fpu;
use crate::cpu::trap::{self, NO_VECTOR, TrapFrame};
use crate::memory::user;
use crate::task::process::ExitStatus;
use crate::task::{current, exit_group};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const SA_ONSTACK: u64 = abi::SA_ONSTACK as u64;
const SA_NODEFER: u64 = abi::SA_NODEFER as u64;
/// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
const UC_FLAGS: u64 = 7;
/// Bytes below RSP that C code may use without moving it.
const RED_ZONE: usize = 128;
const SS_ONSTACK: u64 = 1;
const SS_DISABLE: u64 = 2;
const SS_AUTODISARM: u32 = 1 << 31;
/// Offset of `sw_reserved` in the FXSAVE part, and the magics around the extended part.
const SW_RESERVED: usize = 464;
/// Where the header of the extended part ends.
const HEADER_END: usize = 576;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// The program's selectors as Linux shows them: gs, fs unused; cs 0x33, ss 0x2b.
const SELECTORS: u64 = 0x33 | 0x2b << 48;
/// Trap and direction flags, which a handler starts without.
const CLEARED_FLAGS: u64 = 0x500;

/// struct ucontext as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Context {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    rflags: u64,
    selectors: u64,
    error: u64,
    trap: u64,
    old_mask: u64,
    cr2: u64,
    fpu: u64,
    reserved: [u64; 8],
    mask: u64,
}
const _: () = assert!(size_of::<Context>() == 304);
const _: () = assert!(
    core::mem::offset_of!(Context, rip) == 168 && core::mem::offset_of!(Context, mask) == 296
);

const INFO_WORDS: usize = 16;
const INFO_AT: usize = core::mem::offset_of!(Lower, info);
const FRAME_SIZE: usize = size_of::<Lower>();

/// What lies below the XSAVE image.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct Lower {
    restorer: u64,
    context: Context,
    info: [u64; INFO_WORDS],
}

/// siginfo_t.
fn info_words(info: &SigInfo) -> [u64; INFO_WORDS] {
    let pair = |low: i32, high: i32| {
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    };
    let mut words = [0; INFO_WORDS];
    words[0] = pair(info.signo, info.errno);
    words[1] = pair(info.code, 0);
    words[2..2 + info.fields.len()].copy_from_slice(&info.fields);
    words
}

/// struct siginfo for rt_sigtimedwait and signalfd's kin.
pub fn write_info(to: usize, info: &SigInfo) -> Result<(), Errno> {
    user::write(to, &info_words(info))
}

/// Makes `frame` start the handler of `info`, with the interrupted context on the stack.
///
/// # Errors
/// EFAULT if the stack cannot take it.
pub fn push(frame: &mut TrapFrame, info: &SigInfo, action: &Action) -> Result<(), Errno> {
    crate::program::settle(frame);
    let thread = current();
    let alt = *thread.signals.alt_stack.lock();
    let on_alt = alt.contains(frame.rsp as usize);
    let enters_alt = action.flags & SA_ONSTACK != 0 && alt.size != 0 && !on_alt;
    let sp = match enters_alt {
        true => alt.base + alt.size,
        false => (frame.rsp as usize).wrapping_sub(RED_ZONE),
    };
    let image = fpu::area_size() + 4;
    let fpu_at = sp.wrapping_sub(image) & !63;
    // The ABI of a function just called: 16-byte alignment before the return address was pushed.
    let at = (fpu_at.wrapping_sub(FRAME_SIZE) & !15).wrapping_sub(8);
    // Neither when it is entered nor when it is stayed on may what lies below the alternate stack be overwritten.
    let overflows = (on_alt || enters_alt) && !alt.contains(at);
    if overflows || !user::in_range(at, sp.wrapping_sub(at)) {
        return Err(Errno::EFAULT);
    }
    // First: it is what may find no room.
    write_fpu(fpu_at)?;
    let lower = Lower {
        restorer: action.restorer as u64,
        context: context(frame, &alt, on_alt, fpu_at),
        info: info_words(info),
    };
    user::write(at, &lower)?;
    fpu::reset();

    let mask = thread.signals.mask()
        | action.mask
        | if action.flags & SA_NODEFER == 0 {
            bit(info.signo)
        } else {
            0
        };
    thread.signals.set_mask(mask);
    if alt.flags & SS_AUTODISARM != 0 {
        *thread.signals.alt_stack.lock() = AltStack::default();
    }
    frame.rip = action.handler as u64;
    frame.rsp = at as u64;
    frame.rdi = info.signo as u64;
    frame.rsi = (at + INFO_AT) as u64;
    frame.rdx = (at + 8) as u64;
    frame.rax = 0;
    frame.rflags &= !CLEARED_FLAGS;
    Ok(())
}

fn context(frame: &TrapFrame, alt: &AltStack, on_alt: bool, fpu_at: usize) -> Context {
    let signals = &current().signals;
    let alt_flags = if alt.size == 0 {
        SS_DISABLE
    } else if on_alt {
        SS_ONSTACK
    } else {
        0
    } | u64::from(alt.flags);
    let mask = signals.mask_for_frame();
    Context {
        flags: UC_FLAGS,
        link: 0,
        stack: [alt.base as u64, alt_flags, alt.size as u64],
        r8: frame.r8,
        r9: frame.r9,
        r10: frame.r10,
        r11: frame.r11,
        r12: frame.r12,
        r13: frame.r13,
        r14: frame.r14,
        r15: frame.r15,
        rdi: frame.rdi,
        rsi: frame.rsi,
        rbp: frame.rbp,
        rbx: frame.rbx,
        rdx: frame.rdx,
        rax: frame.rax,
        rcx: frame.rcx,
        rsp: frame.rsp,
        rip: frame.rip,
        rflags: frame.rflags & trap::USER_FLAGS | 0x202,
        selectors: SELECTORS,
        error: signals.last_fault[1].load(Ordering::Relaxed),
        trap: signals.last_fault[0].load(Ordering::Relaxed),
        old_mask: mask,
        cr2: signals.last_fault[2].load(Ordering::Relaxed),
        fpu: fpu_at as u64,
        reserved: [0; 8],
        mask,
    }
}

/// The live vector registers with Linux's description of the image, at `at` in the program's memory.
fn write_fpu(at: usize) -> Result<(), Errno> {
    let size = fpu::area_size();
    let components = fpu::components();
    // struct _fpx_sw_bytes, then the header of the extended part, which the CPU only adds to.
    let mut words = [0u64; (HEADER_END - SW_RESERVED) / 8];
    words[0] = u64::from(MAGIC1) | (size as u64 + 4) << 32;
    words[1] = components;
    words[2] = size as u64;
    user::write(at + SW_RESERVED, &words)?;
    if !fpu::save_to_program(at) {
        return Err(Errno::EFAULT);
    }
    user::write(at + size, &MAGIC2)
}

/// rt_sigreturn(2): back to the context at the stack pointer. A context that makes no sense kills, as on Linux.
pub fn sigreturn(frame: &SyscallFrame) -> SysResult {
    match read_back(frame.rsp) {
        Ok((registers, mask)) => {
            current().signals.set_mask(mask);
            crate::task::set_pending();
            trap::leave_with(&registers)
        }
        Err(_) => exit_group(ExitStatus::Signal(abi::SIGSEGV as u8)),
    }
}

fn read_back(at: usize) -> Result<(TrapFrame, SignalSet), Errno> {
    let context: Context = user::read(at)?;
    if !user::in_range(context.rip as usize, 0) {
        return Err(Errno::EFAULT);
    }
    restore_fpu(context.fpu as usize)?;
    let [base, flags, size] = context.stack;
    let alt = if flags & SS_DISABLE != 0 {
        AltStack::default()
    } else {
        AltStack {
            base: base as usize,
            size: size as usize,
            flags: flags as u32 & SS_AUTODISARM,
        }
    };
    *current().signals.alt_stack.lock() = alt;
    let registers = TrapFrame {
        r15: context.r15,
        r14: context.r14,
        r13: context.r13,
        r12: context.r12,
        rbp: context.rbp,
        rbx: context.rbx,
        r11: context.r11,
        r10: context.r10,
        r9: context.r9,
        r8: context.r8,
        rax: context.rax,
        rcx: context.rcx,
        rdx: context.rdx,
        rsi: context.rsi,
        rdi: context.rdi,
        vector: NO_VECTOR,
        error: 0,
        rip: context.rip,
        cs: 0,
        rflags: context.rflags,
        rsp: context.rsp,
        ss: 0,
    };
    Ok((registers, context.mask))
}

/// Loads the vector registers from the frame's image. From here to the program no switch may lose them.
fn restore_fpu(at: usize) -> Result<(), Errno> {
    if at == 0 {
        fpu::reset();
        return Ok(());
    }
    crate::cpu::percpu::this_cpu()
        .keep_vectors
        .store(1, Ordering::Relaxed);
    if fpu::restore_from_program(at) {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}
