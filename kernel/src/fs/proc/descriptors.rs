//! /proc/PID/fd: a link a descriptor, which leads to its file whatever its path; /proc/PID/fdinfo: its position and flags.
use super::mounts;
use crate::fs::fd;
use crate::fs::inode::{Content, FileSystem, Inode, Link, Owner};
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Kind, Listing, Numbered, Numbers};
use crate::fs::{Dentry, OpenFile};
use crate::sync::SlotRef;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// What Linux shows as such a link's size.
const LINK_SIZE: u64 = 64;

/// Files without a name have their inodes where the kernel keeps such files.
static NAMELESS: FileSystem = FileSystem::new(0x0e, 0x0904_1934, "anon_inodefs");

/// /proc/PID/fd.
pub(super) static LINKS: Listing = Listing {
    items: &[],
    numbered: Some(&Numbered {
        prefix: "",
        place: 1,
        next,
        exists,
        // Since Linux 6.2: how many are open.
        size: Some(|| fd::count() as u64),
        mode,
        kind: Kind::Link(target, LINK_SIZE),
    }),
};

/// /proc/PID/fdinfo.
pub(super) static INFOS: Listing = Listing {
    items: &[],
    numbered: Some(&Numbered {
        prefix: "",
        place: 1,
        next,
        exists,
        size: None,
        mode: |_| 0o444,
        kind: Kind::File(info),
    }),
};

fn open_file(number: u32) -> Result<SlotRef<OpenFile>, Errno> {
    let fd = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
    fd::get(fd).map_err(|_| Errno::ENOENT)
}

fn next(_: Numbers, from: u32) -> Option<u32> {
    let fd = fd::table().next_used(i32::try_from(from).ok()?)?;
    u32::try_from(fd).ok()
}

fn exists(_: Numbers, number: u32) -> bool {
    open_file(number).is_ok()
}

/// The link's permissions tell how the file was opened.
fn mode(numbers: Numbers) -> u32 {
    let Ok(file) = open_file(numbers[1]) else {
        return 0;
    };
    let read = if file.readable() { 0o500 } else { 0 };
    let write = if file.writable() { 0o300 } else { 0 };
    read | write
}

fn target(numbers: Numbers) -> Result<Link, Errno> {
    let file = open_file(numbers[1])?;
    if let Some(dentry) = file.ops.dentry() {
        return Ok(Link::File(dentry));
    }
    let name = file.ops.name();
    let stat = file.ops.stat()?;
    let owner = Owner {
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
    };
    let inode = Inode::new(&NAMELESS, owner, Content::Descriptor(file));
    Ok(Link::File(Dentry::new(None, &name, inode)))
}

/// What every kind of file has.
fn info(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let number = numbers[1];
    let file = open_file(number)?;
    let close_on_exec = i32::try_from(number)
        .ok()
        .and_then(|fd| fd::table().close_on_exec(fd))
        .unwrap_or(false);
    let flags = file.flags() | if close_on_exec { abi::O_CLOEXEC } else { 0 };
    // Not under the lock of a read that blocks: a position that is being moved shows as 0.
    let position = match file.position.try_lock() {
        Some(held) => {
            drop(held);
            file.ops.position(&file)?
        }
        None => 0,
    };
    writeln!(out, "pos:\t{position}\nflags:\t0{flags:o}")?;
    let mount = mounts::id_of(file.ops.dentry().as_deref());
    let inode = file.ops.stat()?.inode;
    writeln!(out, "mnt_id:\t{mount}\nino:\t{inode}")?;
    file.ops.describe(out)
}
