//! The program's address space: mmap(2) and its family.
//!
//! A map of disjoint areas by start address; page tables hold only what was touched. Areas are anonymous or show a file
//! ([`MapSource`]), shared or private. Neighbours that continue each other are joined, so the runtime's many growing
//! reservations stay few areas. PROT_NONE areas cost nothing.
//!
//! Commit: where a writable MAP_FIXED mapping replaces a PROT_NONE reservation (Go's heap growth) the pages are charged
//! at once, and ENOMEM is the answer when frames are short: that is what the runtime turns into its own "out of memory".
//! Other anonymous memory is charged when touched. One mapping larger than all memory (but 64 MiB, since every Go program
//! maps an index of 32 and touches little of it) is ENOMEM.
//!
//! One sleeping lock over areas and tables; taken by faults, too. Cost: O(log areas) a call and O(pages mapped) to unmap.
use super::frames;
use super::paging::{Edit, HUGE_PAGE, Mapping, NO_EXECUTE, PAGE, WRITABLE};
use super::{kernel_table, report, user::USER_END};
use crate::cpu::tlb;
use crate::sync::{SleepGuard, SleepMutex};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use ringo_abi::Errno;

/// mmap(2)'s protections.
pub const PROT_READ: u32 = 1;
/// See mmap(2).
pub const PROT_WRITE: u32 = 2;
/// See mmap(2).
pub const PROT_EXEC: u32 = 4;

/// The lowest address mmap gives or takes (vm.mmap_min_addr).
pub const LOWEST: usize = 0x1_0000;
/// One mapping of this size is granted whatever the size of the machine.
const ALWAYS_MAPPABLE: usize = 64 << 20;
/// The most areas (vm.max_map_count): mmap(2) and what splits areas give ENOMEM beyond.
pub const MAX_AREAS: usize = 65530;
/// Pages that are taken away between two flushes.
const BATCH: usize = 1024;
/// Where searches without a hint start, going down: below the stack.
const TOP: usize = 0x7fff_0000_0000;

