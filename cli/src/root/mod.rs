//! What the program sees at /: a tree in memory, filled by `--root` (`directory`, `archive`) and completed with what programs
//! expect of any system (`defaults`), then written into the bundle.
//!
//! Paths in the tree have no leading slash; where one passes through a symbolic link of the tree it is followed, as
//! extracting into a real directory would. A later entry replaces an earlier one.

mod archive;
mod defaults;
mod directory;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ringo_bundle::{Data, Metadata, Writer};

pub use defaults::{Names, complete};

/// Where a file's contents come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file on the host, in the root's directory.
    Host(Arc<directory::Root>, PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// Already in the bundle.
    Written(Data),
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Kind {
    Directory,
    File(Source),
    Symlink(Vec<u8>),
    /// Another name for the file at this path.
    HardLink(Vec<u8>),
}

/// A name's meaning.
#[derive(Clone, Debug)]
pub struct Node {
    pub metadata: Metadata,
    pub kind: Kind,
}

/// Everything at /.
#[derive(Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// Adds or replaces a name.
    pub fn insert(&mut self, path: &[u8], node: Node) {
        let path = self.resolve_parents(path);
        self.nodes.insert(path, node);
    }

    /// What is at a path, which is followed to its end.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        let mut path = self.resolve_parents(path);
        for _ in 0..40 {
            match self.nodes.get(&path)? {
                Node {
                    kind: Kind::Symlink(target),
                    ..
                } => {
                    path = self.resolve_parents(&join(parent(&path), target));
                }
                node => return Some(node),
            }
        }
        None
    }

    /// Is there a name at this path, or any below it?
    pub fn contains(&self, path: &[u8]) -> bool {
        self.get(path).is_some() || {
            let mut below = self.resolve_parents(path);
            below.push(b'/');
            self.nodes
                .range(below.clone()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&below))
        }
    }

    /// Follows symbolic links in all components but the last.
    fn resolve_parents(&self, path: &[u8]) -> Vec<u8> {
        let mut pending: Vec<Vec<u8>> = components(path).rev().map(<[u8]>::to_vec).collect();
        let mut done: Vec<u8> = Vec::new();
        let mut followed = 0;
        while let Some(part) = pending.pop() {
            match &part[..] {
                b"." => continue,
                b".." => {
                    done = parent(&done).to_vec();
                    continue;
                }
                _ => {}
            }
            let next = join(&done, &part);
            match self.nodes.get(&next) {
                Some(Node {
                    kind: Kind::Symlink(target),
                    ..
                }) if !pending.is_empty() && followed < 40 => {
                    followed += 1;
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    pending.extend(components(target).rev().map(<[u8]>::to_vec));
                }
                _ => done = next,
            }
        }
        done
    }

    /// Writes all names: directories and files in order of their paths, hard links last.
    pub fn write(self, writer: &mut Writer<File>) -> Result<()> {
        let mut links = Vec::new();
        for (path, node) in &self.nodes {
            let Node { metadata, kind } = node;
            let shown = || format!("/{}", String::from_utf8_lossy(path));
            // A name below something that a later entry made a file or a link has no place any more.
            if self.is_below_a_file(path) {
                continue;
            }
            match kind {
                Kind::Directory => writer.directory(path, metadata),
                Kind::File(Source::Bytes(bytes)) => writer.file_of(path, metadata, bytes).map(drop),
                Kind::File(Source::Written(data)) => writer.file_with(path, metadata, *data),
                Kind::File(Source::Host(root, inside)) => root
                    .open(inside)
                    .and_then(|file| copy(writer, path, metadata, file)),
                Kind::Symlink(target) => writer.symlink(path, metadata, target),
                Kind::HardLink(target) => {
                    links.push((path, metadata, target));
                    Ok(())
                }
            }
            .with_context(shown)?;
        }
        for (path, metadata, target) in links {
            let target = self.resolve_parents(target);
            match self.nodes.get(&target) {
                Some(Node {
                    kind: Kind::File(_),
                    ..
                }) => writer
                    .hard_link(path, metadata, &target)
                    .with_context(|| String::from_utf8_lossy(path).into_owned())?,
                _ => bail!(
                    "the root's hard link /{} leads to /{}, which is no file in it",
                    String::from_utf8_lossy(path),
                    String::from_utf8_lossy(&target)
                ),
            }
        }
        Ok(())
    }

    fn is_below_a_file(&self, path: &[u8]) -> bool {
        let mut at = parent(path);
        while !at.is_empty() {
            if self
                .nodes
                .get(at)
                .is_some_and(|n| !matches!(n.kind, Kind::Directory))
            {
                return true;
            }
            at = parent(at);
        }
        false
    }
}

