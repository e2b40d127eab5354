//! The tree as the program finds it: the bundle's entries, or the host's files; then /dev, /proc and /sys over them.
//!
//! File data stays where the bundle lies: its frames become the files' own (ram/data.rs).
use super::inode::{Content, Inode, Owner};
use super::ram::{self, Directory, FileData};
use super::walk::{self, How, Last};
use super::{Dentry, dev, proc, sys, tree};
use crate::klog;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use ringo_bundle::{Bundle, Entry, Kind};

/// A directory that belongs to the tree's file system.
fn directory(mode: u32) -> Arc<Inode> {
    Inode::new(
        &ram::ROOT,
        Owner::root(abi::S_IFDIR | mode),
        Content::Directory(Directory::default()),
    )
}

/// Makes the tree, of the host's files if `host` is their root.
///
/// # Errors
/// ENOMEM; the host's.
pub fn tree(bundle: &Bundle<'static>, phys: usize, host: Option<Arc<Dentry>>) -> Result<(), Errno> {
    let of_host = host.is_some();
    let root = host.unwrap_or_else(|| {
        let root = directory(0o755);
        // A root is its own parent's entry.
        root.links.store(2, core::sync::atomic::Ordering::Relaxed);
        Dentry::new(None, b"", root)
    });
    tree::set_root(root.clone());
    let mut dates: Vec<(Arc<Inode>, i64)> = Vec::new();
    for entry in bundle.entries() {
        match add(&root, &entry, phys) {
            Ok(inode) => dates.push((inode, entry.mtime_ns)),
            Err(errno) => klog!(
                "{}: not put into the tree: {errno}",
                alloc::string::String::from_utf8_lossy(entry.path)
            ),
        }
    }
    let config = bundle.config();
    let program = config.program;
    if let Ok((file, added)) = add_program(&root, program.path, phys, program.data) {
        if added {
            dates.push((file.inode.clone(), config.started_ns.cast_signed()));
        }
        tree::set_program(file);
    }
    if of_host {
        ram::mount(&root, b"dev", directory(0o755))?;
    }
    devices(&root)?;
    ram::mount(&root, b"proc", proc::TREE.root_inode())?;
    ram::mount(&root, b"sys", sys::TREE.root_inode())?;
    for (inode, date) in dates {
        inode.date(date);
    }
    if !of_host {
        ensure_directory(&root, b"tmp", 0o1777)?;
    }
    let working = walk::walk(root.clone(), config.cwd.to_vec(), How::follow(true))
        .and_then(walk::Found::existing);
    match working {
        Ok(directory) if directory.inode.is_directory() => tree::set_working(directory)?,
        _ => {
            // The command's directory need not exist in the tree: made, so that relative paths work.
            let directory = ensure_directory(&root, config.cwd, 0o755)?;
            tree::set_working(directory)?;
        }
    }
    Ok(())
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

/// The directory an entry goes into, and its name there.
fn place<'a>(root: &Arc<Dentry>, path: &'a [u8]) -> Result<(Arc<Dentry>, &'a [u8]), Errno> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => Ok((
            ensure_directory(root, &path[..slash], 0o755)?,
            &path[slash + 1..],
        )),
        None => Ok((root.clone(), path)),
    }
}

fn add(root: &Arc<Dentry>, entry: &Entry<'_>, phys: usize) -> Result<Arc<Inode>, Errno> {
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
            Content::File(FileData::in_bundle(phys + data.offset as usize, data.len)),
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
    phys: usize,
    data: ringo_bundle::Data,
) -> Result<(Arc<Dentry>, bool), Errno> {
    let found = walk::walk(root.clone(), path.to_vec(), How::follow(true));
    if let Ok(found) = &found
        && let Some(dentry) = &found.dentry
    {
        return Ok((dentry.clone(), false));
    }
    let content = Content::File(FileData::in_bundle(phys + data.offset as usize, data.len));
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
        let inode = Inode::new(
            &ram::ROOT,
            Owner::root(abi::S_IFLNK | 0o777),
            Content::Symlink(target.as_bytes().into()),
        );
        put(&place, name.as_bytes(), inode)?;
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
