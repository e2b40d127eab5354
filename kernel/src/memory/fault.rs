//! Page faults of the program, and of the kernel's copies to and from it.
//!
//! Anonymous memory is given zeroed: 2 MiB at once where the area covers the block, memory is ample and the program has
//! shown that it is no small one; else a small page and its neighbours (fault-around), since a fault costs more than a
//! few pages. File pages are the file's own frames, given with those around them that are in memory;
//! a private one is copied when written (its mapping is read-only until then). A fault that finds no memory kills the
//! program as the OOM killer would: the runtime asked for its heap beforehand (space.rs).
use super::page::Page;
use super::paging::{HUGE_PAGE, Mapped, Mapping, PAGE, WRITABLE};
use super::space::{
    AddressSpace, Area, Backing, Inner, MapSource, PROT_EXEC, PROT_READ, PROT_WRITE, page_flags,
};
use super::user::{USER_END, copy_shared};
use super::{frames, kernel_table, phys_to_virt, report};
use crate::cpu::tlb;
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// A fault that becomes a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSignal {
    /// SIGSEGV, SIGBUS, or SIGKILL for want of memory.
    pub signo: i32,
    /// si_code.
    pub code: i32,
}

const SEGV_MAPERR: FaultSignal = FaultSignal {
    signo: abi::SIGSEGV as i32,
    code: 1,
};
const SEGV_ACCERR: FaultSignal = FaultSignal {
    signo: abi::SIGSEGV as i32,
    code: 2,
};
const BUS_ADRERR: FaultSignal = FaultSignal {
    signo: abi::SIGBUS as i32,
    code: 2,
};
const OUT_OF_MEMORY: FaultSignal = FaultSignal {
    signo: abi::SIGKILL as i32,
    code: 0x80,
};

/// Pages given at once around a fault while memory is ample, if the page before has been given: who goes on will go on. (Of
/// files always: theirs are there already.)
const FAULT_AROUND: usize = 16;
/// Else so many of anonymous memory: each is zeroed, which a program that touches a page here and there would pay for in vain.
const FAULT_AROUND_FIRST: usize = 4;
/// Anonymous pages a program has before it gets huge ones: a block of 2 MiB that is touched once costs the host as much
/// memory as a small service needs in all.
const HUGE_FROM: usize = 4 * (HUGE_PAGE / PAGE);

impl AddressSpace {
    /// Makes `address` accessible as asked, if its area allows it.
    ///
    /// # Errors
    /// The signal that the access deserves.
    pub fn fault(&self, address: usize, write: bool, fetch: bool) -> Result<(), FaultSignal> {
        if address >= USER_END {
            return Err(SEGV_MAPERR);
        }
        let mut block = HugeBlock::None;
        loop {
            let outcome = self.try_fault(address, write, fetch, &mut block);
            if let HugeBlock::Used(phys) = block {
                // SAFETY: the block is this fault's.
                unsafe { frames::clear(phys, frames::MAX_ORDER) };
                block = HugeBlock::Zero(phys);
                continue;
            }
            if let HugeBlock::Zero(phys) = block {
                // Somebody else was faster, or the area went meanwhile.
                // SAFETY: as above, and mapped nowhere.
                unsafe { frames::free(phys, frames::MAX_ORDER) };
            }
            return outcome;
        }
    }

    fn try_fault(
        &self,
        address: usize,
        write: bool,
        fetch: bool,
        block: &mut HugeBlock,
    ) -> Result<(), FaultSignal> {
        let mut inner = self.lock();
        let mut outcome = inner.serve(address, write, fetch, block);
        // Mapped pages keep their frames; those that can be read again need not.
        if outcome == Err(OUT_OF_MEMORY) && inner.unmap_forgettable() {
            outcome = inner.serve(address, write, fetch, block);
        }
        if outcome == Err(OUT_OF_MEMORY) {
            report::refused("a page that was touched", &inner);
        }
        outcome
    }
}

/// 2 MiB for a fault. Zeroing takes longer than all else that happens under the lock of the address space: it is done
/// without, and the fault looked at again.
enum HugeBlock {
    /// Nothing yet.
    None,
    /// Taken by the fault, which was put off: its frames hold what was there before.
    Used(usize),
    /// All zeros.
    Zero(usize),
}

