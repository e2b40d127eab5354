//! /proc/meminfo and /proc/vmstat (Linux fs/proc/meminfo.c). Files live in RAM and are never written back: of what is
//! "cached" only what came from the host and is as it is there can be dropped. Nothing is swapped.
use super::maps;
use crate::fs::ram::clean_pages;
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::memory::paging::{HUGE_PAGE, PAGE};
use crate::memory::{frames, heap_frames, stack};
use crate::task::{process, thread};
use ringo_abi::Errno;

/// Frames of RAM by what they hold.
pub(crate) struct Memory {
    /// All that the kernel manages, and of those the free.
    pub total: usize,
    pub free: usize,
    /// Anonymous memory of the program, and what it has mapped of files.
    pub anonymous: usize,
    pub mapped: usize,
    /// Data of files, mapped or not: what nothing else accounts for.
    pub files: usize,
    /// Of those, what can be fetched again.
    pub clean: usize,
    pub heap: usize,
    pub tables: usize,
    pub stacks: usize,
    /// Promised to the program.
    pub committed: usize,
}

impl Memory {
    /// As it is now.
    pub fn now() -> Self {
        let usage = maps::usage();
        let promised = frames::promised();
        let (free, total) = frames::counts();
        let total = total.max(free);
        let anonymous = usage.resident.saturating_sub(usage.file + usage.shared);
        let stacks = thread::count() * stack::SIZE / PAGE;
        let heap = heap_frames();
        let known = anonymous + heap + usage.tables + stacks;
        let files = (total - free).saturating_sub(known);
        Self {
            total,
            free,
            anonymous,
            mapped: usage.file + usage.shared,
            files,
            clean: clean_pages().min(files),
            heap,
            tables: usage.tables,
            stacks,
            committed: anonymous + promised,
        }
    }

    /// Data of files that is nowhere else.
    pub const fn kept(&self) -> usize {
        self.files - self.clean
    }
}

fn line(out: &mut Text, key: &str, pages: usize) -> Result<(), Errno> {
    out.kilobytes(key, (pages * PAGE / 1024) as u64)
}

/// /proc/meminfo.
pub(super) fn meminfo(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let memory = Memory::now();
    for (key, pages) in [
        ("MemTotal:", memory.total),
        ("MemFree:", memory.free),
        ("MemAvailable:", memory.free + memory.clean),
        ("Buffers:", 0),
        ("Cached:", memory.files),
        ("SwapCached:", 0),
        ("Active:", memory.anonymous + memory.kept()),
        ("Inactive:", memory.clean),
        ("Active(anon):", memory.anonymous + memory.kept()),
        ("Inactive(anon):", 0),
        ("Active(file):", 0),
        ("Inactive(file):", memory.clean),
        ("Unevictable:", 0),
        ("Mlocked:", 0),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("AnonPages:", memory.anonymous),
        ("Mapped:", memory.mapped),
        ("Shmem:", memory.kept()),
        ("KReclaimable:", 0),
        ("Slab:", memory.heap),
        ("SReclaimable:", 0),
        ("SUnreclaim:", memory.heap),
        ("KernelStack:", memory.stacks),
        ("PageTables:", memory.tables),
        ("SecPageTables:", 0),
        ("NFS_Unstable:", 0),
        ("Bounce:", 0),
        ("WritebackTmp:", 0),
        ("CommitLimit:", memory.total),
        ("Committed_AS:", memory.committed),
        ("VmallocTotal:", 0),
        ("VmallocUsed:", 0),
        ("VmallocChunk:", 0),
        ("Percpu:", 0),
    ] {
        line(out, key, pages)?;
    }
    for key in ["Total:", "Free:", "Rsvd:", "Surp:"] {
        writeln!(out, "{:15} {:8}", alloc::format!("HugePages_{key}"), 0)?;
    }
    line(out, "Hugepagesize:", HUGE_PAGE / PAGE)?;
    line(out, "Hugetlb:", 0)
}

/// /proc/vmstat: of its many counters those that have a meaning here.
pub(super) fn vmstat(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let memory = Memory::now();
    for (key, value) in [
        ("nr_free_pages", memory.free as u64),
        ("nr_anon_pages", memory.anonymous as u64),
        ("nr_mapped", memory.mapped as u64),
        ("nr_file_pages", memory.files as u64),
        ("nr_dirty", 0),
        ("nr_writeback", 0),
        ("nr_shmem", memory.kept() as u64),
        ("nr_page_table_pages", memory.tables as u64),
        ("pgpgin", 0),
        ("pgpgout", 0),
        ("pswpin", 0),
        ("pswpout", 0),
        ("pgfault", process().totals().faults),
        ("pgmajfault", 0),
        ("oom_kill", 0),
    ] {
        writeln!(out, "{key} {value}")?;
    }
    Ok(())
}