/// What a file gives to mappings of it.
pub trait MapSource: Send + Sync {
    /// The physical frame of page `index`, retained for the caller; None past the end of the file (SIGBUS).
    ///
    /// # Errors
    /// ENOMEM, EIO.
    fn frame(&self, index: u64) -> Result<Option<usize>, Errno>;
    /// The frame of page `index` as [`MapSource::frame`] gives it, if the page is in memory.
    fn frame_at_hand(&self, _index: u64) -> Option<usize> {
        None
    }
    /// Whether its pages can be read again from somewhere when they were given up.
    fn is_over_lower(&self) -> bool {
        false
    }
    /// Names the file among others, as an inode number does.
    fn id(&self) -> usize;
    /// The name that /proc/self/maps shows.
    fn name(&self) -> Vec<u8>;
    /// Device and inode number, as /proc/self/maps shows them.
    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Whether a shared mapping of it may become writable.
    fn writable(&self) -> bool {
        true
    }
    /// Whether page `index` is in memory: what mincore(2) tells of pages that were not touched.
    fn resident(&self, _index: u64) -> bool {
        false
    }
    /// Makes pages a hole (MADV_REMOVE). Called without the address space's lock.
    ///
    /// # Errors
    /// EOPNOTSUPP; EPERM where sealed.
    fn punch(&self, _first: u64, _count: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// What an area shows.
#[derive(Clone)]
pub enum Backing {
    /// Zeros at first.
    Anonymous,
    /// A file from this page on.
    File {
        /// The file.
        source: Arc<dyn MapSource>,
        /// Page of the file at the area's start.
        page: u64,
    },
}

/// One area; its start is the key in the map.
#[derive(Clone)]
pub struct Area {
    /// First address after it.
    pub end: usize,
    /// PROT_*.
    pub protection: u32,
    /// What it shows.
    pub backing: Backing,
    /// MAP_SHARED.
    pub shared: bool,
    /// MADV_NOHUGEPAGE, or too small a machine.
    pub small_pages: bool,
    /// Its pages are charged whether touched or not.
    pub committed: bool,
    /// MAP_GROWSDOWN: see grow.rs.
    pub grows_down: bool,
    /// Shown by /proc/self/maps: "[stack]", "[vdso]".
    pub name: &'static str,
}

impl Area {
    /// Whether it may become writable.
    pub(super) fn may_write(&self) -> bool {
        match &self.backing {
            Backing::File { source, .. } => !self.shared || source.writable(),
            Backing::Anonymous => true,
        }
    }
}

/// Areas, tables and totals, under the lock.
pub struct Inner {
    /// By start.
    pub areas: BTreeMap<usize, Area>,
    /// No gap of this size lies above this address: where searches start.
    no_gap_of: usize,
    no_gap_above: usize,
    /// Pages with frames now, and the most there ever were.
    pub resident: usize,
    /// See above.
    pub resident_peak: usize,
    /// Pages of all areas now, and the most there ever were.
    pub mapped: usize,
    /// See above.
    pub mapped_peak: usize,
    /// Pages of anonymous memory that were given in all: how large a program this is (fault.rs).
    pub anonymous: usize,
}

/// The one address space.
pub struct AddressSpace {
    inner: SleepMutex<Inner>,
}

static SPACE: AddressSpace = AddressSpace {
    inner: SleepMutex::new(Inner {
        areas: BTreeMap::new(),
        no_gap_of: 0,
        no_gap_above: TOP,
        resident: 0,
        resident_peak: 0,
        mapped: 0,
        mapped_peak: 0,
        anonymous: 0,
    }),
};

/// The program's address space.
pub fn space() -> &'static AddressSpace {
    &SPACE
}

/// Nothing to prepare but the table's existence.
pub fn init() {}

/// Rights in a page table for PROT_*.
pub fn page_flags(protection: u32) -> u64 {
    let write = if protection & PROT_WRITE != 0 {
        WRITABLE
    } else {
        0
    };
    let execute = if protection & PROT_EXEC != 0 {
        0
    } else {
        NO_EXECUTE
    };
    write | execute
}

/// A request to map.
pub struct Request {
    /// Hint, or the address with `fixed`.
    pub address: usize,
    /// Bytes, not 0.
    pub length: usize,
    /// PROT_*.
    pub protection: u32,
    /// MAP_SHARED.
    pub shared: bool,
    /// MAP_FIXED: replaces what is there.
    pub fixed: bool,
    /// MAP_FIXED_NOREPLACE.
    pub no_replace: bool,
    /// MAP_NORESERVE: may be larger than memory.
    pub no_reserve: bool,
    /// What to show.
    pub backing: Backing,
    /// Name for /proc/self/maps.
    pub name: &'static str,
}

pub(super) fn round_up(length: usize) -> Option<usize> {
    length
        .checked_next_multiple_of(PAGE)
        .filter(|&length| length <= USER_END)
}

/// Whether one mapping of this length is larger than all memory.
pub fn exceeds_memory(length: usize) -> bool {
    length / PAGE > frames::counts().1.max(ALWAYS_MAPPABLE / PAGE)
}

impl AddressSpace {
    /// The lock.
    pub fn lock(&self) -> SleepGuard<'_, Inner> {
        self.inner.lock()
    }

    /// mmap(2); gives the address.
    ///
    /// # Errors
    /// EINVAL, ENOMEM, EEXIST, EPERM as mmap(2) lists them.
    pub fn map(&self, request: Request) -> Result<usize, Errno> {
        let length = round_up(request.length).ok_or(Errno::ENOMEM)?;
        let mut inner = self.inner.lock();
        inner.may_split()?;
        if !(frames::has_spare(1) || inner.unmap_forgettable() && frames::has_spare(1)) {
            report::refused("mmap", &inner);
            return Err(Errno::ENOMEM);
        }
        let anonymous = matches!(request.backing, Backing::Anonymous);
        let writable = request.protection & PROT_WRITE != 0;
        // As Linux accounts: what cannot be written costs nothing yet (Starlark reserves 4 GiB readable for its integers).
        let reserves = writable && !request.no_reserve;
        if anonymous && reserves && exceeds_memory(length) {
            return Err(Errno::ENOMEM);
        }
        let start = if request.fixed || request.no_replace {
            let start = request.address;
            if !start.is_multiple_of(PAGE) {
                return Err(Errno::EINVAL);
            }
            if start > USER_END - length {
                return Err(Errno::ENOMEM);
            }
            if start < LOWEST {
                return Err(Errno::EPERM);
            }
            if request.no_replace && !request.fixed && inner.overlaps(start, start + length) {
                return Err(Errno::EEXIST);
            }
            start
        } else {
            inner
                .find_gap(request.address, length)
                .ok_or(Errno::ENOMEM)?
        };
        let end = start + length;
        let mut committed = false;
        if request.fixed && anonymous && writable && !request.shared && inner.reserved(start, end) {
            committed = inner.can_promise(length / PAGE);
            if !committed && !inner.starts_small(length / PAGE) {
                report::refused("a step of the heap", &inner);
                return Err(Errno::ENOMEM);
            }
        }
        inner.unmap(start, end);
        if committed {
            frames::promise(length / PAGE);
        }
        inner.insert(
            start,
            Area {
                end,
                protection: request.protection,
                backing: request.backing,
                shared: request.shared,
                small_pages: false,
                committed,
                grows_down: false,
                name: request.name,
            },
        );
        Ok(start)
    }

