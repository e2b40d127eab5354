//! Open files: the object behind one or more descriptors (open(2), "open file description").
//!
//! [`FileOps`] is what a kind of file can do; every method's default gives the error Linux gives for files that cannot.
//! Methods may block unless O_NONBLOCK is set and may touch the program's memory, so callers hold no spin lock.
use super::Dentry;
use super::epoll::Watches;
use super::poll::{PollEvents, PollQueue};
use super::text::Text;
use crate::memory::space::MapSource;
use crate::memory::user::UserIo;
use crate::sync::SleepMutex;
use crate::task::signal;
use crate::task::thread::ThreadRef;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general::{
    F_GETPIPE_SZ, F_SETPIPE_SZ, O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH, O_RDONLY, O_WRONLY,
    RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC, SIGPIPE,
};
use ringo_abi::{Errno, SysResult};

/// Of preadv2(2); newer than the headers of `linux_raw_sys`.
pub const RWF_NOAPPEND: u32 = 0x20;

/// RWF_* flags that most files know; those that cannot say "not now" do not know RWF_NOWAIT.
pub const CALL_FLAGS: u32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_NOAPPEND;

/// Those of files that can say "not now".
pub const WAITLESS_FLAGS: u32 = CALL_FLAGS | RWF_NOWAIT;

/// Those of files that take one buffer after the other, which Linux calls a loop.
pub const LOOP_FLAGS: u32 = RWF_HIPRI;

/// What stat(2) tells; times in nanoseconds since the epoch.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stat {
    /// Device number of the file system.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Type (S_IF*) and permissions.
    pub mode: u32,
    /// Names it has.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number, for device files.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes in use.
    pub blocks: u64,
    /// Preferred unit of I/O in bytes.
    pub block_size: u32,
    /// Last access.
    pub atime: i64,
    /// Last change of the contents.
    pub mtime: i64,
    /// Last change of the inode.
    pub ctime: i64,
    /// Creation.
    pub btime: i64,
}

/// The operations of one open file.
pub trait FileOps: Send + Sync + Any {
    /// Reads into the program at `offset`, or at the file's position (which it then advances).
    ///
    /// # Errors
    /// As read(2).
    fn read(&self, _file: &OpenFile, _io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Err(Errno::EINVAL)
    }

    /// Writes from the program at `offset`, or at the file's position (or end, with O_APPEND).
    ///
    /// # Errors
    /// As write(2). EPIPE also sends SIGPIPE, if [`FileOps::breaks_loudly`]: the system call does that.
    fn write(&self, _file: &OpenFile, _io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Err(Errno::EINVAL)
    }

    /// Whether it can be read: what cannot says so (EINVAL) before the buffer is looked at.
    fn reads(&self) -> bool {
        true
    }

    /// As [`FileOps::reads`], for writing.
    fn writes(&self) -> bool {
        true
    }

    /// Which RWF_* flags preadv2(2) may have, or pwritev2(2) if `writes`.
    fn call_flags(&self, _writes: bool) -> u32 {
        CALL_FLAGS
    }

    /// Whether EPIPE comes with SIGPIPE.
    fn breaks_loudly(&self) -> bool {
        true
    }

    /// What it is ready for now.
    fn poll(&self, _file: &OpenFile) -> PollEvents {
        PollEvents::IN | PollEvents::OUT | PollEvents::RDNORM | PollEvents::WRNORM
    }

    /// Who is told when that changes. None: always ready, and nothing for epoll (EPERM).
    fn poll_queue(&self) -> Option<&PollQueue> {
        None
    }

    /// ioctl(2).
    ///
    /// # Errors
    /// ENOTTY.
    fn ioctl(&self, _file: &OpenFile, _request: u32, _argument: usize) -> SysResult {
        Err(Errno::ENOTTY)
    }

