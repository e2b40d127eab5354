//! The system-call entry: what a rewritten `syscall` of the program jumps to.
//!
//! In: RAX number, RCX return address, RDI RSI RDX R10 R8 R9 arguments, RSP the goroutine's stack, as after a hardware
//! `syscall`. Out: RAX the result; RCX and R11 are lost, everything else is kept (Linux's contract). The kernel is built
//! without SSE, so vector registers survive by themselves unless the thread is switched out.
//!
//! | on the path | why it is there |
//! |---|---|
//! | mark "in kernel" | interrupts then only note and return: no cli/sti on the path |
//! | switch the stack | a goroutine's stack has as little as 264 bytes left |
//! | clear the direction flag | Rust wants it so; `syscall` does it by FMASK. (It stays clear; Linux sets it again.) |
//! | push RSP, RIP | to go back |
//! | push RAX | to restart the call after a signal |
//! | push 6 arguments | Rust may overwrite them, Linux does not |
//! | count | `--stats` |
//! | bound, indexed call | the table |
//! | unmark, test "pending" | in this order, so that an interrupt is either seen here or finds the mark clear |
//!
//! Interrupts that land before the stack is switched are rolled back to the first instruction; those that land after
//! the mark is cleared are rolled forward past the end (trap.rs knows these ranges). So neither path needs interrupts
//! to be masked. Callee-saved registers are pushed by the few calls that want the whole frame (`@frame` in the table).
use super::percpu::offset::{IN_KERNEL, KEEP_VECTORS, KERNEL_STACK, PENDING, SYSCALLS};
use crate::syscall::table::{DISPATCH, DISPATCH_LEN};
use core::arch::global_asm;

/// What a `@frame` call gets: the caller's registers. The order is that of the pushes in this file.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct SyscallFrame {
    pub r15: usize,
    pub r14: usize,
    pub r13: usize,
    pub r12: usize,
    pub rbp: usize,
    pub rbx: usize,
    return_address: usize,
    pub r9: usize,
    pub r8: usize,
    pub r10: usize,
    pub rdx: usize,
    pub rsi: usize,
    pub rdi: usize,
    pub number: usize,
    pub rip: usize,
    pub rsp: usize,
}

/// How far below the top of the kernel stack the entry has pushed the program's RIP.
pub const SAVED_RIP: usize = 24;

global_asm!(
    r#"
    .pushsection .text.entry, "ax"
    .balign 64
    .global syscall_entry, syscall_entry_switched
syscall_entry:
    mov byte ptr gs:[{IN_KERNEL}], 1
    mov r11, rsp
    mov rsp, gs:[{KERNEL_STACK}]
syscall_entry_switched:
    cld
    push r11
    push rcx
    push rax
    push rdi
    push rsi
    push rdx
    push r10
    push r8
    push r9
    inc qword ptr gs:[{SYSCALLS}]
    mov eax, eax
    cmp eax, {DISPATCH_LEN}
    jae 2f
    mov rcx, r10
    call qword ptr [{DISPATCH} + rax * 8]
1:  pop r9
    pop r8
    pop r10
    pop rdx
    pop rsi
    pop rdi
    pop r11
    mov byte ptr gs:[{IN_KERNEL}], 0
    // Rolled forward from here: the stack holds RIP, RSP.
    .global syscall_exit_tail, syscall_exit_pop_rsp, syscall_exit_jump, syscall_exit_slow
syscall_exit_tail:
    cmp byte ptr gs:[{PENDING}], 0
    jne syscall_exit_slow
    pop rcx
syscall_exit_pop_rsp:
    pop rsp
syscall_exit_jump:
    jmp rcx

2:  mov edi, eax
    call {unknown_syscall}
    jmp 1b

    // Something is pending: make a trap frame of what is left, and leave by way of the traps' exit.
syscall_exit_slow:
    mov byte ptr gs:[{IN_KERNEL}], 1
    sub rsp, 152
    mov [rsp], r15
    mov [rsp + 8], r14
    mov [rsp + 16], r13
    mov [rsp + 24], r12
    mov [rsp + 32], rbp
    mov [rsp + 40], rbx
    mov [rsp + 56], r10
    mov [rsp + 64], r9
    mov [rsp + 72], r8
    mov [rsp + 80], rax
    mov [rsp + 96], rdx
    mov [rsp + 104], rsi
    mov [rsp + 112], rdi
    mov qword ptr [rsp + 120], {SYSCALL_VECTOR}
    mov [rsp + 128], r11
    mov rcx, [rsp + 152]
    mov [rsp + 88], rcx
    mov [rsp + 136], rcx
    pushfq
    pop rcx
    mov [rsp + 48], rcx
    mov [rsp + 152], rcx
    mov rdi, rsp
    call {exit_work}
    jmp trap_exit

    // An unknown `syscall` instruction comes here through LSTAR: RCX is its return address, R11 the flags. Everything
    // is saved, vector registers too if the thread is switched out.
    .balign 16
    .global lstar_entry, lstar_entry_switched
lstar_entry:
    mov byte ptr gs:[{IN_KERNEL}], 1
    mov r11, rsp
    mov rsp, gs:[{KERNEL_STACK}]
lstar_entry_switched:
    cld
    mov byte ptr gs:[{KEEP_VECTORS}], 1
    sub rsp, 168
    mov [rsp], r15
    mov [rsp + 8], r14
    mov [rsp + 16], r13
    mov [rsp + 24], r12
    mov [rsp + 32], rbp
    mov [rsp + 40], rbx
    mov [rsp + 56], r10
    mov [rsp + 64], r9
    mov [rsp + 72], r8
    mov [rsp + 80], rax
    mov [rsp + 88], rcx
    mov [rsp + 96], rdx
    mov [rsp + 104], rsi
    mov [rsp + 112], rdi
    mov qword ptr [rsp + 120], {SYSCALL_VECTOR}
    mov [rsp + 128], rax
    mov [rsp + 136], rcx
    mov [rsp + 160], r11
    pushfq
    pop rcx
    mov [rsp + 48], rcx
    mov [rsp + 152], rcx
    inc qword ptr gs:[{SYSCALLS}]
    mov rdi, rsp
    call {unpatched_syscall}
    jmp trap_exit
    .popsection
    "#,
    IN_KERNEL = const IN_KERNEL,
    PENDING = const PENDING,
    KERNEL_STACK = const KERNEL_STACK,
    KEEP_VECTORS = const KEEP_VECTORS,
    SYSCALLS = const SYSCALLS,
    DISPATCH_LEN = const DISPATCH_LEN,
    SYSCALL_VECTOR = const super::trap::SYSCALL_VECTOR,
    DISPATCH = sym DISPATCH,
    unknown_syscall = sym crate::syscall::unknown_syscall,
    exit_work = sym super::trap::exit_work,
    unpatched_syscall = sym super::trap::unpatched_syscall,
);

