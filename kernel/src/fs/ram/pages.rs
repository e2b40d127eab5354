//! The pages of a file by index, in chunks of 64.
//!
//! A missing page is a hole, or it comes from where the file came from ([`Base`]): pages of the bundle are taken where
//! they lie; those of a lower file have to be fetched (fetch.rs) and, as long as nothing wrote to them, may be given back.
//! Whoever fills a page through its reference asks for it by [`Pages::get_to_write`], which ends that.
use crate::memory::frames;
use crate::memory::page::{BundleFrames, Page};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicUsize, Ordering};

const CHUNK: usize = 64;

/// Pages of all files that are the same as below. Changed by who fetches a page from the host, or first writes to one.
static CLEAN: AtomicUsize = AtomicUsize::new(0);

/// How many pages of files could be fetched again.
pub fn clean_pages() -> usize {
    CLEAN.load(Ordering::Relaxed)
}

/// A part of a file's pages.
pub struct Chunk {
    pages: [Option<Page>; CHUNK],
    /// A bit a page: it is there.
    present: u64,
    /// A bit a page: the same as below.
    clean: u64,
}

impl Chunk {
    const fn new() -> Self {
        Self {
            pages: [const { None }; CHUNK],
            present: 0,
            clean: 0,
        }
    }

    fn present(&self) -> u64 {
        u64::from(self.present.count_ones())
    }

    fn has(&self, slot: usize) -> bool {
        self.present & 1 << slot != 0
    }

    fn put(&mut self, slot: usize, page: Page) {
        self.pages[slot] = Some(page);
        self.present |= 1 << slot;
        self.soil(slot);
    }

    /// The page is not, or no more, the same as below.
    fn soil(&mut self, slot: usize) {
        if self.clean & 1 << slot != 0 {
            self.clean &= !(1 << slot);
            CLEAN.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn take(&mut self, slot: usize) -> Option<Page> {
        self.present &= !(1 << slot);
        self.soil(slot);
        self.pages[slot].take()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        CLEAN.fetch_sub(self.clean.count_ones() as usize, Ordering::Relaxed);
    }
}

/// Where the pages come from that are not in the map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The bundle.
    Bundle(BundleFrames),
    /// The lower file.
    Lower,
}

/// What a page is.
pub enum Slot {
    /// A page.
    Page(Page),
    /// Nothing: reads as zeros.
    Hole,
    /// A page of the lower file that was not fetched.
    Below,
}

/// See the module's head.
pub struct Pages {
    chunks: BTreeMap<u64, Box<Chunk>>,
    base: Base,
    /// Pages below this index are the base's unless they are in `chunks`.
    base_pages: u64,
    /// Pages that are not holes.
    pub count: u64,
    /// Where eviction goes on.
    hand: u64,
}

const fn split(index: u64) -> (u64, usize) {
    (index / CHUNK as u64, (index % CHUNK as u64) as usize)
}

impl Pages {
    /// The first `pages` of the base.
    pub const fn of(base: Base, pages: u64) -> Self {
        Self {
            chunks: BTreeMap::new(),
            base,
            base_pages: pages,
            count: pages,
            hand: 0,
        }
    }

    /// What page `index` is.
    pub fn get(&mut self, index: u64) -> Slot {
        let (chunk, slot) = split(index);
        if let Some(page) = self
            .chunks
            .get(&chunk)
            .and_then(|chunk| chunk.pages[slot].as_ref())
        {
            return Slot::Page(page.clone());
        }
        if index >= self.base_pages {
            return Slot::Hole;
        }
        let Base::Bundle(frames) = self.base else {
            return Slot::Below;
        };
        match frames.page(index) {
            Some(page) => {
                self.put(index, page.clone());
                Slot::Page(page)
            }
            None => Slot::Hole,
        }
    }