impl Inner {
    fn serve(
        &mut self,
        address: usize,
        write: bool,
        fetch: bool,
        ready: &mut HugeBlock,
    ) -> Result<(), FaultSignal> {
        if self.area_at(address).is_none() && !self.grow_down(address) {
            return Err(SEGV_MAPERR);
        }
        let (start, area) = self.area_at(address).ok_or(SEGV_MAPERR)?;
        let needed = if write {
            PROT_WRITE
        } else if fetch {
            PROT_EXEC
        } else {
            PROT_READ | PROT_WRITE | PROT_EXEC
        };
        if area.protection & needed == 0 {
            return Err(SEGV_ACCERR);
        }
        let area = area.clone();
        let page = address / PAGE * PAGE;
        match kernel_table().lookup(page) {
            Some(mapping) if !write || mapping.flags & WRITABLE != 0 => Ok(()),
            Some(mapping) => self.copy_on_write(page, mapping, &area),
            None => match &area.backing {
                Backing::Anonymous => self.give_anonymous(page, start, &area, ready),
                Backing::File {
                    source,
                    page: first,
                } => {
                    // The page may be there already, but not the table for it.
                    frames::check_spare().map_err(|_| OUT_OF_MEMORY)?;
                    let index = first + ((page - start) / PAGE) as u64;
                    let shown = source
                        .page(index)
                        .map_err(|errno| match errno {
                            Errno::ENOMEM => OUT_OF_MEMORY,
                            _ => BUS_ADRERR,
                        })?
                        .ok_or(BUS_ADRERR)?;
                    self.give_file_page(page, shown, write, &area)?;
                    if !write {
                        self.give_file_pages_around(page, start, source, *first, &area);
                    }
                    Ok(())
                }
            },
        }
    }

    /// Maps the pages around `page` that are in memory, too: a fault costs more than a few pages.
    fn give_file_pages_around(
        &mut self,
        page: usize,
        start: usize,
        source: &Arc<dyn MapSource>,
        first: u64,
        area: &Area,
    ) {
        const AROUND: usize = FAULT_AROUND * PAGE;
        let window = page / AROUND * AROUND;
        let (from, to) = (window.max(start), (window + AROUND).min(area.end));
        for neighbour in (from..to).step_by(PAGE) {
            let index = first + ((neighbour - start) / PAGE) as u64;
            if kernel_table().lookup(neighbour).is_none()
                && let Some(shown) = source.page_at_hand(index)
                && self.give_file_page(neighbour, shown, false, area).is_err()
            {
                return;
            }
        }
    }

    /// `pages` around `address` in `area` have got frames.
    fn count(&mut self, address: usize, pages: usize, area: &Area) {
        self.resident += pages;
        self.resident_peak = self.resident_peak.max(self.resident);
        if area.committed {
            self.keep_promise(address, pages, area);
        }
    }

    fn give_anonymous(
        &mut self,
        page: usize,
        start: usize,
        area: &Area,
        ready: &mut HugeBlock,
    ) -> Result<(), FaultSignal> {
        let table = kernel_table();
        let flags = page_flags(area.protection);
        let block = page / HUGE_PAGE * HUGE_PAGE;
        let (free, total) = frames::counts();
        let ample = free > total / 8 && free > 4 * (HUGE_PAGE / PAGE);
        if ample
            && !area.small_pages
            && self.anonymous >= HUGE_FROM
            && block >= start
            && block + HUGE_PAGE <= area.end
            && table.takes_huge_page(block)
        {
            if let HugeBlock::None = ready {
                *ready = huge_block(area.committed);
            }
            match *ready {
                HugeBlock::Used(_) => return Ok(()),
                HugeBlock::Zero(phys) if give_huge(block, phys, flags) => {
                    *ready = HugeBlock::None;
                    self.anonymous += HUGE_PAGE / PAGE;
                    self.count(page, HUGE_PAGE / PAGE, area);
                    return Ok(());
                }
                _ => {}
            }
        }
        let goes_on = || page > start && table.lookup(page - PAGE).is_some();
        let around = match ample {
            true if goes_on() => FAULT_AROUND * PAGE,
            true => FAULT_AROUND_FIRST * PAGE,
            false => PAGE,
        };
        let window = page / around * around;
        let (from, to) = (window.max(start), (window + around).min(area.end));
        self.give_small(page, flags, area)?;
        for neighbour in (from..to).step_by(PAGE) {
            if neighbour != page
                && table.lookup(neighbour).is_none()
                && self.give_small(neighbour, flags, area).is_err()
            {
                break;
            }
        }
        Ok(())
    }

