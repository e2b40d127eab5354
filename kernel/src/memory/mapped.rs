//! Large blocks of the kernel's heap: mapped page by page in an area of their own, so that no memory need be contiguous.
//!
//! The area has a part for each power of two, cut into places of that size with as much unmapped behind each: a write past
//! the end of a block faults. A block takes the first free place of its size; page tables stay with a place, so places are
//! used from the lowest on. Blocks come from what is spare (frames.rs): the kernel's reserve is not for data that large.
//! Giving one back costs a flush of all CPUs, idle ones too, since those handle interrupts; then its frames go. One lock over
//! the places and one over making tables, which neighbours share, each taken for a place or a page, then the frames'. An entry
//! is its block's owner's. Cost: O(pages). After Linux mm/vmalloc.c.
use super::paging::{Edit, HUGE_PAGE, NO_EXECUTE, PAGE, WRITABLE};
use super::{frames, kernel_table};
use crate::cpu::tlb;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Slots 416 and following of the top-level table, one a size.
const AREA: usize = 0xffff_d000_0000_0000;
/// Bytes of such a slot.
const SLOT: usize = 1 << 39;
/// Sizes: two pages to 64 GiB.
const SIZES: usize = 24;
/// The most places of one size that are used; then the next larger one's are.
const PLACES: usize = 2048;

/// A bit for each place in use.
static TAKEN: SpinLock<[[u64; PLACES / 64]; SIZES]> = SpinLock::new([[0; PLACES / 64]; SIZES]);
/// Held while tables may be made.
static TABLES: SpinLock<()> = SpinLock::new(());
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// How many frames such blocks have.
pub fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

/// Bytes of a place of the size with this number.
const fn place_size(size: usize) -> usize {
    PAGE << (size + 1)
}

/// Whether the heap's object at `address` is one of these blocks.
#[inline]
pub const fn is_mapped(address: usize) -> bool {
    address >= AREA && address < AREA + SIZES * SLOT
}

/// A block of `bytes`, more than a page; None when memory is short.
pub fn alloc(bytes: usize) -> Option<usize> {
    let pages = bytes.div_ceil(PAGE);
    // Tables: one for each 512 pages, and what is above.
    if !frames::has_spare(pages.checked_add(pages / 512 + 4)?) {
        return None;
    }
    let first = (pages.checked_next_power_of_two()?.trailing_zeros() as usize).checked_sub(1)?;
    let (size, place) = (first..SIZES).find_map(|size| Some((size, take(size)?)))?;
    let start = AREA + size * SLOT + place * 2 * place_size(size);
    let end = start + pages * PAGE;
    let mut at = start;
    while at < end {
        match give(at, end) {
            Some(given) => at += given,
            None => {
                unmap(start, end);
                put(size, place);
                return None;
            }
        }
    }
    Some(start)
}

/// Gives a block of `bytes` back.
///
/// # Safety
/// It came from [`alloc`] with this size, and nobody uses it.
pub unsafe fn free(start: usize, bytes: usize) {
    unmap(start, start + bytes.next_multiple_of(PAGE));
    let size = (start - AREA) / SLOT;
    put(size, (start - AREA) % SLOT / (2 * place_size(size)));
}

/// The first free place of a size, now taken.
fn take(size: usize) -> Option<usize> {
    let places = (SLOT / (2 * place_size(size))).min(PLACES);
    let mut taken = TAKEN.lock();
    let (index, word) = taken[size]
        .iter_mut()
        .enumerate()
        .find(|(_, word)| **word != u64::MAX)?;
    let place = index * 64 + word.trailing_ones() as usize;
    (place < places).then(|| {
        *word |= 1 << (place % 64);
        place
    })
}

fn put(size: usize, place: usize) {
    TAKEN.lock()[size][place / 64] &= !(1 << (place % 64));
}

/// Maps memory at `at`, as much as goes at once; gives how many bytes.
fn give(at: usize, end: usize) -> Option<usize> {
    let flags = WRITABLE | NO_EXECUTE;
    let _tables = TABLES.lock();
    if at.is_multiple_of(HUGE_PAGE)
        && end - at >= HUGE_PAGE
        && !kernel_table().has_small_pages(at)
        && let Some(block) = frames::alloc(frames::MAX_ORDER)
    {
        if kernel_table().map_huge(at, block.phys, flags) {
            FRAMES.fetch_add(HUGE_PAGE / PAGE, Ordering::Relaxed);
            return Some(HUGE_PAGE);
        }
        // SAFETY: ours, and mapped nowhere.
        unsafe { frames::free(block.phys, frames::MAX_ORDER) };
    }
    let block = frames::alloc(0)?;
    if !kernel_table().map(at, block.phys, flags) {
        // SAFETY: as above.
        unsafe { frames::free(block.phys, 0) };
        return None;
    }
    FRAMES.fetch_add(1, Ordering::Relaxed);
    Some(PAGE)
}

/// Takes what is mapped in [start, end) away and frees it. Pages are out of reach first, and their frames free only when
/// no CPU can reach them any more.
fn unmap(start: usize, end: usize) {
    kernel_table().edit(start, end, |_, _| Edit::Hide);
    tlb::flush_kernel();
    kernel_table().edit(start, end, |_, mapping| {
        let (order, pages) = if mapping.huge {
            (frames::MAX_ORDER, HUGE_PAGE / PAGE)
        } else {
            (0, 1)
        };
        FRAMES.fetch_sub(pages, Ordering::Relaxed);
        // SAFETY: the block's, hidden from all CPUs above.
        unsafe { frames::free(mapping.phys, order) };
        Edit::Unmap
    });
}
