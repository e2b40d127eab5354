//! Inodes: what a name stands for (inode(7)).
//!
//! One type for all file systems: attributes in atomics, so that stat(2) takes no lock and a write updates its times with
//! two stores; and the content, by kind. RAM files, directories and links hold theirs; devices are a number that dev/
//! knows; files of /proc and /sys are a [`Virtual`] that makes its content when asked.
use super::notify::Watchers;
use super::pipe::Pipe;
use super::ram::{Directory, FileData};
use super::text::Text;
use super::xattr::Attributes;
use super::{Dentry, OpenFile, Stat, lock::Locks};
use crate::sync::{SlotRef, SpinLock};
use crate::task::process;
use crate::time;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// A mounted file system: what statfs(2) and st_dev tell apart.
pub struct FileSystem {
    /// st_dev.
    pub device: u64,
    /// statfs's f_type.
    pub magic: u64,
    /// As /proc/self/mountinfo names it.
    pub kind: &'static str,
    next_inode: AtomicU64,
}

impl FileSystem {
    /// A file system with this minor device number.
    pub const fn new(minor: u64, magic: u64, kind: &'static str) -> Self {
        Self::numbered_from(1, minor, magic, kind)
    }

    /// One whose new inodes get numbers from `first` on: those below are given otherwise.
    pub const fn numbered_from(first: u64, minor: u64, magic: u64, kind: &'static str) -> Self {
        Self {
            device: minor,
            magic,
            kind,
            next_inode: AtomicU64::new(first),
        }
    }

