//! Pipes, epoll and event descriptors: arguments.
use crate::fs::epoll::{Epoll, Request};
use crate::fs::eventfd::EventFd;
use crate::fs::signalfd::SignalFd;
use crate::fs::{OpenFile, fd, memfd, pipe};
use crate::memory::user;
use crate::task;
use crate::time::convert::{deadline_of_millis, read_deadline};
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const SET_SIZE: usize = 8;

fn install(ops: Arc<dyn crate::fs::FileOps>, flags: u32, close_on_exec: bool) -> SysResult {
    fd::install(OpenFile::new(ops, flags), close_on_exec).map(|fd| fd as usize)
}

/// pipe(2).
pub fn pipe(fds: usize) -> SysResult {
    pipe2(fds, 0)
}

/// pipe2(2).
pub fn pipe2(fds: usize, flags: u32) -> SysResult {
    if flags & !(abi::O_NONBLOCK | abi::O_DIRECT | abi::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let (read, write) = pipe::open_pair(flags, flags & abi::O_CLOEXEC != 0)?;
    if user::write(fds, &[read, write]).is_err() {
        fd::table().remove(read);
        fd::table().remove(write);
        return Err(Errno::EFAULT);
    }
    Ok(0)
}

/// memfd_create(2).
pub fn memfd_create(name: usize, flags: u32) -> SysResult {
    memfd::check_flags(flags)?;
    let name = user::cstr(name, memfd::NAME_MAX).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        other => other,
    })?;
    let file = memfd::create(&name, flags)?;
    fd::install(file, flags & abi::MFD_CLOEXEC != 0).map(|fd| fd as usize)
}

/// eventfd(2).
pub fn eventfd(count: u32) -> SysResult {
    eventfd2(count, 0)
}

/// eventfd2(2).
pub fn eventfd2(count: u32, flags: u32) -> SysResult {
    if flags & !(abi::EFD_SEMAPHORE | abi::EFD_NONBLOCK | abi::EFD_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    install(
        Arc::new(EventFd::new(count, flags & abi::EFD_SEMAPHORE != 0)),
        abi::O_RDWR | flags & abi::EFD_NONBLOCK,
        flags & abi::EFD_CLOEXEC != 0,
    )
}

/// epoll_create(2).
pub fn epoll_create(size: i32) -> SysResult {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(0)
}

/// epoll_create1(2).
pub fn epoll_create1(flags: u32) -> SysResult {
    if flags & !abi::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    install(
        Arc::new(Epoll::new()),
        abi::O_RDWR,
        flags & abi::EPOLL_CLOEXEC != 0,
    )
}

/// epoll_ctl(2).
pub fn epoll_ctl(epfd: i32, op: u32, fd: i32, event: usize) -> SysResult {
    let request = if op == abi::EPOLL_CTL_DEL {
        Request { events: 0, data: 0 }
    } else {
        // struct epoll_event is packed.
        let mut bytes = [0; 12];
        user::copy_in(&mut bytes, event)?;
        let [e0, e1, e2, e3, data @ ..] = bytes;
        Request {
            events: u32::from_ne_bytes([e0, e1, e2, e3]),
            data: u64::from_ne_bytes(data),
        }
    };
    let instance = fd::usable(epfd)?;
    let file = fd::usable(fd)?;
    if file.ops.poll_queue().is_none() {
        return Err(Errno::EPERM);
    }
    let epoll = instance.ops.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    if file
        .ops
        .downcast::<Epoll>()
        .is_some_and(|inner| core::ptr::eq(inner, epoll))
    {
        return Err(Errno::EINVAL);
    }
    match op {
        abi::EPOLL_CTL_ADD => epoll.add(fd, &file, request)?,
        abi::EPOLL_CTL_MOD => epoll.modify(fd, &file, request)?,
        abi::EPOLL_CTL_DEL => epoll.remove(fd, &file)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait(epfd: i32, events: usize, max: i32, deadline: Option<u64>) -> SysResult {
    const EVENT_SIZE: usize = 12;
    let instance = fd::usable(epfd)?;
    let max = usize::try_from(max)
        .ok()
        .filter(|&max| max > 0 && max <= i32::MAX as usize / EVENT_SIZE)
        .ok_or(Errno::EINVAL)?;
    if !user::in_range(events, max * EVENT_SIZE) {
        return Err(Errno::EFAULT);
    }
    let epoll = instance.ops.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    epoll.wait(events, max, deadline)
}

/// epoll_wait(2).
pub fn epoll_wait(epfd: i32, events: usize, max: i32, timeout: i32) -> SysResult {
    wait(epfd, events, max, deadline_of_millis(timeout))
}

/// Runs `call` with the signal mask at `mask`, if there is one.
pub fn with_mask(mask: usize, size: usize, call: impl FnOnce() -> SysResult) -> SysResult {
    if mask == 0 {
        return call();
    }
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let mask: u64 = user::read(mask)?;
    let signals = &task::current().signals;
    signals.set_temporary_mask(mask);
    let result = call();
    signals.end_temporary_mask(matches!(
        result,
        Err(Errno::EINTR | Errno::ERESTARTNOHAND | Errno::ERESTARTSYS)
    ));
    result
}

/// epoll_pwait(2).
pub fn epoll_pwait(
    epfd: i32,
    events: usize,
    max: i32,
    timeout: i32,
    mask: usize,
    size: usize,
) -> SysResult {
    with_mask(mask, size, || {
        wait(epfd, events, max, deadline_of_millis(timeout))
    })
}

/// epoll_pwait2(2).
pub fn epoll_pwait2(
    epfd: i32,
    events: usize,
    max: i32,
    timeout: usize,
    mask: usize,
    size: usize,
) -> SysResult {
    let deadline = read_deadline(timeout)?;
    with_mask(mask, size, || wait(epfd, events, max, deadline))
}

/// signalfd(2).
pub fn signalfd(fd: i32, mask: usize, size: usize) -> SysResult {
    signalfd4(fd, mask, size, 0)
}

/// signalfd4(2).
pub fn signalfd4(fd: i32, mask: usize, size: usize, flags: u32) -> SysResult {
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set: u64 = user::read(mask)?;
    if flags & !(abi::O_NONBLOCK | abi::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if fd == -1 {
        return install(
            Arc::new(SignalFd::new(set)),
            abi::O_RDWR | flags & abi::O_NONBLOCK,
            flags & abi::O_CLOEXEC != 0,
        );
    }
    let file = fd::usable(fd)?;
    let signals = file.ops.downcast::<SignalFd>().ok_or(Errno::EINVAL)?;
    signals.set(set);
    Ok(fd as usize)
}
