//! What replies hold.
use crate::codec::In;

/// A file's identity: equal paths are the same file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qid {
    /// QTDIR, QTSYMLINK and so on.
    pub kind: u8,
    /// Changes with the contents, where the host cares.
    pub version: u32,
    /// Unlike any other file's on the server.
    pub path: u64,
}

impl Qid {
    const DIRECTORY: u8 = 0x80;
    const SYMLINK: u8 = 0x02;
    /// Bytes of it in a message.
    pub(crate) const LENGTH: usize = 13;

    pub(crate) fn read(input: &mut In<'_>) -> Option<Self> {
        Some(Self {
            kind: input.u8()?,
            version: input.u32()?,
            path: input.u64()?,
        })
    }

    /// Whether the host calls it a directory.
    pub fn is_directory(self) -> bool {
        self.kind & Self::DIRECTORY != 0
    }

    /// Whether the host calls it a symbolic link.
    pub fn is_symlink(self) -> bool {
        self.kind & Self::SYMLINK != 0
    }
}

/// The files a [`crate::Walk`] passed, as far as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qids<'a>(pub(crate) &'a [u8]);

impl Qids<'_> {
    /// How many names were found. The new fid exists only if it was all of them.
    pub fn len(&self) -> usize {
        self.0.len() / Qid::LENGTH
    }

    /// Whether none was.
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last one.
    pub fn last(&self) -> Option<Qid> {
        let last = self.0.rchunks_exact(Qid::LENGTH).next()?;
        Qid::read(&mut In::of(last))
    }
}

/// What stat(2) tells of a file. Numbers are as the host sent them: the caller decides what it can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Which fields the host filled.
    pub valid: u64,
    /// Identity.
    pub qid: Qid,
    /// Type and permissions, as st_mode.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names it has.
    pub links: u64,
    /// Device number, for device files.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Preferred unit of I/O.
    pub block_size: u64,
    /// Blocks of 512 bytes in use.
    pub blocks: u64,
    /// Last access: seconds since the epoch, nanoseconds.
    pub atime: (u64, u64),
    /// Last change of the contents.
    pub mtime: (u64, u64),
    /// Last change of the inode.
    pub ctime: (u64, u64),
}

impl Attributes {
    pub(crate) fn read(input: &mut In<'_>) -> Option<Self> {
        let time = |input: &mut In<'_>| Some((input.u64()?, input.u64()?));
        let attributes = Self {
            valid: input.u64()?,
            qid: Qid::read(input)?,
            mode: input.u32()?,
            uid: input.u32()?,
            gid: input.u32()?,
            links: input.u64()?,
            rdev: input.u64()?,
            size: input.u64()?,
            block_size: input.u64()?,
            blocks: input.u64()?,
            atime: time(input)?,
            mtime: time(input)?,
            ctime: time(input)?,
        };
        // Birth time, generation and data version: reserved, and zero from every server there is.
        let _birth = time(input)?;
        let _generation_and_version = (input.u64()?, input.u64()?);
        Some(attributes)
    }
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Identity.
    pub qid: Qid,
    /// Where to go on after it: the offset for the next [`crate::Readdir`].
    pub next: u64,
    /// DT_*; 0 where the host does not know.
    pub kind: u8,
    /// Its name, which may be any bytes: see [`Entry::is_plain`].
    pub name: &'a [u8],
}

impl Entry<'_> {
    /// Whether the name is one that a path can hold, other than "." and "..".
    pub fn is_plain(&self) -> bool {
        let name = self.name;
        !name.is_empty()
            && name.len() <= 255
            && name != b"."
            && name != b".."
            && !name.iter().any(|&byte| byte == b'/' || byte == 0)
    }
}

/// A part of a directory: an iterator that ends early where the bytes are not entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'a> {
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Entries whose form is checked, all of them.
    pub(crate) fn checked(bytes: &'a [u8]) -> Option<Self> {
        let mut entries = Self { bytes };
        while entries.next().is_some() {}
        entries.bytes.is_empty().then_some(Self { bytes })
    }

    /// How long they are.
    pub const fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none: the directory's end.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let mut input = In::of(self.bytes);
        let entry = Entry {
            qid: Qid::read(&mut input)?,
            next: input.u64()?,
            kind: input.u8()?,
            name: input.string()?,
        };
        let left = input.left();
        self.bytes = &self.bytes[self.bytes.len() - left..];
        Some(entry)
    }
}
