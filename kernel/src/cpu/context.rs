//! The switch from one kernel stack to another.
use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .pushsection .text
    .global switch_stacks
switch_stacks:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .popsection
    "#
);

unsafe extern "C" {
    fn switch_stacks(save: *mut usize, load: usize);
}

/// Words below a new thread's trap frame: six registers, and where `ret` goes.
const INITIAL_WORDS: usize = 7;

/// Saves the callee-saved registers and the stack pointer to `save`, and goes on where `load` was saved.
///
/// # Safety
/// `load` was saved by this function or made by [`new_stack`], and nobody else will use it.
#[inline]
pub unsafe fn switch(save: *mut usize, load: usize) {
    // SAFETY: the caller's promise.
    unsafe { switch_stacks(save, load) };
}

/// Goes on in `next` on the stack that ends at `top`; the present one is left for good.
///
/// # Safety
/// The stack is unused, and nothing on the present one is referred to any more.
pub unsafe fn continue_on(top: usize, argument: u64, next: extern "C" fn(u64) -> !) -> ! {
    // SAFETY: the caller's promise. Backtraces end here, where the frame pointer is 0.
    unsafe {
        asm!(
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            top = in(reg) top,
            next = in(reg) next,
            in("rdi") argument,
            options(noreturn),
        )
    }
}

/// Prepares a stack so that switching to it starts `thread_start` with `frame`; gives the stack pointer to load.
///
/// # Safety
/// `top` is the top of an unused kernel stack.
pub unsafe fn new_stack(top: usize, frame: &super::trap::TrapFrame) -> usize {
    let at = super::trap::frame_address(top);
    let words = (at - INITIAL_WORDS * 8) as *mut usize;
    // SAFETY: both lie in the unused stack.
    unsafe {
        (at as *mut super::trap::TrapFrame).write(*frame);
        for index in 0..INITIAL_WORDS - 1 {
            words.add(index).write(0);
        }
        words
            .add(INITIAL_WORDS - 1)
            .write(super::trap::thread_start as *const () as usize);
    }
    words as usize
}
