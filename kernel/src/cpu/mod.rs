//! The CPU: everything that is x86-64.
//!
//! - boot.rs, smp.rs: how each CPU gets here. percpu.rs: what each has for itself, through GS.
//! - entry.rs: the system-call path. trap.rs, roll.rs: exceptions and interrupts. interrupts.rs: devices' view of them.
//! - machine_check.rs: broken hardware.
//! - context.rs, fpu.rs: switching threads.
//! - apic.rs, ioapic.rs, pic.rs, pit.rs, calibrate.rs, msr.rs, port.rs, gdt.rs: the hardware.
//! - identity.rs, features.rs: what the processor says of itself.
//! - sampler.rs: where a CPU is, for profiles.
//! - tsc.rs: time out of the TSC. vdso.rs: the code the program reads clocks with.
//! - tlb.rs: shootdown. kvm.rs: KVM's clock and its paravirtual variant.
//!
//! Nothing here takes a lock inside a trap; nothing above needs to know which hypervisor runs underneath.
pub mod apic;
pub mod boot;
pub mod calibrate;
pub mod context;
pub mod entry;
pub mod features;
pub mod fpu;
pub mod gdt;
pub mod identity;
pub mod interrupts;
pub mod ioapic;
pub mod kvm;
pub mod machine_check;
pub mod msr;
pub mod percpu;
pub mod pic;
pub mod pit;
pub mod port;
mod roll;
pub mod sampler;
pub mod smp;
pub mod tlb;
pub mod trap;
pub mod tsc;
pub mod vdso;

use crate::memory::stack;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Saves the running context to `save` and goes on with what `load` holds. For task/context.rs only.
#[inline]
pub fn switch_stacks(save: &AtomicUsize, load: &AtomicUsize) {
    // SAFETY: `load` was written by an earlier switch or by `new_stack` (Thread's `saved_sp`), and the scheduler runs a
    // thread on one CPU at a time.
    unsafe { context::switch(save.as_ptr(), load.load(Ordering::Relaxed)) };
}

/// Goes on in `next` on a stack of `bytes` of its own; the present one is left for good. For main.rs.
pub fn continue_on_new_stack(bytes: usize, argument: u64, next: extern "C" fn(u64) -> !) -> ! {
    let top = stack::permanent(bytes).expect("memory for a stack");
    // SAFETY: the stack is new, and what is on the present one stays where it is.
    unsafe { context::continue_on(top, argument, next) }
}

/// Prepares the kernel stack of a thread that has never run; gives what its `saved_sp` shall be.
pub fn prepare_stack(top: usize, registers: &trap::TrapFrame) -> usize {
    // SAFETY: callers pass the top of a stack that no thread runs on yet (task/clone.rs).
    unsafe { context::new_stack(top, registers) }
}

/// Return addresses of the calls that led here (or to `frame`), innermost first, by frame pointers; gives how many, and the
/// frame pointer that the chain ended with: the program's, if it called.
pub fn backtrace(frame: Option<&trap::TrapFrame>, addresses: &mut [u64]) -> (usize, usize) {
    let mut count = 0;
    let mut base: usize;
    match frame {
        Some(frame) => {
            addresses[0] = frame.rip;
            count = 1;
            base = frame.rbp as usize;
        }
        // SAFETY: reads a register.
        None => unsafe {
            core::arch::asm!("mov {}, rbp", out(reg) base, options(nomem, nostack, preserves_flags))
        },
    }
    // A frame pointer moves up the same stack, by less than a stack's size.
    const STACK: usize = 32 * 1024;
    while count < addresses.len() && base.is_multiple_of(8) && base > 0xffff_8000_0000_0000 {
        // SAFETY: kernel stacks are mapped; the chain is followed only upwards within one.
        let (next, address) = unsafe { (*(base as *const usize), *((base + 8) as *const usize)) };
        if address == 0 {
            break;
        }
        addresses[count] = address as u64;
        count += 1;
        if next <= base || next - base > STACK {
            base = next;
            break;
        }
        base = next;
    }
    (count, base)
}

/// Where the running thread's program was when it entered the kernel, and its callers, by Go's frame pointers from `base`
/// on; gives how many. Reads only what is mapped.
pub fn program_backtrace(base: usize, addresses: &mut [u64]) -> usize {
    let cpu = percpu::this_cpu();
    if !cpu.has_current() || cpu.current().tid() == 0 || addresses.is_empty() {
        return 0;
    }
    let top = cpu.current().stack_top();
    let frame = trap::frame_address(top) as *const trap::TrapFrame;
    // SAFETY: the running thread's kernel stack; what stands at its top is a trap frame, or what entry.rs pushed.
    let (rip, mut base) = unsafe {
        if cpu.keep_vectors.load(Ordering::Relaxed) != 0 {
            ((*frame).rip, (*frame).rbp as usize)
        } else {
            (*((top - entry::SAVED_RIP) as *const u64), base)
        }
    };
    addresses[0] = rip;
    let mut count = 1;
    while count < addresses.len() && base % 8 == 0 {
        let (Some(next), Some(address)) = (read_word(base), read_word(base.wrapping_add(8))) else {
            break;
        };
        if address == 0 || next <= base as u64 {
            break;
        }
        addresses[count] = address;
        count += 1;
        base = next as usize;
    }
    count
}

/// A word of the program's memory, if it is there.
fn read_word(at: usize) -> Option<u64> {
    let low = crate::memory::user::read_u32_no_fault(at)?;
    let high = crate::memory::user::read_u32_no_fault(at.checked_add(4)?)?;
    Some(u64::from(low) | u64::from(high) << 32)
}