    /// munmap(2).
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    pub fn unmap(&self, start: usize, length: usize) -> Result<(), Errno> {
        let length = round_up(length)
            .filter(|&length| length != 0)
            .ok_or(Errno::EINVAL)?;
        if !start.is_multiple_of(PAGE) || start > USER_END - length {
            return Err(Errno::EINVAL);
        }
        let mut inner = self.inner.lock();
        // A hole in one area makes two of it.
        let whole = inner
            .area_at(start)
            .is_none_or(|(first, area)| first == start || area.end <= start + length);
        if !whole {
            inner.may_split()?;
        }
        inner.unmap(start, start + length);
        Ok(())
    }

    /// mprotect(2).
    ///
    /// # Errors
    /// EINVAL; ENOMEM where nothing is mapped, EACCES where a file may not be written (what comes before is changed, as on
    /// Linux).
    pub fn protect(&self, start: usize, length: usize, protection: u32) -> Result<(), Errno> {
        let length = round_up(length).ok_or(Errno::ENOMEM)?;
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if start > USER_END - length {
            return Err(Errno::ENOMEM);
        }
        let mut inner = self.inner.lock();
        inner.may_split()?;
        let mut covered = inner.covered_until(start, start + length);
        let mut result = if covered < start + length {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        };
        let forbidden = |at: &usize| !inner.areas[at].may_write();
        if protection & PROT_WRITE != 0
            && let Some(at) = inner.starts_in(start, covered).into_iter().find(forbidden)
        {
            (covered, result) = (at.max(start), Err(Errno::EACCES));
        }
        inner.change(start, covered, |area| area.protection = protection);
        inner.protect_pages(start, covered);
        result
    }

