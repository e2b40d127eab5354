//! How much the program may map (RLIMIT_AS), and what its heap was promised: pages that are charged before they are touched
//! (space.rs tells when).
//!
//! A page of a committed area is promised until it is touched. Given back by MADV_DONTNEED it is "expected" again: the next
//! step of a heap counts it as taken, since the runtime may touch it without asking; data of files do not, or a heap that
//! was large once would keep its memory from them for good. Which pages of an area were given back is not noted, only how
//! many ([`Area::returned`]); a touch counts for those first.
use super::frames;
use super::paging::PAGE;
use super::space::{Area, Inner};
use crate::task::limits;
use ringo_abi::Errno;

impl Inner {
    /// Whether there are frames for so many pages when they are touched. Some more are left for what nobody promised: tables
    /// for these pages, stacks, the runtime's own notes on its heap, which on a small machine are a large part.
    pub(super) fn can_promise(&mut self, pages: usize) -> bool {
        const NOTES: usize = 512;
        let (_, total) = frames::counts();
        let wanted = pages + frames::reserve().max(NOTES.min(total / 8));
        frames::has_uncommitted(wanted)
            || self.unmap_forgettable() && frames::has_uncommitted(wanted)
    }

    /// Whether the program may map so many bytes more (RLIMIT_AS), those that go from [start, end) not counted.
    pub(super) fn may_map(&self, more: usize, start: usize, end: usize) -> Result<(), Errno> {
        let limit = limits::address_space();
        let all = (self.mapped * PAGE + more) as u64;
        if all <= limit {
            return Ok(());
        }
        let part = |(at, area): (usize, &Area)| area.end.min(end) - at.max(start);
        let replaced: usize = self.areas_in(start, end).map(part).sum();
        match all - replaced as u64 <= limit {
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }

    /// Whether a program that has touched little asks for one of its first heap steps: it gets them while there is memory for
    /// a part, though not for the whole. The runtime starts where it likes, at the end of an arena too, and then takes a
    /// step in the next one at once; and on a machine of 16 MiB a heap that is collected at 4 MiB never fills the second.
    pub(super) fn starts_small(&self, pages: usize) -> bool {
        const HEAP_STEP: usize = (4 << 20) / PAGE;
        pages <= HEAP_STEP && self.anonymous < 2 * HEAP_STEP && frames::has_spare(pages / 4)
    }

    /// `pages` of the committed area at `at` are given back, and may be touched again.
    pub(super) fn keep_in_mind(&mut self, at: usize, pages: usize) {
        if let Some(area) = self.areas.get_mut(&at) {
            area.returned += pages;
            frames::expect(pages);
        }
    }

    /// `pages` around `address`, in the committed `area`, have got frames.
    pub(super) fn keep_promise(&mut self, address: usize, pages: usize, area: &Area) {
        let mut back = 0;
        if area.returned > 0
            && let Some((_, area)) = self.areas.range_mut(..=address).next_back()
        {
            back = pages.min(area.returned);
            area.returned -= back;
        }
        frames::came_back(back);
        frames::fulfil(pages - back);
    }

    /// The area that began at `at` was taken out of the map; its pages are still there.
    pub(super) fn forget_promise(&self, at: usize, area: &Area) {
        if area.committed {
            let untouched = (area.end - at) / PAGE - self.touched(at, area.end);
            frames::came_back(area.returned);
            frames::fulfil(untouched.saturating_sub(area.returned));
        }
    }

    /// How many of the pages that `area` gave back count for its part from `start` to `end`: as many as it has room for.
    pub(super) fn returned_below(&self, start: usize, end: usize, area: &Area) -> usize {
        match area.returned {
            0 => 0,
            returned => returned.min((end - start) / PAGE - self.touched(start, end)),
        }
    }
}
