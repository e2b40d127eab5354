//! `--root DIR`: a copy of a directory of the host.

use std::collections::HashMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Kind, Node, Source, Tree, join};
use crate::program::bundle_metadata;

/// Reads names and metadata; contents are copied when the bundle is written.
pub fn read(root: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    // (device, inode) of files with several names, and the first of them.
    let mut names = HashMap::new();
    let mut directories = vec![(root.to_owned(), Vec::new())];
    while let Some((directory, path)) = directories.pop() {
        let metadata = bundle_metadata(&directory.metadata()?);
        tree.nodes.insert(
            path.clone(),
            Node {
                metadata,
                kind: Kind::Directory,
            },
        );
        let entries = directory
            .read_dir()
            .with_context(|| directory.display().to_string())?;
        for entry in entries {
            let entry = entry.with_context(|| directory.display().to_string())?;
            let (source, path) = (entry.path(), join(&path, entry.file_name().as_bytes()));
            let metadata = entry
                .metadata()
                .with_context(|| source.display().to_string())?;
            let kind = if metadata.is_dir() {
                directories.push((source, path));
                continue;
            } else if metadata.is_symlink() {
                Kind::Symlink(source.read_link()?.into_os_string().into_vec())
            } else if !metadata.is_file() {
                // A socket, pipe or device means nothing in the VM.
                continue;
            } else {
                let first = names
                    .entry((metadata.dev(), metadata.ino()))
                    .or_insert_with(|| path.clone());
                if metadata.nlink() > 1 && *first != path {
                    Kind::HardLink(first.clone())
                } else {
                    Kind::File(Source::Host(source))
                }
            };
            tree.nodes.insert(
                path,
                Node {
                    metadata: bundle_metadata(&metadata),
                    kind,
                },
            );
        }
    }
    Ok(tree)
}
