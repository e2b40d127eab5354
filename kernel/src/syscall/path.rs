//! Paths: what a name stands for, and its attributes (openat(2), stat(2), statx(2), chmod(2), chown(2), utimensat(2)).
use super::file::stat_out;
use crate::fs::fd::Reserved;
use crate::fs::inode::Content;
use crate::fs::walk::{self, How, PATH_MAX};
use crate::fs::{self, Dentry, FileOps, Stat, access, fd, notify, tree};
use crate::memory::user;
use crate::task::{self, process};
use crate::time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// A path of the program.
pub(super) fn path(at: usize) -> Result<Vec<u8>, Errno> {
    user::cstr(at, PATH_MAX)
}

/// open(2).
pub fn open(name: usize, flags: u32, mode: u32) -> SysResult {
    openat(abi::AT_FDCWD, name, flags, mode)
}

/// creat(2).
pub fn creat(name: usize, mode: u32) -> SysResult {
    openat(
        abi::AT_FDCWD,
        name,
        abi::O_CREAT | abi::O_WRONLY | abi::O_TRUNC,
        mode,
    )
}

/// openat(2).
pub fn openat(dirfd: i32, name: usize, flags: u32, mode: u32) -> SysResult {
    open_with(dirfd, name, flags, mode, 0)
}

fn open_with(dirfd: i32, name: usize, flags: u32, mode: u32, resolve: u32) -> SysResult {
    let path = path(name)?;
    let descriptor = Reserved::new()?;
    let file = fs::open::open(dirfd, path, flags, mode, resolve)?;
    Ok(descriptor.install(file, flags & abi::O_CLOEXEC != 0) as usize)
}

/// openat2(2).
pub fn openat2(dirfd: i32, name: usize, how: usize, size: usize) -> SysResult {
    const SIZE: usize = 24;
    const RESOLVE: u64 = 0x3f;
    const CREATES: u64 = (abi::O_CREAT | (abi::O_TMPFILE & !abi::O_DIRECTORY)) as u64;
    if size < SIZE {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve]: [u64; 3] = user::read(how)?;
    let mut rest = [0; 64];
    for at in (SIZE..size).step_by(rest.len()) {
        let rest = &mut rest[..(size - at).min(64)];
        user::copy_in(rest, how + at)?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(Errno::E2BIG);
        }
    }
    let both = (abi::RESOLVE_BENEATH | abi::RESOLVE_IN_ROOT) as u64;
    let bad_mode = mode & !0o7777 != 0 || mode != 0 && flags & CREATES == 0;
    if flags > u64::from(u32::MAX) || resolve & !RESOLVE != 0 || resolve & both == both || bad_mode
    {
        return Err(Errno::EINVAL);
    }
    open_with(dirfd, name, flags as u32, mode as u32, resolve as u32)
}

