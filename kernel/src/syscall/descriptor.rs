//! Descriptors themselves: close(2), dup(2), fcntl(2), ioctl(2).
use crate::fs::fd::{self, table};
use crate::fs::{OpenFile, lock};
use crate::memory::user;
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl;
use ringo_abi::{Errno, SysResult};

const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// close(2).
pub fn close(fd: i32) -> SysResult {
    let file = table().remove(fd).ok_or(Errno::EBADF)?;
    lock::descriptor_closed(&file);
    Ok(0)
}

/// close_range(2).
pub fn close_range(first: u32, last: u32, flags: u32) -> SysResult {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let mut next = i32::try_from(first).ok();
    while let Some(from) = next
        && let Some(fd) = table().next_used(from)
        && fd.cast_unsigned() <= last
    {
        if flags & CLOSE_RANGE_CLOEXEC != 0 {
            table().set_close_on_exec(fd, true);
        } else if let Some(file) = table().remove(fd) {
            lock::descriptor_closed(&file);
        }
        next = fd.checked_add(1);
    }
    Ok(0)
}

/// dup(2).
pub fn dup(fd: i32) -> SysResult {
    let file = fd::get(fd)?;
    to_result(fd::share(0, file, false))
}

/// dup2(2).
pub fn dup2(old: i32, new: i32) -> SysResult {
    if old == new {
        fd::get(old)?;
        return to_result(Ok(new));
    }
    dup3(old, new, 0)
}

/// dup3(2).
pub fn dup3(old: i32, new: i32, flags: u32) -> SysResult {
    if old == new || flags & !abi::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = fd::get(old)?;
    let replaced = fd::replace(new, file, flags & abi::O_CLOEXEC != 0)?;
    if let Some(file) = replaced {
        lock::descriptor_closed(&file);
    }
    to_result(Ok(new))
}

fn to_result(fd: Result<i32, Errno>) -> SysResult {
    fd.map(|fd| fd as usize)
}

/// Status flags that F_SETFL may change.
const CHANGEABLE: u32 =
    abi::O_APPEND | abi::O_NONBLOCK | abi::O_DIRECT | abi::O_NOATIME | abi::FASYNC;

/// fcntl(2).
pub fn fcntl(fd: i32, cmd: u32, arg: usize) -> SysResult {
    let file = fd::get(fd)?;
    let path_only = file.flags() & abi::O_PATH != 0;
    match cmd {
        abi::F_DUPFD | abi::F_DUPFD_CLOEXEC => {
            // An unsigned int, as Linux takes it.
            let arg = arg as u32 as usize;
            if arg >= fd::limit() {
                return Err(Errno::EINVAL);
            }
            to_result(fd::share(arg, file, cmd == abi::F_DUPFD_CLOEXEC))
        }
        abi::F_DUPFD_QUERY => {
            let other = fd::get(arg as i32)?;
            Ok(usize::from(core::ptr::eq::<OpenFile>(&*file, &*other)))
        }
        abi::F_GETFD => {
            let on = table().close_on_exec(fd).ok_or(Errno::EBADF)?;
            Ok(usize::from(on))
        }
        abi::F_SETFD => {
            if table().set_close_on_exec(fd, arg as u32 & abi::FD_CLOEXEC != 0) {
                Ok(0)
            } else {
                Err(Errno::EBADF)
            }
        }
        abi::F_GETFL => Ok(file.flags() as usize),
        _ if path_only => Err(Errno::EBADF),
        abi::F_SETFL => set_flags(&file, arg as u32),
        abi::F_GETLK | abi::F_OFD_GETLK => lock::get(&file, arg, cmd == abi::F_OFD_GETLK),
        abi::F_SETLK | abi::F_OFD_SETLK => lock::set(&file, arg, cmd == abi::F_OFD_SETLK, false),
        abi::F_SETLKW | abi::F_OFD_SETLKW => lock::set(&file, arg, cmd == abi::F_OFD_SETLKW, true),
        // Nobody is ever sent SIGIO: there is no owner.
        abi::F_GETOWN | abi::F_GETSIG => Ok(0),
        abi::F_SETSIG if arg > 64 => Err(Errno::EINVAL),
        abi::F_SETOWN => set_owner(0, arg as i32),
        abi::F_SETSIG => Ok(0),
        abi::F_GETOWN_EX => user::write(arg, &[0u32; 2]).map(|()| 0),
        abi::F_SETOWN_EX => {
            let [kind, id]: [u32; 2] = user::read(arg)?;
            if kind > 2 {
                return Err(Errno::EINVAL);
            }
            set_owner(kind, id.cast_signed())
        }
        // Hints about how long data lives: there are no disks that would want to know.
        abi::F_GET_RW_HINT => user::write(arg, &0u64).map(|()| 0),
        abi::F_SET_RW_HINT => match user::read::<u64>(arg)? {
            0..=5 => Ok(0),
            _ => Err(Errno::EINVAL),
        },
        abi::F_NOTIFY if !is_directory(&file) => Err(Errno::ENOTDIR),
        abi::F_ADD_SEALS if !file.writable() => Err(Errno::EPERM),
        abi::F_GETLEASE => Ok(abi::F_UNLCK as usize),
        _ => file.ops.control(&file, cmd, arg),
    }
}

