//! Who may do what (path_resolution(7), capabilities(7)), by the calling thread's ids for files (task/credentials.rs).
//!
//! Root may do everything but execute what nobody may; others are checked against owner, group and the rest.
use super::Dentry;
use super::inode::{Content, Inode};
use crate::task;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// Read permission, as in access(2).
pub const READ: u32 = 4;
/// Write permission.
pub const WRITE: u32 = 2;
/// Execute, or search in a directory.
pub const EXECUTE: u32 = 1;

/// Whether the caller is root.
pub fn privileged() -> bool {
    task::credentials().user.file() == 0
}

/// Whether the caller owns the inode or is root.
pub fn owns(inode: &Inode) -> bool {
    let uid = task::credentials().user.file();
    uid == 0 || uid == inode.owner().0
}

/// Checks for `wanted` rights.
///
/// # Errors
/// EACCES.
pub fn check(inode: &Inode, wanted: u32) -> Result<(), Errno> {
    let who = task::credentials();
    check_as(inode, wanted, who.user.file(), |group| who.in_group(group))
}

/// The same by the real ids, as access(2) does it: what the user who started a program with borrowed rights may do.
///
/// # Errors
/// EACCES.
pub fn check_real(inode: &Inode, wanted: u32) -> Result<(), Errno> {
    let who = task::credentials();
    check_as(inode, wanted, who.user.real(), |group| {
        group == who.group.real() || who.in_supplementary_group(group)
    })
}

fn check_as(
    inode: &Inode,
    wanted: u32,
    uid: u32,
    member: impl Fn(u32) -> bool,
) -> Result<(), Errno> {
    let mode = inode.mode();
    if let Content::Virtual(content) = &inode.content
        && wanted & WRITE != 0
        && content.read_only()
    {
        return Err(Errno::EACCES);
    }
    if uid == 0 {
        let executable = mode & 0o111 != 0 || inode.is_directory();
        return if wanted & EXECUTE == 0 || executable {
            Ok(())
        } else {
            Err(Errno::EACCES)
        };
    }
    let (owner, group) = inode.owner();
    let shift = if uid == owner {
        6
    } else if member(group) {
        3
    } else {
        0
    };
    if mode >> shift & 7 & wanted == wanted {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// Whether an entry may be added to the directory.
///
/// # Errors
/// EACCES; ENOENT if it was removed.
pub fn check_add(directory: &Dentry) -> Result<(), Errno> {
    if directory.is_deleted() {
        return Err(Errno::ENOENT);
    }
    check(&directory.inode, WRITE | EXECUTE)
}

/// Whether `victim` may be removed from the directory: with the sticky bit only by an owner of one of them.
///
/// # Errors
/// EACCES, EPERM.
pub fn check_remove(directory: &Dentry, victim: &Dentry) -> Result<(), Errno> {
    check(&directory.inode, WRITE | EXECUTE)?;
    let sticky = directory.inode.mode() & abi::S_ISVTX != 0;
    if sticky && !owns(&directory.inode) && !owns(&victim.inode) {
        Err(Errno::EPERM)
    } else {
        Ok(())
    }
}
