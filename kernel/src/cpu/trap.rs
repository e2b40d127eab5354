//! Exceptions and interrupts: entry, sorting, exit.
//!
//! Every vector lands on an IST stack, since a goroutine's stack may be full or unmapped, with interrupts masked
//! (interrupt gates). [`classify`] runs there, takes no lock and decides:
//!
//! - From the program (mark clear): mark, move the frame to the thread's kernel stack, unmask, go on as ordinary kernel
//!   code in [`from_program`]; leave by [`exit_work`] and `trap_exit`.
//! - From the kernel: an interrupt is noted (handled on the way out); a fault in the copy routines is served on the
//!   interrupted kernel stack; TLB flushes and stops are acted on at once; anything else is a bug: panic.
//! - In between (a few instructions of the entry and exit paths where the mark does not tell the truth): rolled back or
//!   forward first: roll.rs.
//!
//! Leaving to the program never masks interrupts: one that lands in the exit tail is rolled forward. Leaving to the
//! kernel is an iretq from the IST stack; on the paravirtual KVM, where unmasking and iretq are two steps, the frame is
//! moved to the interrupted kernel stack first, so that a nested interrupt cannot overwrite it.
//! Sources: Intel SDM 3A ch. 6; kvm.rs for the variant.
use super::percpu::offset::{IN_KERNEL, KEEP_VECTORS, PENDING, VIF};
use super::percpu::this_cpu;
use super::roll::{half_returned, move_to_kernel_stack, roll};
use super::{interrupts, kvm, sampler};
use crate::task;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

/// `TrapFrame::vector` of a system call; `error` then holds the call's number.
pub const SYSCALL_VECTOR: u64 = 0x100;
/// `TrapFrame::vector` of a new thread or after sigreturn.
pub const NO_VECTOR: u64 = 0x101;

/// All general registers of the interrupted code. Assembly relies on the order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub vector: u64,
    /// The CPU's error code; a system call's number.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// Bytes of a frame.
pub const FRAME_SIZE: usize = size_of::<TrapFrame>();
const _: () = assert!(FRAME_SIZE == 176);
const _: () = assert!(core::mem::offset_of!(TrapFrame, rip) == 136);

/// Flags the program may have; IF is always set, reserved bit 1 too.
pub const USER_FLAGS: u64 = 0x24_0dd5;
const FLAG_IF: u64 = 0x200;
/// Trap after each instruction.
pub const FLAG_TF: u64 = 0x100;
const FLAG_AC: u64 = 1 << 18;

