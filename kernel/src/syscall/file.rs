//! Files: reading and writing through descriptors (read(2), pread(2), readv(2), lseek(2), fsync(2) and kin).
//!
//! write(2) is the call Go programs make most: a look-up without a lock, a test of the mode, the file's own work.
use crate::cpu::percpu::{self, PerCpu};
use crate::fs::file::broken_pipe;
use crate::fs::{OpenFile, fd};
use crate::memory::user::{self, UserIo};
use crate::sync::SlotRef;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The open file of a descriptor for reading.
#[inline(always)]
fn readable(fd: i32) -> Result<SlotRef<OpenFile>, Errno> {
    let file = fd::get(fd)?;
    if file.readable() {
        Ok(file)
    } else {
        Err(Errno::EBADF)
    }
}

/// The open file of a descriptor for writing.
#[inline(always)]
fn writable(fd: i32) -> Result<SlotRef<OpenFile>, Errno> {
    let file = fd::get(fd)?;
    if file.writable() {
        Ok(file)
    } else {
        Err(Errno::EBADF)
    }
}

/// The program learns of a broken pipe by a signal, too.
#[inline]
pub(super) fn with_sigpipe(file: &OpenFile, result: SysResult) -> SysResult {
    if result == Err(Errno::EPIPE) && file.ops.breaks_loudly() {
        broken_pipe();
    }
    result
}

const READS: usize = 0;

const WRITES: usize = 1;

/// Counts a call for /proc/PID/io, on this CPU's own counters: two additions to a line that every call touches.
#[inline]
fn counted(way: usize, result: SysResult) -> SysResult {
    let transfers = &percpu::this_cpu().transfers[way];
    PerCpu::count(&transfers.calls, 1);
    if let Ok(bytes) = result {
        PerCpu::count(&transfers.bytes, bytes as u64);
    }
    result
}

/// The end of a call that reads.
#[inline]
pub(super) fn end_read(result: SysResult) -> SysResult {
    counted(READS, result)
}

/// The end of a call that writes.
#[inline]
pub(super) fn end_write(file: &OpenFile, result: SysResult) -> SysResult {
    with_sigpipe(file, counted(WRITES, result))
}

/// The end of a call that moves bytes from one file to another, which counts as both.
pub(super) fn end_move(to: &OpenFile, result: SysResult) -> SysResult {
    end_write(to, counted(READS, result))
}

/// read(2).
pub fn read(fd: i32, buf: usize, count: usize) -> SysResult {
    let file = readable(fd)?;
    end_read(file.ops.read(&file, &mut UserIo::single(buf, count)?, None))
}

/// write(2).
pub fn write(fd: i32, buf: usize, count: usize) -> SysResult {
    let file = writable(fd)?;
    let mut io = UserIo::single(buf, count)?;
    end_write(&file, file.ops.write(&file, &mut io, None))
}

/// The open file of pread(2) and kin with its offset: that it has such is looked at before the mode, as Linux does.
fn positioned(fd: i32, offset: i64) -> Result<(SlotRef<OpenFile>, u64), Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = fd::usable(fd)?;
    if file.ops.seekable() {
        Ok((file, offset))
    } else {
        Err(Errno::ESPIPE)
    }
}

fn to_read(fd: i32, offset: i64) -> Result<(SlotRef<OpenFile>, u64), Errno> {
    positioned(fd, offset).and_then(|found| {
        if found.0.readable() {
            Ok(found)
        } else {
            Err(Errno::EBADF)
        }
    })
}

fn to_write(fd: i32, offset: i64) -> Result<(SlotRef<OpenFile>, u64), Errno> {
    positioned(fd, offset).and_then(|found| {
        if found.0.writable() {
            Ok(found)
        } else {
            Err(Errno::EBADF)
        }
    })
}

