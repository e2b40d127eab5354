//! Advisory locks on files: flock(2) and the record locks of fcntl(2).
//!
//! There is one process, so its own (POSIX) record locks meet resistance only from locks of open file descriptions. An
//! inode that never had a lock costs its files one load when they are closed. Blocked requests wait on the inode's queue
//! and look again whenever a lock goes.
use super::ranges::{Owner, Range, Ranges};
use super::{OpenFile, fd};
use crate::memory::spare::Spare;
use crate::memory::user;
use crate::sync::{SpinLock, Wait, WaitQueue};
use crate::task;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

struct Held {
    /// Whole-file locks: the open file, and whether it is exclusive.
    whole: Vec<(usize, bool)>,
    records: Ranges,
}

/// The locks on one inode.
pub struct Locks {
    used: AtomicBool,
    held: SpinLock<Held>,
    queue: WaitQueue,
}

fn id(file: &OpenFile) -> usize {
    core::ptr::from_ref(file) as usize
}

impl Locks {
    /// None.
    pub const fn new() -> Self {
        Self {
            used: AtomicBool::new(false),
            held: SpinLock::new(Held {
                whole: Vec::new(),
                records: Ranges::new(),
            }),
            queue: WaitQueue::new(),
        }
    }

    /// The open file is gone, and what it held.
    pub fn file_released(&self, file: &OpenFile) {
        if !self.used.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut held = self.held.lock();
            held.whole.retain(|&(owner, _)| owner != id(file));
            held.records.release(Owner::File(id(file)));
        }
        self.queue.wake_all();
    }

    /// A descriptor was closed, and with it go all the process's record locks on the file, as POSIX has it.
    fn descriptor_closed(&self) {
        if self.used.load(Ordering::Relaxed) {
            self.held.lock().records.release(Owner::Process);
            self.queue.wake_all();
        }
    }

    /// Tries, and blocks as long as that gives EAGAIN if it may.
    fn acquire(
        &self,
        block: bool,
        mut attempt: impl FnMut(&mut Held) -> Result<(), Errno>,
    ) -> SysResult {
        self.used.store(true, Ordering::Relaxed);
        let mut attempt = || match attempt(&mut self.held.lock()) {
            Err(Errno::EAGAIN) => None,
            done => Some(done),
        };
        let done = match attempt() {
            Some(done) => done,
            None if !block => Err(Errno::EAGAIN),
            None => self
                .queue
                .wait_until(Wait::interruptible(), attempt)
                .and_then(|done| done),
        };
        // A lock that became smaller or weaker may let others in.
        self.queue.wake_all();
        done.map(|()| 0)
    }
}

/// A descriptor of the file was closed.
#[inline]
pub fn descriptor_closed(file: &OpenFile) {
    if let Some(dentry) = file.ops.dentry() {
        dentry.inode.locks.descriptor_closed();
    }
}

/// flock(2).
///
/// # Errors
/// EINVAL, EWOULDBLOCK, ERESTARTSYS, ENOLCK; EBADF for what has no inode.
pub fn flock(fd: i32, operation: u32) -> SysResult {
    // Locks of this kind never kept anybody out; since 6.0 Linux says yes and does nothing.
    if operation & abi::LOCK_MAND != 0 {
        return Ok(0);
    }
    let kind = operation & !abi::LOCK_NB;
    if !matches!(kind, abi::LOCK_SH | abi::LOCK_EX | abi::LOCK_UN) {
        return Err(Errno::EINVAL);
    }
    // The descriptor comes last.
    let file = &*fd::usable(fd)?;
    let exclusive = match kind {
        abi::LOCK_SH => false,
        abi::LOCK_EX => true,
        _ => {
            let Some(dentry) = file.ops.dentry() else {
                return Ok(0);
            };
            return dentry.inode.locks.acquire(false, |held| {
                held.whole.retain(|&(owner, _)| owner != id(file));
                Ok(())
            });
        }
    };
    // A pipe, a socket or an event descriptor that has no name: whoever has it open shares this very open file, and with it the
    // lock.
    let Some(dentry) = file.ops.dentry() else {
        return Ok(0);
    };
    let me = id(file);
    dentry
        .inode
        .locks
        .acquire(operation & abi::LOCK_NB == 0, |held| {
            // A change of kind is a new lock: the old one is lost even if the new one has to wait.
            held.whole.retain(|&(owner, _)| owner != me);
            if held.whole.iter().any(|&(_, other)| other || exclusive) {
                return Err(Errno::EAGAIN);
            }
            held.whole.spare(1).map_err(|_| Errno::ENOLCK)?;
            held.whole.push((me, exclusive));
            Ok(())
        })
}