global_asm!(
    r#"
    .pushsection .text.entry, "ax"
    .balign 16
    .global trap_stubs
trap_stubs:
    .set v, 0
    .rept 256
    .balign 16
    .if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
    .else
    // push 0: where the CPU pushes no error code.
    .byte 0x6a, 0
    .endif
    // push v
    .byte 0x68
    .long v
    jmp trap_common
    .set v, v + 1
    .endr

trap_common:
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbp, rsp
    call {classify}
    mov rsp, rax
    cmp edx, 1
    je 3f
    ja 4f
    // 0: from the program, on its thread's kernel stack. Backtraces end here.
    xor ebp, ebp
    mov rdi, rsp
    call {from_program}

    // Leaves with the frame at RSP.
    .global trap_exit
trap_exit:
    mov r15, [rsp]
    mov r14, [rsp + 8]
    mov r13, [rsp + 16]
    mov r12, [rsp + 24]
    mov rbp, [rsp + 32]
    mov rbx, [rsp + 40]
    mov r11, [rsp + 48]
    mov r10, [rsp + 56]
    mov r9, [rsp + 64]
    mov r8, [rsp + 72]
    mov rax, [rsp + 80]
    mov rcx, [rsp + 88]
    mov rdx, [rsp + 96]
    mov rsi, [rsp + 104]
    mov rdi, [rsp + 112]
    lea rsp, [rsp + 136]
    mov byte ptr gs:[{IN_KERNEL}], 0
    // Rolled forward from here: the stack holds an iretq frame.
    .global trap_exit_tail, trap_exit_end
trap_exit_tail:
    cmp byte ptr gs:[{PENDING}], 0
    jne 1f
    iretq
1:  mov byte ptr gs:[{IN_KERNEL}], 1
trap_exit_end:
    // Something came up: save it all again.
    mov byte ptr gs:[{KEEP_VECTORS}], 1
    push 0
    push {NO_VECTOR}
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov rdi, rsp
    call {exit_work}
    jmp trap_exit

    // 1: back to the kernel, straight from this stack.
3:  pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    add rsp, 16
    iretq

    // 2: a fault of the copy routines, 3: a noted interrupt on the paravirtual KVM; the frame is on the interrupted
    // kernel stack.
4:  mov rdi, rsp
    mov esi, edx
    call {from_kernel}
    mov rsp, rax
    // Lets interrupts in and goes back. One that lands here starts this over with the same frame, see `half_returned`.
    .global kernel_return, kernel_return_iretq, kernel_return_end
kernel_return:
    mov rax, gs:[{VIF}]
    test rax, rax
    jz 6f
    mov byte ptr [rax], 1
    cmp byte ptr [rax + 1], 0
    je 6f
    // A trap to the hypervisor, which then delivers what is pending (kvm.rs).
    cli
    mov byte ptr [rax], 1
6:  mov r15, [rsp]
    mov r14, [rsp + 8]
    mov r13, [rsp + 16]
    mov r12, [rsp + 24]
    mov rbp, [rsp + 32]
    mov rbx, [rsp + 40]
    mov r11, [rsp + 48]
    mov r10, [rsp + 56]
    mov r9, [rsp + 64]
    mov r8, [rsp + 72]
    mov rax, [rsp + 80]
    mov rcx, [rsp + 88]
    mov rdx, [rsp + 96]
    mov rsi, [rsp + 104]
    mov rdi, [rsp + 112]
    lea rsp, [rsp + 136]
kernel_return_iretq:
    iretq
kernel_return_end:

    // A new thread's first instructions; its trap frame is above.
    .global thread_start
thread_start:
    call {thread_started}
    mov rdi, rsp
    call {exit_work}
    jmp trap_exit

    // leave_with(frame, destination): copies a frame to the top of the stack and leaves with it.
    .global leave_with
leave_with:
    mov rbx, rsi
    mov rcx, 22
    mov rdx, rsi
5:  mov rax, [rdi]
    mov [rdx], rax
    add rdi, 8
    add rdx, 8
    dec rcx
    jnz 5b
    mov rsp, rbx
    mov rdi, rsp
    call {exit_work}
    jmp trap_exit
    .popsection
    "#,
    IN_KERNEL = const IN_KERNEL,
    PENDING = const PENDING,
    KEEP_VECTORS = const KEEP_VECTORS,
    VIF = const VIF,
    NO_VECTOR = const NO_VECTOR,
    classify = sym classify,
    from_program = sym from_program,
    from_kernel = sym from_kernel,
    exit_work = sym exit_work,
    thread_started = sym task::thread_started,
);

unsafe extern "C" {
    /// 256 stubs of 16 bytes.
    pub fn trap_stubs();
    /// Entry of a new thread.
    pub fn thread_start();
    #[link_name = "leave_with"]
    fn leave_with_raw(frame: *const TrapFrame, destination: usize) -> !;
}

/// Where a trap frame stands on the stack of the running thread.
pub fn frame_address(stack_top: usize) -> usize {
    stack_top - FRAME_SIZE
}

/// Leaves the kernel with these registers (rt_sigreturn).
pub fn leave_with(frame: &TrapFrame) -> ! {
    // SAFETY: the destination is the top of the running thread's stack, above `frame`, which lies in a deeper call.
    unsafe { leave_with_raw(frame, frame_address(task::current().stack_top())) }
}

