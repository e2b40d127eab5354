//! `--root DIR`: a copy of a directory of the host.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Kind, Node, Source, Tree, join};
use crate::program::bundle_metadata;

/// The directory that `--root` names, held open: its files are opened from here.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens what was a regular file when the names were read. Who may write in the directory has had time to put something
    /// else there: a link to a file that only we may read, on the way or at its end, or a pipe that nobody fills.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let fd = match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), beneath) {
            // Before Linux 5.6, or where a sandbox knows no better: the last step at least.
            Err(Errno::NOSYS | Errno::PERM) => {
                rustix::fs::openat(&self.0, path, flags, Mode::empty())
            }
            other => other,
        }?;
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no longer a regular file"));
        }
        Ok(file)
    }
}

/// Reads names and metadata; contents are copied when the bundle is written.
/// What has no meaning in the VM goes to `left_out`.
pub fn read(root: &Path, left_out: &mut Vec<Vec<u8>>) -> Result<Tree> {
    let mut tree = Tree::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = Arc::new(Root(rustix::fs::open(root, flags, Mode::empty())?));
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
                left_out.push(path);
                continue;
            } else {
                let first = names
                    .entry((metadata.dev(), metadata.ino()))
                    .or_insert_with(|| path.clone());
                if metadata.nlink() > 1 && *first != path {
                    Kind::HardLink(first.clone())
                } else {
                    let inside = Path::new(OsStr::from_bytes(&path)).to_owned();
                    Kind::File(Source::Host(top.clone(), inside))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// What is in the place of `inside`, once `change` was made after the names were read.
    fn opened(inside: &str, change: impl FnOnce(&Path)) -> io::Result<File> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("sub")).expect("directories");
        fs::write(root.join("sub/file"), "ours").expect("a file");
        fs::create_dir(directory.path().join("other")).expect("a directory");
        fs::write(directory.path().join("other/file"), "not ours").expect("a file");
        let tree = read(&root, &mut Vec::new()).expect("the names");
        let Some(Node {
            kind: Kind::File(Source::Host(top, path)),
            ..
        }) = tree.get(inside.as_bytes())
        else {
            panic!("no file {inside}")
        };
        change(&root);
        top.open(path)
    }

    #[test]
    fn what_was_put_in_a_files_place_is_not_read() {
        let file = "sub/file";
        assert!(opened(file, |_| {}).is_ok());
        let swapped_for_a_link = opened(file, |root| {
            fs::remove_file(root.join(file)).expect("it is ours");
            symlink("../../other/file", root.join(file)).expect("a link");
        });
        assert!(swapped_for_a_link.is_err());
        let parent_swapped = opened(file, |root| {
            fs::rename(root.join("sub"), root.join("old")).expect("it is ours");
            symlink("../other", root.join("sub")).expect("a link");
        });
        assert!(parent_swapped.is_err());
        let pipe = opened(file, |root| {
            fs::remove_file(root.join(file)).expect("it is ours");
            let mode = Mode::RWXU;
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, root.join(file), kind, mode, 0).expect("a pipe");
        });
        assert!(pipe.is_err());
    }
}
