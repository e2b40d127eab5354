//! Descriptors of processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). The only process there is is this one.
use crate::fs::pidfd::PidFd;
use crate::fs::{OpenFile, fd};
use crate::task::PID;
use crate::task::signal::{SI_USER, SigInfo, send_by_call};
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Refuses descriptors that are no pidfd.
pub(super) fn check(pidfd: i32) -> Result<(), Errno> {
    let file = fd::get(pidfd)?;
    match file.ops.downcast::<PidFd>() {
        Some(_) => Ok(()),
        None => Err(Errno::EBADF),
    }
}

/// pidfd_open(2).
pub fn pidfd_open(pid: i32, flags: u32) -> SysResult {
    if pid <= 0 || flags & !abi::O_NONBLOCK != 0 {
        return Err(Errno::EINVAL);
    }
    if pid != PID {
        return Err(Errno::ESRCH);
    }
    let file = OpenFile::new(Arc::new(PidFd::new()), abi::O_RDWR | flags);
    fd::install(file, true).map(|fd| fd as usize)
}

/// pidfd_send_signal(2).
pub fn pidfd_send_signal(pidfd: i32, signo: i32, info: usize, flags: u32) -> SysResult {
    // PIDFD_SIGNAL_THREAD, _THREAD_GROUP, _PROCESS_GROUP: one at most.
    if !matches!(flags, 0 | 1 | 2 | 4) {
        return Err(Errno::EINVAL);
    }
    check(pidfd)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if info != 0 {
        return super::signal::rt_sigqueueinfo(PID, signo, info);
    }
    if !(0..=crate::task::signal::MAX_SIGNAL).contains(&signo) {
        return Err(Errno::EINVAL);
    }
    if signo != 0 {
        send_by_call(None, SigInfo::from_user(signo, SI_USER))?;
    }
    Ok(0)
}

/// pidfd_getfd(2).
pub fn pidfd_getfd(pidfd: i32, number: i32, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    check(pidfd)?;
    let file = fd::get(number)?;
    let new = fd::share(0, file, true)?;
    Ok(new as usize)
}