/// What `trap_common` gets: the new stack pointer, and what to do there.
#[repr(C)]
struct Verdict {
    stack: usize,
    action: u64,
}

const FROM_PROGRAM: u64 = 0;
const RETURN_TO_KERNEL: u64 = 1;
const SERVE_KERNEL_FAULT: u64 = 2;
const RETURN_TO_KERNEL_PARAVIRTUAL: u64 = 3;

/// Runs on the IST stack; see the module's head.
extern "C" fn classify(frame: &mut TrapFrame) -> Verdict {
    let cpu = this_cpu();
    let here = core::ptr::from_mut(frame) as usize;
    let vector = frame.vector;
    if matches!(vector, 2 | 8 | 18) {
        return fatal_vector(frame, here);
    }
    let from_program = roll(frame);
    sampler::on_interrupt(frame, from_program);
    if vector >= 32 {
        interrupts::note(vector as usize);
    }
    if from_program {
        cpu.in_kernel.store(1, Ordering::Relaxed);
        cpu.keep_vectors.store(1, Ordering::Relaxed);
        if vector == 14 {
            FAULT_ADDRESS[cpu.id()].store(kvm::fault_address(), Ordering::Relaxed);
        }
        let stack = frame_address(task::current().stack_top());
        // SAFETY: the thread was in the program, so its kernel stack is empty.
        unsafe { (stack as *mut TrapFrame).write(*frame) };
        return Verdict {
            stack,
            action: FROM_PROGRAM,
        };
    }
    if vector >= 32 {
        if !kvm::paravirtual() {
            return Verdict {
                stack: here,
                action: RETURN_TO_KERNEL,
            };
        }
        frame.rip = kvm::leave_halt(frame.rip);
        return Verdict {
            stack: half_returned(frame).unwrap_or_else(|| move_to_kernel_stack(frame)),
            action: RETURN_TO_KERNEL_PARAVIRTUAL,
        };
    }
    let rip = frame.rip as usize;
    if crate::memory::user::may_fault(rip) || super::fpu::fixup(rip).is_some() {
        if vector == 14 {
            FAULT_ADDRESS[cpu.id()].store(kvm::fault_address(), Ordering::Relaxed);
        }
        return Verdict {
            stack: move_to_kernel_stack(frame),
            action: SERVE_KERNEL_FAULT,
        };
    }
    let fixup = crate::memory::user::fixup_at_once(rip);
    if let Some(fixup) = fixup {
        frame.rip = fixup as u64;
    }
    // The program's own flags, which a rewritten `syscall` does not clear, may strike in the kernel: here they end.
    let stepped = vector == 1 && frame.rflags & FLAG_TF != 0;
    let misaligned = vector == 17 && frame.rflags & FLAG_AC != 0;
    if fixup.is_some() || stepped || misaligned {
        frame.rflags &= !(FLAG_TF | FLAG_AC);
        return match kvm::paravirtual() {
            true => Verdict {
                stack: move_to_kernel_stack(frame),
                action: RETURN_TO_KERNEL_PARAVIRTUAL,
            },
            false => Verdict {
                stack: here,
                action: RETURN_TO_KERNEL,
            },
        };
    }
    crate::panic::trap(frame)
}

static FAULT_ADDRESS: [AtomicU64; super::percpu::MAX_CPUS] =
    [const { AtomicU64::new(0) }; super::percpu::MAX_CPUS];

/// NMI, double fault, machine check.
fn fatal_vector(frame: &mut TrapFrame, here: usize) -> Verdict {
    if frame.vector == 2 && !crate::panic::stopping() {
        return Verdict {
            stack: here,
            action: RETURN_TO_KERNEL,
        };
    }
    crate::panic::trap(frame)
}

/// Second half of a trap from the program, on the thread's kernel stack.
extern "C" fn from_program(frame: &mut TrapFrame) {
    let address = FAULT_ADDRESS[this_cpu().id()].load(Ordering::Relaxed);
    interrupts::unmask();
    if frame.vector < 32 {
        task::signal::fault::exception(frame, address as usize);
    }
    exit_work(frame);
}

