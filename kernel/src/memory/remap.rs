//! mremap(2): mappings that grow, shrink and move. Pages are moved, never copied.
use super::paging::{self, Edit, HUGE_PAGE, PAGE};
use super::space::{AddressSpace, Area, Backing, Inner, LOWEST, round_up};
use super::user::USER_END;
use super::{frames, kernel_table};
use crate::cpu::tlb;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Where mremap(2) may put the mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It must stay.
    Never,
    /// Wherever there is room.
    Anywhere,
    /// There, replacing what is there.
    To(usize),
    /// Elsewhere, leaving an empty mapping behind (MREMAP_DONTUNMAP).
    Leaving(Option<usize>),
}

impl AddressSpace {
    /// mremap(2); gives the address.
    ///
    /// # Errors
    /// EINVAL, ENOMEM, EFAULT as mremap(2) lists them.
    pub fn remap(
        &self,
        old: usize,
        old_size: usize,
        new_size: usize,
        target: Move,
    ) -> Result<usize, Errno> {
        let rounded_size = round_up(old_size);
        let new_size = round_up(new_size).ok_or(Errno::EINVAL)?;
        let leaving = matches!(target, Move::Leaving(_));
        let mut inner = self.lock();
        let (start, area) = inner.area_at(old).ok_or(Errno::EFAULT)?;
        let old_size = rounded_size.ok_or(Errno::EINVAL)?;
        // Nothing to move is a second view of shared memory, which there is none of here.
        if old_size == 0 {
            return Err(Errno::EINVAL);
        }
        // What is to become shorter in its place may reach beyond its area: that is cut off.
        let shrinks =
            matches!(target, Move::Never | Move::Anywhere) && new_size <= old_size && new_size > 0;
        if old > USER_END - old_size || area.end < old + old_size && !shrinks {
            return Err(Errno::EFAULT);
        }
        if leaving && (new_size != old_size || !matches!(area.backing, Backing::Anonymous)) {
            return Err(Errno::EINVAL);
        }
        let mut area = area.clone();
        if let Backing::File { page, .. } = &mut area.backing {
            *page += ((old - start) / PAGE) as u64;
        }
        let more = new_size.saturating_sub(old_size) / PAGE;
        if more > 0 {
            inner.may_map(more * PAGE, 0, 0)?;
        }
        if area.committed && !frames::has_uncommitted(more) {
            return Err(Errno::ENOMEM);
        }
        if matches!(target, Move::Never | Move::Anywhere) {
            if new_size <= old_size {
                inner.unmap(old + new_size, old + old_size);
                return Ok(old);
            }
            let (end, wanted) = (old + old_size, old.saturating_add(new_size));
            if wanted <= USER_END && area.end == end && !inner.overlaps(end, wanted) {
                inner.grow(end, wanted, &area, old);
                return Ok(old);
            }
            if target == Move::Never {
                return Err(Errno::ENOMEM);
            }
        }
        inner.may_split()?;
        let mut batch = batch()?;
        let kept = old_size.min(new_size);
        let to = match target {
            Move::To(to) | Move::Leaving(Some(to)) => {
                let in_range = to % PAGE == 0 && to >= LOWEST && to <= USER_END - new_size;
                if !in_range || to < old + old_size && old < to + new_size {
                    return Err(Errno::EINVAL);
                }
                to
            }
            _ => inner.find_gap(0, new_size).ok_or(Errno::ENOMEM)?,
        };
        // Before tables are made: unmapping may give some back. If they cannot be, what was there is gone, as on Linux.
        inner.unmap(to, to + new_size);
        if new_size < old_size {
            inner.unmap(old + new_size, old + old_size);
        }
        make_tables(old, to, kept)?;
        inner.cut(old, old + kept);
        inner.move_pages(old, to, kept, &area, &mut batch);
        if area.committed {
            frames::promise(more);
        }
        area.returned = inner.leave(old, leaving);
        let end = to + new_size;
        inner.insert(to, Area { end, ..area });
        Ok(to)
    }
}

