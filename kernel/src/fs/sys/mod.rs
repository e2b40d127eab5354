//! /sys (sysfs(5)): what the runtime and libraries ask of the machine.
//!
//! - cpu.rs: /sys/devices/system/cpu and node. memory.rs: /sys/kernel/mm. cgroup.rs: the control groups at
//!   /sys/fs/cgroup, which are a file system of their own.
mod cgroup;
mod cpu;
mod memory;

pub use cgroup::TREE as CONTROL_GROUPS;

use super::inode::FileSystem;
use super::virtual_tree::{Item, Kind, Listing, Make, Tree};

/// SYSFS_MAGIC.
const MAGIC: u64 = 0x6265_6572;

/// The file system.
pub static TREE: Tree = Tree {
    file_system: FileSystem::new(0x1b, MAGIC, "sysfs"),
    root: Kind::Directory(&Listing {
        items: &[
            directory("block", &EMPTY),
            directory("bus", &EMPTY),
            directory("class", &CLASS),
            directory(
                "devices",
                &Listing {
                    items: &[directory("system", &cpu::SYSTEM)],
                    numbered: None,
                },
            ),
            directory("firmware", &EMPTY),
            directory(
                "fs",
                &Listing {
                    items: &[Item {
                        name: "cgroup",
                        mode: 0o755,
                        kind: Kind::Mounted(&cgroup::TREE),
                    }],
                    numbered: None,
                },
            ),
            directory("hypervisor", &EMPTY),
            directory(
                "kernel",
                &Listing {
                    items: &[directory("mm", &memory::MM)],
                    numbered: None,
                },
            ),
            directory("module", &EMPTY),
        ],
        numbered: None,
    }),
    missing: None,
    write_error: None,
    file_size: 4096,
    owner: |_| (0, 0),
    alive: |_| true,
};

/// A directory that has nothing here.
static EMPTY: Listing = Listing {
    items: &[],
    numbered: None,
};

/// Classes of devices, none of which has any.
static CLASS: Listing = Listing {
    items: &[
        directory("block", &EMPTY),
        directory("hwmon", &EMPTY),
        directory("net", &EMPTY),
        directory("power_supply", &EMPTY),
        directory("thermal", &EMPTY),
        directory("tty", &EMPTY),
    ],
    numbered: None,
};

/// A file that everybody may read.
const fn file(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o444,
        kind: Kind::File(make),
    }
}

/// A setting: Linux lets root change it, here it says how things are.
const fn setting(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o644,
        kind: Kind::File(make),
    }
}

const fn directory(name: &'static str, listing: &'static Listing) -> Item {
    Item {
        name,
        mode: 0o755,
        kind: Kind::Directory(listing),
    }
}