    fn number(&self) -> u64 {
        self.next_inode.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where a link leads.
pub enum Link {
    /// To this path.
    Path(Vec<u8>),
    /// To this file, whatever its path (/proc/self/fd/N).
    File(Arc<Dentry>),
}

/// An entry of a directory, as getdents64(2) tells it.
pub struct Entry {
    /// Where to go on after it.
    pub next: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its inode's number.
    pub inode: u64,
    /// Its type as in S_IFMT.
    pub kind: u32,
}

/// Content that is made when asked for.
pub trait Virtual: Send + Sync {
    /// The entry with this name of directory `at`.
    ///
    /// # Errors
    /// ENOTDIR.
    fn lookup(&self, _at: &Arc<Dentry>, _name: &[u8]) -> Result<Option<Arc<Dentry>>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// The first entry at or after `cursor` (0 at first; "." and ".." are not told).
    fn entry(&self, _cursor: u64) -> Option<Entry> {
        None
    }

    /// Where the link leads.
    ///
    /// # Errors
    /// EINVAL.
    fn link(&self) -> Result<Link, Errno> {
        Err(Errno::EINVAL)
    }

    /// The file's text.
    ///
    /// # Errors
    /// EIO.
    fn text(&self) -> Result<Text, Errno> {
        Err(Errno::EIO)
    }

    /// Takes what was written in one call.
    ///
    /// # Errors
    /// EINVAL.
    fn store(&self, _text: &[u8]) -> SysResult {
        Err(Errno::EINVAL)
    }

    /// Whether nobody may open it for writing, not even root.
    fn read_only(&self) -> bool {
        false
    }

    /// Whether what it tells of is no more: then it has no name either.
    fn gone(&self) -> bool {
        false
    }

    /// What stat(2) shows as its size.
    fn size(&self) -> u64 {
        0
    }
}

/// What an inode holds.
pub enum Content {
    /// A regular file.
    File(FileData),
    /// A directory in RAM.
    Directory(Directory),
    /// A symbolic link.
    Symlink(Box<[u8]>),
    /// A named pipe: the pipe while somebody has it open.
    Fifo(SpinLock<Weak<Pipe>>),
    /// A socket bound to this name.
    Socket(SpinLock<Option<Weak<dyn Any + Send + Sync>>>),
    /// A device with this number.
    Device(u64),
    /// Made when asked for.
    Virtual(Box<dyn Virtual>),
    /// What a descriptor stands for that has no name in any directory.
    Descriptor(SlotRef<OpenFile>),
}

/// See the module's head.
pub struct Inode {
    /// Where it lives.
    pub file_system: &'static FileSystem,
    /// Its number there.
    pub number: u64,
    /// What it holds.
    pub content: Content,
    mode: AtomicU32,
    uid: AtomicU32,
    gid: AtomicU32,
    /// Names it has.
    pub links: AtomicU32,
    atime: AtomicI64,
    mtime: AtomicI64,
    ctime: AtomicI64,
    btime: i64,
    /// The ctime of the file below that this stands for: equal to `ctime` until something changes.
    lower_ctime: Option<i64>,
    /// Advisory locks.
    pub locks: Locks,
    /// Who hears of what happens to it.
    pub watchers: Watchers,
    /// Extended attributes.
    pub attributes: Attributes,
}

/// Who owns a new inode, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Type and permissions.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// The process's, with these permissions less the umask.
    pub fn process(mode: u32) -> Self {
        let umask = process().umask.load(Ordering::Relaxed);
        let (uid, gid) = crate::task::credentials().file_ids();
        Self {
            mode: mode & !(umask & 0o777),
            uid,
            gid,
        }
    }

    /// Root's, as it stands.
    pub const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

/// What stat(2) tells of a file below.
#[derive(Clone, Copy, Debug)]
pub struct Lower {
    /// Its inode's number.
    pub number: u64,
    /// Type, permissions, owner.
    pub owner: Owner,
    /// Names it has.
    pub links: u32,
    /// Last access, ns since the epoch.
    pub atime: i64,
    /// Last change of the contents.
    pub mtime: i64,
    /// Last change of the inode.
    pub ctime: i64,
}

fn now() -> i64 {
    time::realtime().cast_signed()
}

impl Inode {
    /// A new one, without a name so far.
    pub fn new(file_system: &'static FileSystem, owner: Owner, content: Content) -> Arc<Self> {
        Self::numbered(file_system, file_system.number(), owner, content, 0)
    }

    /// One that has its number, and this many names, without being in a directory.
    pub fn numbered(
        file_system: &'static FileSystem,
        number: u64,
        owner: Owner,
        content: Content,
        links: u32,
    ) -> Arc<Self> {
        let now = now();
        Arc::new(Self {
            file_system,
            number,
            content,
            mode: AtomicU32::new(owner.mode),
            uid: AtomicU32::new(owner.uid),
            gid: AtomicU32::new(owner.gid),
            links: AtomicU32::new(links),
            atime: AtomicI64::new(now),
            mtime: AtomicI64::new(now),
            ctime: AtomicI64::new(now),
            btime: now,
            lower_ctime: None,
            locks: Locks::new(),
            watchers: Watchers::new(),
            attributes: Attributes::default(),
        })
    }

    /// One that stands for a file below, as that is.
    pub fn over(file_system: &'static FileSystem, lower: &Lower, content: Content) -> Arc<Self> {
        Arc::new(Self {
            file_system,
            number: lower.number,
            content,
            mode: AtomicU32::new(lower.owner.mode),
            uid: AtomicU32::new(lower.owner.uid),
            gid: AtomicU32::new(lower.owner.gid),
            links: AtomicU32::new(lower.links),
            atime: AtomicI64::new(lower.atime),
            mtime: AtomicI64::new(lower.mtime),
            ctime: AtomicI64::new(lower.ctime),
            btime: 0,
            lower_ctime: Some(lower.ctime),
            locks: Locks::new(),
            watchers: Watchers::new(),
            attributes: Attributes::default(),
        })
    }

    /// Whether it stands for a file below.
    pub fn is_over(&self) -> bool {
        self.lower_ctime.is_some()
    }

    /// Whether it stands for a file below and is as that is; so are its contents. (The time of the last access does not
    /// count.)
    pub fn is_pristine(&self) -> bool {
        let writes_are_seen = match &self.content {
            Content::File(data) => data.writes_are_seen(),
            _ => true,
        };
        self.lower_ctime == Some(self.ctime.load(Ordering::Relaxed)) && writes_are_seen
    }

    /// For a regular file over a lower one whether that is open.
    pub fn lower_file_is_open(&self) -> Option<bool> {
        match &self.content {
            Content::File(data) => data.lower().map(|lower| lower.is_open()),
            _ => None,
        }
    }

    /// It lost names. A directory of some file systems counts one link, whatever is in it.
    pub fn fewer_links(&self, count: u32) {
        let _ = self
            .links
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |links| {
                Some(links.saturating_sub(count))
            });
    }

    /// Type and permissions.
    #[inline]
    pub fn mode(&self) -> u32 {
        self.mode.load(Ordering::Relaxed)
    }

    /// The type: S_IF*.
    #[inline]
    pub fn kind(&self) -> u32 {
        self.mode() & abi::S_IFMT
    }

    /// Whether it is a directory.
    #[inline]
    pub fn is_directory(&self) -> bool {
        self.kind() == abi::S_IFDIR
    }

    /// Owner and group.
    pub fn owner(&self) -> (u32, u32) {
        (
            self.uid.load(Ordering::Relaxed),
            self.gid.load(Ordering::Relaxed),
        )
    }

    /// stat(2).
    pub fn stat(&self) -> Stat {
        let (size, blocks) = match &self.content {
            Content::File(data) => (data.size(), data.blocks(self.is_pristine())),
            Content::Symlink(target) => (target.len() as u64, 0),
            Content::Directory(directory) => directory.size(self.is_pristine()),
            Content::Virtual(content) => (content.size(), 0),
            _ => (0, 0),
        };
        let rdev = match self.content {
            Content::Device(number) => number,
            _ => 0,
        };
        let (uid, gid) = self.owner();
        Stat {
            device: self.file_system.device,
            inode: self.number,
            mode: self.mode(),
            links: self.links.load(Ordering::Relaxed),
            uid,
            gid,
            rdev,
            size,
            blocks,
            block_size: 4096,
            atime: self.atime.load(Ordering::Relaxed),
            mtime: self.mtime.load(Ordering::Relaxed),
            ctime: self.ctime.load(Ordering::Relaxed),
            btime: self.btime,
        }
    }

    /// chmod(2).
    pub fn set_permissions(&self, mode: u32) {
        let _ = self
            .mode
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                Some(old & abi::S_IFMT | mode & 0o7777)
            });
        self.changed();
    }

    /// chown(2); None leaves one as it is. Set-id bits go, as on Linux, unless it is a directory.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) {
        if let Some(uid) = uid {
            self.uid.store(uid, Ordering::Relaxed);
        }
        if let Some(gid) = gid {
            self.gid.store(gid, Ordering::Relaxed);
        }
        if !self.is_directory() {
            self.drop_set_id();
        }
        self.changed();
    }

    /// A write or a change of owner takes the set-user-ID bit, and set-group-ID where the group may execute.
    pub fn drop_set_id(&self) {
        let mode = self.mode();
        let mut dropped = abi::S_ISUID;
        if mode & abi::S_IXGRP != 0 {
            dropped |= abi::S_ISGID;
        }
        if mode & dropped != 0 {
            self.mode.fetch_and(!dropped, Ordering::Relaxed);
        }
    }

    /// utimensat(2); None leaves one as it is.
    pub fn set_times(&self, atime: Option<i64>, mtime: Option<i64>) {
        if let Some(time) = atime {
            self.atime.store(time, Ordering::Relaxed);
        }
        if let Some(time) = mtime {
            self.mtime.store(time, Ordering::Relaxed);
        }
        self.changed();
    }

    /// All times but the change's, as an archive has them.
    pub fn date(&self, mtime: i64) {
        for time in [&self.atime, &self.mtime, &self.ctime] {
            time.store(mtime, Ordering::Relaxed);
        }
    }

    /// Attributes changed now.
    pub fn changed(&self) {
        self.ctime.store(now(), Ordering::Relaxed);
    }

    /// The contents changed now.
    #[inline]
    pub fn modified(&self) {
        let now = now();
        self.mtime.store(now, Ordering::Relaxed);
        self.ctime.store(now, Ordering::Relaxed);
    }

    /// The contents were read: noted as `relatime` has it, when the note is older than the last change, or than a day.
    #[inline]
    pub fn accessed(&self) {
        const DAY: i64 = 86_400_000_000_000;
        let noted = self.atime.load(Ordering::Relaxed);
        let mtime = self.mtime.load(Ordering::Relaxed);
        let ctime = self.ctime.load(Ordering::Relaxed);
        if noted <= mtime || noted <= ctime {
            self.atime.store(now(), Ordering::Relaxed);
        } else if let now = now()
            && now - noted > DAY
        {
            self.atime.store(now, Ordering::Relaxed);
        }
    }

    /// Where the link leads.
    ///
    /// # Errors
    /// EINVAL if it is not one.
    pub fn link(&self) -> Result<Link, Errno> {
        match &self.content {
            Content::Symlink(target) => Ok(Link::Path(target.to_vec())),
            Content::Virtual(content) => content.link(),
            _ => Err(Errno::EINVAL),
        }
    }
}
