//! Requests for a standard stream that is a regular file on the host, and for what was opened anew by its name in /dev/fd.
//!
//! Bytes written at the position go through the stream's port as any output does; everything else is a request, answered by
//! [`crate::ToGuest::FileAnswer`] in the order of the requests. The host serves a request when what the program wrote
//! before has been passed on, so that all of it happens in the program's order.

use crate::codec::{In, Out};
use crate::{NoSpace, Written};

/// The controlling terminal's handle, to be written to, where it is none of the streams.
pub const TTY_HANDLE: u32 = 3;
/// The most bytes a read may ask for.
pub const FILE_READ_MAX: usize = 256 << 10;
/// The most bytes one request writes.
pub const FILE_WRITE_MAX: usize = 31 << 10;

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRequest<'a> {
    /// 0 to 2 for the standard streams, or what a [`FileWork::Reopen`] gave.
    pub handle: u32,
    /// What the program wrote to the streams before.
    pub written: Written,
    /// What is to be done.
    pub work: FileWork<'a>,
}

/// Each is a system call on the command's own descriptor; the answer's result is what the call returns, or an errno's negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileWork<'a> {
    /// read(2), or pread(2) with an offset; the answer has the bytes.
    Read {
        /// Where; `None` at the position.
        offset: Option<u64>,
        /// At most [`FILE_READ_MAX`].
        length: u32,
    },
    /// pread(2) at the position, which stays where it is: what is read ahead.
    Peek {
        /// At most [`FILE_READ_MAX`].
        length: u32,
    },
    /// The position moves on by this much, which was peeked at. Not answered.
    Advance(u64),
    /// write(2), or pwrite(2) with an offset.
    Write {
        /// Where; `None` at the position.
        offset: Option<u64>,
        /// At most [`FILE_WRITE_MAX`].
        bytes: &'a [u8],
    },
    /// lseek(2).
    Seek {
        /// As lseek's.
        offset: i64,
        /// SEEK_SET and so on.
        whence: u8,
    },
    /// fstat(2); the answer has a [`FileStat`].
    Stat,
    /// ftruncate(2).
    Truncate(u64),
    /// fallocate(2).
    Allocate {
        /// FALLOC_FL_*.
        mode: u32,
        /// From here on.
        offset: u64,
        /// So many bytes.
        length: u64,
    },
    /// fsync(2).
    Sync,
    /// Sets or clears O_APPEND.
    Append(bool),
    /// open(2) of /dev/fd/N with these O_* flags: the result is a new handle. It may do nothing that the old one may not.
    Reopen {
        /// The access mode, O_APPEND, O_TRUNC.
        flags: u32,
    },
    /// The handle is done with. Not answered.
    Close,
}

const READ: u8 = 0;
const WRITE: u8 = 1;
const SEEK: u8 = 2;
const STAT: u8 = 3;
const TRUNCATE: u8 = 4;
const ALLOCATE: u8 = 5;
const SYNC: u8 = 6;
const APPEND: u8 = 7;
const REOPEN: u8 = 8;
const CLOSE: u8 = 9;
const PEEK: u8 = 10;
const ADVANCE: u8 = 11;
/// Of a request at the position; no offset is as large.
const AT_POSITION: u64 = u64::MAX;

