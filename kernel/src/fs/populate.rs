//! The tree as the program finds it: the bundle's entries, or the host's files; then /dev, /proc and /sys over them.
//!
//! File data stays where the bundle lies: its frames become the files' own (ram/data.rs).
use super::inode::{Content, Inode, Owner};
use super::ram::{self, Directory, FileData};
use super::walk::{self, How, Last};
use super::{Dentry, dev, proc, sys, tree};
use crate::memory::page::BundleFrames;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use ringo_bundle::{Contents, Entry, Kind};

/// A directory that belongs to the tree's file system.
fn directory(mode: u32) -> Arc<Inode> {
    Inode::new(
        &ram::ROOT,
        Owner::root(abi::S_IFDIR | mode),
        Content::Directory(Directory::default()),
    )
}

/// A symbolic link that does.
fn link(target: &[u8]) -> Arc<Inode> {
    Inode::new(
        &ram::ROOT,
        Owner::root(abi::S_IFLNK | 0o777),
        Content::Symlink(target.into()),
    )
}

/// What could not be made, and why.
#[derive(Debug)]
pub struct Failure {
    /// Its path.
    pub path: Vec<u8>,
    /// ENOMEM and ENOSPC for want of memory, else what is in the way.
    pub errno: Errno,
}

impl Failure {
    fn at(path: &[u8]) -> impl FnOnce(Errno) -> Self {
        move |errno| Self {
            path: path.to_vec(),
            errno,
        }
    }
}

/// Makes the tree, of the host's files if `host` is their root.
///
/// # Errors
/// The first thing that could not be made.
pub fn tree(
    contents: &Contents<'static>,
    frames: BundleFrames,
    host: Option<Arc<Dentry>>,
) -> Result<(), Failure> {
    let of_host = host.is_some();
    let root = host.unwrap_or_else(|| {
        let root = directory(0o755);
        // A root is its own parent's entry.
        root.links.store(2, core::sync::atomic::Ordering::Relaxed);
        Dentry::new(None, b"", root)
    });
    tree::set_root(root.clone());
    // What is put into a directory changes its date.
    let mut directories: Vec<(Arc<Inode>, i64)> = Vec::new();
    for entry in contents.entries() {
        let inode = add(&root, &entry, frames).map_err(Failure::at(entry.path))?;
        if inode.is_directory() {
            let room = directories.try_reserve(1).map_err(|_| Errno::ENOMEM);
            room.map_err(Failure::at(entry.path))?;
            directories.push((inode, entry.mtime_ns));
        } else {
            inode.date(entry.mtime_ns);
        }
    }
    let config = contents.config();
    let program = config.program;
    let (file, added) = add_program(&root, program.path, frames, program.data)
        .map_err(Failure::at(program.path))?;
    if added {
        file.inode.date(config.started_ns.cast_signed());
    }
    tree::set_program(file);
    if of_host {
        ram::mount(&root, b"dev", directory(0o755)).map_err(Failure::at(b"dev"))?;
        if config.network.len() > 0 {
            // The host's own resolver may be one of its loopback addresses.
            let etc = ensure_directory(&root, b"etc", 0o755).map_err(Failure::at(b"etc"))?;
            ram::mount(&etc, b"resolv.conf", link(b"/proc/net/pnp"))
                .map_err(Failure::at(b"etc/resolv.conf"))?;
        }
    }
    devices(&root).map_err(Failure::at(b"dev"))?;
    ram::mount(&root, b"proc", proc::TREE.root_inode()).map_err(Failure::at(b"proc"))?;
    ram::mount(&root, b"sys", sys::TREE.root_inode()).map_err(Failure::at(b"sys"))?;
    for (inode, date) in directories {
        inode.date(date);
    }
    if !of_host {
        ensure_directory(&root, b"tmp", 0o1777).map_err(Failure::at(b"tmp"))?;
    }
    let working = walk::walk(root.clone(), config.cwd.to_vec(), How::follow(true))
        .and_then(walk::Found::existing);
    match working {
        Ok(directory) if directory.inode.is_directory() => tree::set_working(directory),
        // The command's directory need not exist in the tree: made, so that relative paths work.
        _ => ensure_directory(&root, config.cwd, 0o755).and_then(tree::set_working),
    }
    .map_err(Failure::at(config.cwd))
}