/// F_SETOWN and F_SETOWN_EX, whose kind 2 is a process group: whom no file ever tells must be somebody all the same.
fn set_owner(kind: u32, id: i32) -> SysResult {
    let id = match (kind, id) {
        (0, i32::MIN) => return Err(Errno::EINVAL),
        (0, id) => id.abs(),
        (_, id) => id,
    };
    if id != 0 {
        super::process::own(id)?;
    }
    Ok(0)
}

fn set_flags(file: &OpenFile, flags: u32) -> SysResult {
    file.ops.set_flags(flags)?;
    file.replace_flags(CHANGEABLE, flags);
    Ok(0)
}

/// ioctl(2).
pub fn ioctl(fd: i32, request: u32, arg: usize) -> SysResult {
    let file = fd::usable(fd)?;
    match request {
        ioctl::FIOCLEX | ioctl::FIONCLEX => {
            table().set_close_on_exec(fd, request == ioctl::FIOCLEX);
            Ok(0)
        }
        ioctl::FIONBIO => {
            let on: u32 = user::read(arg)?;
            let flags = if on != 0 { abi::O_NONBLOCK } else { 0 };
            file.ops
                .set_flags(file.flags() & !abi::O_NONBLOCK | flags)?;
            file.replace_flags(abi::O_NONBLOCK, flags);
            Ok(0)
        }
        ioctl::FIOASYNC => {
            // SIGIO is sent for no file.
            let on: u32 = user::read(arg)?;
            if on == 0 { Ok(0) } else { Err(Errno::ENOTTY) }
        }
        ioctl::FIGETBSZ if file.ops.dentry().is_some() => {
            let size = file.ops.stat()?.block_size;
            user::write(arg, &size).map(|()| 0)
        }
        ioctl::FICLONE => clone_file(&file, arg as i32),
        ioctl::FICLONERANGE => {
            let source: i64 = user::read(arg)?;
            clone_file(&file, source as i32)
        }
        _ => file.ops.ioctl(&file, request, arg),
    }
}

fn kind(file: &OpenFile) -> u32 {
    file.ops.stat().map_or(0, |stat| stat.mode & abi::S_IFMT)
}

fn is_directory(file: &OpenFile) -> bool {
    kind(file) == abi::S_IFDIR
}

/// FICLONE: no file system here lets files share their blocks.
fn clone_file(to: &OpenFile, from: i32) -> SysResult {
    let from = fd::get(from)?;
    if from.ops.stat()?.device != to.ops.stat()?.device {
        return Err(Errno::EXDEV);
    }
    if is_directory(&from) || is_directory(to) {
        return Err(Errno::EISDIR);
    }
    if kind(&from) != abi::S_IFREG || kind(to) != abi::S_IFREG {
        return Err(Errno::EINVAL);
    }
    if !from.readable() || !to.writable() || to.appending() {
        return Err(Errno::EBADF);
    }
    Err(Errno::EOPNOTSUPP)
}

/// flock(2).
pub fn flock(fd: i32, operation: u32) -> SysResult {
    lock::flock(fd, operation)
}
