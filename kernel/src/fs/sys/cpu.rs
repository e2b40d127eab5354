//! /sys/devices/system: CPUs with their place and caches, the one memory node, the clock.
use super::{directory, file, setting};
use crate::cpu::identity::{Cache, Topology};
use crate::cpu::percpu;
use crate::fs::proc::{Memory, cpu_list, cpu_mask};
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Kind, Listing, Numbered, Numbers};
use crate::memory::paging::PAGE;
use ringo_abi::Errno;

/// /sys/devices/system.
pub(super) static SYSTEM: Listing = Listing {
    items: &[
        directory(
            "clocksource",
            &Listing {
                items: &[directory("clocksource0", &CLOCK)],
                numbered: None,
            },
        ),
        directory("cpu", &CPUS),
        directory("node", &NODES),
    ],
    numbered: None,
};

static CLOCK: Listing = Listing {
    items: &[
        file("available_clocksource", |out, _| writeln!(out, "tsc ")),
        setting("current_clocksource", |out, _| writeln!(out, "tsc")),
    ],
    numbered: None,
};

/// /sys/devices/system/cpu.
static CPUS: Listing = Listing {
    items: &[
        file("isolated", |out, _| writeln!(out)),
        file("kernel_max", |out, _| {
            writeln!(out, "{}", percpu::MAX_CPUS - 1)
        }),
        file("offline", |out, _| writeln!(out)),
        file("online", all),
        file("possible", all),
        file("present", all),
    ],
    numbered: Some(&Numbered {
        prefix: "cpu",
        place: 0,
        next: |_, from| ((from as usize) < percpu::cpu_count()).then_some(from),
        exists: |_, number| (number as usize) < percpu::cpu_count(),
        size: None,
        mode: |_| 0o755,
        kind: Kind::Directory(&CPU),
    }),
};

static CPU: Listing = Listing {
    items: &[
        directory("cache", &CACHES),
        directory("topology", &TOPOLOGY),
    ],
    numbered: None,
};

fn online() -> u64 {
    u64::MAX >> (64 - percpu::cpu_count())
}

/// All CPUs: they are online from the start and stay so.
fn all(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    list(out, online())
}

fn list(out: &mut Text, cpus: u64) -> Result<(), Errno> {
    cpu_list(out, cpus)?;
    writeln!(out)
}

fn mask(out: &mut Text, cpus: u64) -> Result<(), Errno> {
    cpu_mask(out, cpus)?;
    writeln!(out)
}

/// The CPU of a path.
fn cpu(numbers: Numbers) -> usize {
    numbers[0] as usize
}

fn package(numbers: Numbers) -> u64 {
    Topology::read().package_cpus(cpu(numbers))
}

fn core(numbers: Numbers) -> u64 {
    Topology::read().core_cpus(cpu(numbers))
}

/// Each set of CPUs has two names, of which the older one is kept for those who know no other.
static TOPOLOGY: Listing = Listing {
    items: &[
        file("core_cpus", |out, n| mask(out, core(n))),
        file("core_cpus_list", |out, n| list(out, core(n))),
        file("core_id", |out, n| {
            writeln!(out, "{}", Topology::read().core(cpu(n)))
        }),
        file("core_siblings", |out, n| mask(out, package(n))),
        file("core_siblings_list", |out, n| list(out, package(n))),
        file("die_cpus", |out, n| mask(out, package(n))),
        file("die_cpus_list", |out, n| list(out, package(n))),
        file("die_id", |out, _| writeln!(out, "0")),
        file("package_cpus", |out, n| mask(out, package(n))),
        file("package_cpus_list", |out, n| list(out, package(n))),
        file("physical_package_id", |out, n| {
            writeln!(out, "{}", Topology::read().package(cpu(n)))
        }),
        file("thread_siblings", |out, n| mask(out, core(n))),
        file("thread_siblings_list", |out, n| list(out, core(n))),
    ],
    numbered: None,
};

static CACHES: Listing = Listing {
    items: &[],
    numbered: Some(&Numbered {
        prefix: "index",
        place: 1,
        next: |_, from| Cache::read(from).map(|_| from),
        exists: |_, number| number < CACHES_MAX && Cache::read(number).is_some(),
        size: None,
        mode: |_| 0o755,
        kind: Kind::Directory(&CACHE),
    }),
};

/// More than any processor has; keeps odd numbers in paths from CPUID.
const CACHES_MAX: u32 = 16;

fn cache(numbers: Numbers) -> Result<Cache, Errno> {
    Cache::read(numbers[1]).ok_or(Errno::ENODEV)
}

static CACHE: Listing = Listing {
    items: &[
        file("coherency_line_size", |out, n| {
            writeln!(out, "{}", cache(n)?.line)
        }),
        file("id", |out, n| writeln!(out, "{}", cache(n)?.id(cpu(n)))),
        file("level", |out, n| writeln!(out, "{}", cache(n)?.level)),
        file("number_of_sets", |out, n| {
            writeln!(out, "{}", cache(n)?.sets)
        }),
        file("physical_line_partition", |out, _| writeln!(out, "1")),
        file("shared_cpu_list", |out, n| {
            list(out, cache(n)?.sharers(cpu(n)))
        }),
        file("shared_cpu_map", |out, n| {
            mask(out, cache(n)?.sharers(cpu(n)))
        }),
        file("size", |out, n| {
            writeln!(out, "{}K", cache(n)?.size() / 1024)
        }),
        file("type", |out, n| writeln!(out, "{}", cache(n)?.kind)),
        file("ways_of_associativity", |out, n| {
            writeln!(out, "{}", cache(n)?.ways)
        }),
    ],
    numbered: None,
};

/// /sys/devices/system/node.
static NODES: Listing = Listing {
    items: &[
        file("has_cpu", node),
        file("has_memory", node),
        file("has_normal_memory", node),
        directory("node0", &NODE),
        file("online", node),
        file("possible", node),
    ],
    numbered: None,
};

/// The list of nodes: one.
fn node(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out, "0")
}

static NODE: Listing = Listing {
    items: &[
        file("cpulist", all),
        file("cpumap", |out, _| mask(out, online())),
        file("distance", |out, _| writeln!(out, "10")),
        file("meminfo", node_memory),
    ],
    numbered: None,
};

/// The part of /proc/meminfo that is told by node.
fn node_memory(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let memory = Memory::now();
    for (key, pages) in [
        ("MemTotal", memory.total),
        ("MemFree", memory.free),
        ("MemUsed", memory.total - memory.free),
        ("FilePages", memory.files),
        ("Mapped", memory.mapped),
        ("AnonPages", memory.anonymous),
        ("Shmem", memory.kept()),
        ("KernelStack", memory.stacks),
        ("PageTables", memory.tables),
        ("Slab", memory.heap),
    ] {
        let key = alloc::format!("{key}:");
        writeln!(out, "Node 0 {key:15} {:8} kB", pages * PAGE / 1024)?;
    }
    Ok(())
}
