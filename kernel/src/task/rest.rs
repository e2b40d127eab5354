//! Long work inside of the kernel: what is due meanwhile.
//!
//! Interrupts only note themselves while a thread is in the kernel, and are handled on its way out. A system call that moves
//! hundreds of megabytes would keep timers, signals and the threads that wait for its CPU waiting for all of that, so it
//! comes here once in a while (Linux's cond_resched). The caller holds no spin lock; it may go on on another CPU.
use crate::cpu::interrupts;
use crate::cpu::percpu::this_cpu;
use crate::time;
use core::sync::atomic::Ordering;

/// Bytes after which whoever moves them comes here: some 50 µs, a sixtieth of a slice.
pub const BYTES: usize = 256 << 10;

/// Does what is due. False if the process is ending, and the work with it.
#[cold]
pub fn rest() -> bool {
    let cpu = this_cpu();
    // The idle thread, at boot, gives way to nobody.
    if super::current().tid() == 0 {
        return true;
    }
    if cpu.pending.swap(0, Ordering::Relaxed) != 0 {
        interrupts::handle_noted();
        time::run_expired();
        super::preempt_if_due();
        time::program_hardware();
        // Signals and a move to another CPU are left to the way out.
        super::set_pending();
    }
    !super::process().exiting()
}
