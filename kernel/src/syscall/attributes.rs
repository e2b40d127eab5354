//! Who may do what with a file, whose it is, and when it changed: access(2), chmod(2), chown(2), utimensat(2) and kin; and its
//! length by name, truncate(2).
use super::path::{follows, path, target};
use crate::fs::inode::Content;
use crate::fs::walk;
use crate::fs::{self, Dentry, access, fd, notify, tree};
use crate::memory::user;
use crate::task::{self, process};
use crate::time;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// access(2).
pub fn access(name: usize, mode: u32) -> SysResult {
    faccessat2(abi::AT_FDCWD, name, mode, 0)
}

/// faccessat(2).
pub fn faccessat(dirfd: i32, name: usize, mode: u32) -> SysResult {
    faccessat2(dirfd, name, mode, 0)
}

/// faccessat2(2).
pub fn faccessat2(dirfd: i32, name: usize, mode: u32, flags: u32) -> SysResult {
    const KNOWN: u32 = abi::AT_EACCESS | abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH;
    if mode & !7 != 0 || flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let dentry = target(dirfd, name, flags, follows(flags))?;
    fs::open::check_access(&dentry, mode, flags & abi::AT_EACCESS == 0).map(|()| 0)
}

/// chmod(2).
pub fn chmod(name: usize, mode: u32) -> SysResult {
    set_mode(&*walk::lookup(abi::AT_FDCWD, path(name)?, true)?, mode)
}

/// fchmod(2).
pub fn fchmod(fd: i32, mode: u32) -> SysResult {
    set_mode(&*named(fd)?, mode)
}

/// fchmodat(2).
pub fn fchmodat(dirfd: i32, name: usize, mode: u32) -> SysResult {
    fchmodat2(dirfd, name, mode, 0)
}

/// fchmodat2(2).
pub fn fchmodat2(dirfd: i32, name: usize, mode: u32, flags: u32) -> SysResult {
    if flags & !(abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    set_mode(&*target(dirfd, name, flags, follows(flags))?, mode)
}

/// The file of a descriptor, for calls on attributes: EBADF for O_PATH ones.
fn named(fd: i32) -> Result<Arc<Dentry>, Errno> {
    let file = fd::usable(fd)?;
    // What has no inode of a file system: as if its owner were somebody else.
    file.ops.dentry().ok_or(Errno::EPERM)
}

fn set_mode(dentry: &Dentry, mode: u32) -> SysResult {
    let inode = &dentry.inode;
    if inode.kind() == abi::S_IFLNK {
        return Err(Errno::EOPNOTSUPP);
    }
    let generated = matches!(inode.content, fs::inode::Content::Virtual(_));
    if generated || !access::owns(inode) {
        return Err(Errno::EPERM);
    }
    let foreign_group = !access::privileged() && !task::credentials().in_group(inode.owner().1);
    let dropped = if foreign_group { abi::S_ISGID } else { 0 };
    if (inode.mode() ^ mode) & 0o111 != 0
        && let Content::File(data) = &inode.content
    {
        data.seals().forbid(abi::F_SEAL_EXEC)?;
    }
    inode.set_permissions(mode & 0o7777 & !dropped);
    notify::file(dentry, abi::IN_ATTRIB);
    Ok(0)
}

/// chown(2).
pub fn chown(name: usize, uid: u32, gid: u32) -> SysResult {
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, true)?;
    set_owner(&dentry, uid, gid)
}

/// lchown(2).
pub fn lchown(name: usize, uid: u32, gid: u32) -> SysResult {
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, false)?;
    set_owner(&dentry, uid, gid)
}

/// fchown(2).
pub fn fchown(fd: i32, uid: u32, gid: u32) -> SysResult {
    set_owner(&*named(fd)?, uid, gid)
}

