//! Page tables (Intel SDM 3A ch. 4): four levels, 4 KiB and 2 MiB pages, edited through the direct map.
//!
//! Every entry has the user bit: the paravirtual KVM wants it, elsewhere it changes nothing, as all code runs in ring 0.
//! A change from not present to present needs no flush; whoever takes rights away flushes (cpu/tlb.rs) before the frame
//! is used for anything else. Callers hold the lock of what lies there: the address space's, or the kernel area's own.
//!
//! A last-level table goes when all that it covers is unmapped at once, or when a huge page takes its place; one that only
//! became empty stays for a while, as do directories (sweep.rs): small mappings come and go.
use super::{frames, phys_to_virt, retired, sweep};

/// Present.
pub const PRESENT: u64 = 1;
/// Writable.
pub const WRITABLE: u64 = 2;
const USER: u64 = 4;
/// Uncached (write-through and cache-disable).
pub const UNCACHED: u64 = 0x18;
pub(super) const HUGE: u64 = 0x80;
/// A page whose frame is kept while PROT_NONE takes it out of reach: not present, but not empty either. A bit that the
/// CPU ignores.
const HIDDEN: u64 = 1 << 9;
pub(super) const TAKEN: u64 = PRESENT | HIDDEN;
/// Not executable.
pub const NO_EXECUTE: u64 = 1 << 63;
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries of the top level that are the program's.
pub(super) const ROOT_HALF: usize = 256;

/// Bytes of a small page.
pub const PAGE: usize = 4096;
/// Bytes of a huge page.
pub const HUGE_PAGE: usize = 2 << 20;

/// A top-level table.
#[derive(Clone, Copy)]
pub struct PageTable {
    pub(super) root: usize,
}

/// What maps an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Physical address of the page's start.
    pub phys: usize,
    /// PRESENT, WRITABLE, NO_EXECUTE...
    pub flags: u64,
    /// A 2 MiB page.
    pub huge: bool,
}

/// A walk down the tables, an entry at a time, whose reader reads the entries.
#[derive(Clone, Copy)]
pub struct Walk {
    table: usize,
    level: u32,
    address: usize,
}

/// What an entry leads to.
pub enum Step {
    /// The next level.
    Table(Walk),
    /// The physical place of the address.
    Page(usize),
    /// Not mapped.
    Nothing,
}

impl Walk {
    /// Physical address of the entry to read.
    pub fn slot(&self) -> usize {
        self.table + index(self.address, self.level) * 8
    }

    /// Where it leads to, if it is `value`.
    pub fn entry(&self, value: u64) -> Step {
        let phys = (value & ADDRESS) as usize;
        if value & PRESENT == 0 {
            Step::Nothing
        } else if self.level == 0 {
            Step::Page(phys + self.address % PAGE)
        } else if value & HUGE == 0 {
            Step::Table(Self {
                table: phys,
                level: self.level - 1,
                ..*self
            })
        } else if self.level == 1 {
            Step::Page((phys & !(HUGE_PAGE - 1)) + self.address % HUGE_PAGE)
        } else {
            Step::Nothing
        }
    }
}

pub(super) fn entry(table: usize, index: usize) -> *mut u64 {
    (phys_to_virt(table) as *mut u64).wrapping_add(index)
}

/// Whether nothing is mapped by a last-level table. Ends at the first page, which mostly is one of the first.
pub(super) fn is_empty(table: usize) -> bool {
    // SAFETY: tables lie in the direct map; the lock is held.
    (0..512).all(|at| unsafe { entry(table, at).read_volatile() } & TAKEN == 0)
}

fn index(address: usize, level: u32) -> usize {
    address >> (12 + 9 * level) & 511
}

impl PageTable {
    /// The table whose top level is at this physical address.
    pub const fn at(root: usize) -> Self {
        Self { root }
    }