    fn give_small(&mut self, page: usize, flags: u64, area: &Area) -> Result<(), FaultSignal> {
        let phys = frames::alloc_spare_zeroed(0).ok_or(OUT_OF_MEMORY)?;
        if !kernel_table().map(page, phys, flags) {
            // SAFETY: ours, and mapped nowhere.
            unsafe { frames::release(phys) };
            return Err(OUT_OF_MEMORY);
        }
        self.anonymous += 1;
        self.count(page, 1, area);
        Ok(())
    }

    /// Maps a file's page; a write to a private mapping gets a copy.
    fn give_file_page(
        &mut self,
        page: usize,
        shown: Page,
        write: bool,
        area: &Area,
    ) -> Result<(), FaultSignal> {
        let flags = page_flags(area.protection);
        let (shown, flags) = if area.shared {
            (shown, flags)
        } else if write {
            (shown.copy().map_err(|_| OUT_OF_MEMORY)?, flags)
        } else {
            (shown, flags & !WRITABLE)
        };
        if !kernel_table().map(page, shown.phys(), flags) {
            return Err(OUT_OF_MEMORY);
        }
        // The mapping's reference from now on.
        shown.into_phys();
        self.count(page, 1, area);
        Ok(())
    }

    /// A write to a page that is mapped read-only in a writable area.
    fn copy_on_write(
        &mut self,
        page: usize,
        mapping: Mapping,
        area: &Area,
    ) -> Result<(), FaultSignal> {
        let flags = page_flags(area.protection);
        let own = area.shared || mapping.huge || frames::references(mapping.phys) == 1;
        let phys = if own {
            mapping.phys
        } else {
            copy_frame(mapping.phys).ok_or(OUT_OF_MEMORY)?
        };
        if mapping.huge {
            kernel_table().edit(
                page / HUGE_PAGE * HUGE_PAGE,
                page / HUGE_PAGE * HUGE_PAGE + HUGE_PAGE,
                |_, _| super::paging::Edit::Protect(flags),
            );
        } else if !kernel_table().map(page, phys, flags) {
            return Err(OUT_OF_MEMORY);
        }
        // The old translation allowed less; other CPUs may still have it, and the old frame may be reused.
        tlb::flush_all();
        if !own {
            // SAFETY: the old mapping's reference, which no CPU reaches any more.
            unsafe { frames::release(mapping.phys) };
        }
        Ok(())
    }
}

/// Maps 2 MiB where nothing is mapped. False if there is no memory for what is needed beside.
fn give_huge(block: usize, phys: usize, flags: u64) -> bool {
    match kernel_table().map_divisible(block, phys, flags) {
        Mapped::No => return false,
        Mapped::Yes => {}
        Mapped::InPlaceOfTable => tlb::flush_all(),
    }
    true
}

/// 2 MiB, of what was promised if the area was promised its pages.
fn huge_block(promised: bool) -> HugeBlock {
    let block = if promised {
        frames::alloc_spare(frames::MAX_ORDER)
    } else {
        frames::alloc_unpromised(frames::MAX_ORDER)
    };
    match block {
        Some(block) if block.zero => HugeBlock::Zero(block.phys),
        Some(block) => HugeBlock::Used(block.phys),
        None => HugeBlock::None,
    }
}

/// A frame with the same contents.
fn copy_frame(from: usize) -> Option<usize> {
    let copy = frames::alloc_spare(0)?;
    // SAFETY: two different frames in the direct map; the copy is ours.
    unsafe {
        copy_shared(
            phys_to_virt(copy.phys) as *mut u8,
            phys_to_virt(from) as *const u8,
            frames::FRAME,
        );
    }
    Some(copy.phys)
}