/// fchownat(2).
pub fn fchownat(dirfd: i32, name: usize, uid: u32, gid: u32, flags: u32) -> SysResult {
    if flags & !(abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    set_owner(&*target(dirfd, name, flags, follows(flags))?, uid, gid)
}

fn set_owner(dentry: &Dentry, uid: u32, gid: u32) -> SysResult {
    let asked = |id: u32| (id != u32::MAX).then_some(id);
    let (uid, gid) = (asked(uid), asked(gid));
    if !access::privileged() {
        let owner = dentry.inode.owner();
        let who = task::credentials();
        let allowed = owner.0 == who.user.file()
            && uid.is_none_or(|uid| uid == owner.0)
            && gid.is_none_or(|gid| gid == owner.1 || who.in_group(gid));
        if !allowed && (uid.is_some() || gid.is_some()) {
            return Err(Errno::EPERM);
        }
    }
    dentry.inode.set_owner(uid, gid);
    if uid.is_some() || gid.is_some() {
        notify::file(dentry, abi::IN_ATTRIB);
    }
    Ok(0)
}

const UTIME_NOW: i64 = 0x3fff_ffff;

const UTIME_OMIT: i64 = 0x3fff_fffe;

/// utimensat(2).
pub fn utimensat(dirfd: i32, name: usize, times: usize, flags: u32) -> SysResult {
    let asked: Option<[i64; 4]> = if times == 0 {
        None
    } else {
        Some(user::read(times)?)
    };
    if let Some([_, UTIME_OMIT, _, UTIME_OMIT]) = asked {
        // Nothing to do: Linux does not even look at the path.
        return Ok(0);
    }
    if name == 0 && dirfd != abi::AT_FDCWD {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        return set_times_of(dirfd, asked);
    }
    if flags & !(abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    set_times(&*target(dirfd, name, flags, follows(flags))?, asked)
}

/// futimens(3).
fn set_times_of(fd: i32, asked: Option<[i64; 4]>) -> SysResult {
    let file = fd::usable(fd)?;
    if let Some(dentry) = file.ops.dentry() {
        return set_times(&dentry, asked);
    }
    check_times(asked)?;
    match file.ops.stat()?.mode & abi::S_IFMT {
        // Its maker may; nobody will miss the times.
        abi::S_IFIFO | abi::S_IFSOCK => Ok(0),
        // As if its owner were somebody else, who lets nobody write.
        _ if asked.is_none() => Err(Errno::EACCES),
        _ => Err(Errno::EPERM),
    }
}

fn check_times(asked: Option<[i64; 4]>) -> Result<(), Errno> {
    let good = |ns: i64| matches!(ns, UTIME_NOW | UTIME_OMIT | 0..1_000_000_000);
    match asked {
        Some([_, a, _, m]) if !good(a) || !good(m) => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

/// Seconds and nanoseconds of access and of modification.
fn set_times(dentry: &Dentry, asked: Option<[i64; 4]>) -> SysResult {
    check_times(asked)?;
    let now = time::realtime().cast_signed();
    let inode = &dentry.inode;
    let [a_s, a_ns, m_s, m_ns] = asked.unwrap_or([0, UTIME_NOW, 0, UTIME_NOW]);
    if (a_ns, m_ns) == (UTIME_OMIT, UTIME_OMIT) {
        return Ok(0);
    }
    if !access::owns(inode) {
        if (a_ns, m_ns) != (UTIME_NOW, UTIME_NOW) {
            return Err(Errno::EPERM);
        }
        access::check(inode, access::WRITE)?;
    }
    let value = |seconds: i64, ns: i64| match ns {
        UTIME_NOW => Some(now),
        UTIME_OMIT => None,
        _ => Some(seconds.saturating_mul(1_000_000_000).saturating_add(ns)),
    };
    let (atime, mtime) = (value(a_s, a_ns), value(m_s, m_ns));
    inode.set_times(atime, mtime);
    let event = match (atime, mtime) {
        (Some(_), Some(_)) => abi::IN_ATTRIB,
        (Some(_), None) => abi::IN_ACCESS,
        _ => abi::IN_MODIFY,
    };
    notify::file(dentry, event);
    Ok(0)
}

/// futimesat(2), and with it utimes(2): microseconds.
pub fn futimesat(dirfd: i32, name: usize, times: usize) -> SysResult {
    let asked: Option<[i64; 4]> = if times == 0 {
        None
    } else {
        Some(user::read(times)?)
    };
    let asked = match asked {
        Some([a, au, m, mu]) => {
            if !(0..1_000_000).contains(&au) || !(0..1_000_000).contains(&mu) {
                return Err(Errno::EINVAL);
            }
            Some([a, au * 1000, m, mu * 1000])
        }
        None => None,
    };
    if name == 0 && dirfd != abi::AT_FDCWD {
        return set_times_of(dirfd, asked);
    }
    set_times(&*walk::lookup(dirfd, path(name)?, true)?, asked)
}

/// utimes(2).
pub fn utimes(name: usize, times: usize) -> SysResult {
    futimesat(abi::AT_FDCWD, name, times)
}

/// utime(2): seconds.
pub fn utime(name: usize, times: usize) -> SysResult {
    let asked: Option<[i64; 2]> = if times == 0 {
        None
    } else {
        Some(user::read(times)?)
    };
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, true)?;
    set_times(&dentry, asked.map(|[a, m]| [a, 0, m, 0]))
}

/// truncate(2).
pub fn truncate(name: usize, length: i64) -> SysResult {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, true)?;
    if dentry.inode.is_directory() {
        return Err(Errno::EISDIR);
    }
    access::check(&dentry.inode, access::WRITE)?;
    if tree::is_program(&dentry.inode) {
        return Err(Errno::ETXTBSY);
    }
    dentry.set_size(length).map(|()| 0)
}

/// umask(2).
pub fn umask(mask: u32) -> SysResult {
    Ok(process().umask.swap(mask & 0o777, Ordering::Relaxed) as usize)
}
