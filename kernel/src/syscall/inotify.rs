//! inotify(7): arguments.
use super::path::path;
use crate::fs::inotify::Inotify;
use crate::fs::{OpenFile, access, fd, walk};
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// inotify_init(2).
pub fn inotify_init() -> SysResult {
    inotify_init1(0)
}

/// inotify_init1(2).
pub fn inotify_init1(flags: u32) -> SysResult {
    if flags & !(abi::IN_NONBLOCK | abi::IN_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let status = abi::O_RDONLY | flags & abi::IN_NONBLOCK;
    let file = OpenFile::new(Arc::new(Inotify::new()?), status);
    fd::install(file, flags & abi::IN_CLOEXEC != 0).map(|fd| fd as usize)
}

/// inotify_add_watch(2).
pub fn inotify_add_watch(fd: i32, name: usize, mask: u32) -> SysResult {
    Inotify::check_events(mask)?;
    let file = fd::usable(fd)?;
    Inotify::check_mask(mask)?;
    let inotify = file.ops.downcast::<Inotify>().ok_or(Errno::EINVAL)?;
    let follow = mask & abi::IN_DONT_FOLLOW == 0;
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, follow)?;
    if mask & abi::IN_ONLYDIR != 0 && !dentry.inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    access::check(&dentry.inode, access::READ)?;
    inotify.watch(&dentry.inode, mask)
}

/// inotify_rm_watch(2).
pub fn inotify_rm_watch(fd: i32, watch: i32) -> SysResult {
    let file = fd::usable(fd)?;
    let inotify = file.ops.downcast::<Inotify>().ok_or(Errno::EINVAL)?;
    inotify.forget(watch)
}
