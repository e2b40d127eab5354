//! The CPU: everything that is x86-64.
//!
//! - boot.rs, smp.rs: how each CPU gets here. percpu.rs: what each has for itself, through GS.
//! - entry.rs: the system-call path. trap.rs: exceptions and interrupts. interrupts.rs: devices' view of them.
//! - context.rs, fpu.rs: switching threads. apic.rs, ioapic.rs, pit.rs, msr.rs, port.rs, gdt.rs: the hardware.
//! - tlb.rs: shootdown. kvm.rs: KVM's clock and its paravirtual variant.
//!
//! Nothing here takes a lock inside a trap; nothing above needs to know which hypervisor runs underneath.
pub mod apic;
pub mod boot;
pub mod context;
pub mod entry;
pub mod fpu;
pub mod gdt;
pub mod interrupts;
pub mod ioapic;
pub mod kvm;
pub mod msr;
pub mod percpu;
pub mod pit;
pub mod port;
pub mod smp;
pub mod tlb;
pub mod trap;

use core::sync::atomic::{AtomicUsize, Ordering};

/// Saves the running context to `save` and goes on with what `load` holds. For task/context.rs only.
#[inline]
pub fn switch_stacks(save: &AtomicUsize, load: &AtomicUsize) {
    // SAFETY: `load` was written by an earlier switch or by `new_stack` (Thread's `saved_sp`), and the scheduler runs a
    // thread on one CPU at a time.
    unsafe { context::switch(save.as_ptr(), load.load(Ordering::Relaxed)) };
}
