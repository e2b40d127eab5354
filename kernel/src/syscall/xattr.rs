//! Extended attributes (xattr(7)): arguments.
use super::path::path;
use crate::fs::xattr::{Attributes, How, NAME_MAX, SIZE_MAX};
use crate::fs::{Dentry, fd, notify, walk};
use crate::memory::user;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// XATTR_CREATE and XATTR_REPLACE.
const CREATE: u32 = 1;
const REPLACE: u32 = 2;

/// What a call is made on.
#[derive(Clone, Copy)]
enum On {
    /// The path at this address; a link in its last place is followed, or not.
    Path(usize, bool),
    Descriptor(i32),
}

impl On {
    fn find(self) -> Result<Arc<Dentry>, Errno> {
        match self {
            Self::Path(name, follow) => walk::lookup(abi::AT_FDCWD, path(name)?, follow),
            Self::Descriptor(number) => {
                let file = fd::usable(number)?;
                // Pipes and the like hold no attributes.
                file.ops.dentry().ok_or(Errno::EOPNOTSUPP)
            }
        }
    }
}

/// The attribute's name.
fn name(at: usize) -> Result<Vec<u8>, Errno> {
    let name = user::cstr(at, NAME_MAX).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::ERANGE,
        other => other,
    })?;
    if name.is_empty() {
        Err(Errno::ERANGE)
    } else {
        Ok(name)
    }
}

fn set(on: On, attribute: usize, value: usize, size: usize, flags: u32) -> SysResult {
    let how = match flags {
        0 => How::Any,
        CREATE => How::Create,
        // Both at once: one that is there is no new one, but Linux looks for a missing one first.
        REPLACE | 3 => How::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let attribute = name(attribute)?;
    if size > SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    user::copy_in(&mut bytes, value)?;
    let dentry = on.find()?;
    if flags == 3 && Attributes::get(&dentry.inode, &attribute).is_ok() {
        return Err(Errno::EEXIST);
    }
    Attributes::set(&dentry.inode, &attribute, &bytes, how)?;
    notify::file(&dentry, abi::IN_ATTRIB);
    Ok(0)
}

/// Gives `bytes` to the program, or how many there are if it has no buffer.
fn give(bytes: &[u8], buffer: usize, size: usize) -> SysResult {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        user::copy_out(buffer, bytes)?;
    }
    Ok(bytes.len())
}

fn get(on: On, attribute: usize, value: usize, size: usize) -> SysResult {
    let attribute = name(attribute)?;
    let dentry = on.find()?;
    give(&Attributes::get(&dentry.inode, &attribute)?, value, size)
}

fn list(on: On, buffer: usize, size: usize) -> SysResult {
    let dentry = match on.find() {
        // What can have none has an empty list.
        Err(Errno::EOPNOTSUPP) => return Ok(0),
        found => found?,
    };
    give(&Attributes::list(&dentry.inode)?, buffer, size)
}

fn remove(on: On, attribute: usize) -> SysResult {
    let attribute = name(attribute)?;
    let dentry = on.find()?;
    Attributes::remove(&dentry.inode, &attribute)?;
    notify::file(&dentry, abi::IN_ATTRIB);
    Ok(0)
}

/// setxattr(2).
pub fn setxattr(path: usize, name: usize, value: usize, size: usize, flags: u32) -> SysResult {
    set(On::Path(path, true), name, value, size, flags)
}

/// lsetxattr(2).
pub fn lsetxattr(path: usize, name: usize, value: usize, size: usize, flags: u32) -> SysResult {
    set(On::Path(path, false), name, value, size, flags)
}

/// fsetxattr(2).
pub fn fsetxattr(fd: i32, name: usize, value: usize, size: usize, flags: u32) -> SysResult {
    set(On::Descriptor(fd), name, value, size, flags)
}

/// getxattr(2).
pub fn getxattr(path: usize, name: usize, value: usize, size: usize) -> SysResult {
    get(On::Path(path, true), name, value, size)
}

/// lgetxattr(2).
pub fn lgetxattr(path: usize, name: usize, value: usize, size: usize) -> SysResult {
    get(On::Path(path, false), name, value, size)
}

/// fgetxattr(2).
pub fn fgetxattr(fd: i32, name: usize, value: usize, size: usize) -> SysResult {
    get(On::Descriptor(fd), name, value, size)
}

/// listxattr(2).
pub fn listxattr(path: usize, buffer: usize, size: usize) -> SysResult {
    list(On::Path(path, true), buffer, size)
}

/// llistxattr(2).
pub fn llistxattr(path: usize, buffer: usize, size: usize) -> SysResult {
    list(On::Path(path, false), buffer, size)
}

/// flistxattr(2).
pub fn flistxattr(fd: i32, buffer: usize, size: usize) -> SysResult {
    list(On::Descriptor(fd), buffer, size)
}

/// removexattr(2).
pub fn removexattr(path: usize, name: usize) -> SysResult {
    remove(On::Path(path, true), name)
}

/// lremovexattr(2).
pub fn lremovexattr(path: usize, name: usize) -> SysResult {
    remove(On::Path(path, false), name)
}

/// fremovexattr(2).
pub fn fremovexattr(fd: i32, name: usize) -> SysResult {
    remove(On::Descriptor(fd), name)
}