/// Second half of a trap from the kernel, on the interrupted kernel stack: 2 is a copy routine's fault.
extern "C" fn from_kernel(frame: &mut TrapFrame, action: u64) -> usize {
    let address = FAULT_ADDRESS[this_cpu().id()].load(Ordering::Relaxed);
    if action == SERVE_KERNEL_FAULT {
        interrupts::unmask();
        let served =
            frame.vector == 14 && task::signal::fault::of_copy(address as usize, frame.error);
        if !served {
            let rip = frame.rip as usize;
            let fixup = super::fpu::fixup(rip).unwrap_or_else(|| crate::memory::user::fixup(rip));
            frame.rip = fixup as u64;
        }
    }
    frame.cs = kernel_cs();
    frame.ss = kernel_ss();
    core::ptr::from_mut(frame) as usize
}

/// The program's system call by an instruction that was not rewritten.
pub extern "C" fn unpatched_syscall(frame: &mut TrapFrame) {
    frame.rax = crate::syscall::dispatch_slow(frame) as u64;
    exit_work(frame);
}

/// Everything that is due before the program goes on: noted interrupts, timers, a switch, signals. Called with the
/// frame that will be left with, which signals may rewrite.
pub extern "C" fn exit_work(frame: &mut TrapFrame) {
    // Each round may move us to another CPU.
    while this_cpu().pending.swap(0, Ordering::Relaxed) != 0 {
        interrupts::handle_noted();
        crate::time::run_expired();
        task::profile::pass_on();
        task::preempt_if_due();
        task::move_to_allowed_cpu();
        task::signal::deliver(frame);
    }
    task::signal::restart_call(frame);
    let cpu = this_cpu();
    crate::time::program_hardware();
    cpu.keep_vectors.store(0, Ordering::Relaxed);
    frame.cs = kernel_cs();
    frame.ss = kernel_ss();
    frame.rflags = frame.rflags & USER_FLAGS | FLAG_IF | 2;
}

/// The selectors that iretq wants: on the paravirtual KVM the hardware's view shows through.
fn kernel_cs() -> u64 {
    if kvm::paravirtual() {
        0x33
    } else {
        u64::from(super::gdt::CODE)
    }
}

fn kernel_ss() -> u64 {
    if kvm::paravirtual() {
        0x2b
    } else {
        u64::from(super::gdt::DATA)
    }
}

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: nothing will run here any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Faults with a frame pointer that leads nowhere: what a test asks for.
pub fn lose_frames() {
    // SAFETY: it is meant to end the kernel, and does not come back.
    unsafe { asm!("mov rbp, {}", "ud2", in(reg) 0xffff_f000_dead_0000_u64, options(noreturn)) }
}

/// Reads where nothing is mapped: for crash_test.rs.
pub fn read_nowhere() {
    const NOWHERE: *const u64 = 0xffff_f000_dead_0000 as *const u64;
    // SAFETY: none; the page fault this raises is its purpose, and the kernel stops there.
    unsafe { core::hint::black_box(NOWHERE.read_volatile()) };
}

/// Writes to the kernel's text by its address in the map of all memory: for crash_test.rs.
pub fn write_text() {
    let text = trap_stubs as *const () as usize;
    let again = crate::memory::phys_to_virt(crate::memory::kernel_phys(text));
    // SAFETY: none; the page fault this raises is its purpose, and the kernel stops there.
    unsafe { (again as *mut u64).write_volatile(0) };
}

/// Writes to the page behind a large block of the heap: for crash_test.rs.
pub fn write_behind(block: &[u8]) {
    let end = block.as_ptr_range().end as usize;
    let behind = end.next_multiple_of(crate::memory::paging::PAGE);
    // SAFETY: none; see above.
    unsafe { (behind as *mut u64).write_volatile(0) };
}
