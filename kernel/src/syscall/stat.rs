//! What files are: stat(2), fstat(2), statx(2), and what the file systems that they are on are: statfs(2).
use super::path::{follows, path, target};
use crate::fs::{Dentry, FileOps, Stat, fd, host, ram, tree, walk};
use crate::memory::{frames, user};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Seconds and nanoseconds of a time.
fn time(ns: i64) -> [u64; 2] {
    const SECOND: i64 = 1_000_000_000;
    [ns.div_euclid(SECOND), ns.rem_euclid(SECOND)].map(i64::cast_unsigned)
}

/// struct stat, as the program has it.
fn stat_out(at: usize, stat: &Stat) -> SysResult {
    let ([a, an], [m, mn], [c, cn]) = (time(stat.atime), time(stat.mtime), time(stat.ctime));
    let words: [u64; 18] = [
        stat.device,
        stat.inode,
        u64::from(stat.links),
        u64::from(stat.mode) | u64::from(stat.uid) << 32,
        u64::from(stat.gid),
        stat.rdev,
        stat.size,
        u64::from(stat.block_size),
        stat.blocks,
        a,
        an,
        m,
        mn,
        c,
        cn,
        0,
        0,
        0,
    ];
    user::write(at, &words)?;
    Ok(0)
}

/// fstat(2).
pub fn fstat(fd: i32, at: usize) -> SysResult {
    let stat = fd::get(fd)?.ops.stat()?;
    stat_out(at, &stat)
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
    const KNOWN: u32 = abi::AT_SYMLINK_NOFOLLOW
        | abi::AT_EMPTY_PATH
        | abi::AT_NO_AUTOMOUNT
        | abi::AT_STATX_SYNC_TYPE;
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
        ram::MAGIC | host::MAGIC => frames::counts(),
        _ => (0, 0),
    };
    // What is kept for the kernel and for promised pages no file gets.
    let available = free.saturating_sub(frames::reserve() + frames::promised());
    let [free, total, available] = [free, total, available].map(|count| count as u64);
    let words: [u64; 15] = [
        magic, 4096, total, free, available, total, free, device, 255, 4096, FLAGS, 0, 0, 0, 0,
    ];
    user::write(at, &words)?;
    Ok(0)
}
