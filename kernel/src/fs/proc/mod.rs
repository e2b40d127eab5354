//! /proc (proc(5)): the process, its threads and the system as files, in the formats of Linux.
//!
//! - process.rs: the tables of /proc/PID and /proc/PID/task/TID, and their small files. status.rs: status, stat, statm.
//! - maps.rs: the address space. descriptors.rs: fd and fdinfo. namespaces.rs: ns. limits.rs, mounts.rs, net.rs: what
//!   their names say.
//! - system.rs: the machine and all of the kernel. cpuinfo.rs: the processor. memory.rs: meminfo and vmstat.
//! - settings.rs: /proc/sys.
//!
//! What the kernel does not know (accounting it does not do) is left out where readers take a key's absence, and is 0
//! where a format has a place for it. No locks of its own; each file names in its functions what it reads.
mod cpuinfo;
mod descriptors;
mod limits;
mod maps;
mod memory;
pub mod mounts;
mod namespaces;
mod net;
mod net_counts;
mod process;
mod settings;
mod status;
mod system;

pub(super) use memory::Memory;
pub(super) use status::{cpu_list, cpu_mask};
pub use system::{RELEASE, VERSION};

use super::inode::{FileSystem, Link};
use super::virtual_tree::{Item, Kind, Listing, Make, Numbered, Numbers, Store, Tree};
use crate::task::{self, PID, Tid, thread};
use alloc::format;
use alloc::string::String;
use ringo_abi::Errno;

/// PROC_SUPER_MAGIC.
const MAGIC: u64 = 0x9fa0;

/// The file system.
pub static TREE: Tree = Tree {
    file_system: FileSystem::new(0x1a, MAGIC, "proc"),
    root: Kind::Directory(&ROOT),
    missing: Some(Errno::ENOENT),
    write_error: Some(Errno::EIO),
    file_size: 0,
    owner,
    alive,
};

static ROOT: Listing = Listing {
    items: &[
        file("cgroups", system::control_groups),
        file("cmdline", system::command_line),
        file("cpuinfo", cpuinfo::cpuinfo),
        file("devices", system::devices),
        // No disks.
        file("diskstats", |_, _| Ok(())),
        file("filesystems", system::filesystems),
        file("loadavg", system::load_average),
        file("meminfo", memory::meminfo),
        static_link("mounts", |_| path(MOUNTS), MOUNTS),
        static_link("net", |_| path(NET), NET),
        file("partitions", |_, _| Ok(())),
        link("self", |_| Ok(Link::Path(format!("{PID}").into()))),
        file("stat", system::stat),
        file("swaps", system::swaps),
        Item {
            name: "sys",
            mode: 0o555,
            kind: Kind::Mounted(&settings::TREE),
        },
        link("thread-self", |_| {
            let tid = task::current().tid();
            Ok(Link::Path(format!("{PID}/task/{tid}").into()))
        }),
        file("uptime", system::uptime),
        file("version", system::version),
        file("vmstat", memory::vmstat),
    ],
    numbered: Some(&Numbered {
        prefix: "",
        place: 0,
        next: |_, from| (from <= PID as u32).then_some(PID as u32),
        // As on Linux, a thread's number leads to its process, unlisted.
        exists: |_, number| thread_of([number, 0]).is_ok(),
        size: None,
        mode: |_| 0o555,
        kind: Kind::Directory(&process::PROCESS),
    }),
};

/// A file that everybody may read.
const fn file(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o444,
        kind: Kind::File(make),
    }
}

/// A file that only the owner may read.
const fn private(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o400,
        kind: Kind::File(make),
    }
}

/// A file that the owner may write.
const fn writable(name: &'static str, make: Make, store: Store) -> Item {
    Item {
        name,
        mode: 0o644,
        kind: Kind::Writable(make, store),
    }
}

const fn directory(name: &'static str, mode: u32, listing: &'static Listing) -> Item {
    Item {
        name,
        mode,
        kind: Kind::Directory(listing),
    }
}

const fn link(name: &'static str, target: fn(Numbers) -> Result<Link, Errno>) -> Item {
    Item {
        name,
        mode: 0o777,
        kind: Kind::Link(target, 0),
    }
}

/// A link whose size is that of its target, as Linux shows it for those that never change.
const fn static_link(
    name: &'static str,
    target: fn(Numbers) -> Result<Link, Errno>,
    path: &str,
) -> Item {
    Item {
        name,
        mode: 0o777,
        kind: Kind::Link(target, path.len() as u64),
    }
}

const MOUNTS: &str = "self/mounts";
const NET: &str = "self/net";

fn path(path: &str) -> Result<Link, Errno> {
    Ok(Link::Path(String::from(path).into_bytes()))
}

/// Everything of a process is its user's.
fn owner(numbers: Numbers) -> (u32, u32) {
    match numbers[0] {
        0 => (0, 0),
        _ => {
            let credentials = task::credentials();
            (credentials.user.effective(), credentials.group.effective())
        }
    }
}

fn alive(numbers: Numbers) -> bool {
    numbers[0] == 0 || thread_of(numbers).is_ok()
}

/// The thread that a node is about. /proc/PID stays when the first thread has ended and others go on: then another one
/// stands for the process.
///
/// # Errors
/// ESRCH when it has ended.
fn thread_of(numbers: Numbers) -> Result<&'static task::Thread, Errno> {
    let tid = Tid::try_from(numbers[0]).map_err(|_| Errno::ESRCH)?;
    let found = thread::by_tid(tid);
    let found = found.or_else(|| (tid == PID).then(task::current));
    found.ok_or(Errno::ESRCH)
}
