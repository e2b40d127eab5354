//! What the program leaves to the host (`--write`): sent at its end, before `Exit`.
//!
//! Files and directories below the places the command named come one after the other, a directory before what is in it. A
//! file is its name, pieces of its data (what lies between them is zero), and its end. The command trusts none of it: it
//! checks the names, and writes below its own directories only.

use crate::NoSpace;
use crate::codec::{In, Out};

/// Bytes of a file that one message takes.
pub const PIECE: usize = 28 << 10;

/// A name: the number of the place that the command asked for, and the path below it, empty for the place itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Which of the places.
    pub root: u16,
    /// Names with slashes between them.
    pub path: &'a [u8],
}

/// One piece of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// A directory that was made or changed.
    Directory {
        /// Where.
        place: Place<'a>,
        /// Its permissions.
        mode: u32,
    },
    /// A regular file that was made or changed: its data follow.
    File {
        /// Where.
        place: Place<'a>,
        /// Its permissions.
        mode: u32,
        /// When its contents changed last, ns since the epoch.
        mtime_ns: u64,
    },
    /// Data of the file.
    Data {
        /// Where in it.
        offset: u64,
        /// At most [`PIECE`] bytes.
        bytes: &'a [u8],
    },
    /// The file is complete, and has this size.
    End {
        /// Bytes.
        size: u64,
    },
    /// The file cannot be read to its end.
    Failed {
        /// Why.
        errno: u16,
    },
    /// A symbolic link that was made.
    Symlink {
        /// Where.
        place: Place<'a>,
        /// Where it leads.
        target: &'a [u8],
    },
    /// So many files were written where nothing is kept.
    Discarded {
        /// How many.
        count: u32,
        /// Paths of some of them, a newline between any two.
        names: &'a [u8],
    },
}

mod tag {
    pub const DIRECTORY: u8 = 0;
    pub const FILE: u8 = 1;
    pub const DATA: u8 = 2;
    pub const END: u8 = 3;
    pub const FAILED: u8 = 4;
    pub const SYMLINK: u8 = 5;
    pub const DISCARDED: u8 = 6;
}

pub(crate) fn write(kept: &Kept<'_>, out: &mut Out<'_>) -> Result<(), NoSpace> {
    match *kept {
        Kept::Directory { place, mode } => {
            out.u8(tag::DIRECTORY)?;
            out.u32(mode)?;
            write_place(place, out)
        }
        Kept::File {
            place,
            mode,
            mtime_ns,
        } => {
            out.u8(tag::FILE)?;
            out.u32(mode)?;
            out.u64(mtime_ns)?;
            write_place(place, out)
        }
        Kept::Data { offset, bytes } => {
            out.u8(tag::DATA)?;
            out.u64(offset)?;
            out.bytes(bytes)
        }
        Kept::End { size } => {
            out.u8(tag::END)?;
            out.u64(size)
        }
        Kept::Failed { errno } => {
            out.u8(tag::FAILED)?;
            out.u16(errno)
        }
        Kept::Symlink { place, target } => {
            out.u8(tag::SYMLINK)?;
            out.u16(u16::try_from(target.len()).map_err(|_| NoSpace)?)?;
            out.bytes(target)?;
            write_place(place, out)
        }
        Kept::Discarded { count, names } => {
            out.u8(tag::DISCARDED)?;
            out.u32(count)?;
            out.bytes(names)
        }
    }
}

pub(crate) fn read<'a>(input: &mut In<'a>) -> Option<Kept<'a>> {
    Some(match input.u8()? {
        tag::DIRECTORY => Kept::Directory {
            mode: input.u32()?,
            place: read_place(input)?,
        },
        tag::FILE => Kept::File {
            mode: input.u32()?,
            mtime_ns: input.u64()?,
            place: read_place(input)?,
        },
        tag::DATA => Kept::Data {
            offset: input.u64()?,
            bytes: input.rest(),
        },
        tag::END => Kept::End { size: input.u64()? },
        tag::FAILED => Kept::Failed {
            errno: input.u16()?,
        },
        tag::SYMLINK => {
            let length = input.u16()?;
            Kept::Symlink {
                target: input.take(length.into())?,
                place: read_place(input)?,
            }
        }
        tag::DISCARDED => Kept::Discarded {
            count: input.u32()?,
            names: input.rest(),
        },
        _ => return None,
    })
}

fn write_place(place: Place<'_>, out: &mut Out<'_>) -> Result<(), NoSpace> {
    out.u16(place.root)?;
    out.bytes(place.path)
}

fn read_place<'a>(input: &mut In<'a>) -> Option<Place<'a>> {
    Some(Place {
        root: input.u16()?,
        path: input.rest(),
    })
}
