//! The map of areas: look-ups, gaps, and how areas are cut and joined. Page tables are pages.rs's affair.
//!
//! Nothing here collects areas in a list: a program may have 65,530 of them, and unmap them when memory is short.
//! Cost: O(log areas) for each area that is met.
use super::paging::PAGE;
use super::space::{Area, Backing, Inner, LOWEST, MAX_AREAS, TOP};
use super::user::USER_END;
use super::{frames, kernel_table};
use alloc::sync::Arc;
use ringo_abi::Errno;

impl Inner {
    /// Whether there may be more areas.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn may_split(&self) -> Result<(), Errno> {
        self.may_cut().and_then(|()| frames::check_spare())
    }

    /// The same for what gives memory back.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn may_cut(&self) -> Result<(), Errno> {
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

    /// The areas that meet [start, end), with their starts.
    pub fn areas_in(&self, start: usize, end: usize) -> impl Iterator<Item = (usize, &Area)> {
        let first = self.area_at(start).map_or(start, |(first, _)| first);
        self.areas
            .range(first..end.max(first))
            .filter(move |_| start < end)
            .map(|(&at, area)| (at, area))
    }

    /// The start of the first area that meets [start, end).
    pub(super) fn first_in(&self, start: usize, end: usize) -> Option<usize> {
        self.areas_in(start, end).next().map(|(at, _)| at)
    }

    pub(super) fn overlaps(&self, start: usize, end: usize) -> bool {
        self.area_at(start).is_some() || self.areas.range(start..end).next().is_some()
    }

    /// Whether MAP_FIXED, or MAP_FIXED_NOREPLACE if `no_replace`, may name this place.
    ///
    /// # Errors
    /// EINVAL, ENOMEM, EPERM, EEXIST.
    pub(super) fn check_place(
        &self,
        start: usize,
        length: usize,
        no_replace: bool,
    ) -> Result<(), Errno> {
        if start > USER_END - length {
            return Err(Errno::ENOMEM);
        }
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if start < LOWEST {
            return Err(Errno::EPERM);
        }
        if no_replace && self.overlaps(start, start + length) {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }

    /// Whether all areas in [start, end) have these rights.
    pub fn allows(&self, start: usize, end: usize, protection: u32) -> bool {
        self.areas_in(start, end)
            .all(|(_, area)| area.protection & protection == protection)
    }

    /// Whether [start, end) lies in PROT_NONE anonymous areas.
    pub(super) fn reserved(&self, start: usize, end: usize) -> bool {
        self.covered_until(start, end) == end
            && self
                .areas_in(start, end)
                .all(|(_, area)| area.protection == 0)
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
            area.returned += previous.returned;
            self.areas.remove(&before);
        }
        if let Some(next) = self.areas.get(&area.end)
            && continues(from, &area, area.end, next)
        {
            let joined = area.end;
            area.end = next.end;
            area.returned += next.returned;
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
            let below = self.returned_below(first, at, area);
            upper.returned -= below;
            if let Some(lower) = self.areas.get_mut(&first) {
                lower.end = at;
                lower.returned = below;
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
        let mut next = start;
        while let Some(at) = self.first_in(next, end)
            && let Some(mut area) = self.take(at)
        {
            next = area.end;
            change(&mut area);
            self.insert(at, area);
        }
    }

    /// Takes everything in [start, end) away.
    pub fn unmap(&mut self, start: usize, end: usize) {
        if !self.overlaps(start, end) {
            return;
        }
        self.cut(start, end);
        while let Some(at) = self.first_in(start, end)
            && let Some(area) = self.take(at)
        {
            self.forget_promise(at, &area);
        }
        self.drop_pages(start, end);
        kernel_table().remove_tables(start, end);
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
            (Backing::Anonymous, Backing::Anonymous) => true,
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
