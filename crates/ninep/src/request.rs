//! The requests, each with the form of its reply.
use crate::codec::{HEADER, In, Out};
use crate::reply::{Attributes, Entries, Qid, Qids};

/// The most names in a [`Walk`].
pub const MAX_NAMES: usize = 16;
/// The longest target of a symbolic link (PATH_MAX).
const MAX_TARGET: usize = 4096;
/// Bytes of an Rlerror's payload: no reply buffer is smaller.
const ERROR: usize = 4;

/// A message to the host, and what its reply must look like.
pub trait Request {
    /// The kind byte.
    const KIND: u8;
    /// What the host answers.
    type Reply<'a>;

    /// Bytes of the whole message.
    fn length(&self) -> usize;

    /// Bytes of the longest reply's beginning: all of it, but the data of a [`Read`].
    fn reply_length(&self) -> usize;

    #[doc(hidden)]
    fn write(&self, out: &mut Out<'_>) -> Option<()>;

    #[doc(hidden)]
    fn read<'a>(&self, input: &mut In<'a>) -> Option<Self::Reply<'a>>;
}

/// Opens the conversation, with the tag [`crate::NO_TAG`]. Answered by the size of messages and the dialect the host speaks.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The longest message wanted.
    pub size: u32,
    /// The dialect wanted.
    pub version: &'a [u8],
}

impl Request for Version<'_> {
    const KIND: u8 = 100;
    type Reply<'a> = (u32, &'a [u8]);

    fn length(&self) -> usize {
        HEADER + 4 + 2 + self.version.len()
    }

    fn reply_length(&self) -> usize {
        HEADER + 4 + 2 + 32
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.size)?;
        out.string(self.version)
    }

    fn read<'a>(&self, input: &mut In<'a>) -> Option<Self::Reply<'a>> {
        let size = input.u32().filter(|&size| size <= self.size)?;
        Some((size, input.string()?))
    }
}

/// Makes `fid` the root of a tree.
#[derive(Clone, Copy, Debug)]
pub struct Attach<'a> {
    /// The new fid.
    pub fid: u32,
    /// The user's name, for servers that go by names.
    pub user: &'a [u8],
    /// Which tree.
    pub tree: &'a [u8],
    /// The user's number.
    pub uid: u32,
}

impl Request for Attach<'_> {
    const KIND: u8 = 104;
    type Reply<'a> = Qid;

    fn length(&self) -> usize {
        HEADER + 4 + 4 + 2 + self.user.len() + 2 + self.tree.len() + 4
    }

    fn reply_length(&self) -> usize {
        HEADER + Qid::LENGTH
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)?;
        out.u32(crate::NO_FID)?;
        out.string(self.user)?;
        out.string(self.tree)?;
        out.u32(self.uid)
    }

    fn read(&self, input: &mut In<'_>) -> Option<Qid> {
        Qid::read(input)
    }
}

/// Makes `new` stand for what the names lead to from `fid`; without names, for the same file.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// Where to start: not an open one.
    pub fid: u32,
    /// The new fid.
    pub new: u32,
    /// At most [`MAX_NAMES`], each without slashes.
    pub names: &'a [&'a [u8]],
}

impl Request for Walk<'_> {
    const KIND: u8 = 110;
    type Reply<'a> = Qids<'a>;

    fn length(&self) -> usize {
        let names: usize = self.names.iter().map(|name| 2 + name.len()).sum();
        HEADER + 4 + 4 + 2 + names
    }

    fn reply_length(&self) -> usize {
        HEADER + 2 + (self.names.len() * Qid::LENGTH).max(ERROR)
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        let count = u16::try_from(self.names.len()).ok()?;
        if self.names.len() > MAX_NAMES {
            return None;
        }
        out.u32(self.fid)?;
        out.u32(self.new)?;
        out.u16(count)?;
        self.names.iter().try_for_each(|name| out.string(name))
    }

    fn read<'a>(&self, input: &mut In<'a>) -> Option<Qids<'a>> {
        let count = usize::from(input.u16()?);
        if count > self.names.len() {
            return None;
        }
        input.take(count * Qid::LENGTH).map(Qids)
    }
}

/// The attributes of a file.
#[derive(Clone, Copy, Debug)]
pub struct Getattr {
    /// The file.
    pub fid: u32,
}