/// Makes the handler of a `@frame` call: pushes what the entry did not, and passes the whole as [`SyscallFrame`].
#[macro_export]
macro_rules! frame_handler {
    ($function:path) => {{
        extern "C" fn with_frame(frame: &mut $crate::cpu::entry::SyscallFrame) -> usize {
            $crate::syscall::encode($function(frame))
        }
        // SAFETY: keeps the C calling convention; the pushes mirror SyscallFrame.
        #[unsafe(naked)]
        extern "C" fn entry(_: usize, _: usize, _: usize, _: usize, _: usize, _: usize) -> usize {
            core::arch::naked_asm!(
                "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                "mov rdi, rsp",
                "sub rsp, 8",
                "call {f}",
                "add rsp, 8",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                "ret",
                f = sym with_frame,
            )
        }
        entry as $crate::syscall::Handler
    }};
}

unsafe extern "C" {
    /// Where rewritten sites jump.
    pub fn syscall_entry();
    pub fn syscall_entry_switched();
    pub fn syscall_exit_tail();
    pub fn syscall_exit_pop_rsp();
    pub fn syscall_exit_jump();
    pub fn syscall_exit_slow();
    /// Where the `syscall` instruction goes.
    pub fn lstar_entry();
    pub fn lstar_entry_switched();
}

impl SyscallFrame {
    /// The same registers out of a trap frame.
    pub fn from_trap(frame: &super::trap::TrapFrame) -> Self {
        Self {
            r15: frame.r15 as usize,
            r14: frame.r14 as usize,
            r13: frame.r13 as usize,
            r12: frame.r12 as usize,
            rbp: frame.rbp as usize,
            rbx: frame.rbx as usize,
            return_address: 0,
            r9: frame.r9 as usize,
            r8: frame.r8 as usize,
            r10: frame.r10 as usize,
            rdx: frame.rdx as usize,
            rsi: frame.rsi as usize,
            rdi: frame.rdi as usize,
            number: frame.rax as usize,
            rip: frame.rip as usize,
            rsp: frame.rsp as usize,
        }
    }

    /// These registers as a trap frame, to leave the kernel with.
    pub fn to_trap(&self) -> super::trap::TrapFrame {
        super::trap::TrapFrame {
            r15: self.r15 as u64,
            r14: self.r14 as u64,
            r13: self.r13 as u64,
            r12: self.r12 as u64,
            rbp: self.rbp as u64,
            rbx: self.rbx as u64,
            r11: 0,
            r10: self.r10 as u64,
            r9: self.r9 as u64,
            r8: self.r8 as u64,
            rax: self.number as u64,
            rcx: self.rip as u64,
            rdx: self.rdx as u64,
            rsi: self.rsi as u64,
            rdi: self.rdi as u64,
            vector: super::trap::NO_VECTOR,
            error: 0,
            rip: self.rip as u64,
            cs: 0,
            rflags: 0x202,
            rsp: self.rsp as u64,
            ss: 0,
        }
    }
}
