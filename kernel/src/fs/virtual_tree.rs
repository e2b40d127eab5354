//! Trees of generated files: /proc, /sys and the control groups are tables of what there is and who writes its text.
//!
//! A [`Tree`] is a file system; its directories are constant tables of [`Item`]s, and a directory may have entries by
//! number besides: threads, descriptors, CPUs. Nothing exists in memory but what a path just led to: a node is made when
//! it is looked up, and its inode number is a hash of where it is, so that it is the same each time.
//! Cost: a look-up is a linear search of one table (the longest has some fifty entries). No locks.
use super::Dentry;
use super::inode::{Content, Entry, FileSystem, Inode, Link, Owner, Virtual};
use super::text::Text;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The numbers in the path to a node, outermost first: thread and descriptor, CPU and cache. 0 where there is none.
pub type Numbers = [u32; 2];

/// Writes a file's text.
pub type Make = fn(&mut Text, Numbers) -> Result<(), Errno>;

/// Takes what was written to a file.
pub type Store = fn(Numbers, &[u8]) -> SysResult;

/// What an entry of a directory is.
pub enum Kind {
    /// A file to be read.
    File(Make),
    /// A file to be read and written.
    Writable(Make, Store),
    /// A directory.
    Directory(&'static Listing),
    /// A symbolic link, and the size that lstat(2) shows.
    Link(fn(Numbers) -> Result<Link, Errno>, u64),
    /// Where another tree is mounted; one with the same device number is a part of this file system.
    Mounted(&'static Tree),
}

/// An entry with a name.
pub struct Item {
    /// Its name.
    pub name: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// Entries with a number for a name, behind a common prefix ("cpu").
pub struct Numbered {
    /// What stands before the number.
    pub prefix: &'static str,
    /// Which of the [`Numbers`] it becomes.
    pub place: usize,
    /// The first number not below the given one.
    pub next: fn(Numbers, u32) -> Option<u32>,
    /// Whether there is an entry with this number, listed or not.
    pub exists: fn(Numbers, u32) -> bool,
    /// What stat(2) shows as the directory's size, if not 0.
    pub size: Option<fn() -> u64>,
    /// Permissions; they may depend on the number.
    pub mode: fn(Numbers) -> u32,
    /// What each is.
    pub kind: Kind,
}

/// What a directory holds.
pub struct Listing {
    /// By name.
    pub items: &'static [Item],
    /// By number.
    pub numbered: Option<&'static Numbered>,
}

/// A file system of generated files.
pub struct Tree {
    /// What statfs(2) says, and inodes belong to.
    pub file_system: FileSystem,
    /// The root directory.
    pub root: Kind,
    /// What a look-up of a name that is not there gives: None leaves it to the caller (sysfs), ENOENT is the answer to
    /// attempts to create it as well (procfs).
    pub missing: Option<Errno>,
    /// What write(2) of a file that cannot be written gives; None if it cannot even be opened for writing.
    pub write_error: Option<Errno>,
    /// What stat(2) gives as a file's size.
    pub file_size: u64,
    /// User and group of a node.
    pub owner: fn(Numbers) -> (u32, u32),
    /// Whether what the numbers stand for still exists.
    pub alive: fn(Numbers) -> bool,
}

/// Inode number of a root directory.
const ROOT: u64 = 1;

struct Node {
    tree: &'static Tree,
    kind: &'static Kind,
    numbers: Numbers,
    number: u64,
}

impl Tree {
    /// An inode of the root directory.
    pub fn root_inode(&'static self) -> Arc<Inode> {
        self.inode(ROOT, 0o555, &self.root, [0; 2])
    }

    /// An inode of the tree's one kind of file, for a tree without names.
    pub fn nameless(&'static self, number: u64, mode: u32) -> Arc<Inode> {
        self.inode(number, mode, &self.root, [0; 2])
    }

    fn inode(
        &'static self,
        number: u64,
        mode: u32,
        kind: &'static Kind,
        numbers: Numbers,
    ) -> Arc<Inode> {
        let (uid, gid) = (self.owner)(numbers);
        let owner = Owner {
            mode: kind.file_type() | mode,
            uid,
            gid,
        };
        let node = Node {
            tree: self,
            kind,
            numbers,
            number,
        };
        Inode::numbered(
            &self.file_system,
            number,
            owner,
            Content::Virtual(Box::new(node)),
            kind.links(),
        )
    }
}

impl Kind {
    fn file_type(&self) -> u32 {
        match self {
            Self::File(_) | Self::Writable(..) => abi::S_IFREG,
            Self::Directory(_) | Self::Mounted(_) => abi::S_IFDIR,
            Self::Link(..) => abi::S_IFLNK,
        }
    }

    /// Names it has: a directory's are its own, ".", and ".." of each directory in it.
    fn links(&self) -> u32 {
        match self {
            Self::Directory(listing) => {
                let directories = listing
                    .items
                    .iter()
                    .filter(|item| item.kind.file_type() == abi::S_IFDIR);
                2 + directories.count() as u32
            }
            Self::Mounted(_) => 2,
            _ => 1,
        }
    }
}

/// The inode number of the entry `name` of a directory: FNV-1a over the directory's number and the name.
fn number_of(directory: u64, name: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x100_0000_01b3;
    let bytes = directory.to_le_bytes();
    let hash = bytes.iter().chain(name).fold(BASIS, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    // Some programs keep them in signed integers.
    hash >> 1
}

impl Numbered {
    /// The number that `name` stands for.
    fn parse(&self, name: &[u8]) -> Option<u32> {
        let digits = name.strip_prefix(self.prefix.as_bytes())?;
        let canonical = match digits {
            [b'0'] | [b'1'..=b'9', ..] => digits.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !canonical {
            return None;
        }
        core::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn numbers(&self, outer: Numbers, number: u32) -> Numbers {
        let mut numbers = outer;
        numbers[self.place] = number;
        numbers
    }
}

impl Node {
    fn listing(&self) -> Option<&'static Listing> {
        match self.kind {
            Kind::Directory(listing) => Some(listing),
            _ => None,
        }
    }

    /// What `name` is: permissions, kind, numbers.
    fn find(&self, name: &[u8]) -> Option<(u32, &'static Kind, Numbers)> {
        let listing = self.listing()?;
        if let Some(item) = listing
            .items
            .iter()
            .find(|item| item.name.as_bytes() == name)
        {
            return Some((item.mode, &item.kind, self.numbers));
        }
        let numbered = listing.numbered?;
        let number = numbered.parse(name)?;
        if !(numbered.exists)(self.numbers, number) {
            return None;
        }
        let numbers = numbered.numbers(self.numbers, number);
        Some(((numbered.mode)(numbers), &numbered.kind, numbers))
    }

    fn make(&self, name: &[u8]) -> Option<Arc<Inode>> {
        if !(self.tree.alive)(self.numbers) {
            return None;
        }
        let (mode, kind, numbers) = self.find(name)?;
        let number = self.number_of(name, kind);
        Some(match kind {
            Kind::Mounted(tree) => tree.inode(number, mode, &tree.root, numbers),
            _ => self.tree.inode(number, mode, kind, numbers),
        })
    }

    /// The inode number of an entry: a root's own, unless the tree is only a part of this file system with other rules.
    fn number_of(&self, name: &[u8], kind: &Kind) -> u64 {
        match kind {
            Kind::Mounted(tree) if tree.file_system.device != self.tree.file_system.device => ROOT,
            _ => number_of(self.number, name),
        }
    }
}

impl Virtual for Node {
    fn lookup(&self, at: &Arc<Dentry>, name: &[u8]) -> Result<Option<Arc<Dentry>>, Errno> {
        if self.listing().is_none() {
            return Err(Errno::ENOTDIR);
        }
        match (self.make(name), self.tree.missing) {
            (Some(inode), _) => {
                let mounted = inode.file_system.device != at.inode.file_system.device;
                let dentry = Dentry::new(Some(at), name, inode);
                dentry.mounted.store(mounted, Ordering::Relaxed);
                Ok(Some(dentry))
            }
            (None, Some(errno)) => Err(errno),
            (None, None) => Ok(None),
        }
    }

    fn entry(&self, cursor: u64) -> Option<Entry> {
        let listing = self.listing()?;
        let fixed = listing.items.len() as u64;
        if !(self.tree.alive)(self.numbers) {
            return None;
        }
        let (next, name, kind) = match usize::try_from(cursor)
            .ok()
            .and_then(|at| listing.items.get(at))
        {
            Some(item) => (cursor + 1, item.name.as_bytes().to_vec(), &item.kind),
            None => {
                let numbered = listing.numbered?;
                let from = u32::try_from(cursor - fixed).ok()?;
                let number = (numbered.next)(self.numbers, from)?;
                let name = format!("{}{number}", numbered.prefix).into_bytes();
                (fixed + u64::from(number) + 1, name, &numbered.kind)
            }
        };
        Some(Entry {
            next,
            inode: self.number_of(&name, kind),
            name,
            kind: kind.file_type(),
        })
    }

    fn link(&self) -> Result<Link, Errno> {
        match self.kind {
            Kind::Link(target, _) if (self.tree.alive)(self.numbers) => target(self.numbers),
            Kind::Link(..) => Err(Errno::ENOENT),
            _ => Err(Errno::EINVAL),
        }
    }

    fn text(&self) -> Result<Text, Errno> {
        match self.kind {
            Kind::File(_) | Kind::Writable(..) if !(self.tree.alive)(self.numbers) => {
                Err(Errno::ESRCH)
            }
            Kind::File(make) | Kind::Writable(make, _) => {
                let mut text = Text::default();
                make(&mut text, self.numbers)?;
                Ok(text)
            }
            _ => Err(Errno::EIO),
        }
    }

    fn store(&self, text: &[u8]) -> SysResult {
        match self.kind {
            Kind::Writable(_, store) => store(self.numbers, text),
            // As Linux: files of a process have no such operation, others refuse it.
            _ if self.numbers[0] != 0 => Err(Errno::EINVAL),
            _ => Err(self.tree.write_error.unwrap_or(Errno::EACCES)),
        }
    }

    fn read_only(&self) -> bool {
        self.tree.write_error.is_none() && matches!(self.kind, Kind::File(_))
    }

    fn gone(&self) -> bool {
        !(self.tree.alive)(self.numbers)
    }

    fn size(&self) -> u64 {
        match self.kind {
            Kind::File(_) | Kind::Writable(..) => self.tree.file_size,
            Kind::Link(_, size) => *size,
            Kind::Directory(listing) => listing
                .numbered
                .and_then(|numbered| numbered.size)
                .map_or(0, |size| size()),
            _ => 0,
        }
    }
}