/// What a *at call means: the file its path leads to, or with AT_EMPTY_PATH and none the descriptor's own.
fn target(dirfd: i32, name: usize, flags: u32, follow: bool) -> Result<Arc<Dentry>, Errno> {
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

fn follows(flags: u32) -> bool {
    flags & abi::AT_SYMLINK_NOFOLLOW == 0
}

/// stat(2).
pub fn stat(name: usize, at: usize) -> SysResult {
    stat_out(at, &walk::lookup(abi::AT_FDCWD, path(name)?, true)?.stat()?)
}

/// lstat(2).
pub fn lstat(name: usize, at: usize) -> SysResult {
    stat_out(
        at,
        &walk::lookup(abi::AT_FDCWD, path(name)?, false)?.stat()?,
    )
}

/// The attributes of what a *at call means; any descriptor has some.
fn stat_of(dirfd: i32, name: usize, flags: u32) -> Result<Stat, Errno> {
    // Since Linux 6.11 the path may be a null pointer with AT_EMPTY_PATH.
    let empty = flags & abi::AT_EMPTY_PATH != 0 && (name == 0 || path(name)?.is_empty());
    if empty && dirfd != abi::AT_FDCWD {
        return fd::get(dirfd)?.ops.stat();
    }
    if empty {
        return tree::working().stat();
    }
    walk::lookup(dirfd, path(name)?, follows(flags))?.stat()
}

/// newfstatat(2).
pub fn newfstatat(dirfd: i32, name: usize, at: usize, flags: u32) -> SysResult {
    const KNOWN: u32 = abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH | abi::AT_NO_AUTOMOUNT;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    stat_out(at, &stat_of(dirfd, name, flags)?)
}

/// statx(2).
pub fn statx(dirfd: i32, name: usize, flags: u32, mask: u32, at: usize) -> SysResult {
    const KNOWN: u32 = abi::AT_SYMLINK_NOFOLLOW
        | abi::AT_EMPTY_PATH
        | abi::AT_NO_AUTOMOUNT
        | abi::AT_STATX_SYNC_TYPE;
    if flags & !KNOWN != 0
        || mask & abi::STATX__RESERVED != 0
        || flags & abi::AT_STATX_SYNC_TYPE == abi::AT_STATX_SYNC_TYPE
    {
        return Err(Errno::EINVAL);
    }
    let stat = stat_of(dirfd, name, flags)?;
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let time = |ns: i64| {
        [
            ns.div_euclid(1_000_000_000).cast_unsigned(),
            ns.rem_euclid(1_000_000_000).cast_unsigned(),
        ]
    };
    let major = |device: u64| (device >> 8 & 0xfff) as u32;
    let minor = |device: u64| (device & 0xff | device >> 12 & 0xfff00) as u32;
    let [a, b, c, m] = [stat.atime, stat.btime, stat.ctime, stat.mtime].map(time);
    let has_birth = u32::from(stat.btime != 0) * abi::STATX_BTIME;
    let mut words = [0u64; 32];
    words[..19].copy_from_slice(&[
        pair(abi::STATX_BASIC_STATS | has_birth, stat.block_size),
        0,
        pair(stat.links, stat.uid),
        pair(stat.gid, stat.mode),
        stat.inode,
        stat.size,
        stat.blocks,
        0,
        a[0],
        a[1],
        b[0],
        b[1],
        c[0],
        c[1],
        m[0],
        m[1],
        pair(major(stat.rdev), minor(stat.rdev)),
        pair(major(stat.device), minor(stat.device)),
        0,
    ]);
    user::write(at, &words)?;
    Ok(0)
}

/// name_to_handle_at(2): as on overlayfs, files have no handles that outlive their names.
pub fn name_to_handle_at(
    dirfd: i32,
    name: usize,
    handle: usize,
    _mount: usize,
    flags: u32,
) -> SysResult {
    /// What a handle may need (MAX_HANDLE_SZ).
    const MOST: u32 = 128;
    if flags & !(abi::AT_SYMLINK_FOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    target(dirfd, name, flags, flags & abi::AT_SYMLINK_FOLLOW != 0)?;
    let size: u32 = user::read(handle)?;
    if size > MOST {
        return Err(Errno::EINVAL);
    }
    Err(Errno::EOPNOTSUPP)
}

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
        let dentry = fd::get(dirfd)?.ops.dentry().ok_or(Errno::ENOENT)?;
        if dentry.inode.kind() != abi::S_IFLNK {
            return Err(Errno::ENOENT);
        }
        dentry
    } else {
        walk::lookup(dirfd, path, false)?
    };
    let text = match dentry.link()? {
        fs::inode::Link::Path(text) => text,
        fs::inode::Link::File(file) => file.shown_path(),
    };
    let length = text.len().min(size);
    user::copy_out(buf, &text[..length])?;
    Ok(length)
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
    let file = fd::get(fd)?;
    if file.flags() & abi::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
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
    if let Some([_, a, _, m]) = asked {
        let good = |ns: i64| matches!(ns, UTIME_NOW | UTIME_OMIT | 0..1_000_000_000);
        if !good(a) || !good(m) {
            return Err(Errno::EINVAL);
        }
    }
    if flags & !(abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let dentry = if name == 0 && dirfd != abi::AT_FDCWD {
        // futimens(3).
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        named(dirfd)?
    } else {
        target(dirfd, name, flags, follows(flags))?
    };
    set_times(&dentry, asked)
}

/// Seconds and nanoseconds of access and of modification.
fn set_times(dentry: &Dentry, asked: Option<[i64; 4]>) -> SysResult {
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
    let dentry = if name == 0 && dirfd != abi::AT_FDCWD {
        named(dirfd)?
    } else {
        walk::lookup(dirfd, path(name)?, true)?
    };
    set_times(&dentry, asked)
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

/// statfs(2).
pub fn statfs(name: usize, at: usize) -> SysResult {
    let dentry = walk::lookup(abi::AT_FDCWD, path(name)?, true)?;
    statfs_out(at, Some(&dentry))
}

/// fstatfs(2).
pub fn fstatfs(fd: i32, at: usize) -> SysResult {
    let dentry = fd::get(fd)?.ops.dentry();
    statfs_out(at, dentry.as_deref())
}

/// struct statfs. What has no file system of its own is on pipefs.
fn statfs_out(at: usize, dentry: Option<&Dentry>) -> SysResult {
    const PIPEFS: u64 = 0x5049_5045;
    // ST_VALID, ST_RELATIME.
    const FLAGS: u64 = 0x1020;
    let (magic, device) = dentry.map_or((PIPEFS, 0), |dentry| {
        let file_system = dentry.inode.file_system;
        (file_system.magic, file_system.device)
    });
    let (free, total) = match magic {
        fs::ram::MAGIC | fs::host::MAGIC => crate::memory::frames::counts(),
        _ => (0, 0),
    };
    let (free, total) = (free as u64, total as u64);
    let words: [u64; 15] = [
        magic, 4096, total, free, free, total, free, device, 255, 4096, FLAGS, 0, 0, 0, 0,
    ];
    user::write(at, &words)?;
    Ok(0)
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

/// getrandom(2): there is always entropy enough.
pub fn getrandom(buf: usize, count: usize, flags: u32) -> SysResult {
    const KNOWN: u32 = abi::GRND_NONBLOCK | abi::GRND_RANDOM | abi::GRND_INSECURE;
    const BOTH: u32 = abi::GRND_RANDOM | abi::GRND_INSECURE;
    if flags & !KNOWN != 0 || flags & BOTH == BOTH {
        return Err(Errno::EINVAL);
    }
    fs::dev::random::fill_user(&mut user::UserIo::single(buf, count)?)
}
