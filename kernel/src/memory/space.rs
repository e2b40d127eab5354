//! The program's address space: mmap(2) and its family.
//!
//! A map of disjoint areas by start address (areas.rs); page tables hold only what was touched (pages.rs). Areas are
//! anonymous or show a file ([`MapSource`]), shared or private. Neighbours that continue each other are joined, so the
//! runtime's many growing reservations stay few areas. PROT_NONE areas cost nothing.
//!
//! Commit: where a writable MAP_FIXED mapping replaces a PROT_NONE reservation (Go's heap growth) the pages are charged
//! at once (commit.rs), and ENOMEM is the answer when frames are short: the runtime turns that into its own "out of memory".
//! Other anonymous memory is charged when touched. One mapping larger than all memory (but 64 MiB, since every Go program
//! maps an index of 32 and touches little of it) is ENOMEM.
//!
//! One sleeping lock over areas and tables; taken by faults, too. Cost: O(log areas) a call and O(pages mapped) to unmap.
use super::frames;
use super::page::Page;
use super::paging::{NO_EXECUTE, PAGE, WRITABLE};
use super::{kernel_table, report, sweep, user::USER_END};
use crate::sync::{SleepGuard, SleepMutex};
use crate::task::rest;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
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
/// Where searches without a hint start, going down: below the stack.
pub const TOP: usize = 0x7fff_0000_0000;

/// What a file gives to mappings of it.
pub trait MapSource: Send + Sync {
    /// Page `index`; None past the end of the file (SIGBUS).
    ///
    /// # Errors
    /// ENOMEM, EIO.
    fn page(&self, index: u64) -> Result<Option<Page>, Errno>;
    /// Page `index`, if it is in memory.
    fn page_at_hand(&self, _index: u64) -> Option<Page> {
        None
    }
    /// Whether its pages can be read again from somewhere when they were given up.
    fn is_over_lower(&self) -> bool {
        false
    }
    /// Whether it is memory that no path leads to (shared anonymous memory, memfd_create(2)), and counts as such.
    fn is_memory(&self) -> bool {
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
    /// Of those, how many were given back and not touched since (commit.rs).
    pub returned: usize,
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
    pub(super) no_gap_of: usize,
    pub(super) no_gap_above: usize,
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

impl AddressSpace {
    /// Whether a mapping at just this place can be made, for who wants to know before anything else.
    ///
    /// # Errors
    /// As mmap(2)'s.
    pub fn check_place(
        &self,
        address: usize,
        length: usize,
        no_replace: bool,
    ) -> Result<(), Errno> {
        let length = round_up(length).ok_or(Errno::ENOMEM)?;
        self.lock().check_place(address, length, no_replace)
    }
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
    /// The lock. Who waits for it is counted where this is called (sync/contention.rs).
    #[track_caller]
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
        sweep::sweep(kernel_table());
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
            report::refused("a mapping larger than memory", &inner);
            return Err(Errno::ENOMEM);
        }
        let start = if request.fixed || request.no_replace {
            inner.check_place(request.address, length, request.no_replace)?;
            request.address
        } else {
            inner
                .find_gap(request.address, length)
                .ok_or(Errno::ENOMEM)?
        };
        let end = start + length;
        inner.may_map(length, start, end)?;
        let mut committed = false;
        if request.fixed && anonymous && writable && inner.reserved(start, end) {
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
                returned: 0,
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
            inner.may_cut()?;
        }
        inner.unmap(start, start + length);
        sweep::sweep(kernel_table());
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
        sweep::sweep(kernel_table());
        inner.may_split()?;
        let mut covered = inner.covered_until(start, start + length);
        let mut result = if covered < start + length {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        };
        let forbidden = |(_, area): &(usize, &Area)| !area.may_write();
        if protection & PROT_WRITE != 0
            && let Some((at, _)) = inner.areas_in(start, covered).find(forbidden)
        {
            (covered, result) = (at.max(start), Err(Errno::EACCES));
        }
        inner.change(start, covered, |area| area.protection = protection);
        inner.protect_pages(start, covered);
        result
    }

    /// Faults the mapped pages of [start, end) in, for writing or as they are. Others get their turn meanwhile.
    ///
    /// # Errors
    /// ENOMEM if a page cannot be given; EINTR if the process is ending.
    pub fn populate(&self, start: usize, end: usize, write: bool) -> Result<(), Errno> {
        for page in (start..end).step_by(PAGE) {
            if (page - start).is_multiple_of(rest::BYTES) && page > start && !rest::rest() {
                return Err(Errno::EINTR);
            }
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