    /// Faults the mapped pages of [start, end) in, for writing or as they are.
    ///
    /// # Errors
    /// ENOMEM if a page cannot be given.
    pub fn populate(&self, start: usize, end: usize, write: bool) -> Result<(), Errno> {
        for page in (start..end).step_by(PAGE) {
            self.fault(page, write, false).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }

    /// madvise(MADV_NOHUGEPAGE).
    pub fn keep_small(&self, start: usize, end: usize) {
        self.inner
            .lock()
            .change(start, end, |area| area.small_pages = true);
    }
}

impl Inner {
    /// Whether there may be more areas.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn may_split(&self) -> Result<(), Errno> {
        if self.areas.len() < MAX_AREAS {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    /// The area that holds `address`.
    pub fn area_at(&self, address: usize) -> Option<(usize, &Area)> {
        let (&start, area) = self.areas.range(..=address).next_back()?;
        (address < area.end).then_some((start, area))
    }

    /// Starts of the areas that meet [start, end).
    pub fn starts_in(&self, start: usize, end: usize) -> Vec<usize> {
        if start >= end {
            return Vec::new();
        }
        let first = self.area_at(start).map(|(first, _)| first);
        let after = self
            .areas
            .range(start..end)
            .map(|(&at, _)| at)
            .filter(|&at| Some(at) != first);
        first.into_iter().chain(after).collect()
    }

    pub(super) fn overlaps(&self, start: usize, end: usize) -> bool {
        self.area_at(start).is_some() || self.areas.range(start..end).next().is_some()
    }

    /// Whether [start, end) lies in PROT_NONE anonymous areas.
    fn reserved(&self, start: usize, end: usize) -> bool {
        self.covered_until(start, end) == end
            && self
                .starts_in(start, end)
                .iter()
                .all(|at| self.areas[at].protection == 0)
    }

    /// Whether there are frames for so many pages when they are touched. As many again as the kernel reserves are left for
    /// what nobody promised: tables for these pages, stacks, the runtime's own data.
    fn can_promise(&mut self, pages: usize) -> bool {
        let wanted = pages + frames::reserve();
        frames::has_unpromised(wanted) || self.unmap_forgettable() && frames::has_unpromised(wanted)
    }

    /// Whether a program that has touched little asks for one of its first heap steps: it gets them while there is memory for
    /// a part, though not for the whole. The runtime starts where it likes, at the end of an arena too, and then takes a
    /// step in the next one at once; and on a machine of 16 MiB a heap that is collected at 4 MiB never fills the second.
    fn starts_small(&self, pages: usize) -> bool {
        const HEAP_STEP: usize = (4 << 20) / PAGE;
        pages <= HEAP_STEP && self.anonymous < 2 * HEAP_STEP && frames::has_spare(pages / 4)
    }

    /// The first address from `start` on that is not mapped, at most `end`.
    pub fn covered_until(&self, start: usize, end: usize) -> usize {
        let mut at = start;
        while at < end {
            match self.area_at(at) {
                Some((_, area)) => at = area.end,
                None => return at,
            }
        }
        end
    }

    /// An address for `length` bytes: the hint if it is free, else the highest gap below the stack.
    pub(super) fn find_gap(&mut self, hint: usize, length: usize) -> Option<usize> {
        let hint = hint / PAGE * PAGE;
        if hint >= LOWEST && hint <= USER_END - length && !self.overlaps(hint, hint + length) {
            return Some(hint);
        }
        let mut top = if length >= self.no_gap_of {
            self.no_gap_above
        } else {
            TOP
        };
        let mut found = None;
        for (&start, area) in self.areas.range(..top).rev() {
            if area.end < top && top - area.end >= length {
                found = Some(top - length);
                break;
            }
            top = top.min(start);
        }
        let found = found.or_else(|| (top >= LOWEST + length).then(|| top - length));
        (self.no_gap_of, self.no_gap_above) = (length, found.map_or(top, |at| at + length));
        found
    }

    /// Adds an area where nothing is, joined with neighbours that it continues.
    pub(super) fn insert(&mut self, start: usize, mut area: Area) {
        self.mapped += (area.end - start) / PAGE;
        self.mapped_peak = self.mapped_peak.max(self.mapped);
        let mut from = start;
        if let Some((&before, previous)) = self.areas.range(..start).next_back()
            && previous.end == start
            && continues(before, previous, start, &area)
        {
            from = before;
            area.backing = previous.backing.clone();
            self.areas.remove(&before);
        }
        if let Some(next) = self.areas.get(&area.end)
            && continues(from, &area, area.end, next)
        {
            let joined = area.end;
            area.end = next.end;
            self.areas.remove(&joined);
        }
        self.areas.insert(from, area);
    }

    /// Takes the area that starts at `start` out of the map; its pages stay.
    pub(super) fn take(&mut self, start: usize) -> Option<Area> {
        let area = self.areas.remove(&start)?;
        // The gap reaches up to the next area.
        let next = self.areas.range(start..).next().map(|(&next, _)| next);
        self.no_gap_above = self.no_gap_above.max(next.unwrap_or(TOP).min(TOP));
        self.mapped -= (area.end - start) / PAGE;
        Some(area)
    }

    /// Cuts areas so that none sticks out of [start, end) on either side.
    pub(super) fn cut(&mut self, start: usize, end: usize) {
        for at in [start, end] {
            let Some((first, area)) = self.area_at(at) else {
                continue;
            };
            if first == at {
                continue;
            }
            let mut upper = area.clone();
            if let Backing::File { page, .. } = &mut upper.backing {
                *page += ((at - first) / PAGE) as u64;
            }
            if let Some(lower) = self.areas.get_mut(&first) {
                lower.end = at;
            }
            self.areas.insert(at, upper);
        }
    }

    /// Changes the areas of [start, end), and joins what became alike.
    pub fn change(&mut self, start: usize, end: usize, mut change: impl FnMut(&mut Area)) {
        if start >= end {
            return;
        }
        self.cut(start, end);
        for at in self.starts_in(start, end) {
            if let Some(mut area) = self.take(at) {
                change(&mut area);
                self.insert(at, area);
            }
        }
    }

    /// Takes everything in [start, end) away.
    pub fn unmap(&mut self, start: usize, end: usize) {
        if !self.overlaps(start, end) {
            return;
        }
        self.cut(start, end);
        for at in self.starts_in(start, end) {
            if let Some(area) = self.take(at)
                && area.committed
            {
                frames::fulfil((area.end - at) / PAGE - self.touched(at, area.end));
            }
        }
        self.drop_pages(start, end);
    }

    /// Pages in [start, end) that have frames.
    pub fn touched(&self, start: usize, end: usize) -> usize {
        kernel_table().count(start, end).0
    }

    /// madvise(MADV_DONTNEED): frees the pages of anonymous memory and of private copies; the areas stay.
    pub fn discard(&mut self, start: usize, end: usize) {
        for at in self.starts_in(start, end) {
            let (from, to) = (at.max(start), self.areas[&at].end.min(end));
            if self.areas[&at].committed {
                frames::promise(self.touched(from, to));
            }
            self.drop_pages(from, to);
        }
    }

    /// Unmaps and frees the pages in [start, end); the areas stay.
    pub fn drop_pages(&mut self, start: usize, end: usize) {
        self.drop_pages_that::<BATCH>(start, end, |_| true);
    }

    /// The same with those that `go` picks; whether there were any. A flush for each `MOST` pages; their list is on the
    /// stack, since memory is given back when there is none.
    pub(super) fn drop_pages_that<const MOST: usize>(
        &mut self,
        start: usize,
        end: usize,
        go: impl Fn(&Mapping) -> bool,
    ) -> bool {
        /// Set in the number of a huge page's first frame.
        const HUGE: u32 = 1 << 31;
        let table = kernel_table();
        let mut any = false;
        let mut from = start;
        while from < end {
            let mut freed: ArrayVec<u32, MOST> = ArrayVec::new();
            let mut next = end;
            let changed = table.edit(from, end, |address, mapping| {
                if !go(&mapping) {
                    return Edit::Keep;
                }
                let frame = (mapping.phys / PAGE) as u32;
                if freed
                    .try_push(frame | if mapping.huge { HUGE } else { 0 })
                    .is_ok()
                {
                    Edit::Unmap
                } else {
                    next = address;
                    Edit::Stop
                }
            });
            if changed {
                tlb::flush_all();
            }
            for frame in &freed {
                let phys = (frame & !HUGE) as usize * PAGE;
                if frame & HUGE != 0 {
                    self.resident -= HUGE_PAGE / PAGE;
                    frames::free(phys, frames::MAX_ORDER);
                } else {
                    self.resident -= 1;
                    frames::release(phys);
                }
            }
            any |= changed;
            from = next;
        }
        any
    }

    /// Gives mapped pages in [start, end) the rights of their areas. Private pages that are shared with a file or
    /// another mapping stay read-only: a write copies them (fault.rs).
    fn protect_pages(&mut self, start: usize, end: usize) {
        let table = kernel_table();
        let mut changed = false;
        for at in self.starts_in(start, end) {
            let area = &self.areas[&at];
            let flags = page_flags(area.protection);
            let (from, to) = (at.max(start), area.end.min(end));
            if area.protection == 0 {
                changed |= table.edit(from, to, |_, _| Edit::Hide);
                continue;
            }
            let private_file = !area.shared && matches!(area.backing, Backing::File { .. });
            changed |= table.edit(from, to, |_, mapping| {
                let copied = !private_file || mapping.huge || frames::references(mapping.phys) == 1;
                Edit::Protect(if copied { flags } else { flags & !WRITABLE })
            });
        }
        if changed {
            tlb::flush_all();
        }
    }
}

/// Whether the area at `at` goes on where `area` (at `start`) ends, alike in everything.
fn continues(start: usize, area: &Area, at: usize, next: &Area) -> bool {
    let alike = area.protection == next.protection
        && area.shared == next.shared
        && area.small_pages == next.small_pages
        && area.committed == next.committed
        && area.grows_down == next.grows_down
        && area.name == next.name;
    alike
        && match (&area.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => !area.shared,
            (
                Backing::File {
                    source: a,
                    page: first,
                },
                Backing::File {
                    source: b,
                    page: second,
                },
            ) => Arc::ptr_eq(a, b) && first + ((at - start) / PAGE) as u64 == *second,
            _ => false,
        }
}
