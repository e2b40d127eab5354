//! Traps that land half-way: in the few instructions of the entries and exits where the "in kernel" mark, the stack pointer
//! and the registers do not agree (entry.rs and trap.rs have them, between labels). An entry is rolled back to its first
//! instruction, an exit forward to the program; a return to the kernel starts over.
use super::entry;
use super::percpu::this_cpu;
use super::trap::{FRAME_SIZE, TrapFrame};
use core::sync::atomic::Ordering;

unsafe extern "C" {
    fn trap_exit_tail();
    fn trap_exit_end();
    fn kernel_return();
    fn kernel_return_iretq();
    fn kernel_return_end();
}

fn address(symbol: unsafe extern "C" fn()) -> u64 {
    symbol as usize as u64
}

/// Undoes or completes a half-done entry or exit. True if the frame is (now) the program's.
pub fn roll(frame: &mut TrapFrame) -> bool {
    let rip = frame.rip;
    let within = |from: unsafe extern "C" fn(), to: unsafe extern "C" fn()| {
        rip >= address(from) && rip < address(to)
    };
    // SAFETY: in the ranges that read words, RSP is the kernel stack with what the path has not popped yet.
    let word = |at: u64| unsafe { *(at as *const u64) };
    if within(entry::syscall_entry, entry::syscall_entry_switched) {
        // The stack pointer is only changed by the last instruction of the range.
        frame.rip = address(entry::syscall_entry);
        return true;
    }
    if within(entry::lstar_entry, entry::lstar_entry_switched) {
        frame.rip = address(entry::lstar_entry);
        return true;
    }
    if rip == address(entry::syscall_exit_slow)
        || within(entry::syscall_exit_tail, entry::syscall_exit_pop_rsp)
    {
        frame.rcx = word(frame.rsp);
        frame.rsp = word(frame.rsp + 8);
        frame.rip = frame.rcx;
        return true;
    }
    if within(entry::syscall_exit_pop_rsp, entry::syscall_exit_jump) {
        frame.rsp = word(frame.rsp);
        frame.rip = frame.rcx;
        return true;
    }
    if rip == address(entry::syscall_exit_jump) {
        frame.rip = frame.rcx;
        return true;
    }
    if within(trap_exit_tail, trap_exit_end) {
        let at = frame.rsp;
        frame.rip = word(at);
        frame.rflags = word(at + 16);
        frame.rsp = word(at + 24);
        return true;
    }
    this_cpu().in_kernel.load(Ordering::Relaxed) == 0
}

/// Where the frame is that an interrupted return to the kernel was about to leave with. Starting over with it, rather
/// than with a frame of the return itself, bounds the stack however fast interrupts come: a CPU that flushes TLBs in a
/// loop can hit every single return of another one.
pub fn half_returned(frame: &TrapFrame) -> Option<usize> {
    if frame.rip >= address(kernel_return) && frame.rip < address(kernel_return_iretq) {
        Some(frame.rsp as usize)
    } else if frame.rip >= address(kernel_return_iretq) && frame.rip < address(kernel_return_end) {
        Some(frame.rsp as usize - core::mem::offset_of!(TrapFrame, rip))
    } else {
        None
    }
}

/// Copies the frame below what the interrupted kernel code has on its stack.
pub fn move_to_kernel_stack(frame: &TrapFrame) -> usize {
    let stack = (frame.rsp as usize - FRAME_SIZE) & !15;
    // SAFETY: the kernel has no red zone, so below its stack pointer nothing is in use; stacks leave room for this.
    unsafe { (stack as *mut TrapFrame).write(*frame) };
    stack
}
