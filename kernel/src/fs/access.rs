//! Who may do what (path_resolution(7), capabilities(7)): the process runs as one user and group for good.
//!
//! Root may do everything but execute what nobody may; others are checked against owner, group and the rest.
use super::Dentry;
use super::inode::{Content, Inode};
use crate::task::process;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// Read permission, as in access(2).
pub const READ: u32 = 4;
/// Write permission.
pub const WRITE: u32 = 2;
/// Execute, or search in a directory.
pub const EXECUTE: u32 = 1;

/// Whether the process is root.
pub fn privileged() -> bool {
    process().ids().0 == 0
}

/// Whether the process owns the inode or is root.
pub fn owns(inode: &Inode) -> bool {
    let (uid, _) = process().ids();
    uid == 0 || uid == inode.owner().0
}

/// Checks for `wanted` rights.
///
/// # Errors
/// EACCES.
pub fn check(inode: &Inode, wanted: u32) -> Result<(), Errno> {
    let mode = inode.mode();
    let (uid, gid) = process().ids();
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
    } else if gid == group {
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
