//! /sys/fs/cgroup: version 2 of the control groups (cgroups(7), Linux Documentation/admin-guide/cgroup-v2.rst), as a
//! container without limits finds its own group. The VM's size is the limit that shows elsewhere: in the number of CPUs
//! and in /proc/meminfo.
use super::{file, setting};
use crate::cpu::percpu;
use crate::fs::inode::FileSystem;
use crate::fs::proc::{Memory, cpu_list};
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Item, Kind, Listing, Numbers, Tree};
use crate::memory::paging::PAGE;
use crate::task::{PID, process, thread};
use ringo_abi::Errno;

/// CGROUP2_SUPER_MAGIC.
const MAGIC: u64 = 0x6367_7270;

/// The file system.
pub static TREE: Tree = Tree {
    file_system: FileSystem::new(0x1c, MAGIC, "cgroup2"),
    root: Kind::Directory(&Listing {
        items: &[
            file("cgroup.controllers", |out, _| {
                writeln!(out, "cpuset cpu memory pids")
            }),
            file("cgroup.events", |out, _| {
                writeln!(out, "populated 1\nfrozen 0")
            }),
            setting("cgroup.max.depth", unlimited),
            setting("cgroup.max.descendants", unlimited),
            setting("cgroup.procs", |out, _| writeln!(out, "{PID}")),
            file("cgroup.stat", |out, _| {
                writeln!(out, "nr_descendants 0\nnr_dying_descendants 0")
            }),
            setting("cgroup.subtree_control", |_, _| Ok(())),
            setting("cgroup.threads", threads),
            setting("cgroup.type", |out, _| writeln!(out, "domain")),
            setting("cpu.max", |out, _| writeln!(out, "max {PERIOD}")),
            setting("cpu.max.burst", |out, _| writeln!(out, "0")),
            file("cpu.stat", cpu_stat),
            setting("cpu.weight", |out, _| writeln!(out, "100")),
            setting("cpu.weight.nice", |out, _| writeln!(out, "0")),
            setting("cpuset.cpus", |out, _| writeln!(out)),
            file("cpuset.cpus.effective", cpus),
            setting("cpuset.mems", |out, _| writeln!(out)),
            file("cpuset.mems.effective", |out, _| writeln!(out, "0")),
            file("memory.current", memory_current),
            file("memory.events", memory_events),
            setting("memory.high", unlimited),
            setting("memory.low", |out, _| writeln!(out, "0")),
            setting("memory.max", unlimited),
            setting("memory.min", |out, _| writeln!(out, "0")),
            setting("memory.oom.group", |out, _| writeln!(out, "0")),
            file("memory.stat", memory_stat),
            file("memory.swap.current", |out, _| writeln!(out, "0")),
            SWAP_MAX,
            file("pids.current", |out, _| {
                writeln!(out, "{}", thread::count())
            }),
            setting("pids.max", unlimited),
        ],
        numbered: None,
    }),
    missing: None,
    write_error: None,
    file_size: 0,
    owner: |_| (0, 0),
    alive: |_| true,
};

/// The period of CPU limits, of which there are none, in microseconds.
const PERIOD: u32 = 100_000;

const SWAP_MAX: Item = setting("memory.swap.max", unlimited);

fn unlimited(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out, "max")
}

fn threads(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let mut next = 0;
    while let Some(tid) = thread::next_from(next) {
        writeln!(out, "{tid}")?;
        next = tid.saturating_add(1);
    }
    Ok(())
}

fn cpus(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    cpu_list(out, u64::MAX >> (64 - percpu::cpu_count()))?;
    writeln!(out)
}

/// Time in the kernel is the program's.
fn cpu_stat(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let used = process().cpu_time() / 1000;
    writeln!(out, "usage_usec {used}\nuser_usec {used}\nsystem_usec 0")?;
    writeln!(out, "nr_periods 0\nnr_throttled 0\nthrottled_usec 0")?;
    writeln!(out, "nr_bursts 0\nburst_usec 0")
}

fn memory_current(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let memory = Memory::now();
    writeln!(out, "{}", (memory.total - memory.free) * PAGE)
}

fn memory_events(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    ["low", "high", "max", "oom", "oom_kill", "oom_group_kill"]
        .into_iter()
        .try_for_each(|event| writeln!(out, "{event} 0"))
}

fn memory_stat(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let memory = Memory::now();
    for (key, pages) in [
        ("anon", memory.anonymous),
        ("file", memory.files),
        ("kernel", memory.heap + memory.stacks + memory.tables),
        ("kernel_stack", memory.stacks),
        ("pagetables", memory.tables),
        ("shmem", memory.kept()),
        ("file_mapped", memory.mapped),
        ("file_dirty", 0),
        ("file_writeback", 0),
        ("inactive_anon", 0),
        ("active_anon", memory.anonymous + memory.kept()),
        ("inactive_file", memory.clean),
        ("active_file", 0),
        ("unevictable", 0),
        ("slab_reclaimable", 0),
        ("slab_unreclaimable", memory.heap),
        ("slab", memory.heap),
    ] {
        writeln!(out, "{key} {}", pages * PAGE)?;
    }
    Ok(())
}
