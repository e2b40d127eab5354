//! Policies and priorities of threads: kept and told, without effect (task/attributes.rs).
use super::process::own;
use crate::memory::user;
use crate::task::{self, Thread, thread};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The thread that a sched_* call means: 0 is the caller.
fn target(pid: i32) -> Result<&'static Thread, Errno> {
    match pid {
        ..0 => Err(Errno::EINVAL),
        0 => Ok(task::current()),
        _ => thread::by_tid(pid).ok_or(Errno::ESRCH),
    }
}

/// Calls `f` for the threads that which and who of getpriority(2) and ioprio_get(2) name; `kinds` are the call's numbers
/// for a thread, the group and the user.
fn for_each(
    kinds: [u32; 3],
    which: u32,
    who: i32,
    mut f: impl FnMut(&'static Thread) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let [one, group, user] = kinds;
    if which == one {
        let thread = match who {
            0 => Some(task::current()),
            _ => thread::by_tid(who),
        };
        return f(thread.ok_or(Errno::ESRCH)?);
    }
    if which == group {
        own(who)?;
    } else if which != user {
        return Err(Errno::EINVAL);
    } else if who != 0 && who.cast_unsigned() != task::credentials().user.real() {
        return Err(Errno::ESRCH);
    }
    let mut result = Ok(());
    thread::find(|thread| {
        result = result.and(f(thread));
        false
    });
    result
}

const PRIORITY_KINDS: [u32; 3] = [abi::PRIO_PROCESS, abi::PRIO_PGRP, abi::PRIO_USER];

/// getpriority(2): 20 less the nice value, of the most favoured thread.
pub fn getpriority(which: u32, who: i32) -> SysResult {
    let mut lowest = 19;
    for_each(PRIORITY_KINDS, which, who, |thread| {
        lowest = lowest.min(thread.attributes.nice.load(Ordering::Relaxed));
        Ok(())
    })?;
    Ok((20 - lowest) as usize)
}

/// setpriority(2).
pub fn setpriority(which: u32, who: i32, nice: i32) -> SysResult {
    let nice = nice.clamp(-20, 19);
    let privileged = task::credentials().privileged();
    for_each(PRIORITY_KINDS, which, who, |thread| {
        let current = &thread.attributes.nice;
        if nice < current.load(Ordering::Relaxed) && !privileged {
            return Err(Errno::EACCES);
        }
        current.store(nice, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(0)
}

/// The highest I/O class, and where the class stands in a priority.
const IO_CLASS_IDLE: u32 = 3;
const IO_CLASS_SHIFT: u32 = 13;
/// IOPRIO_WHO_PROCESS, _PGRP, _USER.
const IO_KINDS: [u32; 3] = [1, 2, 3];

/// ioprio_set(2).
pub fn ioprio_set(which: u32, who: i32, priority: u32) -> SysResult {
    let (class, level) = (priority >> IO_CLASS_SHIFT, priority & 7);
    match class {
        // Real time is for the administrator.
        1 if !task::credentials().privileged() => return Err(Errno::EPERM),
        0 if level != 0 => return Err(Errno::EINVAL),
        0..=IO_CLASS_IDLE => {}
        _ => return Err(Errno::EINVAL),
    }
    for_each(IO_KINDS, which, who, |thread| {
        let kept = &thread.attributes.io_priority;
        kept.store(priority, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(0)
}

/// ioprio_get(2): the best of the threads'.
pub fn ioprio_get(which: u32, who: i32) -> SysResult {
    let mut best: Option<u32> = None;
    for_each(IO_KINDS, which, who, |thread| {
        let priority = thread.attributes.io_priority.load(Ordering::Relaxed);
        best = Some(best.map_or(priority, |best| best.min(priority)));
        Ok(())
    })?;
    Ok(best.unwrap_or(0) as usize)
}

/// What sched_setscheduler(2) and kin may ask for.
fn set_policy(thread: &Thread, policy: u32, priority: i32) -> SysResult {
    match policy & !abi::SCHED_RESET_ON_FORK {
        abi::SCHED_NORMAL | abi::SCHED_BATCH | abi::SCHED_IDLE if priority == 0 => {
            thread.attributes.policy.store(policy, Ordering::Relaxed);
            Ok(0)
        }
        abi::SCHED_FIFO | abi::SCHED_RR if (1..=99).contains(&priority) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_getscheduler(2).
pub fn sched_getscheduler(pid: i32) -> SysResult {
    Ok(target(pid)?.attributes.policy.load(Ordering::Relaxed) as usize)
}

/// sched_setscheduler(2).
pub fn sched_setscheduler(pid: i32, policy: u32, parameter: usize) -> SysResult {
    if policy.cast_signed() < 0 || pid < 0 || parameter == 0 {
        return Err(Errno::EINVAL);
    }
    let priority: i32 = user::read(parameter)?;
    set_policy(target(pid)?, policy, priority)
}

/// sched_getparam(2): the priority, which only real-time policies have.
pub fn sched_getparam(pid: i32, parameter: usize) -> SysResult {
    if parameter == 0 {
        return Err(Errno::EINVAL);
    }
    target(pid)?;
    user::write(parameter, &0i32).map(|()| 0)
}

/// sched_setparam(2).
pub fn sched_setparam(pid: i32, parameter: usize) -> SysResult {
    if pid < 0 || parameter == 0 {
        return Err(Errno::EINVAL);
    }
    let priority: i32 = user::read(parameter)?;
    let thread = target(pid)?;
    let policy = thread.attributes.policy.load(Ordering::Relaxed);
    set_policy(thread, policy, priority)
}

/// Bytes of the first struct sched_attr, and of the one with the utilisation clamps.
const ATTR_FIRST: u32 = 48;
const ATTR: u32 = 56;
/// What Linux tells as the slice of ordinary threads.
const SLICE_NS: u64 = 2_800_000;

/// Reads a struct sched_attr, which may be a newer one if it only has zeros more.
fn read_attr(at: usize) -> Result<[u32; ATTR as usize / 4], Errno> {
    let size = match user::read(at)? {
        0 => ATTR_FIRST,
        size => size,
    };
    let mut words = [0u32; ATTR as usize / 4];
    let mut too_big = !(ATTR_FIRST..=4096).contains(&size) || size % 4 != 0;
    if !too_big {
        for index in 0..size as usize / 4 {
            let word: u32 = user::read(at.wrapping_add(index * 4))?;
            match words.get_mut(index) {
                Some(slot) => *slot = word,
                None => too_big |= word != 0,
            }
        }
    }
    if too_big {
        // The program learns what would be understood.
        user::write(at, &ATTR)?;
        return Err(Errno::E2BIG);
    }
    Ok(words)
}

/// sched_setattr(2).
pub fn sched_setattr(pid: i32, at: usize, flags: u32) -> SysResult {
    /// SCHED_FLAG_*.
    const RESET_ON_FORK: u64 = 1;
    const KEEP_POLICY: u64 = 8;
    const KEEP_PARAMS: u64 = 16;
    const KNOWN: u64 = RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMS;
    if at == 0 || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let words = read_attr(at)?;
    let asked = u64::from(words[2]) | u64::from(words[3]) << 32;
    let (policy, nice, priority) = (words[1], words[4].cast_signed(), words[5].cast_signed());
    if policy.cast_signed() < 0 || asked & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let thread = target(pid)?;
    if asked & KEEP_POLICY == 0 {
        let reset = asked & RESET_ON_FORK != 0;
        let reset = u32::from(reset) * abi::SCHED_RESET_ON_FORK;
        set_policy(thread, policy | reset, priority)?;
    }
    if asked & KEEP_PARAMS == 0 {
        let kept = &thread.attributes.nice;
        kept.store(nice.clamp(-20, 19), Ordering::Relaxed);
    }
    Ok(0)
}

/// sched_getattr(2).
pub fn sched_getattr(pid: i32, at: usize, size: u32, flags: u32) -> SysResult {
    if at == 0 || pid < 0 || !(ATTR_FIRST..=4096).contains(&size) || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let attributes = &target(pid)?.attributes;
    let policy = attributes.policy.load(Ordering::Relaxed);
    let nice = attributes.nice.load(Ordering::Relaxed);
    let length = size.min(ATTR);
    // Size and policy, flags, nice value and priority, slice, deadline, period, clamps.
    let words: [u64; 7] = [
        u64::from(length) | u64::from(policy & !abi::SCHED_RESET_ON_FORK) << 32,
        u64::from(policy & abi::SCHED_RESET_ON_FORK != 0),
        u64::from(nice.cast_unsigned()),
        SLICE_NS,
        0,
        0,
        0,
    ];
    let mut bytes = [0; ATTR as usize];
    for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
        slot.copy_from_slice(&word.to_ne_bytes());
    }
    user::copy_out(at, &bytes[..length as usize])?;
    Ok(0)
}

/// sched_get_priority_max(2).
pub fn sched_get_priority_max(policy: u32) -> SysResult {
    match policy {
        abi::SCHED_FIFO | abi::SCHED_RR => Ok(99),
        abi::SCHED_NORMAL | abi::SCHED_BATCH | abi::SCHED_IDLE | abi::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_min(2).
pub fn sched_get_priority_min(policy: u32) -> SysResult {
    sched_get_priority_max(policy).map(|max| max.min(1))
}

/// sched_rr_get_interval(2).
pub fn sched_rr_get_interval(pid: i32, at: usize) -> SysResult {
    target(pid)?;
    user::write(at, &[0, SLICE_NS]).map(|()| 0)
}

/// getcpu(2).
pub fn getcpu(cpu: usize, node: usize, _cache: usize) -> SysResult {
    if cpu != 0 {
        let id = crate::cpu::percpu::this_cpu().id() as u32;
        user::write(cpu, &id)?;
    }
    if node != 0 {
        user::write(node, &0u32)?;
    }
    Ok(0)
}