fn copy(writer: &mut Writer<File>, path: &[u8], metadata: &Metadata, file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let room = writer.room();
    if length > room {
        return Err(io::ErrorKind::StorageFull.into());
    }
    // It may grow meanwhile.
    let mut file = file.take(room.saturating_add(1));
    if length < 64 << 10 {
        // Small ones are many: no system call a file for the writing.
        let mut bytes = Vec::with_capacity(length as usize + 1);
        file.read_to_end(&mut bytes)?;
        return writer.file_of(path, metadata, &bytes).map(drop);
    }
    // Both ends are files: io::copy moves the bytes inside the kernel.
    writer
        .file(path, metadata, |out| io::copy(&mut file, out).map(drop))
        .map(drop)
}

/// Fills a tree from what `--root` names.
pub fn read(path: &Path, writer: &mut Writer<File>) -> Result<Tree> {
    let named = || format!("--root {}", path.display());
    let metadata = path.metadata().with_context(named)?;
    let mut left_out = Vec::new();
    let tree = if metadata.is_dir() {
        directory::read(path, &mut left_out)
    } else {
        archive::read(path, writer, &mut left_out)
    };
    if let Some(first) = left_out.first() {
        let more = match left_out.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        say!(
            "ringo: --root: left out: /{}{more} (neither file, directory nor link)",
            String::from_utf8_lossy(first)
        );
    }
    tree.with_context(named)
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|part| !part.is_empty())
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|&b| b == b'/')
        .map_or(b"", |slash| &path[..slash])
}

/// `name` seen from `directory`; an absolute one stays itself. The result may have dots for `resolve_parents` to remove.
fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if let Some(absolute) = name.strip_prefix(b"/") {
        return absolute.to_vec();
    }
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: Metadata = Metadata {
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
    };

    fn tree(nodes: &[(&str, Kind)]) -> Tree {
        let mut tree = Tree::default();
        for (path, kind) in nodes {
            tree.insert(
                path.as_bytes(),
                Node {
                    metadata: METADATA,
                    kind: kind.clone(),
                },
            );
        }
        tree
    }

    fn link(target: &str) -> Kind {
        Kind::Symlink(target.into())
    }

    fn file() -> Kind {
        Kind::File(Source::Bytes(b"x".to_vec()))
    }

    #[test]
    fn paths_lead_through_links() {
        let tree = tree(&[
            ("usr/lib", Kind::Directory),
            ("lib", link("usr/lib")),
            ("lib/a", file()),
            ("b", link("/lib/./../lib/a")),
        ]);
        assert!(tree.nodes.contains_key(&b"usr/lib/a"[..]));
        assert!(matches!(tree.get(b"b").expect("b").kind, Kind::File(_)));
        assert!(tree.contains(b"usr") && tree.contains(b"lib/a") && !tree.contains(b"us"));
    }

    #[test]
    fn loops_end() {
        let tree = tree(&[("a", link("b")), ("b", link("a")), ("a/c", file())]);
        assert!(tree.get(b"a").is_none());
    }

    #[test]
    fn nothing_leaves_the_tree() {
        let tree = tree(&[
            ("a/../../../etc/x", file()),
            ("up", link("../../..")),
            ("up/y", file()),
        ]);
        let names: Vec<_> = tree
            .nodes
            .keys()
            .map(|k| String::from_utf8_lossy(k).into_owned())
            .collect();
        assert_eq!(names, ["etc/x", "up", "y"]);
    }
}
