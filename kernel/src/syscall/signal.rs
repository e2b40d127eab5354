//! Signals: arguments (signal(7) and the pages of each call).
use crate::cpu::entry::SyscallFrame;
use crate::memory::user;
use crate::sync::Wait;
use crate::task::signal::{
    Action, AltStack, MAX_SIGNAL, SI_TKILL, SI_USER, SigInfo, UNBLOCKABLE, bit, frame, send_by_call,
};
use crate::task::thread::ThreadRef;
use crate::task::{PARENT_PID, PID, current, process};
use crate::time;
use crate::time::convert::read_timespec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const SET_SIZE: usize = 8;
const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SS_AUTODISARM: u32 = 1 << 31;
const MINSIGSTKSZ: usize = 2048;

fn check_set_size(size: usize) -> Result<(), Errno> {
    if size == SET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// rt_sigaction(2).
pub fn rt_sigaction(signo: i32, new: usize, old: usize, size: usize) -> SysResult {
    check_set_size(size)?;
    let new = match new {
        0 => None,
        at => {
            let [handler, flags, restorer, mask]: [u64; 4] = user::read(at)?;
            Some(Action {
                handler: handler as usize,
                flags,
                restorer: restorer as usize,
                mask: mask & !UNBLOCKABLE,
            })
        }
    };
    if !(1..=MAX_SIGNAL).contains(&signo) || new.is_some() && bit(signo) & UNBLOCKABLE != 0 {
        return Err(Errno::EINVAL);
    }
    let signals = &process().signals;
    let before = signals.action(signo);
    if let Some(action) = new {
        signals.set_action(signo, action);
    }
    if old != 0 {
        user::write(
            old,
            &[
                before.handler as u64,
                before.flags,
                before.restorer as u64,
                before.mask,
            ],
        )?;
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(how: i32, set: usize, old: usize, size: usize) -> SysResult {
    check_set_size(size)?;
    let signals = &current().signals;
    let before = signals.mask();
    if set != 0 {
        let set: u64 = user::read(set)?;
        let mask = match how as u32 {
            abi::SIG_BLOCK => before | set,
            abi::SIG_UNBLOCK => before & !set,
            abi::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        signals.set_mask(mask);
    }
    if old != 0 {
        user::write(old, &before)?;
    }
    Ok(0)
}

/// rt_sigreturn(2).
pub fn rt_sigreturn(frame: &mut SyscallFrame) -> SysResult {
    frame::sigreturn(frame)
}

/// sigaltstack(2).
pub fn sigaltstack(frame: &mut SyscallFrame) -> SysResult {
    let (new, old) = (frame.rdi, frame.rsi);
    let signals = &current().signals;
    let before = *signals.alt_stack.lock();
    let on_it = before.contains(frame.rsp);
    if new != 0 {
        let [base, flags, size]: [u64; 3] = user::read(new)?;
        let flags = flags as u32;
        if on_it {
            return Err(Errno::EPERM);
        }
        if flags & !(SS_ONSTACK | SS_DISABLE | SS_AUTODISARM) != 0 {
            return Err(Errno::EINVAL);
        }
        let stack = if flags & SS_DISABLE != 0 {
            AltStack::default()
        } else if (size as usize) < MINSIGSTKSZ {
            return Err(Errno::ENOMEM);
        } else {
            AltStack {
                base: base as usize,
                size: size as usize,
                flags: flags & SS_AUTODISARM,
            }
        };
        *signals.alt_stack.lock() = stack;
    }
    if old != 0 {
        let flags = if before.size == 0 {
            SS_DISABLE
        } else if on_it {
            SS_ONSTACK
        } else {
            0
        } | before.flags;
        user::write(
            old,
            &[before.base as u64, u64::from(flags), before.size as u64],
        )?;
    }
    Ok(0)
}

fn check_signal(signo: i32) -> Result<(), Errno> {
    if (0..=MAX_SIGNAL).contains(&signo) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Whether `pid` names the process: by its own number or, as Linux has it, that of any of its threads.
fn names_process(pid: i32) -> bool {
    pid == PID || pid > 0 && ThreadRef::find(pid).is_some()
}

/// Whether a thread may claim the kernel's or kill(2)'s word for a signal that it sends: only to its own number.
fn may_claim(info: &SigInfo, to: i32) -> Result<(), Errno> {
    if (info.code >= 0 || info.code == SI_TKILL) && to != current().tid() {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// kill(2): there is one process, alone in its group.
pub fn kill(pid: i32, signo: i32) -> SysResult {
    // The parent is there, as whoever watches it sees (signal 0), but beyond the VM.
    if pid == PARENT_PID {
        check_signal(signo)?;
        return if signo == 0 { Ok(0) } else { Err(Errno::EPERM) };
    }
    // -1 is everybody else: nobody.
    if pid != 0 && pid != -PID && !names_process(pid) {
        return Err(Errno::ESRCH);
    }
    check_signal(signo)?;
    if signo != 0 {
        send_by_call(None, SigInfo::from_user(signo, SI_USER))?;
    }
    Ok(0)
}

/// tgkill(2).
pub fn tgkill(tgid: i32, tid: i32, signo: i32) -> SysResult {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    if tgid != PID {
        return Err(Errno::ESRCH);
    }
    tkill(tid, signo)
}

/// tkill(2).
pub fn tkill(tid: i32, signo: i32) -> SysResult {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let thread = ThreadRef::find(tid).ok_or(Errno::ESRCH)?;
    check_signal(signo)?;
    if signo != 0 {
        send_by_call(Some(thread), SigInfo::from_user(signo, SI_TKILL))?;
    }
    Ok(0)
}

fn read_info(signo: i32, at: usize) -> Result<SigInfo, Errno> {
    let words: [u64; 5] = user::read(at)?;
    let code = words[1] as i32;
    Ok(SigInfo {
        signo,
        code,
        errno: (words[0] >> 32) as i32,
        fields: [words[2], words[3], words[4]],
        timer: None,
    })
}

/// rt_sigqueueinfo(2).
pub fn rt_sigqueueinfo(pid: i32, signo: i32, info: usize) -> SysResult {
    let info = read_info(signo, info)?;
    may_claim(&info, pid)?;
    if !names_process(pid) {
        return Err(Errno::ESRCH);
    }
    check_signal(signo)?;
    if signo != 0 {
        send_by_call(None, info)?;
    }
    Ok(0)
}

/// rt_tgsigqueueinfo(2).
pub fn rt_tgsigqueueinfo(tgid: i32, tid: i32, signo: i32, info: usize) -> SysResult {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let info = read_info(signo, info)?;
    may_claim(&info, tid)?;
    let thread = ThreadRef::find(tid)
        .filter(|_| tgid == PID)
        .ok_or(Errno::ESRCH)?;
    check_signal(signo)?;
    if signo != 0 {
        send_by_call(Some(thread), info)?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub fn rt_sigpending(set: usize, size: usize) -> SysResult {
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let signals = &current().signals;
    let pending = (signals.pending.set() | process().signals.pending.set()) & signals.mask();
    user::copy_out(set, &pending.to_le_bytes()[..size])?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub fn rt_sigsuspend(set: usize, size: usize) -> SysResult {
    check_set_size(size)?;
    let set: u64 = user::read(set)?;
    let signals = &current().signals;
    signals.set_temporary_mask(set);
    suspend();
    signals.end_temporary_mask(true);
    Err(Errno::ERESTARTNOHAND)
}

/// pause(2).
pub fn pause() -> SysResult {
    suspend();
    Err(Errno::ERESTARTNOHAND)
}

fn suspend() {
    // Ends with a signal only.
    let _ = process()
        .signals
        .arrivals
        .wait_until(Wait::interruptible(), || None::<()>);
}

/// rt_sigtimedwait(2).
pub fn rt_sigtimedwait(set: usize, info: usize, timeout: usize, size: usize) -> SysResult {
    check_set_size(size)?;
    let wanted: u64 = user::read::<u64>(set)? & !UNBLOCKABLE;
    let deadline = match timeout {
        0 => None,
        at => Some(time::now().saturating_add(read_timespec(at)?)),
    };
    let signals = &current().signals;
    let taken =
        process()
            .signals
            .arrivals
            .wait_until(Wait::interruptible().deadline(deadline), || {
                signals
                    .pending
                    .take(wanted)
                    .or_else(|| process().signals.pending.take(wanted))
            });
    match taken {
        Ok(found) => {
            if info != 0 {
                frame::write_info(info, &found)?;
            }
            Ok(found.signo as usize)
        }
        Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::EINTR),
    }
}

/// restart_syscall(2): calls that a signal interrupted start over by themselves, so there is never one to go on with.
pub fn restart_syscall() -> SysResult {
    Err(Errno::EINTR)
}
