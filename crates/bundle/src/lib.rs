//! The bundle: program, files and circumstances as one page-aligned archive.
//!
//! The command writes it into a memfd, QEMU hands it to the guest as initrd (a PVH module), and the kernel uses the
//! file data where it lies. Layout, all integers little-endian:
//!
//! ```text
//! 0                     header, one page: magic, version, flags, total length, metadata's offset and length
//! PAGE                  file data; each file begins on a page and owns its last page's tail, which is zero
//! metadata offset       the configuration, then one record an entry (see `config.rs` and `entry.rs`)
//! total length          end of the archive
//! ```
//!
//! Guarantees. [`Contents::parse`] checks every offset, length, path and enumeration once and never panics; afterwards
//! iteration can't fail. Entries come parents first; a path has no leading slash, no empty, `.` or `..` component;
//! the empty path is the root directory itself (for its mode). No two entries share data pages, except that the program's
//! data may be that of one entry: the kernel may make the pages a file's own. Cost: parsing is one pass over the metadata.
//!
//! The writer is behind the feature `std`.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

mod config;
mod cursor;
mod entry;
#[cfg(feature = "std")]
mod writer;

pub use config::{Config, Flags, Groups, Program, StreamKind, Strings, Terminal};
pub use entry::{Data, Entries, Entry, Kind};
#[cfg(feature = "std")]
pub use writer::{Circumstances, Metadata, Writer};

use cursor::Cursor;

/// Alignment of file data, and the size of the header.
pub const PAGE: u64 = 4096;
/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"ringobdl";
/// Changes with the format; both sides are built together, so there is only one.
pub const VERSION: u32 = 4;

/// Why an archive was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// It doesn't begin with the magic.
    NotABundle,
    /// Another version wrote it.
    Version(u32),
    /// It is shorter than it says.
    Truncated,
    /// The configuration holds something impossible.
    BadConfig,
    /// The entry with this index does.
    BadEntry(u64),
}

impl core::fmt::Display for BundleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BundleError::NotABundle => f.write_str("not a Ringo bundle"),
            BundleError::Version(v) => write!(f, "bundle version {v}, wanted {VERSION}"),
            BundleError::Truncated => f.write_str("bundle is truncated"),
            BundleError::BadConfig => f.write_str("bundle's configuration is malformed"),
            BundleError::BadEntry(i) => write!(f, "bundle's entry {i} is malformed"),
        }
    }
}

impl core::error::Error for BundleError {}

/// Where the parts of an archive are, as its first page tells.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    flags: Flags,
    total: u64,
    metadata_offset: u64,
    metadata_len: u64,
}

impl Header {
    /// Reads it from the archive's first bytes; `available` says how many there are in all.
    pub fn read(first: &[u8], available: u64) -> Result<Self, BundleError> {
        let mut cursor = Cursor(first);
        if cursor.array::<8>() != Some(MAGIC) {
            return Err(BundleError::NotABundle);
        }
        let version = cursor.u32().ok_or(BundleError::Truncated)?;
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let mut fields = || Some((cursor.u32()?, cursor.u64()?, cursor.u64()?, cursor.u64()?));
        let (flags, total, metadata_offset, metadata_len) =
            fields().ok_or(BundleError::Truncated)?;
        let end = metadata_offset.checked_add(metadata_len);
        if total > available || end.is_none_or(|end| end > total) {
            return Err(BundleError::Truncated);
        }
        // Else the last file's last page would be the metadata's, too.
        if !metadata_offset.is_multiple_of(PAGE) {
            return Err(BundleError::BadConfig);
        }
        Ok(Self {
            flags: Flags(flags),
            total,
            metadata_offset,
            metadata_len,
        })
    }

    /// Length of the archive in bytes.
    pub fn total_len(&self) -> u64 {
        self.total
    }

    /// Where the data ends and the metadata begins.
    pub fn metadata_offset(&self) -> u64 {
        self.metadata_offset
    }

    /// Length of the metadata in bytes.
    pub fn metadata_len(&self) -> u64 {
        self.metadata_len
    }

    /// Where the bytes of [`Config::entropy`] are, so that their taker can wipe them. None if there are none.
    pub fn entropy_offset(&self) -> Option<u64> {
        (self.metadata_len >= config::ENTROPY_OFFSET + 32)
            .then_some(self.metadata_offset + config::ENTROPY_OFFSET)
    }
}

/// The metadata of an archive, checked. Holds no reference to the files' data, which may change hands meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    config: Config<'a>,
    entries: &'a [u8],
    entry_count: u64,
}

impl<'a> Contents<'a> {
    /// Checks the archive whose header this is and whose metadata are `metadata`.
    pub fn parse(header: &Header, metadata: &'a [u8]) -> Result<Self, BundleError> {
        let metadata = slice(metadata, 0, header.metadata_len).ok_or(BundleError::Truncated)?;
        let space = entry::DataSpace {
            end: header.metadata_offset,
        };
        let mut cursor = Cursor(metadata);
        let config =
            Config::read(&mut cursor, header.flags, &space).ok_or(BundleError::BadConfig)?;
        let entry_count = cursor.u64().ok_or(BundleError::BadConfig)?;
        let entries = cursor.0;
        for index in 0..entry_count {
            Entry::read(&mut cursor, &space).ok_or(BundleError::BadEntry(index))?;
        }
        Ok(Self {
            config,
            entries,
            entry_count,
        })
    }

    /// Arguments, environment, terminals: what exec(2) and the parent would have given.
    pub fn config(&self) -> &Config<'a> {
        &self.config
    }

    /// The tree, parents before children.
    pub fn entries(&self) -> Entries<'a> {
        Entries::new(self.entries, self.entry_count)
    }

    /// How many [`Contents::entries`] there are.
    pub fn entry_count(&self) -> u64 {
        self.entry_count
    }
}

/// A checked archive with its files' data.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    header: Header,
    contents: Contents<'a>,
}

impl<'a> Bundle<'a> {
    /// Checks the whole archive. `bytes` may be longer than it (a loader rounds up to pages).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let header = Header::read(bytes, bytes.len() as u64)?;
        let bytes = slice(bytes, 0, header.total).ok_or(BundleError::Truncated)?;
        let metadata = slice(bytes, header.metadata_offset, header.metadata_len)
            .ok_or(BundleError::Truncated)?;
        Ok(Self {
            bytes,
            header,
            contents: Contents::parse(&header, metadata)?,
        })
    }

    /// Where its parts are.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Arguments, environment, terminals: what exec(2) and the parent would have given.
    pub fn config(&self) -> &Config<'a> {
        self.contents.config()
    }

    /// The tree, parents before children.
    pub fn entries(&self) -> Entries<'a> {
        self.contents.entries()
    }

    /// How many [`Bundle::entries`] there are.
    pub fn entry_count(&self) -> u64 {
        self.contents.entry_count()
    }

    /// The bytes of a file, without the zero tail of its last page.
    pub fn data(&self, data: Data) -> &'a [u8] {
        // Checked by `parse`; a `Data` of another bundle gives an empty slice rather than a panic.
        slice(self.bytes, data.offset, data.len).unwrap_or(&[])
    }

    /// The program's executable file.
    pub fn program(&self) -> &'a [u8] {
        self.data(self.config().program.data)
    }
}

fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}
