//! Names: making, linking, moving and removing them (mkdirat(2), linkat(2), renameat2(2), unlinkat(2)).
use super::path::path;
use crate::fs::inode::{Content, Inode};
use crate::fs::ram::{self, Directory, FileData, RenameHow};
use crate::fs::walk::{self, Found, How, Last};
use crate::fs::{Dentry, access, fd, open};
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Where the name at `at` is or would be; a link there is not followed.
fn find(dirfd: i32, at: usize) -> Result<Found, Errno> {
    let path = path(at)?;
    walk::walk(walk::start_for(dirfd, &path)?, path, How::name())
}

/// The name that a call is to make.
fn free_name(found: &Found, directory: bool) -> Result<&Vec<u8>, Errno> {
    if found.dentry.is_some() {
        return Err(Errno::EEXIST);
    }
    match &found.last {
        Last::Name(_) if found.slash && !directory => Err(Errno::ENOENT),
        Last::Name(name) => Ok(name),
        _ => Err(Errno::EEXIST),
    }
}

/// Makes an inode and gives it the name.
fn make(found: &Found, mode: u32, content: Content) -> Result<(), Errno> {
    let name = free_name(found, mode & abi::S_IFMT == abi::S_IFDIR)?;
    access::check_add(&found.parent)?;
    let owner = open::owner_in(&found.parent, mode);
    let inode = Inode::new(found.parent.inode.file_system, owner, content);
    ram::create(&found.parent, name, inode).map(drop)
}

/// mkdir(2).
pub fn mkdir(name: usize, mode: u32) -> SysResult {
    mkdirat(abi::AT_FDCWD, name, mode)
}

/// mkdirat(2).
pub fn mkdirat(dirfd: i32, name: usize, mode: u32) -> SysResult {
    let content = Content::Directory(Directory::default());
    make(&find(dirfd, name)?, abi::S_IFDIR | mode & 0o1777, content)?;
    Ok(0)
}

/// mknod(2).
pub fn mknod(name: usize, mode: u32, device: u32) -> SysResult {
    mknodat(abi::AT_FDCWD, name, mode, device)
}