    /// As [`Pages::get`]; the page will differ from the one below.
    pub fn get_to_write(&mut self, index: u64) -> Slot {
        let (chunk, slot) = split(index);
        if self.base == Base::Lower
            && let Some(chunk) = self.chunks.get_mut(&chunk)
        {
            chunk.soil(slot);
        }
        self.get(index)
    }

    /// Whether page `index` is a hole, or comes from below and is not here.
    fn is_missing(&self, index: u64) -> bool {
        let (chunk, slot) = split(index);
        self.chunks.get(&chunk).is_none_or(|chunk| !chunk.has(slot))
    }

    /// Puts a page where none is.
    pub fn put(&mut self, index: u64, page: Page) {
        let (chunk, slot) = split(index);
        let chunk = self
            .chunks
            .entry(chunk)
            .or_insert_with(|| Box::new(Chunk::new()));
        chunk.put(slot, page);
    }

    /// Puts a page that was fetched from below, unless it is not wanted any more.
    pub fn put_clean(&mut self, index: u64, page: Page) {
        if index < self.base_pages && self.is_missing(index) {
            let (chunk, slot) = split(index);
            self.put(index, page);
            if let Some(chunk) = self.chunks.get_mut(&chunk) {
                chunk.clean |= 1 << slot;
                CLEAN.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many pages from `index` on, at most `most`, have to be fetched.
    pub fn missing_below(&self, index: u64, most: usize) -> usize {
        let end = self.base_pages.min(index.saturating_add(most as u64));
        (index..end)
            .take_while(|&index| self.is_missing(index))
            .count()
    }

    /// Takes the pages of [from, to) out, which become holes; at the end of the base or behind it. Most of them are given to
    /// the caller, to be freed outside of the lock.
    pub fn remove(&mut self, from: u64, to: u64) -> Removed {
        let base_end = to.min(self.base_pages);
        if from < base_end {
            self.count -= self.missing_in(from, base_end);
        }
        let (first, slot) = split(from);
        let (last, end) = split(to);
        // The whole chunks in between, and the parts at both ends.
        let whole = if slot == 0 { first } else { first + 1 };
        let parts = if first == last {
            [(first, slot..end), (first, 0..0)]
        } else {
            [
                (first, if slot == 0 { 0..0 } else { slot..CHUNK }),
                (last, 0..end),
            ]
        };
        for (number, slots) in parts {
            for slot in slots {
                let index = number * CHUNK as u64 + slot as u64;
                if index < base_end && self.is_missing(index) {
                    self.free_below(index);
                }
                let chunk = self.chunks.get_mut(&number);
                let page = chunk.and_then(|chunk| chunk.take(slot));
                self.count -= u64::from(page.is_some());
            }
        }
        if to >= self.base_pages {
            self.base_pages = self.base_pages.min(from);
        }
        let mut removed = Removed {
            chunks: BTreeMap::new(),
            base: self.base,
            end: base_end,
            numbers: whole..last.max(whole),
        };
        if whole < last {
            removed.chunks = self.chunks.split_off(&whole);
            let mut rest = removed.chunks.split_off(&last);
            self.chunks.append(&mut rest);
        }
        for chunk in removed.chunks.values() {
            self.count -= chunk.present();
        }
        removed
    }

    /// Frees a page of the bundle that nobody asked for.
    fn free_below(&self, index: u64) {
        if let Base::Bundle(frames) = self.base {
            drop(frames.page(index));
        }
    }

    /// How many pages in [from, to) are missing.
    fn missing_in(&self, from: u64, to: u64) -> u64 {
        let (first, last) = (split(from).0, split(to.max(1) - 1).0);
        let present: usize = self
            .chunks
            .range(first..=last)
            .map(|(&number, chunk)| {
                let base = number * CHUNK as u64;
                let low = from.saturating_sub(base).min(CHUNK as u64);
                let high = (to - base).min(CHUNK as u64);
                let all = |count: u64| u64::MAX.checked_shr(64 - count as u32).unwrap_or(0);
                (chunk.present & all(high) & !all(low)).count_ones() as usize
            })
            .sum();
        to - from - present as u64
    }

    /// Where pages of the base are that a hole is to replace: the lower file's, which cannot become holes one by one.
    pub fn base_end(&self) -> u64 {
        match self.base {
            Base::Lower => self.base_pages,
            Base::Bundle(_) => 0,
        }
    }

    /// A hole cannot be told from a page of the bundle that was not asked for yet: asks for some, the last first. False when
    /// all have been.
    pub fn adopt_some(&mut self) -> bool {
        const STEP: u64 = 1024;
        if !matches!(self.base, Base::Bundle(_)) {
            return false;
        }
        let from = self.base_pages.saturating_sub(STEP);
        for index in from..self.base_pages {
            drop(self.get(index));
        }
        self.base_pages = from;
        from > 0
    }

    /// The first page from `index` on and below `end` that is a hole, or is none; None where there is none such.
    pub fn find(&self, mut index: u64, end: u64, hole: bool) -> Option<u64> {
        if index < self.base_pages {
            if !hole {
                return Some(index).filter(|&index| index < end);
            }
            index = self.base_pages;
        }
        while index < end {
            let (number, slot) = split(index);
            let Some((&next, chunk)) = self.chunks.range(number..).next() else {
                break;
            };
            if next > number {
                if hole {
                    return Some(index);
                }
                index = next * CHUNK as u64;
                continue;
            }
            let wanted = if hole { !chunk.present } else { chunk.present };
            let found = (wanted >> slot).trailing_zeros() as usize;
            if slot + found < CHUNK {
                return Some(index + found as u64).filter(|&index| index < end);
            }
            index = (number + 1) * CHUNK as u64;
        }
        Some(index).filter(|&index| hole && index < end)
    }

    /// Gives up to `goal` pages back that are as they are below and that nobody else uses; how many.
    pub fn evict(&mut self, goal: usize) -> usize {
        let mut evicted = 0;
        let hand = self.hand;
        for from in [hand, 0] {
            for (&number, chunk) in self.chunks.range_mut(from..) {
                if evicted >= goal || from < hand && number >= hand {
                    break;
                }
                evicted += chunk.evict();
                self.hand = number + 1;
            }
        }
        if evicted > 0 {
            // In place: memory is short.
            self.chunks.retain(|_, chunk| chunk.present() != 0);
        }
        evicted
    }
}

impl Chunk {
    fn evict(&mut self) -> usize {
        let mut evicted = 0;
        let mut clean = self.clean;
        while clean != 0 {
            let slot = clean.trailing_zeros() as usize;
            clean &= clean - 1;
            let alone = |page: &Page| frames::references(page.phys()) == 1;
            if self.pages[slot].as_ref().is_some_and(alone) {
                self.take(slot);
                evicted += 1;
            }
        }
        evicted
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.base == Base::Lower {
            return;
        }
        for index in 0..self.base_pages {
            if self.is_missing(index) {
                self.free_below(index);
            }
        }
    }
}

/// Chunks that were taken out of a file, and the pages of the bundle in their place that nobody asked for: freed when
/// dropped, outside of the file's lock.
pub struct Removed {
    chunks: BTreeMap<u64, Box<Chunk>>,
    base: Base,
    /// The end of the base's pages among them.
    end: u64,
    numbers: core::ops::Range<u64>,
}

impl Drop for Removed {
    fn drop(&mut self) {
        let Base::Bundle(frames) = self.base else {
            return;
        };
        for number in self.numbers.clone() {
            let first = number * CHUNK as u64;
            if first >= self.end {
                break;
            }
            let chunk = self.chunks.get(&number);
            let pages = (first..self.end).take(CHUNK);
            for (slot, index) in pages.enumerate() {
                if chunk.is_none_or(|chunk| !chunk.has(slot)) {
                    drop(frames.page(index));
                }
            }
        }
    }
}
