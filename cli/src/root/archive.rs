//! `--root FILE.tar`, also compressed with gzip.
//!
//! Contents go into the bundle while the archive is read, once, front to back. A file that a later entry replaces leaves its bytes
//! behind, unused; archives in which that matters are rare.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ringo_bundle::{Metadata, Writer};
use tar::EntryType;

use super::{Kind, Node, Source, Tree};

/// Reads an archive into a tree and its contents into the bundle.
pub fn read(path: &Path, writer: &mut Writer<File>) -> Result<Tree> {
    let mut file = File::open(path)?;
    let mut magic = [0; 6];
    let read = file.read(&mut magic)?;
    file.rewind()?;
    let file = BufReader::with_capacity(1 << 18, file);
    match &magic[..read] {
        [0x1f, 0x8b, ..] => entries(flate2::bufread::MultiGzDecoder::new(file), writer),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!("is compressed with zstd; unpack it first: unzstd"),
        [0xfd, b'7', b'z', ..] => bail!("is compressed with xz; unpack it first: unxz"),
        [b'B', b'Z', b'h', ..] => bail!("is compressed with bzip2; unpack it first: bunzip2"),
        [b'P', b'K', 3, 4, ..] => bail!("is a zip archive; a directory, .tar or .tar.gz is wanted"),
        _ => entries(file, writer),
    }
}

fn entries(input: impl Read, writer: &mut Writer<File>) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut archive = tar::Archive::new(input);
    for entry in archive.entries()? {
        let mut entry = entry.context("is not a directory, a .tar or a .tar.gz")?;
        let path = entry.path_bytes().into_owned();
        let node = node(&mut entry, writer)
            .with_context(|| String::from_utf8_lossy(&path).into_owned())?;
        if let Some(node) = node {
            tree.insert(&path, node);
        }
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
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File(
            Source::Written(writer.data(|out| io::copy(entry, out).map(drop))?),
        ),
        EntryType::Symlink => Kind::Symlink(target(entry)?),
        EntryType::Link => Kind::HardLink(target(entry)?),
        // Devices and pipes mean nothing in the VM; the rest describes other entries.
        _ => return Ok(None),
    };
    Ok(Some(Node { metadata, kind }))
}

fn target(entry: &tar::Entry<'_, impl Read>) -> Result<Vec<u8>> {
    Ok(entry
        .link_name_bytes()
        .context("a link without a target")?
        .into_owned())
}