    /// lseek(2): the new position.
    ///
    /// # Errors
    /// ESPIPE for streams.
    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Err(Errno::ESPIPE)
    }

    /// Where the file stands.
    ///
    /// # Errors
    /// EIO.
    fn position(&self, file: &OpenFile) -> Result<u64, Errno> {
        Ok(*file.position.lock())
    }

    /// Makes it stand there, for calls that moved bytes without moving it.
    ///
    /// # Errors
    /// EIO.
    fn set_position(&self, file: &OpenFile, at: u64) -> Result<(), Errno> {
        *file.position.lock() = at;
        Ok(())
    }

    /// Whether pread(2) and pwrite(2) work: `offset` is None without.
    fn seekable(&self) -> bool {
        false
    }

    /// An fcntl(2) command that only some kinds know: sizes of pipes, seals of memory files.
    ///
    /// # Errors
    /// EBADF for pipe sizes, EINVAL.
    fn control(&self, _file: &OpenFile, command: u32, _argument: usize) -> SysResult {
        match command {
            F_GETPIPE_SZ | F_SETPIPE_SZ => Err(Errno::EBADF),
            _ => Err(Errno::EINVAL),
        }
    }

    /// fstat(2).
    ///
    /// # Errors
    /// EIO.
    fn stat(&self) -> Result<Stat, Errno>;

    /// getdents64(2) into the program's buffer of `length` bytes at `buffer`.
    ///
    /// # Errors
    /// ENOTDIR; EINVAL when the buffer holds no entry.
    fn getdents(&self, _file: &OpenFile, _buffer: usize, _length: usize) -> SysResult {
        Err(Errno::ENOTDIR)
    }

    /// ftruncate(2).
    ///
    /// # Errors
    /// EINVAL.
    fn truncate(&self, _length: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// fallocate(2).
    ///
    /// # Errors
    /// ESPIPE for pipes, ENODEV else.
    fn allocate(&self, _mode: u32, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }

    /// fsync(2).
    ///
    /// # Errors
    /// EINVAL for what has nothing to sync.
    fn sync(&self) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// The file by its name, for kinds that have one: what fchmod(2), openat(2) and kin work on.
    fn dentry(&self) -> Option<Arc<Dentry>> {
        None
    }

    /// What mmap(2) shows.
    ///
    /// # Errors
    /// ENODEV.
    fn map_source(&self) -> Result<Arc<dyn MapSource>, Errno> {
        Err(Errno::ENODEV)
    }

    /// Whether F_SETFL may set these flags; told before they change.
    ///
    /// # Errors
    /// EINVAL, EPERM.
    fn set_flags(&self, _flags: u32) -> Result<(), Errno> {
        Ok(())
    }

    /// The last descriptor of this open file was closed.
    fn release(&self, _file: &OpenFile) {}

    /// The file is opened once more, by way of /proc/self/fd: what the new open file, with these O_* flags, does.
    ///
    /// # Errors
    /// ENXIO for what cannot be opened by name.
    fn reopen(&self, _file: &OpenFile, _flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        Err(Errno::ENXIO)
    }

    /// What /proc/self/fdinfo/N tells of this kind.
    ///
    /// # Errors
    /// ENOMEM.
    fn describe(&self, _out: &mut Text) -> Result<(), Errno> {
        Ok(())
    }

    /// What /proc/self/fd/N links to: a path, or "pipe:[7]", "anon_inode:[eventfd]".
    fn name(&self) -> Vec<u8>;
}

impl dyn FileOps {
    /// The concrete kind, for calls that work on one kind only.
    pub fn downcast<T: FileOps>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// SIGPIPE for the calling thread: it wrote to what nobody reads.
#[cold]
pub fn broken_pipe() {
    let info = signal::SigInfo::from_user(SIGPIPE as i32, signal::SI_USER);
    // A full queue holds a SIGPIPE already.
    let _ = signal::send_thread(ThreadRef::current(), info);
}

/// An open file description.
pub struct OpenFile {
    /// What it does.
    pub ops: Arc<dyn FileOps>,
    /// Access mode and status flags (O_*).
    flags: AtomicU32,
    /// The position, for kinds that have one; its lock makes read and write at it one step each.
    pub position: SleepMutex<u64>,
    /// Of a directory: positions from here on are of names that were made since it was read from its beginning.
    pub directory_end: AtomicU64,
    /// The epoll items that end with it.
    pub watches: Watches,
}

impl OpenFile {
    /// An open file with these O_* flags at position 0.
    pub fn new(ops: Arc<dyn FileOps>, flags: u32) -> Self {
        Self {
            ops,
            flags: AtomicU32::new(flags),
            position: SleepMutex::new(0),
            directory_end: AtomicU64::new(0),
            watches: Watches::new(),
        }
    }

    /// Access mode and status flags.
    #[inline]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Replaces the flags F_SETFL may change.
    pub fn replace_flags(&self, mask: u32, flags: u32) {
        let _ = self
            .flags
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                Some(old & !mask | flags & mask)
            });
    }

    /// Opened for reading.
    #[inline]
    pub fn readable(&self) -> bool {
        matches!(self.flags() & (O_ACCMODE | O_PATH), O_RDONLY | 2)
    }

    /// Opened for writing.
    #[inline]
    pub fn writable(&self) -> bool {
        matches!(self.flags() & (O_ACCMODE | O_PATH), O_WRONLY | 2)
    }

    /// O_NONBLOCK.
    #[inline]
    pub fn nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
    }

    /// O_APPEND.
    #[inline]
    pub fn appending(&self) -> bool {
        self.flags() & O_APPEND != 0
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let ops = self.ops.clone();
        self.watches.end(&*ops);
        ops.release(self);
    }
}