pub(crate) fn write(request: &FileRequest<'_>, out: &mut Out<'_>) -> Result<(), NoSpace> {
    out.u32(request.handle)?;
    request
        .written
        .iter()
        .try_for_each(|&bytes| out.u64(bytes))?;
    match request.work {
        FileWork::Read { offset, length } => {
            out.u8(READ)?;
            out.u64(offset.unwrap_or(AT_POSITION))?;
            out.u32(length)
        }
        FileWork::Peek { length } => {
            out.u8(PEEK)?;
            out.u32(length)
        }
        FileWork::Advance(bytes) => {
            out.u8(ADVANCE)?;
            out.u64(bytes)
        }
        FileWork::Write { offset, bytes } => {
            out.u8(WRITE)?;
            out.u64(offset.unwrap_or(AT_POSITION))?;
            out.bytes(bytes)
        }
        FileWork::Seek { offset, whence } => {
            out.u8(SEEK)?;
            out.u64(offset.cast_unsigned())?;
            out.u8(whence)
        }
        FileWork::Stat => out.u8(STAT),
        FileWork::Truncate(length) => {
            out.u8(TRUNCATE)?;
            out.u64(length)
        }
        FileWork::Allocate {
            mode,
            offset,
            length,
        } => {
            out.u8(ALLOCATE)?;
            out.u32(mode)?;
            out.u64(offset)?;
            out.u64(length)
        }
        FileWork::Sync => out.u8(SYNC),
        FileWork::Append(on) => out.bytes(&[APPEND, on.into()]),
        FileWork::Reopen { flags } => {
            out.u8(REOPEN)?;
            out.u32(flags)
        }
        FileWork::Close => out.u8(CLOSE),
    }
}

fn read_length(input: &mut In<'_>) -> Option<u32> {
    input
        .u32()
        .filter(|&length| length as usize <= FILE_READ_MAX)
}

pub(crate) fn read<'a>(input: &mut In<'a>) -> Option<FileRequest<'a>> {
    let offset = |input: &mut In<'a>| {
        let offset = input.u64()?;
        Some((offset != AT_POSITION).then_some(offset))
    };
    Some(FileRequest {
        handle: input.u32()?,
        written: [input.u64()?, input.u64()?],
        work: match input.u8()? {
            READ => FileWork::Read {
                offset: offset(input)?,
                length: read_length(input)?,
            },
            PEEK => FileWork::Peek {
                length: read_length(input)?,
            },
            ADVANCE => FileWork::Advance(input.u64()?),
            WRITE => FileWork::Write {
                offset: offset(input)?,
                bytes: Some(input.rest()).filter(|bytes| bytes.len() <= FILE_WRITE_MAX)?,
            },
            SEEK => FileWork::Seek {
                offset: input.u64()?.cast_signed(),
                whence: input.u8()?,
            },
            STAT => FileWork::Stat,
            TRUNCATE => FileWork::Truncate(input.u64()?),
            ALLOCATE => FileWork::Allocate {
                mode: input.u32()?,
                offset: input.u64()?,
                length: input.u64()?,
            },
            SYNC => FileWork::Sync,
            APPEND => FileWork::Append(match input.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            }),
            REOPEN => FileWork::Reopen {
                flags: input.u32()?,
            },
            CLOSE => FileWork::Close,
            _ => return None,
        },
    })
}

/// What fstat(2) says on the host, as the answer to [`FileWork::Stat`] carries it: words, little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Named as struct stat has them.
pub struct FileStat {
    pub dev: u64,
    pub ino: u64,
    pub mode: u64,
    pub nlink: u64,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub blocks: u64,
    pub blksize: u64,
    /// Times in nanoseconds since the epoch: access, change of contents, change of attributes.
    pub times: [i64; 3],
}

impl FileStat {
    /// Bytes it takes.
    pub const LEN: usize = 12 * 8;

    /// As bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let words = [
            self.dev,
            self.ino,
            self.mode,
            self.nlink,
            self.uid,
            self.gid,
            self.size,
            self.blocks,
            self.blksize,
            self.times[0].cast_unsigned(),
            self.times[1].cast_unsigned(),
            self.times[2].cast_unsigned(),
        ];
        let mut bytes = [0; Self::LEN];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From bytes; `None` if there are not as many as it takes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let mut input = In(bytes);
        Some(Self {
            dev: input.u64()?,
            ino: input.u64()?,
            mode: input.u64()?,
            nlink: input.u64()?,
            uid: input.u64()?,
            gid: input.u64()?,
            size: input.u64()?,
            blocks: input.u64()?,
            blksize: input.u64()?,
            times: [
                input.u64()?.cast_signed(),
                input.u64()?.cast_signed(),
                input.u64()?.cast_signed(),
            ],
        })
    }
}