    /// The table of `level` (0: last, 1: directory) that covers `address`, made if it is not there.
    fn walk_to(&self, address: usize, level: u32) -> Option<usize> {
        let mut table = self.root;
        for at in (level + 1..4).rev() {
            let slot = entry(table, index(address, at));
            // SAFETY: tables lie in the direct map; the lock is held.
            let value = unsafe { slot.read_volatile() };
            if value & TAKEN == 0 {
                let fresh = frames::alloc_zeroed(0)?;
                sweep::made();
                // SAFETY: as above.
                unsafe { slot.write_volatile(fresh as u64 | PRESENT | WRITABLE | USER) };
                table = fresh;
            } else if value & HUGE != 0 {
                table = self.split(slot, value);
            } else {
                table = (value & ADDRESS) as usize;
            }
        }
        Some(table)
    }

    /// Replaces a huge entry of the program's by a table of small pages with the same rights, in the frame that was kept for
    /// it. Needs no flush: translations are equal.
    fn split(&self, slot: *mut u64, value: u64) -> usize {
        let (phys, flags) = ((value & ADDRESS) as usize, value & !(ADDRESS | HUGE));
        let table = kept_table(phys);
        for index in 0..512 {
            // SAFETY: a fresh table.
            unsafe { entry(table, index).write_volatile((phys + index * PAGE) as u64 | flags) };
        }
        // SAFETY: the page is the address space's, whose lock is held.
        unsafe { frames::split_block(phys, frames::MAX_ORDER) };
        // SAFETY: as in `walk_to`.
        unsafe { slot.write_volatile(table as u64 | PRESENT | WRITABLE | USER) };
        table
    }

    /// Makes the last-level table that covers `address`. False when there is no memory.
    pub fn make_table(&self, address: usize) -> bool {
        self.walk_to(address, 0).is_some()
    }

    /// Maps a small page. False when there is no memory for tables.
    pub fn map(&self, address: usize, phys: usize, flags: u64) -> bool {
        let Some(table) = self.walk_to(address, 0) else {
            return false;
        };
        // SAFETY: as in `walk_to`.
        unsafe {
            entry(table, index(address, 0)).write_volatile(phys as u64 | flags | PRESENT | USER)
        };
        true
    }

    /// Maps a huge page of the program's where [`takes_huge_page`](Self::takes_huge_page). Parts of it may go any time, and
    /// that must not fail: a frame is kept with it for the table of small pages that it then becomes, the empty table that
    /// stood there if there was one. Then a flush is due, so that CPUs no longer look into that table.
    pub fn map_divisible(&self, address: usize, phys: usize, flags: u64) -> Mapped {
        let Some(directory) = self.walk_to(address, 1) else {
            return Mapped::No;
        };
        let slot = entry(directory, index(address, 1));
        // SAFETY: as in `walk_to`.
        let value = unsafe { slot.read_volatile() };
        let (kept, mapped) = match value & TAKEN {
            0 => match frames::alloc_spare(0) {
                Some(fresh) => (fresh.phys, Mapped::Yes),
                None => return Mapped::No,
            },
            _ => ((value & ADDRESS) as usize, Mapped::InPlaceOfTable),
        };
        // SAFETY: as in `walk_to`.
        unsafe { slot.write_volatile(phys as u64 | flags | PRESENT | USER | HUGE) };
        // SAFETY: the block is the address space's, whose lock is held.
        unsafe {
            frames::set_links((phys / PAGE) as u32, (kept / PAGE) as u32, frames::NO_FRAME);
        }
        mapped
    }