/// The directory at `path` below `from`, made with what is missing on the way.
pub fn ensure_directory(from: &Arc<Dentry>, path: &[u8], mode: u32) -> Result<Arc<Dentry>, Errno> {
    let mut at = from.clone();
    for name in path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        at = match at.lookup(name)? {
            Some(found) => found,
            None => ram::create(&at, name, directory(mode))?,
        };
    }
    Ok(at)
}

/// The directory an entry goes into, through links as well, and its name there.
fn place<'a>(root: &Arc<Dentry>, path: &'a [u8]) -> Result<(Arc<Dentry>, &'a [u8]), Errno> {
    let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else {
        return Ok((root.clone(), path));
    };
    let (parent, name) = (&path[..slash], &path[slash + 1..]);
    let found = walk::walk(root.clone(), parent.to_vec(), How::follow(true));
    let parent = match found.and_then(walk::Found::existing) {
        Ok(parent) if parent.inode.is_directory() => parent,
        Ok(_) => return Err(Errno::ENOTDIR),
        Err(Errno::ENOENT) => ensure_directory(root, parent, 0o755)?,
        Err(errno) => return Err(errno),
    };
    Ok((parent, name))
}

fn add(root: &Arc<Dentry>, entry: &Entry<'_>, frames: BundleFrames) -> Result<Arc<Inode>, Errno> {
    let owner = |kind: u32| Owner {
        mode: kind | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
    };
    if entry.path.is_empty() {
        root.inode.set_owner(Some(entry.uid), Some(entry.gid));
        root.inode.set_permissions(entry.mode);
        return Ok(root.inode.clone());
    }
    let (parent, name) = place(root, entry.path)?;
    let inode = match entry.kind {
        Kind::Directory => Inode::new(
            &ram::ROOT,
            owner(abi::S_IFDIR),
            Content::Directory(Directory::default()),
        ),
        Kind::File(data) => Inode::new(
            &ram::ROOT,
            owner(abi::S_IFREG),
            Content::File(FileData::in_bundle(frames.from(data.offset), data.len)),
        ),
        Kind::Symlink(target) => Inode::new(
            &ram::ROOT,
            owner(abi::S_IFLNK),
            Content::Symlink(target.into()),
        ),
        Kind::HardLink(target) => {
            let found = walk::walk(root.clone(), target.to_vec(), How::follow(false))?;
            found.existing()?.inode.clone()
        }
    };
    ram::create(&parent, name, inode.clone())?;
    Ok(inode)
}

/// The program itself, for /proc/self/exe and those that look at their own file, unless the tree has it.
fn add_program(
    root: &Arc<Dentry>,
    path: &[u8],
    frames: BundleFrames,
    data: ringo_bundle::Data,
) -> Result<(Arc<Dentry>, bool), Errno> {
    let found = walk::walk(root.clone(), path.to_vec(), How::follow(true));
    if let Ok(found) = &found
        && let Some(dentry) = &found.dentry
    {
        return Ok((dentry.clone(), false));
    }
    let content = Content::File(FileData::in_bundle(frames.from(data.offset), data.len));
    let inode = Inode::new(&ram::ROOT, Owner::root(abi::S_IFREG | 0o755), content);
    let dentry = match found {
        Ok(walk::Found {
            parent,
            last: Last::Name(name),
            ..
        }) => ram::create(&parent, &name, inode)?,
        _ => {
            let path = path.strip_prefix(b"/").unwrap_or(path);
            let (parent, name) = place(root, path)?;
            ram::create(&parent, name, inode)?
        }
    };
    Ok((dentry, true))
}

/// /dev.
fn devices(root: &Arc<Dentry>) -> Result<(), Errno> {
    let place = ensure_directory(root, b"dev", 0o755)?;
    for &(name, number, mode) in dev::DEVICES {
        let inode = Inode::new(
            &ram::ROOT,
            Owner::root(abi::S_IFCHR | mode),
            Content::Device(number),
        );
        put(&place, name.as_bytes(), inode)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        put(&place, name.as_bytes(), link(target.as_bytes()))?;
    }
    put(&place, b"shm", directory(0o1777))
}

/// Adds an entry unless the bundle brought one with this name.
fn put(directory: &Arc<Dentry>, name: &[u8], inode: Arc<Inode>) -> Result<(), Errno> {
    match ram::create(directory, name, inode) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
