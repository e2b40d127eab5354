//! `--root FILE.tar`, also compressed with gzip.
//!
//! Contents go into the bundle while the archive is read, once, front to back. A file that a later entry replaces leaves its
//! bytes behind, unused; archives in which that matters are rare. A small archive may unpack to anything, so the bundle's limit
//! is looked at while it is read, for names as well as for contents; and the headers of one entry, which the reader takes
//! into memory whole, must not be longer than [`HEADERS`].

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ringo_bundle::{Metadata, Writer};
use tar::EntryType;

use super::{Kind, Node, Source, Tree};

/// PATH_MAX.
const LONGEST: usize = 4095;
/// What an entry's headers may take: names, and extended ones with attributes that we do not read.
const HEADERS: u64 = 1 << 20;

/// A reader that ends in an error where headers are too long.
struct Bounded<'a, R> {
    inner: R,
    /// Bytes that may still be read.
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            let why = "the headers of one entry are longer than 1 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let read = self.inner.read(&mut buffer[..length])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

/// Reads an archive into a tree and its contents into the bundle.
pub fn read(path: &Path, writer: &mut Writer<File>, left_out: &mut Vec<Vec<u8>>) -> Result<Tree> {
    let mut file = File::open(path)?;
    let mut magic = [0; 6];
    let read = file.read(&mut magic)?;
    file.rewind()?;
    let file = BufReader::with_capacity(1 << 18, file);
    match &magic[..read] {
        [0x1f, 0x8b, ..] => entries(flate2::bufread::MultiGzDecoder::new(file), writer, left_out),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!("is compressed with zstd; unpack it first: unzstd"),
        [0xfd, b'7', b'z', ..] => bail!("is compressed with xz; unpack it first: unxz"),
        [b'B', b'Z', b'h', ..] => bail!("is compressed with bzip2; unpack it first: bunzip2"),
        [b'P', b'K', 3, 4, ..] => bail!("is a zip archive; a directory, .tar or .tar.gz is wanted"),
        _ => entries(file, writer, left_out),
    }
}

fn entries(
    input: impl Read,
    writer: &mut Writer<File>,
    left_out: &mut Vec<Vec<u8>>,
) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut names = 0;
    let left = Cell::new(HEADERS);
    let bounded = Bounded {
        inner: input,
        left: &left,
    };
    let mut archive = tar::Archive::new(bounded);
    for entry in archive.entries()? {
        // Contents may be as long as they like; behind them, headers again.
        left.set(u64::MAX);
        // What the reader quotes of a file that is no archive helps nobody.
        let mut entry = entry
            .map_err(|error| match error.kind() {
                io::ErrorKind::Other => anyhow!("no header of an archive where one should be"),
                _ => error.into(),
            })
            .context("is not a directory, a .tar or a .tar.gz")?;
        let path = entry.path_bytes().into_owned();
        if path.len() > LONGEST {
            bail!(
                "a path of {} bytes, which no program could open: {}...",
                path.len(),
                String::from_utf8_lossy(&path[..60])
            );
        }
        names += path.len() as u64;
        if names > writer.room() {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        let node = node(&mut entry, writer)
            .with_context(|| String::from_utf8_lossy(&path).into_owned())?;
        match node {
            Some(node) => tree.insert(&path, node),
            None if is_special(entry.header().entry_type()) => left_out.push(path),
            None => {}
        }
        left.set(HEADERS);
    }
    Ok(tree)
}

fn node(entry: &mut tar::Entry<'_, impl Read>, writer: &mut Writer<File>) -> Result<Option<Node>> {
    let header = entry.header();
    let seconds = i64::try_from(header.mtime()?).unwrap_or(i64::MAX);
    let metadata = Metadata {
        mode: header.mode()? & 0o7777,
        uid: u32::try_from(header.uid()?).unwrap_or(0),
        gid: u32::try_from(header.gid()?).unwrap_or(0),
        mtime_ns: seconds.saturating_mul(1_000_000_000),
    };
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            Kind::File(Source::Written({
                let room = writer.room();
                writer
                    .data(|out| io::copy(&mut entry.take(room.saturating_add(1)), out).map(drop))?
            }))
        }
        EntryType::Symlink => Kind::Symlink(target(entry)?),
        EntryType::Link => Kind::HardLink(target(entry)?),
        // Devices and pipes (`is_special`); the rest describes other entries.
        _ => return Ok(None),
    };
    Ok(Some(Node { metadata, kind }))
}

/// Devices and pipes: they mean nothing in the VM.
fn is_special(kind: EntryType) -> bool {
    kind.is_fifo() || kind.is_character_special() || kind.is_block_special()
}

fn target(entry: &tar::Entry<'_, impl Read>) -> Result<Vec<u8>> {
    Ok(entry
        .link_name_bytes()
        .context("a link without a target")?
        .into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_end_is_not_read() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(64 << 20);
        header.set_cksum();
        let left = Cell::new(HEADERS);
        let bounded = Bounded {
            inner: header.as_bytes().chain(io::repeat(b'a')),
            left: &left,
        };
        let mut archive = tar::Archive::new(bounded);
        let first = archive.entries().expect("a reader").next();
        let error = first.expect("an entry").err().expect("too long");
        assert!(error.to_string().contains("1 MiB"), "{error}");
    }
}