    /// Whether nothing is mapped in the 2 MiB from `address` (aligned) on, hidden pages included.
    pub fn takes_huge_page(&self, address: usize) -> bool {
        match self.table_or_block(address) {
            Ok(Some(table)) => is_empty(table),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Takes out the tables of small pages of all blocks of 2 MiB that lie whole in [start, end), which is unmapped: they are
    /// free when no CPU looks into them any more.
    pub fn remove_tables(&self, start: usize, end: usize) {
        let mut block = start.next_multiple_of(HUGE_PAGE);
        while block < end && end - block >= HUGE_PAGE {
            match self.table_or_block(block) {
                Err(gap) => {
                    block = block.saturating_add(gap);
                    continue;
                }
                Ok(Some(table)) if is_empty(table) => {
                    if let Some(directory) = self.walk_to(block, 1) {
                        // SAFETY: as in `walk_to`.
                        unsafe { entry(directory, index(block, 1)).write_volatile(0) };
                        // SAFETY: no entry leads to it any more.
                        unsafe { retired::retire(table) };
                    }
                }
                Ok(_) => {}
            }
            block += HUGE_PAGE;
        }
    }

    /// Maps a huge page where nothing is mapped. False when there is no memory, or a table of small pages stands there.
    pub fn map_huge(&self, address: usize, phys: usize, flags: u64) -> bool {
        let Some(table) = self.walk_to(address, 1) else {
            return false;
        };
        let slot = entry(table, index(address, 1));
        // SAFETY: as in `walk_to`.
        unsafe {
            if slot.read_volatile() & TAKEN != 0 {
                return false;
            }
            slot.write_volatile(phys as u64 | flags | PRESENT | USER | HUGE);
        }
        true
    }

    /// The entry that maps `address`, and whether it is huge; or how many bytes from `address` on have no table.
    fn find(&self, address: usize) -> Result<(*mut u64, u64, bool), usize> {
        let mut table = self.root;
        for level in (0..4).rev() {
            let slot = entry(table, index(address, level));
            // SAFETY: as in `walk_to`.
            let value = unsafe { slot.read_volatile() };
            if value & TAKEN == 0 {
                let size = PAGE << (9 * level);
                return Err(size - address % size);
            }
            if level == 0 || value & HUGE != 0 {
                return Ok((slot, value, level == 1));
            }
            table = (value & ADDRESS) as usize;
        }
        Err(PAGE)
    }

    /// How many tables the program's half has, without the top one.
    pub fn program_tables(&self) -> usize {
        fn below(table: usize, entries: usize, level: u32) -> usize {
            let mut count = 0;
            for at in 0..entries {
                // SAFETY: as in `walk_to`.
                let value = unsafe { entry(table, at).read_volatile() };
                if value & PRESENT != 0 && value & HUGE == 0 {
                    let lower = (value & ADDRESS) as usize;
                    count += 1 + if level > 1 {
                        below(lower, 512, level - 1)
                    } else {
                        0
                    };
                }
            }
            count
        }
        below(self.root, ROOT_HALF, 3)
    }

    /// How many pages of [start, end) have frames, hidden ones too, and how many of those lie in huge pages. A table at a
    /// time: a gigabyte of small pages takes a fraction of a millisecond.
    pub fn count(&self, start: usize, end: usize) -> (usize, usize) {
        let (mut small, mut huge) = (0, 0);
        let mut address = start;
        while address < end {
            let block_end = (address / HUGE_PAGE + 1) * HUGE_PAGE;
            let last = end.min(block_end);
            match self.table_or_block(address) {
                Err(gap) => {
                    address = address.saturating_add(gap);
                    continue;
                }
                Ok(None) => huge += (last - address) / PAGE,
                Ok(Some(table)) => {
                    for at in index(address, 0)..=index(last - 1, 0) {
                        // SAFETY: as in `walk_to`.
                        let value = unsafe { entry(table, at).read_volatile() };
                        small += usize::from(value & TAKEN != 0);
                    }
                }
            }
            address = last;
        }
        (small + huge, huge)
    }

    /// The last-level table that covers `address`, or none for a huge page; or how many bytes from `address` on have none.
    fn table_or_block(&self, address: usize) -> Result<Option<usize>, usize> {
        let mut table = self.root;
        for level in (1..4).rev() {
            // SAFETY: as in `walk_to`.
            let value = unsafe { entry(table, index(address, level)).read_volatile() };
            if value & TAKEN == 0 {
                let size = PAGE << (9 * level);
                return Err(size - address % size);
            }
            if value & HUGE != 0 {
                return Ok(None);
            }
            table = (value & ADDRESS) as usize;
        }
        Ok(Some(table))
    }

    /// Where a walk by hand to `address` begins; see peek.rs.
    pub fn first_step(&self, address: usize) -> Walk {
        Walk {
            table: self.root,
            level: 3,
            address,
        }
    }

    /// What maps `address`; a hidden page does not.
    pub fn lookup(&self, address: usize) -> Option<Mapping> {
        let (_, value, huge) = self
            .find(address)
            .ok()
            .filter(|found| found.1 & PRESENT != 0)?;
        let flags = value & (PRESENT | WRITABLE | NO_EXECUTE);
        Some(Mapping {
            phys: (value & ADDRESS) as usize,
            flags,
            huge,
        })
    }

    /// Whether a table of small pages covers the 2 MiB from `address` (aligned) on, so that no huge page fits.
    pub fn has_small_pages(&self, address: usize) -> bool {
        match self.find(address) {
            Ok((_, _, huge)) => !huge,
            Err(gap) => gap < HUGE_PAGE,
        }
    }

    /// Visits each mapped page in [start, end), splitting huge ones that stick out; `visit` gives what to do with it.
    /// True if anything was taken away, so that a flush is due.
    pub fn edit(
        &self,
        start: usize,
        end: usize,
        mut visit: impl FnMut(usize, Mapping) -> Edit,
    ) -> bool {
        let mut changed = false;
        let mut address = start;
        while address < end {
            let (slot, value, huge) = match self.find(address) {
                Ok(found) => found,
                Err(gap) => {
                    address = address.saturating_add(gap);
                    continue;
                }
            };
            if huge && (!address.is_multiple_of(HUGE_PAGE) || end - address < HUGE_PAGE) {
                self.split(slot, value);
                continue;
            }
            let flags = value & (PRESENT | WRITABLE | NO_EXECUTE);
            match visit(
                address,
                Mapping {
                    phys: (value & ADDRESS) as usize,
                    flags,
                    huge,
                },
            ) {
                Edit::Keep => {}
                Edit::Unmap => {
                    // SAFETY: as in `walk_to`.
                    unsafe { slot.write_volatile(0) };
                    changed = true;
                }
                Edit::Protect(flags) => {
                    let rights = WRITABLE | NO_EXECUTE;
                    let new = value & !(rights | HIDDEN) | flags & rights | PRESENT;
                    // SAFETY: as in `walk_to`.
                    unsafe { slot.write_volatile(new) };
                    changed |= new != value && value & PRESENT != 0;
                }
                Edit::Hide => {
                    // SAFETY: as in `walk_to`.
                    unsafe { slot.write_volatile(value & !PRESENT | HIDDEN) };
                    changed |= value & PRESENT != 0;
                }
                Edit::Stop => return changed,
            }
            address += if huge { HUGE_PAGE } else { PAGE };
        }
        changed
    }
}

/// The frame that is kept for the table of a huge page of the program's.
fn kept_table(phys: usize) -> usize {
    // SAFETY: the page is the address space's, whose lock is held.
    unsafe { frames::owner((phys / PAGE) as u32).next as usize * PAGE }
}

/// Makes single frames of a huge page of the program's that is not mapped any more. What was kept may have been a table.
///
/// # Safety
/// [`PageTable::map_divisible`] mapped it, and it is the caller's now: no CPU reaches it.
pub unsafe fn divide(phys: usize) {
    // SAFETY: the caller's promise; what was kept goes with the page.
    unsafe {
        retired::retire(kept_table(phys));
        frames::split_block(phys, frames::MAX_ORDER);
    }
}

/// Frees a huge page of the program's that is not mapped any more.
///
/// # Safety
/// As [`divide`].
pub unsafe fn free_divisible(phys: usize) {
    // SAFETY: as above.
    unsafe {
        retired::retire(kept_table(phys));
        frames::free(phys, frames::MAX_ORDER);
    }
}

/// What came of [`PageTable::map_divisible`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// There is no memory.
    No,
    /// Where nothing stood.
    Yes,
    /// Where an empty table stood: a flush is due.
    InPlaceOfTable,
}

/// What [`PageTable::edit`] shall do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Keep,
    /// Take it out.
    Unmap,
    /// Give it these rights.
    Protect(u64),
    /// Keep the frame, take all rights.
    Hide,
    /// Nothing, and visit no more.
    Stop,
}
