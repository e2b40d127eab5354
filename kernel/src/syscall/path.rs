//! Paths: what a name stands for, where a link leads, and the working directory (readlink(2), getcwd(2), chdir(2)).
use crate::fs::inode::Link;
use crate::fs::walk::{self, How, PATH_MAX};
use crate::fs::{Dentry, access, fd, tree};
use crate::memory::user;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// A path of the program.
pub(super) fn path(at: usize) -> Result<Vec<u8>, Errno> {
    user::cstr(at, PATH_MAX)
}

/// What a *at call means: the file its path leads to, or with AT_EMPTY_PATH and none the descriptor's own.
pub(super) fn target(
    dirfd: i32,
    name: usize,
    flags: u32,
    follow: bool,
) -> Result<Arc<Dentry>, Errno> {
    let path = path(name)?;
    if path.is_empty() && flags & abi::AT_EMPTY_PATH != 0 {
        return if dirfd == abi::AT_FDCWD {
            Ok(tree::working())
        } else {
            // A pipe has no name; calls that need an inode say so.
            fd::get(dirfd)?.ops.dentry().ok_or(Errno::EINVAL)
        };
    }
    walk::lookup(dirfd, path, follow)
}

pub(super) fn follows(flags: u32) -> bool {
    flags & abi::AT_SYMLINK_NOFOLLOW == 0
}

/// readlink(2).
pub fn readlink(name: usize, buf: usize, size: i32) -> SysResult {
    readlinkat(abi::AT_FDCWD, name, buf, size)
}

/// readlinkat(2).
pub fn readlinkat(dirfd: i32, name: usize, buf: usize, size: i32) -> SysResult {
    let size = usize::try_from(size)
        .ok()
        .filter(|&size| size > 0)
        .ok_or(Errno::EINVAL)?;
    let path = path(name)?;
    let dentry = if path.is_empty() {
        // Of a link opened with O_PATH.
        if dirfd == abi::AT_FDCWD {
            return Err(Errno::ENOENT);
        }
        let file = fd::get(dirfd)?;
        let dentry = file.ops.dentry().ok_or(Errno::ENOENT)?;
        if dentry.inode.kind() != abi::S_IFLNK {
            return Err(Errno::ENOENT);
        }
        dentry
    } else {
        walk::lookup(dirfd, path, false)?
    };
    let text = match dentry.link()? {
        Link::Path(text) => text,
        Link::File(file) => file.shown_path(),
    };
    let length = text.len().min(size);
    user::copy_out(buf, &text[..length])?;
    Ok(length)
}

/// getcwd(2): the length with its zero.
pub fn getcwd(buf: usize, size: usize) -> SysResult {
    let (mut path, exists) = tree::working().path();
    if !exists {
        return Err(Errno::ENOENT);
    }
    path.push(0);
    if path.len() > size {
        return Err(Errno::ERANGE);
    }
    user::copy_out(buf, &path)?;
    Ok(path.len())
}

fn enter(dentry: Arc<Dentry>) -> SysResult {
    if !dentry.inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    access::check(&dentry.inode, access::EXECUTE)?;
    tree::set_working(dentry).map(|()| 0)
}

/// chdir(2).
pub fn chdir(name: usize) -> SysResult {
    enter(walk::lookup(abi::AT_FDCWD, path(name)?, true)?)
}

/// fchdir(2).
pub fn fchdir(fd: i32) -> SysResult {
    enter(fd::get(fd)?.ops.dentry().ok_or(Errno::ENOTDIR)?)
}

/// chroot(2): what the program sees is given by `--root`.
pub fn chroot(name: usize) -> SysResult {
    let found = walk::walk(
        walk::start_for(abi::AT_FDCWD, &path(name)?)?,
        path(name)?,
        How::follow(true),
    )?;
    if found.existing()?.inode.is_directory() {
        Err(Errno::EPERM)
    } else {
        Err(Errno::ENOTDIR)
    }
}
