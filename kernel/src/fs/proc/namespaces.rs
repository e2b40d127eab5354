//! /proc/PID/ns: links that name the namespaces (namespaces(7)). There is one of each kind, which two links to the same
//! file show; nothing can be entered (setns(2) is EPERM).
use crate::fs::Dentry;
use crate::fs::inode::{FileSystem, Link};
use crate::fs::virtual_tree::{Item, Kind, Listing, Numbers, Tree};
use ringo_abi::Errno;

/// /proc/PID/ns, with the inode numbers that Linux gives the first namespace of each kind (include/linux/proc_ns.h).
pub(super) static NAMESPACES: Listing = Listing {
    items: &[
        item("cgroup", |_| name("cgroup", 0xeffffffb)),
        item("ipc", |_| name("ipc", 0xefffffff)),
        item("mnt", |_| name("mnt", 0xeffffff8)),
        item("net", |_| name("net", 0xeffffff9)),
        item("pid", |_| name("pid", 0xeffffffc)),
        item("pid_for_children", |_| name("pid", 0xeffffffc)),
        item("time", |_| name("time", 0xeffffffa)),
        item("time_for_children", |_| name("time", 0xeffffffa)),
        item("user", |_| name("user", 0xeffffffd)),
        item("uts", |_| name("uts", 0xeffffffe)),
    ],
    numbered: None,
};

/// The file system the links lead to. Its files can be opened, and that is all.
static FILES: Tree = Tree {
    file_system: FileSystem::new(0x04, NSFS_MAGIC, "nsfs"),
    root: Kind::File(|_, _| Err(Errno::EINVAL)),
    missing: Some(Errno::ENOENT),
    write_error: None,
    file_size: 0,
    owner: |_| (0, 0),
    alive: |_| true,
};

/// NSFS_MAGIC.
const NSFS_MAGIC: u64 = 0x6e73_6673;

const fn item(name: &'static str, target: fn(Numbers) -> Result<Link, Errno>) -> Item {
    Item {
        name,
        mode: 0o777,
        kind: Kind::Link(target, 0),
    }
}

fn name(kind: &str, number: u64) -> Result<Link, Errno> {
    let name = alloc::format!("{kind}:[{number}]");
    let inode = FILES.nameless(number, 0o444);
    Ok(Link::File(Dentry::new(None, name.as_bytes(), inode)))
}
