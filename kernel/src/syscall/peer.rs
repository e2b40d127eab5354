//! What one process may do to another by its number or descriptor; the only one there is is this one.
use super::process::own;
use crate::fs::{OpenFile, fd};
use crate::memory::user::UserIo;
use crate::sync::SlotRef;
use alloc::vec::Vec;
use core::cmp::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Bytes copied at once.
const CHUNK: usize = 16 << 10;

/// Copies between the buffers of two vectors, until one ends or a page is missing.
fn copy(mut to: UserIo, mut from: UserIo) -> SysResult {
    let mut buffer: Vec<u8> = Vec::new();
    let most = from.remaining().min(to.remaining()).min(CHUNK);
    buffer.try_reserve_exact(most).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(most, 0);
    let mut done = 0;
    loop {
        let wanted = from.remaining().min(to.remaining()).min(most);
        if wanted == 0 {
            return Ok(done);
        }
        let step = from
            .copy_in(&mut buffer[..wanted])
            .and_then(|got| to.copy_out(&buffer[..got]));
        match step {
            Ok(put) => done += put,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => {}
        }
        if step != Ok(wanted) {
            return Ok(done);
        }
    }
}

/// Refuses what is not one of our threads; 0 does not mean the caller here.
fn peer(pid: i32) -> Result<(), Errno> {
    if pid == 0 {
        Err(Errno::ESRCH)
    } else {
        own(pid)
    }
}

/// The buffers on the caller's side and on the other; None if there is nothing to copy, whatever the other side is.
fn buffers(
    pid: i32,
    local: usize,
    local_count: usize,
    remote: usize,
    remote_count: usize,
    flags: usize,
) -> Result<Option<(UserIo, UserIo)>, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let local = UserIo::vector(local, local_count)?;
    if local.remaining() == 0 {
        return Ok(None);
    }
    // This number is no unsigned int.
    let remote_count = u32::try_from(remote_count).map_err(|_| Errno::EINVAL)?;
    let remote = UserIo::vector(remote, remote_count as usize)?;
    peer(pid)?;
    Ok(Some((local, remote)))
}

/// process_vm_readv(2).
pub fn process_vm_readv(
    pid: i32,
    local: usize,
    local_count: usize,
    remote: usize,
    remote_count: usize,
    flags: usize,
) -> SysResult {
    let buffers = buffers(pid, local, local_count, remote, remote_count, flags)?;
    buffers.map_or(Ok(0), |(local, remote)| copy(local, remote))
}

/// process_vm_writev(2).
pub fn process_vm_writev(
    pid: i32,
    local: usize,
    local_count: usize,
    remote: usize,
    remote_count: usize,
    flags: usize,
) -> SysResult {
    let buffers = buffers(pid, local, local_count, remote, remote_count, flags)?;
    buffers.map_or(Ok(0), |(local, remote)| copy(remote, local))
}

/// kcmp(2): 0 if the two are the same, 1 or 2 for the order of those that are not.
pub fn kcmp(a: i32, b: i32, kind: i32, first: usize, second: usize) -> SysResult {
    const FILE: i32 = 0;
    const SYSVSEM: i32 = 6;
    peer(a)?;
    peer(b)?;
    match kind {
        FILE => {
            let file = |number: usize| -> Result<SlotRef<OpenFile>, Errno> {
                fd::get(i32::try_from(number).map_err(|_| Errno::EBADF)?)
            };
            let (first, second) = (file(first)?, file(second)?);
            let at = |file: &SlotRef<OpenFile>| core::ptr::from_ref::<OpenFile>(file) as usize;
            Ok(match at(&first).cmp(&at(&second)) {
                Ordering::Equal => 0,
                Ordering::Less => 1,
                Ordering::Greater => 2,
            })
        }
        // Memory, descriptors, directories, handlers, I/O context, semaphores: threads share them all.
        1..=SYSVSEM => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// process_madvise(2): advice that takes nothing away.
pub fn process_madvise(pidfd: i32, iov: usize, count: usize, advice: u32, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let mut ranges = UserIo::vector(iov, count)?;
    super::pidfd::check(pidfd)?;
    let known = matches!(
        advice,
        abi::MADV_WILLNEED | abi::MADV_COLD | abi::MADV_PAGEOUT | abi::MADV_COLLAPSE
    );
    if !known {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    while ranges.remaining() > 0 {
        let (address, length) = ranges.piece(usize::MAX);
        match super::memory::madvise(address, length, advice) {
            Ok(_) => done += length,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        ranges.advance(length);
    }
    Ok(done)
}