/// Pages on their way: offset, frame, rights. Not larger than its capacity, which the heap gave beforehand.
type Batch = Vec<(usize, usize, u64)>;

/// Room for as many pages as there is memory for, one huge one at least; a flush each time it is full.
fn batch() -> Result<Batch, Errno> {
    let mut batch = Vec::new();
    for pages in [64, 8, 1].map(|huge| huge * HUGE_PAGE / PAGE) {
        if batch.try_reserve_exact(pages).is_ok() {
            return Ok(batch);
        }
    }
    Err(Errno::ENOMEM)
}

/// Makes the tables that the pages in [from, from + length) will want at `to`, so that moving them cannot fail.
fn make_tables(from: usize, to: usize, length: usize) -> Result<(), Errno> {
    let table = kernel_table();
    let (mut last, mut result) = (None, Ok(()));
    table.edit(from, from + length, |address, mapping| {
        let start = to + (address - from);
        let size = if mapping.huge { HUGE_PAGE } else { PAGE };
        for block in start / HUGE_PAGE..=(start + size - 1) / HUGE_PAGE {
            if last.replace(block) != Some(block)
                && !(frames::has_spare(4) && table.make_table(block * HUGE_PAGE))
            {
                result = Err(Errno::ENOMEM);
                return Edit::Stop;
            }
        }
        Edit::Keep
    });
    result
}

impl Inner {
    /// Lets the mapping that began at `old` as `area` and ends at `end` go on to `wanted`.
    fn grow(&mut self, end: usize, wanted: usize, area: &Area, old: usize) {
        let mut more = Area {
            end: wanted,
            returned: 0,
            ..area.clone()
        };
        if let Backing::File { page, .. } = &mut more.backing {
            *page += ((end - old) / PAGE) as u64;
        }
        if more.committed {
            frames::promise((wanted - end) / PAGE);
        }
        self.insert(end, more);
    }

    /// Takes the area at `start` away, whose pages and promises were moved elsewhere; or leaves it empty. Gives how many
    /// pages it had given back.
    fn leave(&mut self, start: usize, stays: bool) -> usize {
        let Some(area) = self.take(start) else {
            return 0;
        };
        let given_back = area.returned;
        if stays {
            let (committed, returned) = (false, 0);
            let area = Area {
                committed,
                returned,
                ..area
            };
            self.insert(start, area);
        }
        given_back
    }

    /// Moves the page-table entries of `length` bytes of `area` from `from` to `to`, where nothing is but tables.
    fn move_pages(
        &mut self,
        from: usize,
        to: usize,
        length: usize,
        area: &Area,
        batch: &mut Batch,
    ) {
        const PAGES_OF_HUGE: usize = HUGE_PAGE / PAGE;
        let table = kernel_table();
        let mut next = from;
        while next < from + length {
            let start = core::mem::replace(&mut next, from + length);
            table.edit(start, from + length, |address, mapping| {
                let pages = if mapping.huge { PAGES_OF_HUGE } else { 1 };
                if batch.len() + pages > batch.capacity() {
                    next = address;
                    return Edit::Stop;
                }
                if mapping.huge {
                    // SAFETY: it is taken out here, under the lock; its frames are the new mappings'.
                    unsafe { paging::divide(mapping.phys) };
                }
                for offset in (0..pages * PAGE).step_by(PAGE) {
                    batch.push((
                        address - from + offset,
                        mapping.phys + offset,
                        mapping.flags,
                    ));
                }
                Edit::Unmap
            });
            tlb::flush_all();
            for (offset, phys, flags) in batch.drain(..) {
                let mapped = table.map(to + offset, phys, flags);
                assert!(mapped, "its table was made");
            }
        }
        // Who has touched them meanwhile does not keep access.
        if area.protection == 0 && table.edit(to, to + length, |_, _| Edit::Hide) {
            tlb::flush_all();
        }
    }
}