/// struct flock of the program, understood: kind (F_RDLCK...) and range.
fn request(file: &OpenFile, at: usize, of_file: bool) -> Result<(u32, Range), Errno> {
    let [kind, start, length, pid]: [u64; 4] = user::read(at)?;
    let (kind, whence, pid) = (kind as u16, (kind >> 16) as u16, pid as u32);
    if of_file && pid != 0 {
        return Err(Errno::EINVAL);
    }
    let from = match u32::from(whence) {
        abi::SEEK_SET => 0,
        abi::SEEK_CUR => file.ops.position(file)?,
        abi::SEEK_END => file.ops.stat()?.size,
        _ => return Err(Errno::EINVAL),
    };
    let (start, length) = (start.cast_signed(), length.cast_signed());
    const MAX: u64 = i64::MAX as u64;
    let begin = from.checked_add_signed(start).ok_or(Errno::EINVAL)?;
    if begin > MAX || length > 0 && (length - 1).cast_unsigned() > MAX - begin {
        return Err(Errno::EOVERFLOW);
    }
    let (first, last) = match length {
        0 => (begin, u64::MAX),
        1.. => (
            begin,
            begin
                .checked_add_signed(length - 1)
                .ok_or(Errno::EOVERFLOW)?,
        ),
        _ => (
            begin.checked_add_signed(length).ok_or(Errno::EINVAL)?,
            begin.checked_sub(1).ok_or(Errno::EINVAL)?,
        ),
    };
    if first > i64::MAX as u64 {
        return Err(Errno::EOVERFLOW);
    }
    let owner = if of_file {
        Owner::File(id(file))
    } else {
        Owner::Process
    };
    Ok((
        u32::from(kind),
        Range {
            first,
            last,
            exclusive: u32::from(kind) == abi::F_WRLCK,
            owner,
        },
    ))
}

/// fcntl(F_SETLK, F_SETLKW and those of open file descriptions).
///
/// # Errors
/// EINVAL, EBADF, EAGAIN, ERESTARTSYS, EFAULT, ENOLCK.
pub fn set(file: &OpenFile, at: usize, of_file: bool, block: bool) -> SysResult {
    let (kind, range) = request(file, at, of_file)?;
    match kind {
        abi::F_RDLCK if !file.readable() => return Err(Errno::EBADF),
        abi::F_WRLCK if !file.writable() => return Err(Errno::EBADF),
        abi::F_RDLCK | abi::F_WRLCK | abi::F_UNLCK => {}
        _ => return Err(Errno::EINVAL),
    }
    let Some(dentry) = file.ops.dentry() else {
        // As with flock(2): there is no other open file whose lock could be in the way.
        return Ok(0);
    };
    dentry.inode.locks.acquire(block, |held| {
        let room = held.records.list().spare(2);
        room.map_err(|_| Errno::ENOLCK)?;
        if kind == abi::F_UNLCK {
            held.records.unlock(range);
            Ok(())
        } else if held.records.conflict(range).is_some() {
            Err(Errno::EAGAIN)
        } else {
            held.records.lock(range);
            Ok(())
        }
    })
}

/// fcntl(F_GETLK): who is in the way.
///
/// # Errors
/// EINVAL, EBADF, EFAULT.
pub fn get(file: &OpenFile, at: usize, of_file: bool) -> SysResult {
    let (kind, range) = request(file, at, of_file)?;
    // Those of open files may also ask for whatever there is, as if it were to be written.
    let range = match kind {
        abi::F_RDLCK | abi::F_WRLCK => range,
        abi::F_UNLCK if of_file => Range {
            exclusive: true,
            ..range
        },
        _ => return Err(Errno::EINVAL),
    };
    let dentry = file.ops.dentry();
    let conflict = dentry.and_then(|named| named.inode.locks.held.lock().records.conflict(range));
    let Some(other) = conflict else {
        user::write(at, &(abi::F_UNLCK as u16))?;
        return Ok(0);
    };
    let kind = if other.exclusive {
        abi::F_WRLCK
    } else {
        abi::F_RDLCK
    };
    let length = match other.last {
        u64::MAX => 0,
        last => last - other.first + 1,
    };
    let pid = match other.owner {
        Owner::Process => task::PID,
        Owner::File(_) => -1,
    };
    let words = [
        u64::from(kind),
        other.first,
        length,
        u64::from(pid.cast_unsigned()),
    ];
    user::write(at, &words)?;
    Ok(0)
}
