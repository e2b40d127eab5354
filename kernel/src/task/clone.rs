//! The beginning and the end of a thread: clone(2) as runtime.newosproc uses it, exit(2).
use super::context;
use super::futex;
use super::process::ExitStatus;
use super::sched;
use super::shared_word;
use super::thread::{State, Thread};
use crate::cpu::entry::SyscallFrame;
use crate::cpu::trap::{NO_VECTOR, TrapFrame};
use crate::cpu::{self, percpu::this_cpu};
use crate::memory::user;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The signal for the end of a child.
const CSIGNAL: usize = 0xff;
const CLONE_VM: usize = abi::CLONE_VM as usize;
const CLONE_THREAD: usize = abi::CLONE_THREAD as usize;
const CLONE_SIGHAND: usize = abi::CLONE_SIGHAND as usize;
const CLONE_SETTLS: usize = abi::CLONE_SETTLS as usize;
const CLONE_PARENT_SETTID: usize = abi::CLONE_PARENT_SETTID as usize;
const CLONE_CHILD_CLEARTID: usize = abi::CLONE_CHILD_CLEARTID as usize;
const CLONE_CHILD_SETTID: usize = abi::CLONE_CHILD_SETTID as usize;

/// clone(2). Only threads: what would make a process gets ENOSYS, as an image of one program has no second one.
///
/// # Errors
/// ENOSYS, EINVAL for flags that do not go together, EAGAIN, EFAULT.
pub fn clone(frame: &SyscallFrame) -> SysResult {
    let (flags, stack, parent_tid, child_tid, tls) =
        (frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8);
    if flags & CLONE_THREAD != 0 && flags & CLONE_SIGHAND == 0
        || flags & CLONE_SIGHAND != 0 && flags & CLONE_VM == 0
    {
        return Err(Errno::EINVAL);
    }
    if flags & CLONE_VM == 0 || flags & CLONE_THREAD == 0 {
        crate::klog!(
            "clone without CLONE_VM and CLONE_THREAD: processes are not provided (ENOSYS)"
        );
        // With a signal for its end, that is: package os tries without one whether clone(2) knows CLONE_PIDFD.
        if flags & CSIGNAL != 0 {
            super::note_another_program();
        }
        return Err(Errno::ENOSYS);
    }
    if flags & CLONE_SETTLS != 0 && !user::in_range(tls, 0) {
        return Err(Errno::EPERM);
    }
    let parent = super::current();
    let child = Thread::create(true)?;
    let tid = child.tid();
    let written = (flags & CLONE_PARENT_SETTID == 0 || user::write(parent_tid, &tid).is_ok())
        && (flags & CLONE_CHILD_SETTID == 0 || user::write(child_tid, &tid).is_ok());
    if !written {
        child.unregister();
        child.retire();
        return Err(Errno::EFAULT);
    }
    if flags & CLONE_CHILD_CLEARTID != 0 {
        child.clear_child_tid.store(child_tid, Ordering::Relaxed);
    }
    let fs_base = if flags & CLONE_SETTLS != 0 {
        tls
    } else {
        cpu::msr::fs_base()
    };
    child.fs_base.store(fs_base, Ordering::Relaxed);
    child.signals.inherit(&parent.signals);
    child.credentials.inherit(&parent.credentials);
    child.attributes.inherit(&parent.attributes);
    child
        .affinity
        .store(parent.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
    *child.name.lock() = *parent.name.lock();
    let mut registers = frame.to_trap();
    registers.rax = 0;
    if stack != 0 {
        registers.rsp = stack as u64;
    }
    start(child, &registers);
    Ok(tid as usize)
}

/// Makes a thread that has never run runnable, beginning in the program with `registers`.
fn start(thread: &'static Thread, registers: &TrapFrame) {
    thread.saved_sp.store(
        cpu::prepare_stack(thread.stack_top(), registers),
        Ordering::Relaxed,
    );
    thread
        .last_cpu
        .store(this_cpu().id() as u32, Ordering::Relaxed);
    thread.set_state(State::Runnable);
    sched::enqueue(thread);
}

/// Starts the program's first thread at `entry` with its stack pointer at `stack`; it is called as the file at `path` is.
///
/// # Errors
/// EAGAIN: no memory.
pub fn start_program(entry: usize, stack: usize, path: &[u8]) -> Result<(), Errno> {
    let thread = Thread::create(true)?;
    thread.credentials.inherit(&super::current().credentials);
    thread.set_name(path.rsplit(|&byte| byte == b'/').next().unwrap_or(path));
    let registers = TrapFrame {
        rip: entry as u64,
        rsp: stack as u64,
        vector: NO_VECTOR,
        ..TrapFrame::default()
    };
    start(thread, &registers);
    Ok(())
}

/// First thing a new thread does, from `thread_start` (cpu/trap.rs).
pub extern "C" fn thread_started() {
    super::finish_switch();
    let thread = super::current();
    context::load(thread);
}

/// exit(2): ends the calling thread, and the program with the last one.
pub fn exit_thread(status: i32) -> ! {
    let thread = super::current();
    super::robust::release(thread);
    let clear = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    if clear != 0 && user::write(clear, &0u32).is_ok() {
        futex::wake(shared_word::shared(clear), 1, u32::MAX);
    }
    if !thread.unregister_unless_last() {
        super::exit_group(ExitStatus::Code(status as u8));
    }
    // After it can no longer be chosen: see send_process.
    super::signal::thread_ends();
    super::process().thread_ends(thread);
    sched::schedule(thread);
    unreachable!("a dead thread was switched to")
}
