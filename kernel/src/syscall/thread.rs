//! Threads and their scheduling: arguments.
use crate::cpu::{entry::SyscallFrame, msr, percpu};
use crate::memory::user;
use crate::task::process::ExitStatus;
use crate::task::{self, PID};
use core::sync::atomic::Ordering;
use ringo_abi::{Errno, SysResult};

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;

/// sched_yield(2).
pub fn sched_yield() -> SysResult {
    task::yield_now();
    Ok(0)
}

/// getpid(2).
pub fn getpid() -> SysResult {
    Ok(PID as usize)
}

/// gettid(2).
pub fn gettid() -> SysResult {
    Ok(task::current().tid() as usize)
}

/// clone(2).
pub fn clone(frame: &mut SyscallFrame) -> SysResult {
    task::clone(frame)
}

/// exit(2).
pub fn exit(status: i32) -> SysResult {
    task::exit_thread(status)
}

/// exit_group(2).
pub fn exit_group(status: i32) -> SysResult {
    task::exit_group(ExitStatus::Code(status as u8))
}

/// set_tid_address(2).
pub fn set_tid_address(addr: usize) -> SysResult {
    let thread = task::current();
    thread.clear_child_tid.store(addr, Ordering::Relaxed);
    Ok(thread.tid() as usize)
}

/// arch_prctl(2).
pub fn arch_prctl(code: i32, addr: usize) -> SysResult {
    match code {
        ARCH_SET_FS if !user::in_range(addr, 0) => Err(Errno::EPERM),
        ARCH_SET_FS => {
            msr::set_fs_base(addr);
            Ok(0)
        }
        ARCH_GET_FS => user::write(addr, &msr::fs_base()).map(|()| 0),
        ARCH_GET_GS => user::write(addr, &0usize).map(|()| 0),
        ARCH_SET_GS => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// The thread that `pid` names to the sched_* calls: 0 is the caller.
fn target(pid: i32) -> Result<&'static task::Thread, Errno> {
    match pid {
        0 => Ok(task::current()),
        1.. => task::thread::by_tid(pid).ok_or(Errno::ESRCH),
        _ => Err(Errno::ESRCH),
    }
}

/// All online CPUs, a bit each.
fn online() -> u64 {
    u64::MAX >> (64 - percpu::cpu_count())
}

/// sched_getaffinity(2): gives the size of the mask.
pub fn sched_getaffinity(pid: i32, len: u32, mask: usize) -> SysResult {
    const MASK_BYTES: usize = 8;
    // Linux counts bits in 32 bits, too.
    let len = (len.wrapping_mul(8) / 8) as usize;
    if len < MASK_BYTES || !len.is_multiple_of(MASK_BYTES) {
        return Err(Errno::EINVAL);
    }
    let affinity = target(pid)?.affinity.load(Ordering::Relaxed) & online();
    user::write(mask, &affinity)?;
    Ok(MASK_BYTES)
}

/// sched_setaffinity(2).
pub fn sched_setaffinity(pid: i32, len: usize, mask: usize) -> SysResult {
    let mut bytes = [0; 8];
    let used = len.min(8);
    user::copy_in(&mut bytes[..used], mask)?;
    let wanted = u64::from_le_bytes(bytes) & online();
    let thread = target(pid)?;
    if wanted == 0 {
        return Err(Errno::EINVAL);
    }
    task::set_affinity(thread, wanted);
    Ok(0)
}

/// sizeof(struct robust_list_head).
const ROBUST_HEAD: usize = 24;

/// set_robust_list(2).
pub fn set_robust_list(head: usize, length: usize) -> SysResult {
    if length != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    task::current().robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2).
pub fn get_robust_list(pid: i32, head: usize, length: usize) -> SysResult {
    let list = target(pid)?.robust_list.load(Ordering::Relaxed);
    user::write(length, &ROBUST_HEAD)?;
    user::write(head, &list)?;
    Ok(0)
}