impl Getattr {
    /// P9_GETATTR_BASIC: what stat(2) tells.
    const BASIC: u64 = 0x7ff;
}

impl Request for Getattr {
    const KIND: u8 = 24;
    type Reply<'a> = Attributes;

    fn length(&self) -> usize {
        HEADER + 4 + 8
    }

    fn reply_length(&self) -> usize {
        HEADER + 153
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)?;
        out.u64(Self::BASIC)
    }

    fn read(&self, input: &mut In<'_>) -> Option<Attributes> {
        Attributes::read(input)
    }
}

/// Opens the file of `fid` with Linux's O_* flags. Answered by its identity and the unit of I/O (0: any).
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The file.
    pub fid: u32,
    /// O_*.
    pub flags: u32,
}

impl Request for Open {
    const KIND: u8 = 12;
    type Reply<'a> = (Qid, u32);

    fn length(&self) -> usize {
        HEADER + 4 + 4
    }

    fn reply_length(&self) -> usize {
        HEADER + Qid::LENGTH + 4
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)?;
        out.u32(self.flags)
    }

    fn read(&self, input: &mut In<'_>) -> Option<(Qid, u32)> {
        Some((Qid::read(input)?, input.u32()?))
    }
}

/// Reads from an open file. Answered by how many bytes came; the bytes follow the eleven of the reply's beginning.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// An open file.
    pub fid: u32,
    /// From here on.
    pub offset: u64,
    /// At most so many bytes.
    pub count: u32,
}

impl Request for Read {
    const KIND: u8 = 116;
    type Reply<'a> = u32;

    fn length(&self) -> usize {
        HEADER + 4 + 8 + 4
    }

    fn reply_length(&self) -> usize {
        HEADER + 4
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)?;
        out.u64(self.offset)?;
        out.u32(self.count)
    }

    fn read(&self, input: &mut In<'_>) -> Option<u32> {
        let count = input.u32().filter(|&count| count <= self.count)?;
        input.skip(usize::try_from(count).ok()?)?;
        Some(count)
    }
}

/// Reads from an open directory.
#[derive(Clone, Copy, Debug)]
pub struct Readdir {
    /// An open directory.
    pub fid: u32,
    /// 0, or [`crate::Entry::next`] of the last entry that came.
    pub offset: u64,
    /// At most so many bytes of entries.
    pub count: u32,
}

impl Request for Readdir {
    const KIND: u8 = 40;
    type Reply<'a> = Entries<'a>;

    fn length(&self) -> usize {
        HEADER + 4 + 8 + 4
    }

    fn reply_length(&self) -> usize {
        (HEADER + 4).saturating_add(usize::try_from(self.count).unwrap_or(usize::MAX))
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)?;
        out.u64(self.offset)?;
        out.u32(self.count)
    }

    fn read<'a>(&self, input: &mut In<'a>) -> Option<Entries<'a>> {
        let count = input.u32().filter(|&count| count <= self.count)?;
        Entries::checked(input.take(usize::try_from(count).ok()?)?)
    }
}

/// Where a symbolic link leads.
#[derive(Clone, Copy, Debug)]
pub struct Readlink {
    /// The link.
    pub fid: u32,
}

impl Request for Readlink {
    const KIND: u8 = 22;
    type Reply<'a> = &'a [u8];

    fn length(&self) -> usize {
        HEADER + 4
    }

    fn reply_length(&self) -> usize {
        HEADER + 2 + MAX_TARGET
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)
    }

    fn read<'a>(&self, input: &mut In<'a>) -> Option<&'a [u8]> {
        input
            .string()
            .filter(|target| !target.is_empty() && !target.contains(&0))
    }
}

/// Gives `fid` up, open or not. It is gone even if the host reports an error.
#[derive(Clone, Copy, Debug)]
pub struct Clunk {
    /// The fid.
    pub fid: u32,
}

impl Request for Clunk {
    const KIND: u8 = 120;
    type Reply<'a> = ();

    fn length(&self) -> usize {
        HEADER + 4
    }

    fn reply_length(&self) -> usize {
        HEADER + ERROR
    }

    fn write(&self, out: &mut Out<'_>) -> Option<()> {
        out.u32(self.fid)
    }

    fn read(&self, _input: &mut In<'_>) -> Option<()> {
        Some(())
    }
}
