//! Files: reading and writing through descriptors (read(2), pread(2), readv(2), lseek(2), fsync(2) and kin).
//!
//! write(2) is the call Go programs make most: a look-up without a lock, a test of the mode, the file's own work.
use crate::cpu::percpu::{self, PerCpu};
use crate::fs::file::{RWF_NOAPPEND, broken_pipe};
use crate::fs::poll::PollEvents;
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

/// What a bad buffer comes to: a file that cannot be read at all says so before its buffer is looked at, as on Linux.
#[cold]
fn unreadable(file: &OpenFile, errno: Errno) -> Errno {
    if file.ops.reads() {
        errno
    } else {
        Errno::EINVAL
    }
}

/// As [`unreadable`], for writing.
#[cold]
fn unwritable(file: &OpenFile, errno: Errno) -> Errno {
    if file.ops.writes() {
        errno
    } else {
        Errno::EINVAL
    }
}

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
    let mut io = UserIo::single(buf, count).map_err(|errno| unreadable(&file, errno))?;
    end_read(file.ops.read(&file, &mut io, None))
}

/// write(2).
pub fn write(fd: i32, buf: usize, count: usize) -> SysResult {
    let file = writable(fd)?;
    let mut io = UserIo::single(buf, count).map_err(|errno| unwritable(&file, errno))?;
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

/// Reads into the buffers at `iov`, with preadv2(2)'s flags. No bytes at all are read whatever is asked for.
fn read_vector(
    file: &OpenFile,
    iov: usize,
    count: usize,
    offset: Option<u64>,
    flags: u32,
) -> SysResult {
    let io = UserIo::vector(iov, count)
        .and_then(|io| file.ops.reads().then_some(io).ok_or(Errno::EINVAL));
    let mut io = io.map_err(|errno| unreadable(file, errno))?;
    if io.remaining() == 0 {
        return Ok(0);
    }
    check_end(offset.unwrap_or(0), io.remaining())?;
    apply_flags(file, &mut io, flags, false)?;
    end_read(file.ops.read(file, &mut io, offset))
}

/// Writes from the buffers at `iov`, as [`read_vector`] reads.
fn write_vector(
    file: &OpenFile,
    iov: usize,
    count: usize,
    offset: Option<u64>,
    flags: u32,
) -> SysResult {
    let io = UserIo::vector(iov, count)
        .and_then(|io| file.ops.writes().then_some(io).ok_or(Errno::EINVAL));
    let mut io = io.map_err(|errno| unwritable(file, errno))?;
    if io.remaining() == 0 {
        return Ok(0);
    }
    check_end(offset.unwrap_or(0), io.remaining())?;
    apply_flags(file, &mut io, flags, true)?;
    end_write(file, file.ops.write(file, &mut io, offset))
}

/// RWF_* of preadv2(2) and pwritev2(2). Bytes are where they shall be at once, so flags about that change nothing.
fn apply_flags(file: &OpenFile, io: &mut UserIo, flags: u32, writes: bool) -> Result<(), Errno> {
    const BOTH: u32 = abi::RWF_APPEND | RWF_NOAPPEND;
    if flags & !file.ops.call_flags(writes) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    match flags & BOTH {
        0 => {}
        BOTH => return Err(Errno::EINVAL),
        one => io.set_appending(one == abi::RWF_APPEND),
    }
    let direction = if writes {
        PollEvents::OUT
    } else {
        PollEvents::IN
    };
    let ended = PollEvents::HUP | PollEvents::ERR;
    // Whoever takes the bytes between this and the call makes it wait, as it would between poll(2) and read(2).
    if flags & abi::RWF_NOWAIT != 0
        && !file.nonblocking()
        && !file.ops.poll(file).intersects(direction | ended)
    {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

/// readv(2).
pub fn readv(fd: i32, iov: usize, count: usize) -> SysResult {
    read_vector(&*readable(fd)?, iov, count, None, 0)
}

/// writev(2).
pub fn writev(fd: i32, iov: usize, count: usize) -> SysResult {
    write_vector(&*writable(fd)?, iov, count, None, 0)
}

/// preadv(2): the offset's high half does not exist on 64-bit machines.
pub fn preadv(fd: i32, iov: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_read(fd, offset)?;
    read_vector(&file, iov, count, Some(offset), 0)
}

/// pwritev(2).
pub fn pwritev(fd: i32, iov: usize, count: usize, offset: i64) -> SysResult {
    let (file, offset) = to_write(fd, offset)?;
    write_vector(&file, iov, count, Some(offset), 0)
}

/// The offset that stands for the file's position.
const AT_POSITION: i64 = -1;

/// preadv2(2).
pub fn preadv2(
    fd: i32,
    iov: usize,
    count: usize,
    offset: i64,
    _high: usize,
    flags: u32,
) -> SysResult {
    if offset == AT_POSITION {
        return read_vector(&*readable(fd)?, iov, count, None, flags);
    }
    let (file, offset) = to_read(fd, offset)?;
    read_vector(&file, iov, count, Some(offset), flags)
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
    if offset == AT_POSITION {
        return write_vector(&*writable(fd)?, iov, count, None, flags);
    }
    let (file, offset) = to_write(fd, offset)?;
    write_vector(&file, iov, count, Some(offset), flags)
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

/// FALLOC_FL_WRITE_ZEROES, which is newer than the headers of `linux_raw_sys`.
const WRITE_ZEROES: u32 = 0x80;

/// fallocate(2): what each check comes before is part of the interface (vfs_fallocate).
pub fn fallocate(fd: i32, mode: u32, offset: i64, length: i64) -> SysResult {
    let file = fd::usable(fd)?;
    if offset < 0 || length <= 0 {
        return Err(Errno::EINVAL);
    }
    let keeps = mode & abi::FALLOC_FL_KEEP_SIZE != 0;
    match mode & !abi::FALLOC_FL_KEEP_SIZE {
        0 | abi::FALLOC_FL_UNSHARE_RANGE | abi::FALLOC_FL_ZERO_RANGE => {}
        abi::FALLOC_FL_PUNCH_HOLE if keeps => {}
        abi::FALLOC_FL_COLLAPSE_RANGE | abi::FALLOC_FL_INSERT_RANGE | WRITE_ZEROES if !keeps => {}
        _ => return Err(Errno::EOPNOTSUPP),
    }
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    match file.ops.stat()?.mode & abi::S_IFMT {
        abi::S_IFIFO => return Err(Errno::ESPIPE),
        abi::S_IFREG if offset.checked_add(length).is_none() => return Err(Errno::EFBIG),
        _ => {}
    }
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
    let file = fd::usable(fd)?;
    if offset < 0 || offset.checked_add(length).is_none_or(|end| end < offset) || flags & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    if file.ops.seekable() {
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
pub fn readahead(fd: i32, _offset: i64, count: i64) -> SysResult {
    if readable(fd)?.ops.map_source().is_ok() && count >= 0 {
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
    // More than an int holds is no room at all.
    let count = i32::try_from(count).unwrap_or(0);
    file.ops.getdents(&file, buf, count as usize)
}
