//! Interrupts as the rest of the kernel sees them.
//!
//! The trap entry notes each vector in a bitmap of its CPU; handlers run later, as ordinary kernel code on that CPU: on
//! the way out to the program, or in the idle loop. They may take locks and wake threads, not block. Only a TLB flush
//! and a stop are acted on inside the trap, since a CPU that spins on a lock must answer them too.
use super::percpu::{PerCpu, this_cpu};
use super::{apic, kvm, tlb};
use crate::sync::SpinLock;
use crate::time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::asm;
use core::sync::atomic::{AtomicU8, Ordering};
use spin::Once;

/// The APIC timer.
pub const TIMER: u8 = 0x20;
/// "Look at your run queue."
pub const RESCHEDULE: u8 = 0x21;
/// "Flush your TLB", answered inside the trap.
pub const TLB_FLUSH: u8 = 0x22;
/// "Stop for good", answered inside the trap.
pub const STOP: u8 = 0x23;
const FIRST_DEVICE: u8 = 0x30;
const LAST_DEVICE: u8 = 0xef;
/// The APIC's spurious vector: no EOI.
pub const SPURIOUS: u8 = 0xff;

type Handler = Arc<dyn Fn() + Send + Sync>;

static HANDLERS: [Once<Handler>; 256] = [const { Once::new() }; 256];
static NEXT_DEVICE: AtomicU8 = AtomicU8::new(FIRST_DEVICE);
static ALLOCATION: SpinLock<()> = SpinLock::new(());

/// Gives a device its own vector and handler; none when they are used up.
pub fn register(handler: Box<dyn Fn() + Send + Sync>) -> Option<u8> {
    let _allocating = ALLOCATION.lock();
    let vector = NEXT_DEVICE.load(Ordering::Relaxed);
    if vector > LAST_DEVICE {
        return None;
    }
    NEXT_DEVICE.store(vector + 1, Ordering::Relaxed);
    HANDLERS[vector as usize].call_once(|| Arc::from(handler));
    Some(vector)
}

/// Inside the trap, on the IST stack: no locks.
pub fn note(vector: usize) {
    PerCpu::count(&this_cpu().interrupts, 1);
    match vector as u8 {
        SPURIOUS => return,
        TLB_FLUSH => tlb::flush_requested(),
        STOP => super::trap::halt_forever(),
        _ => {
            let cpu = this_cpu();
            cpu.noted_vectors[vector / 64].fetch_or(1 << (vector % 64), Ordering::Relaxed);
            cpu.pending.store(1, Ordering::Relaxed);
        }
    }
    apic::end_of_interrupt();
}

/// Makes a CPU look at its pending work before it goes on in the program.
pub fn poke(target: &PerCpu) {
    target.pending.store(1, Ordering::SeqCst);
    if !core::ptr::eq(target, this_cpu()) {
        apic::send_ipi(target, RESCHEDULE);
    }
}

/// Whether this CPU has noted interrupts.
#[inline]
pub fn any_noted() -> bool {
    this_cpu()
        .noted_vectors
        .iter()
        .any(|word| word.load(Ordering::Relaxed) != 0)
}

/// Runs the handlers of the noted interrupts.
pub fn handle_noted() {
    let cpu = this_cpu();
    for (index, word) in cpu.noted_vectors.iter().enumerate() {
        if word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            let vector = index * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if vector == TIMER as usize {
                cpu.timer_armed.set(u64::MAX);
                time::sampling::on_timer(cpu);
            } else if vector == RESCHEDULE as usize {
                time::cpu_alarm::on_reschedule();
            } else if let Some(handler) = HANDLERS[vector].get() {
                handler();
            }
        }
    }
}

/// Lets interrupts in.
#[inline]
pub fn unmask() {
    if kvm::paravirtual() {
        kvm::unmask();
    } else {
        // SAFETY: handlers only note, so kernel code may be interrupted anywhere.
        unsafe { asm!("sti", options(nostack)) };
    }
}

/// Keeps interrupts out; only idle needs it. What is looked at afterwards is not looked at before: the compiler takes the
/// instruction for one that may change memory, as it takes all three.
#[inline]
pub fn mask() {
    if kvm::paravirtual() {
        kvm::mask();
    } else {
        // SAFETY: delays interrupts, nothing else.
        unsafe { asm!("cli", options(nostack)) };
    }
}

/// Lets interrupts in and halts until one comes, without a gap between the two.
pub fn unmask_and_halt() {
    if kvm::paravirtual() {
        kvm::unmask_and_halt();
    } else {
        // SAFETY: sti takes effect after the next instruction, so an interrupt ends the halt.
        unsafe { asm!("sti", "hlt", options(nostack)) };
    }
}