/// No byte may lie beyond the largest offset there is.
pub(super) fn check_end(offset: u64, count: usize) -> Result<(), Errno> {
    match offset.checked_add(count as u64) {
        Some(end) if end <= i64::MAX as u64 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// pread64(2).
pub fn pread64(fd: i32, buf: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_read(fd, offset)?;
    let mut io = UserIo::single(buf, count)?;
    check_end(offset, count)?;
    end_read(file.ops.read(&file, &mut io, Some(offset)))
}

/// pwrite64(2).
pub fn pwrite64(fd: i32, buf: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_write(fd, offset)?;
    let mut io = UserIo::single(buf, count)?;
    check_end(offset, count)?;
    end_write(&file, file.ops.write(&file, &mut io, Some(offset)))
}

/// readv(2).
pub fn readv(fd: i32, iov: usize, count: usize) -> SysResult {
    let file = readable(fd)?;
    end_read(file.ops.read(&file, &mut UserIo::vector(iov, count)?, None))
}

/// writev(2).
pub fn writev(fd: i32, iov: usize, count: usize) -> SysResult {
    let file = writable(fd)?;
    let mut io = UserIo::vector(iov, count)?;
    end_write(&file, file.ops.write(&file, &mut io, None))
}

/// preadv(2): the offset's high half does not exist on 64-bit machines.
pub fn preadv(fd: i32, iov: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_read(fd, offset)?;
    end_read(
        file.ops
            .read(&file, &mut UserIo::vector(iov, count)?, Some(offset)),
    )
}

/// pwritev(2).
pub fn pwritev(fd: i32, iov: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_write(fd, offset)?;
    let mut io = UserIo::vector(iov, count)?;
    end_write(&file, file.ops.write(&file, &mut io, Some(offset)))
}

/// Flags that ask for what RAM files do anyway.
const RWF_HARMLESS: u32 = abi::RWF_HIPRI | abi::RWF_DSYNC | abi::RWF_SYNC;

/// preadv2(2).
pub fn preadv2(
    fd: i32,
    iov: usize,
    count: usize,
    offset: i64,
    _high: usize,
    flags: u32,
) -> SysResult {
    match (flags & !RWF_HARMLESS, offset) {
        (0, -1) => readv(fd, iov, count),
        (0, _) => preadv(fd, iov, count, offset),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// pwritev2(2).
pub fn pwritev2(
    fd: i32,
    iov: usize,
    count: usize,
    offset: i64,
    _high: usize,
    flags: u32,
) -> SysResult {
    match (flags & !RWF_HARMLESS, offset) {
        (0, -1) => writev(fd, iov, count),
        (0, _) => pwritev(fd, iov, count, offset),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// lseek(2).
pub fn lseek(fd: i32, offset: i64, whence: u32) -> SysResult {
    let file = fd::usable(fd)?;
    if whence > abi::SEEK_HOLE {
        return Err(Errno::EINVAL);
    }
    file.ops.seek(&file, offset, whence)
}

/// ftruncate(2).
pub fn ftruncate(fd: i32, length: i64) -> SysResult {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let file = fd::usable(fd)?;
    if !file.writable() {
        return Err(Errno::EINVAL);
    }
    file.ops.truncate(length).map(|()| 0)
}

/// fallocate(2).
pub fn fallocate(fd: i32, mode: u32, offset: i64, length: i64) -> SysResult {
    if offset < 0 || length <= 0 {
        return Err(Errno::EINVAL);
    }
    if offset.checked_add(length).is_none() {
        return Err(Errno::EFBIG);
    }
    let file = writable(fd)?;
    file.ops
        .allocate(mode, offset.cast_unsigned(), length.cast_unsigned())
        .map(|()| 0)
}

/// fsync(2).
pub fn fsync(fd: i32) -> SysResult {
    let file = fd::usable(fd)?;
    file.ops.sync().map(|()| 0)
}

/// fdatasync(2).
pub fn fdatasync(fd: i32) -> SysResult {
    fsync(fd)
}

/// syncfs(2): files live in memory.
pub fn syncfs(fd: i32) -> SysResult {
    fd::usable(fd).map(|_| 0)
}

/// sync(2).
pub fn sync() -> SysResult {
    Ok(0)
}

/// sync_file_range(2).
pub fn sync_file_range(fd: i32, offset: i64, length: i64, flags: u32) -> SysResult {
    if offset < 0 || offset.checked_add(length).is_none_or(|end| end < offset) || flags & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    if fd::usable(fd)?.ops.seekable() {
        Ok(0)
    } else {
        Err(Errno::ESPIPE)
    }
}

/// fadvise64(2): advice about a cache there is none of.
pub fn fadvise64(fd: i32, _offset: i64, length: i64, advice: u32) -> SysResult {
    let file = fd::usable(fd)?;
    if file.ops.stat()?.mode & abi::S_IFMT == abi::S_IFIFO {
        return Err(Errno::ESPIPE);
    }
    if advice > abi::POSIX_FADV_NOREUSE || length < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// readahead(2).
pub fn readahead(fd: i32, _offset: i64, _count: usize) -> SysResult {
    if readable(fd)?.ops.map_source().is_ok() {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

/// getdents(2): struct linux_dirent is as long as the newer one, with the type in its last byte.
pub fn getdents(fd: i32, buf: usize, count: u32) -> SysResult {
    const NAME: usize = 18;
    const NAME64: usize = 19;
    let length = getdents64(fd, buf, count)?;
    let mut records: Vec<u8> = Vec::new();
    records
        .try_reserve_exact(length)
        .map_err(|_| Errno::ENOMEM)?;
    records.resize(length, 0);
    user::copy_in(&mut records, buf)?;
    let mut rest = &mut records[..];
    while rest.len() > NAME64 {
        let size = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
        let (record, after) = rest.split_at_mut(size.clamp(NAME64 + 1, rest.len()));
        let (kind, last) = (record[NAME], record.len() - 1);
        record.copy_within(NAME64.., NAME);
        record[last] = kind;
        rest = after;
    }
    user::copy_out(buf, &records)?;
    Ok(length)
}

/// getdents64(2).
pub fn getdents64(fd: i32, buf: usize, count: u32) -> SysResult {
    let file = fd::usable(fd)?;
    if i32::try_from(count).is_err() {
        return Err(Errno::EINVAL);
    }
    file.ops.getdents(&file, buf, count as usize)
}
