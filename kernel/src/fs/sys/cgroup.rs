//! /sys/fs/cgroup: version 2 of the control groups (cgroups(7)), as a container without limits finds its own group.
use super::{file, setting};
use crate::fs::inode::FileSystem;
use crate::fs::virtual_tree::{Kind, Listing, Tree};
use crate::task::PID;

/// CGROUP2_SUPER_MAGIC.
const MAGIC: u64 = 0x6367_7270;

/// The file system.
pub static TREE: Tree = Tree {
    file_system: FileSystem::new(0x1c, MAGIC, "cgroup2"),
    root: Kind::Directory(&Listing {
        items: &[
            file("cgroup.controllers", |out, _| {
                writeln!(out, "cpu memory pids")
            }),
            setting("cgroup.procs", |out, _| writeln!(out, "{PID}")),
            setting("cpu.max", |out, _| writeln!(out, "max 100000")),
            setting("memory.max", |out, _| writeln!(out, "max")),
        ],
        numbered: None,
    }),
    missing: None,
    write_error: None,
    file_size: 0,
    owner: |_| (0, 0),
    alive: |_| true,
};
