//! /proc/PID/maps, smaps and smaps_rollup (Linux fs/proc/task_mmu.c), and what status and statm tell of memory.
//!
//! The address space's lock is held while a text is made: a reader sees one moment. Cost: maps O(areas); smaps and the
//! totals also O(pages with frames), counted in the page tables.
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::memory::kernel_table;
use crate::memory::paging::{HUGE_PAGE, PAGE};
use crate::memory::space::{Area, Backing, Inner, PROT_EXEC, PROT_READ, PROT_WRITE, space};
use crate::program;
use ringo_abi::Errno;

/// Pages, by what they are for.
#[derive(Default)]
pub(super) struct Usage {
    /// Of all areas, now and at most.
    pub total: usize,
    pub peak: usize,
    /// Private and writable, but for the stack.
    pub data: usize,
    pub stack: usize,
    /// The program's code.
    pub text: usize,
    /// With frames, now and at most.
    pub resident: usize,
    pub resident_peak: usize,
    /// Of those, what shows a file unchanged, and what is shared anonymous memory.
    pub file: usize,
    pub shared: usize,
    /// Page tables of the program's half.
    pub tables: usize,
}

fn is_stack(area: &Area) -> bool {
    area.name == "[stack]"
}

/// What an area's pages count as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file, unchanged.
    File,
    /// Memory that is shared, but no file's.
    Memory,
    /// The program's own, copies of files as well.
    Anonymous,
}

fn kind(area: &Area) -> Kind {
    let copies = !area.shared && area.protection & PROT_WRITE != 0;
    match &area.backing {
        Backing::File { source, .. } if source.is_memory() && !copies => Kind::Memory,
        Backing::File { .. } if !copies => Kind::File,
        _ => Kind::Anonymous,
    }
}

/// What is in use now.
pub(super) fn usage() -> Usage {
    let inner = space().lock();
    let mut usage = Usage {
        total: inner.mapped,
        peak: inner.mapped_peak,
        resident: inner.resident,
        resident_peak: inner.resident_peak,
        tables: kernel_table().program_tables(),
        ..Usage::default()
    };
    for (&start, area) in &inner.areas {
        let pages = (area.end - start) / PAGE;
        if is_stack(area) {
            usage.stack += pages;
        } else if !area.shared && area.protection & PROT_WRITE != 0 {
            usage.data += pages;
        }
        match kind(area) {
            Kind::File => usage.file += inner.touched(start, area.end),
            Kind::Memory => usage.shared += inner.touched(start, area.end),
            Kind::Anonymous => {}
        }
    }
    if let Some(loaded) = program::loaded() {
        let (start, end) = loaded.text;
        usage.text = end.div_ceil(PAGE) - start / PAGE;
    }
    usage
}

/// Where a mapping's name begins in its line: after the numbers of a 64-bit machine.
const NAME_COLUMN: usize = 73;

/// The line of one area.
fn line(out: &mut Text, start: usize, area: &Area) -> Result<(), Errno> {
    let from = out.len();
    let right = |bit: u32, letter: char| {
        if area.protection & bit != 0 {
            letter
        } else {
            '-'
        }
    };
    let (r, w, x) = (
        right(PROT_READ, 'r'),
        right(PROT_WRITE, 'w'),
        right(PROT_EXEC, 'x'),
    );
    let s = if area.shared { 's' } else { 'p' };
    write!(out, "{start:08x}-{:08x} {r}{w}{x}{s} ", area.end)?;
    let (offset, (device, inode)) = match &area.backing {
        Backing::File { source, page } if area.name.is_empty() => {
            (page * PAGE as u64, source.identity())
        }
        _ => (0, (0, 0)),
    };
    // makedev's parts; see fs/dev.
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    write!(out, "{offset:08x} {major:02x}:{minor:02x} {inode} ")?;
    match &area.backing {
        _ if !area.name.is_empty() => {
            out.pad(from, NAME_COLUMN)?;
            out.put(area.name.as_bytes())?;
        }
        Backing::File { source, .. } => {
            out.pad(from, NAME_COLUMN)?;
            out.path(&source.name(), b"\n")?;
        }
        Backing::Anonymous => {}
    }
    writeln!(out)
}

/// /proc/PID/maps.
pub(super) fn maps(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let inner = space().lock();
    for (&start, area) in &inner.areas {
        line(out, start, area)?;
    }
    Ok(())
}

/// Resident pages of one area, or of all.
#[derive(Default)]
struct Resident {
    pages: usize,
    /// In huge pages.
    huge: usize,
    /// Of files, unchanged.
    clean: usize,
    anonymous: usize,
}

