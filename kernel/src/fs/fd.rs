//! The process's descriptors.
use super::OpenFile;
use crate::memory::frames::check_spare;
use crate::sync::{Pool, PoolArc, SlotRef, SlotTable};
use crate::task::process;
use linux_raw_sys::general::O_PATH;
use ringo_abi::Errno;

static POOL: Pool<OpenFile> = Pool::new();
static TABLE: SlotTable<OpenFile> = SlotTable::new();

/// The table.
pub fn table() -> &'static SlotTable<OpenFile> {
    &TABLE
}

/// The largest RLIMIT_NOFILE (/proc/sys/fs/nr_open).
pub const MAX: usize = SlotTable::<OpenFile>::MAX;

/// How many descriptors are open.
pub fn count() -> usize {
    TABLE.count()
}

/// The open file of a descriptor.
///
/// # Errors
/// EBADF.
#[inline]
pub fn get(fd: i32) -> Result<SlotRef<OpenFile>, Errno> {
    TABLE.get(fd).ok_or(Errno::EBADF)
}

/// The open file of a descriptor that is more than a name: one opened with O_PATH serves only the calls that start from a
/// directory or ask about the file itself.
///
/// # Errors
/// EBADF.
#[inline]
pub fn usable(fd: i32) -> Result<SlotRef<OpenFile>, Errno> {
    let file = get(fd)?;
    if file.flags() & O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    Ok(file)
}

/// Makes an open file that can be installed.
pub fn open_file(file: OpenFile) -> PoolArc<OpenFile> {
    POOL.alloc(file)
}

/// Gives a new open file the lowest free descriptor.
///
/// # Errors
/// EMFILE; ENOMEM when only the kernel's reserve of memory is left.
pub fn install(file: OpenFile, close_on_exec: bool) -> Result<i32, Errno> {
    check_spare()?;
    TABLE.insert(0, limit(), POOL.alloc(file), close_on_exec)
}

/// Gives an open file that has descriptors one more, the lowest free one from `min` on.
///
/// # Errors
/// As [`install`]'s.
pub fn share(min: usize, file: SlotRef<OpenFile>, close_on_exec: bool) -> Result<i32, Errno> {
    check_spare()?;
    TABLE.insert(min, limit(), file, close_on_exec)
}

/// Gives an open file this descriptor, and what had it before.
///
/// # Errors
/// As [`SlotTable::replace`]'s; ENOMEM when only the kernel's reserve of memory is left.
pub fn replace(
    number: i32,
    file: SlotRef<OpenFile>,
    close_on_exec: bool,
) -> Result<Option<SlotRef<OpenFile>>, Errno> {
    check_spare()?;
    TABLE.replace(number, limit(), file, close_on_exec)
}

/// A descriptor for a file that is still to be opened: what opening does to the file must not be in vain. Given back
/// when dropped.
pub struct Reserved(i32);

impl Reserved {
    /// The lowest free descriptor.
    ///
    /// # Errors
    /// As [`install`]'s.
    pub fn new() -> Result<Self, Errno> {
        check_spare()?;
        TABLE.reserve(limit()).map(Self)
    }

    /// The file is open.
    pub fn install(self, file: OpenFile, close_on_exec: bool) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        TABLE.fill(number, POOL.alloc(file), close_on_exec);
        number
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        TABLE.give_up(self.0);
    }
}

/// RLIMIT_NOFILE's soft limit: descriptors are below it.
pub fn limit() -> usize {
    process().nofile[0].load(core::sync::atomic::Ordering::Relaxed) as usize
}
