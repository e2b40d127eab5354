//! Pages of the program's areas as a whole: counted, freed, given other rights. Single ones come by faults (fault.rs).
//!
//! A frame is free for others only when no CPU can reach it any more: entries go, then all CPUs flush, then frames. Cost:
//! O(pages with frames), and a flush for each thousand or so.
use super::paging::{self, Edit, HUGE_PAGE, Mapping, PAGE, WRITABLE};
use super::space::{Backing, Inner, page_flags};
use super::{frames, kernel_table};
use crate::cpu::tlb;
use arrayvec::ArrayVec;

/// Pages that are taken away between two flushes.
const BATCH: usize = 1024;

impl Inner {
    /// Pages in [start, end) that have frames.
    pub fn touched(&self, start: usize, end: usize) -> usize {
        kernel_table().count(start, end).0
    }

    /// madvise(MADV_DONTNEED): frees the pages of anonymous memory and of private copies; the areas stay.
    pub fn discard(&mut self, start: usize, end: usize) {
        let mut next = start;
        while let Some(at) = self.first_in(next, end) {
            let area = &self.areas[&at];
            let (from, to) = (at.max(start), area.end.min(end));
            next = to;
            if area.committed {
                self.keep_in_mind(at, self.touched(from, to));
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
                    // SAFETY: it was mapped here, and no CPU reaches it any more.
                    unsafe { paging::free_divisible(phys) };
                } else {
                    self.resident -= 1;
                    // SAFETY: as above: the mapping's reference.
                    unsafe { frames::release(phys) };
                }
            }
            any |= changed;
            from = next;
        }
        any
    }

    /// Gives mapped pages in [start, end) the rights of their areas. Private pages that are shared with a file or
    /// another mapping stay read-only: a write copies them (fault.rs).
    pub(super) fn protect_pages(&mut self, start: usize, end: usize) {
        let table = kernel_table();
        let mut changed = false;
        for (at, area) in self.areas_in(start, end) {
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
