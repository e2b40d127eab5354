//! The CPU: everything that is x86-64.
//!
//! - boot.rs, smp.rs: how each CPU gets here. percpu.rs: what each has for itself, through GS.
//! - entry.rs: the system-call path. trap.rs, roll.rs: exceptions and interrupts. interrupts.rs: devices' view of them.
//! - machine_check.rs: broken hardware.
//! - context.rs, fpu.rs: switching threads.
//! - apic.rs, ioapic.rs, pic.rs, pit.rs, calibrate.rs, msr.rs, port.rs, gdt.rs: the hardware.
//! - identity.rs, features.rs: what the processor says of itself.
//! - sampler.rs: where a CPU is, for profiles; backtrace.rs: the stack walks of that, and of crash reports.
//! - tsc.rs: time out of the TSC. vdso.rs: the code the program reads clocks with.
//! - tlb.rs: shootdown. kvm.rs: KVM's clock and its paravirtual variant.
//!
//! Nothing here takes a lock inside a trap; nothing above needs to know which hypervisor runs underneath.
pub mod apic;
pub mod backtrace;
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
