//! Mappings of files, seen from the files: who may write, what a hole or a shorter end takes away, what can be given up.
use super::frames;
use super::page::Page;
use super::paging::PAGE;
use super::space::{AddressSpace, Area, Backing, Inner, MapSource};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// A file whose descriptor, or whose seals, allow no writing through shared mappings.
pub struct ReadOnly(pub Arc<dyn MapSource>);

impl MapSource for ReadOnly {
    fn page(&self, index: u64) -> Result<Option<Page>, Errno> {
        self.0.page(index)
    }

    fn page_at_hand(&self, index: u64) -> Option<Page> {
        self.0.page_at_hand(index)
    }

    fn is_over_lower(&self) -> bool {
        self.0.is_over_lower()
    }

    fn is_memory(&self) -> bool {
        self.0.is_memory()
    }

    fn id(&self) -> usize {
        self.0.id()
    }

    fn name(&self) -> Vec<u8> {
        self.0.name()
    }

    fn identity(&self) -> (u64, u64) {
        self.0.identity()
    }

    fn writable(&self) -> bool {
        false
    }

    fn resident(&self, index: u64) -> bool {
        self.0.resident(index)
    }
}

impl AddressSpace {
    /// Whether a shared mapping of this file may write to it.
    pub fn writes_to_file(&self, id: usize) -> bool {
        let inner = self.lock();
        inner.areas.values().any(|area| match &area.backing {
            Backing::File { source, .. } => area.shared && source.id() == id && source.writable(),
            Backing::Anonymous => false,
        })
    }

    /// Takes the pages from `first` up to `end` of a file out of all mappings of it: it was cut, or lost a part. Copies
    /// that private mappings made of them go, too, if `copies`.
    pub fn unmap_file(&self, id: usize, first: u64, end: u64, copies: bool) {
        let mut inner = self.lock();
        let mut at = 0;
        while let Some((start, area)) = inner.next_area(at, |area| shows(area, id)) {
            at = area.end;
            let Backing::File { page, .. } = &area.backing else {
                continue;
            };
            let pages = ((area.end - start) / PAGE) as u64;
            if page + pages <= first || end <= *page || !(area.shared || copies) {
                continue;
            }
            let from = first.saturating_sub(*page) as usize * PAGE;
            let to = (end - page).min(pages) as usize * PAGE;
            inner.drop_pages(start + from, start + to);
        }
    }

    /// madvise(MADV_REMOVE): makes holes where [start, end) shows files; gives whether all of it was mapped.
    ///
    /// # Errors
    /// EINVAL for memory that is no file's; EACCES for private mappings and those that may not write; EOPNOTSUPP, EPERM.
    pub fn remove(&self, start: usize, end: usize) -> Result<bool, Errno> {
        let (mut at, mut mapped) = (start, true);
        // One area at a time: a file's own lock comes before the address space's.
        while let Some(hole) = self.hole(at, end)? {
            mapped &= hole.start == at;
            at = hole.end;
            hole.source
                .punch(hole.page, ((hole.end - hole.start) / PAGE) as u64)?;
        }
        Ok(mapped && at == end)
    }

    /// What the first area in [start, end) shows there, if there is one.
    fn hole(&self, start: usize, end: usize) -> Result<Option<Hole>, Errno> {
        let inner = self.lock();
        let Some((first, area)) = inner.areas_in(start, end).next() else {
            return Ok(None);
        };
        let Backing::File { source, page } = &area.backing else {
            return Err(Errno::EINVAL);
        };
        if !area.shared || !area.may_write() {
            return Err(Errno::EACCES);
        }
        let from = first.max(start);
        Ok(Some(Hole {
            source: source.clone(),
            page: page + ((from - first) / PAGE) as u64,
            start: from,
            end: area.end.min(end),
        }))
    }
}

/// A part of a file that shall become a hole, and where it is mapped.
struct Hole {
    source: Arc<dyn MapSource>,
    page: u64,
    start: usize,
    end: usize,
}

/// Whether an area shows this file.
fn shows(area: &Area, id: usize) -> bool {
    matches!(&area.backing, Backing::File { source, .. } if source.id() == id)
}

impl Inner {
    /// Whether the file that `address` shows has the page in memory.
    pub fn shows_resident(&self, address: usize) -> bool {
        self.area_at(address)
            .is_some_and(|(start, area)| match &area.backing {
                Backing::File { source, page } => {
                    source.resident(page + ((address - start) / PAGE) as u64)
                }
                Backing::Anonymous => false,
            })
    }

    /// The first area from `at` on that `is` wanted.
    fn next_area(&self, at: usize, is: impl Fn(&Area) -> bool) -> Option<(usize, &Area)> {
        let mut areas = self.areas.range(at..).map(|(&start, area)| (start, area));
        areas.find(|(_, area)| is(area))
    }

    /// Unmaps pages of files that can be read again from below, and are the files' own: a fault brings them back, and until
    /// then they may be given up. Whether there were any.
    pub fn unmap_forgettable(&mut self) -> bool {
        // On the stack, below that of a fault.
        const FEW: usize = 256;
        let over_lower = |area: &Area| matches!(&area.backing, Backing::File { source, .. } if source.is_over_lower());
        let (mut any, mut at) = (false, 0);
        while let Some((start, area)) = self.next_area(at, over_lower) {
            at = area.end;
            // A private copy is nobody else's: it stays.
            any |= self.drop_pages_that::<FEW>(start, at, |mapping| {
                !mapping.huge && frames::references(mapping.phys) >= 2
            });
        }
        any
    }
}
