//! The process and its place among others: ids, groups, sessions, limits, children. There is one process, the
//! leader of its group and session, without children. identity.rs has users and groups.
use crate::memory::paging::PAGE;
use crate::memory::{space, user};
use crate::task::{self, PARENT_PID, PID, limits, process, thread};
use core::sync::atomic::{AtomicI32, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Refuses pids but 0 and our own.
pub(super) fn own(pid: i32) -> Result<(), Errno> {
    match pid {
        0 => Ok(()),
        _ if thread::by_tid(pid).is_some() => Ok(()),
        _ => Err(Errno::ESRCH),
    }
}

/// getppid(2).
pub fn getppid() -> SysResult {
    Ok(PARENT_PID as usize)
}

/// getpgid(2).
pub fn getpgid(pid: i32) -> SysResult {
    own(pid).map(|()| PID as usize)
}

/// getpgrp(2).
pub fn getpgrp() -> SysResult {
    Ok(PID as usize)
}

/// getsid(2).
pub fn getsid(pid: i32) -> SysResult {
    own(pid).map(|()| PID as usize)
}

/// setsid(2): it leads its group already.
pub fn setsid() -> SysResult {
    Err(Errno::EPERM)
}

/// setpgid(2): a session's leader stays where it is.
pub fn setpgid(pid: i32, group: i32) -> SysResult {
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    own(pid)?;
    Err(Errno::EPERM)
}

/// getrlimit(2).
pub fn getrlimit(resource: u32, at: usize) -> SysResult {
    user::write(at, &limits::get(resource)?).map(|()| 0)
}

/// setrlimit(2).
pub fn setrlimit(resource: u32, at: usize) -> SysResult {
    limits::set(resource, user::read(at)?).map(|()| 0)
}

/// prlimit64(2).
pub fn prlimit64(pid: i32, resource: u32, new: usize, old: usize) -> SysResult {
    let wanted: Option<[u64; 2]> = match new {
        0 => None,
        at => Some(user::read(at)?),
    };
    own(pid)?;
    let before = limits::get(resource)?;
    if let Some(wanted) = wanted {
        limits::set(resource, wanted)?;
    }
    if old != 0 {
        user::write(old, &before)?;
    }
    Ok(0)
}

/// getrusage(2).
pub fn getrusage(who: i32, at: usize) -> SysResult {
    const SELF: i32 = 0;
    const CHILDREN: i32 = -1;
    const THREAD: i32 = 1;
    let mut usage = [0u64; 18];
    let mut cpu = 0;
    match who {
        SELF => {
            let totals = process().totals();
            usage[8] = totals.faults;
            [usage[16], usage[17]] = totals.switches;
            cpu = process().cpu_time();
        }
        CHILDREN => {}
        THREAD => {
            let thread = task::current();
            usage[8] = thread.faults.load(Ordering::Relaxed);
            usage[16] = u64::from(thread.switches[0].load(Ordering::Relaxed));
            usage[17] = u64::from(thread.switches[1].load(Ordering::Relaxed));
            cpu = thread.cpu_time_now();
        }
        _ => return Err(Errno::EINVAL),
    }
    // All time is the program's: kernel and program are not told apart.
    [usage[0], usage[1]] = crate::time::convert::timeval(cpu);
    if who != CHILDREN {
        let peak = space().lock().resident_peak;
        usage[4] = (peak * PAGE / 1024) as u64;
    }
    user::write(at, &usage).map(|()| 0)
}

/// wait4(2): no children. The pid cannot be negated away: i32::MIN is Linux's ESRCH.
pub fn wait4(pid: i32, _status: usize, options: u32, _usage: usize) -> SysResult {
    let known = abi::WNOHANG | abi::WUNTRACED | abi::WCONTINUED | abi::__WNOTHREAD | abi::__WALL;
    if options & !(known | abi::__WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    Err(Errno::ECHILD)
}

/// waitid(2).
pub fn waitid(kind: u32, id: i32, info: usize, options: u32, _usage: usize) -> SysResult {
    const EVENTS: u32 = abi::WEXITED | abi::WSTOPPED | abi::WCONTINUED;
    const KNOWN: u32 =
        EVENTS | abi::WNOHANG | abi::WNOWAIT | abi::__WNOTHREAD | abi::__WCLONE | abi::__WALL;
    let known = options & !KNOWN == 0 && options & EVENTS != 0;
    let result = match kind {
        _ if !known => Err(Errno::EINVAL),
        abi::P_ALL => Err(Errno::ECHILD),
        abi::P_PID if id > 0 => Err(Errno::ECHILD),
        abi::P_PGID if id >= 0 => Err(Errno::ECHILD),
        abi::P_PIDFD if id >= 0 => super::pidfd::check(id).and(Err(Errno::ECHILD)),
        _ => Err(Errno::EINVAL),
    };
    // Linux tells, in any case, of nothing: signal, error and code, then who it was, and its status.
    if info != 0 {
        user::write(info, &[0u32; 3])?;
        user::write(info + 16, &[0u32; 3])?;
    }
    result
}

/// The image of one program has no second one.
fn no_other_program() -> SysResult {
    task::note_another_program();
    Err(Errno::ENOSYS)
}

/// fork(2).
pub fn fork() -> SysResult {
    no_other_program()
}

/// vfork(2).
pub fn vfork() -> SysResult {
    no_other_program()
}

/// execve(2).
pub fn execve(_path: usize, _argv: usize, _envp: usize) -> SysResult {
    no_other_program()
}

/// execveat(2).
pub fn execveat(_dir: i32, _path: usize, _argv: usize, _envp: usize, _flags: u32) -> SysResult {
    no_other_program()
}

/// personality(2): PER_LINUX, which nothing can change; 0xffffffff asks.
pub fn personality(persona: u32) -> SysResult {
    match persona {
        0 | u32::MAX => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// membarrier(2): commands by a store barrier on every CPU that runs the program.
pub fn membarrier(command: i32, flags: u32, _cpu: i32) -> SysResult {
    const QUERY: i32 = 0;
    const GLOBAL: i32 = 1;
    const GLOBAL_EXPEDITED: i32 = 2;
    const REGISTER_GLOBAL_EXPEDITED: i32 = 4;
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
    const GET_REGISTRATIONS: i32 = 512;
    /// What the process has said it will use.
    static REGISTERED: AtomicI32 = AtomicI32::new(0);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let registered = REGISTERED.load(Ordering::Relaxed);
    match command {
        QUERY => Ok((GLOBAL
            | GLOBAL_EXPEDITED
            | REGISTER_GLOBAL_EXPEDITED
            | PRIVATE_EXPEDITED
            | REGISTER_PRIVATE_EXPEDITED
            | GET_REGISTRATIONS) as usize),
        REGISTER_GLOBAL_EXPEDITED | REGISTER_PRIVATE_EXPEDITED => {
            REGISTERED.fetch_or(command, Ordering::Relaxed);
            Ok(0)
        }
        GET_REGISTRATIONS => Ok(registered as usize),
        PRIVATE_EXPEDITED if registered & REGISTER_PRIVATE_EXPEDITED == 0 => Err(Errno::EPERM),
        // Reaches processes that have registered, if any.
        GLOBAL_EXPEDITED if registered & REGISTER_GLOBAL_EXPEDITED == 0 => Ok(0),
        GLOBAL | GLOBAL_EXPEDITED | PRIVATE_EXPEDITED => {
            // An answered flush request is a full barrier there.
            crate::cpu::tlb::flush_all();
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