/// mknodat(2): devices only as a container may make them, which is not at all.
pub fn mknodat(dirfd: i32, name: usize, mode: u32, _device: u32) -> SysResult {
    let content = match mode & abi::S_IFMT {
        0 | abi::S_IFREG => Content::File(FileData::new()),
        abi::S_IFIFO => Content::Fifo(SpinLock::default()),
        abi::S_IFSOCK => Content::Socket(SpinLock::new(None)),
        abi::S_IFCHR | abi::S_IFBLK | abi::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let kind = match mode & abi::S_IFMT {
        0 => abi::S_IFREG,
        kind => kind,
    };
    make(&find(dirfd, name)?, kind | mode & 0o7777, content)?;
    Ok(0)
}

/// symlink(2).
pub fn symlink(target: usize, name: usize) -> SysResult {
    symlinkat(target, abi::AT_FDCWD, name)
}

/// symlinkat(2).
pub fn symlinkat(target: usize, dirfd: i32, name: usize) -> SysResult {
    let target = path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let found = find(dirfd, name)?;
    let free = free_name(&found, false)?;
    access::check_add(&found.parent)?;
    let mut owner = open::owner_in(&found.parent, abi::S_IFLNK);
    owner.mode = abi::S_IFLNK | 0o777;
    let inode = Inode::new(
        found.parent.inode.file_system,
        owner,
        Content::Symlink(target.into()),
    );
    ram::create(&found.parent, free, inode)?;
    Ok(0)
}

/// link(2).
pub fn link(old: usize, new: usize) -> SysResult {
    linkat(abi::AT_FDCWD, old, abi::AT_FDCWD, new, 0)
}

/// linkat(2).
pub fn linkat(old_fd: i32, old: usize, new_fd: i32, new: usize, flags: u32) -> SysResult {
    if flags & !(abi::AT_SYMLINK_FOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let old = path(old)?;
    let source: Arc<Dentry> = if old.is_empty() && flags & abi::AT_EMPTY_PATH != 0 {
        fd::get(old_fd)?.ops.dentry().ok_or(Errno::EINVAL)?
    } else {
        walk::lookup(old_fd, old, flags & abi::AT_SYMLINK_FOLLOW != 0)?
    };
    let found = find(new_fd, new)?;
    let name = free_name(&found, false)?;
    let ours = core::ptr::eq(source.inode.file_system, found.parent.inode.file_system);
    if !ours || matches!(source.inode.content, Content::Descriptor(_)) {
        return Err(Errno::EXDEV);
    }
    access::check_add(&found.parent)?;
    if source.inode.is_directory() {
        return Err(Errno::EPERM);
    }
    ram::link(&found.parent, name, &source.inode)?;
    Ok(0)
}

/// rmdir(2).
pub fn rmdir(name: usize) -> SysResult {
    unlinkat(abi::AT_FDCWD, name, abi::AT_REMOVEDIR)
}

/// unlink(2).
pub fn unlink(name: usize) -> SysResult {
    unlinkat(abi::AT_FDCWD, name, 0)
}

/// unlinkat(2).
pub fn unlinkat(dirfd: i32, name: usize, flags: u32) -> SysResult {
    if flags & !abi::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    loop {
        let found = find(dirfd, name)?;
        match remove(&found, flags & abi::AT_REMOVEDIR != 0) {
            // The name stands for something else by now.
            Err(Errno::ESTALE) => {}
            outcome => return outcome.map(|()| 0),
        }
    }
}

/// Removes what was found; a directory if that is asked for.
fn remove(found: &Found, directory: bool) -> Result<(), Errno> {
    let name = match (&found.last, directory) {
        (Last::Name(name), _) => name,
        (_, false) => return Err(Errno::EISDIR),
        (Last::Dot, true) => return Err(Errno::EINVAL),
        (Last::DotDot, true) => return Err(Errno::ENOTEMPTY),
        (Last::Root, true) => return Err(Errno::EBUSY),
    };
    let victim = found.dentry.as_ref().ok_or(Errno::ENOENT)?;
    let is_directory = victim.inode.is_directory();
    if found.slash && !is_directory {
        return Err(Errno::ENOTDIR);
    }
    access::check_remove(&found.parent, victim)?;
    match (is_directory, directory) {
        (true, false) => Err(Errno::EISDIR),
        (false, true) => Err(Errno::ENOTDIR),
        (true, true) => ram::remove_directory(&found.parent, name, victim),
        (false, false) => ram::unlink(&found.parent, name, victim),
    }
}

/// rename(2).
pub fn rename(old: usize, new: usize) -> SysResult {
    renameat2(abi::AT_FDCWD, old, abi::AT_FDCWD, new, 0)
}

/// renameat(2).
pub fn renameat(old_fd: i32, old: usize, new_fd: i32, new: usize) -> SysResult {
    renameat2(old_fd, old, new_fd, new, 0)
}

/// renameat2(2).
pub fn renameat2(old_fd: i32, old: usize, new_fd: i32, new: usize, flags: u32) -> SysResult {
    let how = match flags & !abi::RENAME_WHITEOUT {
        0 => RenameHow::Replace,
        abi::RENAME_NOREPLACE => RenameHow::NoReplace,
        abi::RENAME_EXCHANGE if flags & abi::RENAME_WHITEOUT == 0 => RenameHow::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let (from, to) = (find(old_fd, old)?, find(new_fd, new)?);
    let Last::Name(old) = &from.last else {
        return Err(Errno::EBUSY);
    };
    let Last::Name(new) = &to.last else {
        return Err(match how {
            RenameHow::NoReplace => Errno::EEXIST,
            _ => Errno::EBUSY,
        });
    };
    if !core::ptr::eq(from.parent.inode.file_system, to.parent.inode.file_system) {
        return Err(Errno::EXDEV);
    }
    let moved = from.dentry.as_ref().ok_or(Errno::ENOENT)?;
    let is_directory = moved.inode.is_directory();
    if !is_directory && (from.slash || to.slash && how != RenameHow::Exchange) {
        return Err(Errno::ENOTDIR);
    }
    access::check_remove(&from.parent, moved)?;
    match &to.dentry {
        Some(replaced) if how != RenameHow::NoReplace => {
            access::check_remove(&to.parent, replaced)?;
        }
        Some(_) => {}
        None => access::check_add(&to.parent)?,
    }
    if is_directory && !Arc::ptr_eq(&from.parent, &to.parent) {
        access::check(&moved.inode, access::WRITE)?;
    }
    if flags & abi::RENAME_WHITEOUT != 0 {
        // These file systems leave no whiteouts.
        return Err(Errno::EINVAL);
    }
    ram::exchange_or_rename((&from.parent, old), (&to.parent, new), how)?;
    Ok(0)
}
