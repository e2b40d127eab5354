//! TLB shootdown.
//!
//! All CPUs share the page tables. Whoever takes rights away raises the generation and interrupts each CPU that has not
//! caught up; the answer comes from inside the trap, so that a CPU spinning on a lock answers too. An idle CPU is not
//! interrupted for the program's pages: it runs no program code, and catches up before it does. A flush is a CR3 reload: on the
//! paravirtual KVM one invlpg costs as much, and Go unmaps large ranges.
use super::percpu::{PerCpu, cpu, cpu_count, this_cpu};
use super::{apic, interrupts, msr};
use core::sync::atomic::{AtomicU64, Ordering, fence};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Returns when no CPU's program can use a translation that was taken away before the call. May be called with locks held.
pub fn flush_all() {
    flush(|other| other.idle.load(Ordering::SeqCst) == 0);
}

/// The same for translations of the kernel's own, which idle CPUs use as well: those handle interrupts.
pub fn flush_kernel() {
    flush(|_| true);
}

/// Returns when every CPU that `counts` has caught up.
fn flush(counts: impl Fn(&PerCpu) -> bool) {
    let generation = GENERATION.fetch_add(1, Ordering::SeqCst) + 1;
    let me = this_cpu();
    msr::reload_cr3();
    me.tlb_generation.fetch_max(generation, Ordering::SeqCst);
    let count = cpu_count();
    if count == 1 {
        return;
    }
    fence(Ordering::SeqCst);
    let behind = |id: &usize| {
        let other = cpu(*id);
        *id != me.id() && other.tlb_generation.load(Ordering::SeqCst) < generation && counts(other)
    };
    for id in (0..count).filter(behind) {
        apic::send_ipi(cpu(id), interrupts::TLB_FLUSH);
    }
    for id in 0..count {
        while behind(&id) {
            core::hint::spin_loop();
        }
    }
}

/// Inside the trap.
pub fn flush_requested() {
    catch_up();
}

/// Flushes if this CPU has missed something: after idling, and when asked.
#[inline]
pub fn catch_up() {
    let cpu = this_cpu();
    let generation = GENERATION.load(Ordering::SeqCst);
    if cpu.tlb_generation.load(Ordering::Relaxed) < generation {
        msr::reload_cr3();
        cpu.tlb_generation.fetch_max(generation, Ordering::SeqCst);
    }
}
