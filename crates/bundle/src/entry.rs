//! One record of the tree.
//!
//! ```text
//! u8 kind (0 directory, 1 file, 2 symlink, 3 hard link) · u32 mode · u32 uid · u32 gid · u64 mtime (i64 ns) ·
//! bytes path · file: u64 data offset, u64 data length · links: bytes target        (bytes = u32 length, then so many)
//! ```

use crate::PAGE;
use crate::cursor::Cursor;

/// Where a file's bytes lie in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// From the archive's start, a multiple of [`PAGE`]; add the archive's physical address.
    pub offset: u64,
    /// In bytes. The pages up to `len` rounded up belong to the file; the last one's tail is zero.
    pub len: u64,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file with its contents.
    File(Data),
    /// A symbolic link to this target, as stored.
    Symlink(&'a [u8]),
    /// Another name for the file at this path, which came earlier.
    HardLink(&'a [u8]),
}

/// One name in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Without a leading slash; empty for the root directory.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind<'a>,
    /// Permission bits with setuid, setgid and sticky (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, nanoseconds since the epoch (which may be negative).
    pub mtime_ns: i64,
}

/// Where file data may lie: between the header and the metadata.
pub(crate) struct DataSpace {
    pub end: u64,
}

impl DataSpace {
    pub fn check(&self, data: Data) -> Option<Data> {
        if data.len == 0 {
            return Some(Data::default());
        }
        let end = data.offset.checked_add(data.len)?;
        (data.offset >= PAGE && data.offset.is_multiple_of(PAGE) && end <= self.end).then_some(data)
    }
}

impl<'a> Entry<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, space: &DataSpace) -> Option<Self> {
        let kind = cursor.u8()?;
        let (mode, uid, gid) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let mtime_ns = cursor.u64()?.cast_signed();
        let path = cursor.bytes().filter(|p| is_plain(p))?;
        let kind = match kind {
            0 => Kind::Directory,
            1 => Kind::File(space.check(Data {
                offset: cursor.u64()?,
                len: cursor.u64()?,
            })?),
            2 => Kind::Symlink(cursor.c_bytes().filter(|t| !t.is_empty())?),
            3 => Kind::HardLink(cursor.bytes().filter(|t| !t.is_empty() && is_plain(t))?),
            _ => return None,
        };
        let valid = mode & !0o7777 == 0 && (!path.is_empty() || kind == Kind::Directory);
        valid.then_some(Self {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime_ns,
        })
    }
}

/// Empty, or components that a directory can hold, joined by single slashes.
pub(crate) fn is_plain(path: &[u8]) -> bool {
    path.is_empty()
        || path.split(|&b| b == b'/').all(|part| {
            !part.is_empty()
                && part != b"."
                && part != b".."
                && part.len() <= 255
                && !part.contains(&0)
        })
}

/// Iterator over a checked archive's entries.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    left: u64,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(records: &'a [u8], count: u64) -> Self {
        Self {
            cursor: Cursor(records),
            left: count,
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `Bundle::parse` has checked the offsets against the real bounds.
        Entry::read(&mut self.cursor, &DataSpace { end: u64::MAX })
    }
}
