//! Extended attributes (xattr(7)): the file systems here hold none, as a tmpfs built without them.
use super::path::path;
use crate::fs::{fd, walk};
use linux_raw_sys::general::AT_FDCWD;
use ringo_abi::{Errno, SysResult};

/// The file must exist all the same.
fn at(name: usize, follow: bool) -> Result<(), Errno> {
    walk::lookup(AT_FDCWD, path(name)?, follow).map(drop)
}

fn open(fd: i32) -> Result<(), Errno> {
    fd::get(fd).map(drop)
}

fn none(found: Result<(), Errno>) -> SysResult {
    found.and(Err(Errno::EOPNOTSUPP))
}

/// setxattr(2).
pub fn setxattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, true))
}

/// lsetxattr(2).
pub fn lsetxattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, false))
}

/// fsetxattr(2).
pub fn fsetxattr(fd: i32, _attribute: usize) -> SysResult {
    none(open(fd))
}

/// getxattr(2).
pub fn getxattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, true))
}

/// lgetxattr(2).
pub fn lgetxattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, false))
}

/// fgetxattr(2).
pub fn fgetxattr(fd: i32, _attribute: usize) -> SysResult {
    none(open(fd))
}

/// listxattr(2): an empty list.
pub fn listxattr(name: usize, _list: usize) -> SysResult {
    at(name, true).map(|()| 0)
}

/// llistxattr(2).
pub fn llistxattr(name: usize, _list: usize) -> SysResult {
    at(name, false).map(|()| 0)
}

/// flistxattr(2).
pub fn flistxattr(fd: i32, _list: usize) -> SysResult {
    open(fd).map(|()| 0)
}

/// removexattr(2).
pub fn removexattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, true))
}

/// lremovexattr(2).
pub fn lremovexattr(name: usize, _attribute: usize) -> SysResult {
    none(at(name, false))
}

/// fremovexattr(2).
pub fn fremovexattr(fd: i32, _attribute: usize) -> SysResult {
    none(open(fd))
}
