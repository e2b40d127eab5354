//! Files. (Room for the file system.)
use crate::memory::space::Backing;
use ringo_abi::Errno;

/// What mmap(2) of a descriptor shows.
///
/// # Errors
/// EBADF, EACCES, ENODEV.
pub fn map_source(_fd: i32, _protection: u32, _shared: bool, _page: u64) -> Result<Backing, Errno> {
    Err(Errno::EBADF)
}