impl Resident {
    fn of(start: usize, area: &Area) -> Self {
        let (pages, huge) = kernel_table().count(start, area.end);
        let mut resident = Self {
            pages,
            huge,
            ..Self::default()
        };
        match kind(area) {
            Kind::File => resident.clean = pages,
            Kind::Memory => {}
            Kind::Anonymous => resident.anonymous = pages,
        }
        resident
    }

    fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.huge += other.huge;
        self.clean += other.clean;
        self.anonymous += other.anonymous;
    }

    /// The lines from Rss on. Nobody else maps anything, so that each page counts in full; all are taken for used.
    fn lines(&self, out: &mut Text, rollup: bool) -> Result<(), Errno> {
        let dirty = self.pages - self.clean;
        let mut lines: arrayvec::ArrayVec<(&str, usize), 24> = arrayvec::ArrayVec::new();
        lines.extend([
            ("Rss:", self.pages),
            ("Pss:", self.pages),
            ("Pss_Dirty:", dirty),
        ]);
        if rollup {
            lines.extend([
                ("Pss_Anon:", self.anonymous),
                ("Pss_File:", self.clean),
                ("Pss_Shmem:", dirty - self.anonymous),
            ]);
        }
        lines.extend([
            ("Shared_Clean:", 0),
            ("Shared_Dirty:", 0),
            ("Private_Clean:", self.clean),
            ("Private_Dirty:", dirty),
            ("Referenced:", self.pages),
            ("Anonymous:", self.anonymous),
            ("KSM:", 0),
            ("LazyFree:", 0),
            ("AnonHugePages:", self.huge),
            ("ShmemPmdMapped:", 0),
            ("FilePmdMapped:", 0),
            ("Shared_Hugetlb:", 0),
            ("Private_Hugetlb:", 0),
            ("Swap:", 0),
            ("SwapPss:", 0),
            ("Locked:", 0),
        ]);
        for (key, pages) in lines {
            amount(out, key, pages)?;
        }
        Ok(())
    }
}

/// A line of smaps: kilobytes in a column.
fn amount(out: &mut Text, key: &str, pages: usize) -> Result<(), Errno> {
    out.kilobytes(key, (pages * PAGE / 1024) as u64)
}

/// /proc/PID/smaps.
pub(super) fn smaps(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let inner = space().lock();
    for (&start, area) in &inner.areas {
        line(out, start, area)?;
        amount(out, "Size:", (area.end - start) / PAGE)?;
        amount(out, "KernelPageSize:", 1)?;
        amount(out, "MMUPageSize:", 1)?;
        Resident::of(start, area).lines(out, false)?;
        let eligible = matches!(area.backing, Backing::Anonymous) && !area.small_pages;
        let fits =
            area.end / HUGE_PAGE * HUGE_PAGE >= start.next_multiple_of(HUGE_PAGE) + HUGE_PAGE;
        writeln!(out, "THPeligible:    {:8}", u8::from(eligible && fits))?;
        flags(out, area)?;
    }
    Ok(())
}

/// The VmFlags line: what is allowed and what could be.
fn flags(out: &mut Text, area: &Area) -> Result<(), Errno> {
    out.put(b"VmFlags: ")?;
    for (on, name) in [
        (area.protection & PROT_READ != 0, "rd"),
        (area.protection & PROT_WRITE != 0, "wr"),
        (area.protection & PROT_EXEC != 0, "ex"),
        (area.shared, "sh"),
        (true, "mr"),
        (true, "mw"),
        (true, "me"),
        (area.committed, "ac"),
        (area.small_pages, "nh"),
    ] {
        if on {
            write!(out, "{name} ")?;
        }
    }
    writeln!(out)
}

/// /proc/PID/smaps_rollup: the sums, under one line from the first address to the last.
pub(super) fn smaps_rollup(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let inner = space().lock();
    let mut sum = Resident::default();
    for (&start, area) in &inner.areas {
        sum.add(&Resident::of(start, area));
    }
    let (first, last) = bounds(&inner);
    let from = out.len();
    write!(out, "{first:08x}-{last:08x} ---p 00000000 00:00 0 ")?;
    out.pad(from, NAME_COLUMN)?;
    writeln!(out, "[rollup]")?;
    sum.lines(out, true)
}

fn bounds(inner: &Inner) -> (usize, usize) {
    let first = inner.areas.first_key_value().map_or(0, |(&start, _)| start);
    let last = inner.areas.last_key_value().map_or(0, |(_, area)| area.end);
    (first, last)
}
