//! Physical memory: a buddy allocator of 4 KiB frames, blocks of up to 2 MiB.
//!
//! Memory that was never used lies above a frontier that only grows: it costs no metadata, and under a hypervisor it is
//! zero already, but for what firmware has worked in. Blocks come from the free lists first, so that the guest touches as
//! few of the host's pages as it can.
//! Each frame has a [`FrameInfo`] (16 bytes, in an array that is touched as frames are used): links of the free lists,
//! and a reference count for frames that files and mappings share; what owns a block may use both ([`Owner`]). One lock;
//! O(log) orders a call.
//!
//! Who may take the last of them is told by budget.rs.
//! After Knuth 2.5 and Linux mm/page_alloc.c.
pub use super::budget::{
    are_spare_now, came_back, check_spare, check_unpromised, expect, fulfil, has_spare,
    has_uncommitted, has_unpromised, promise, promised, reserve,
};
use super::phys_to_virt;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Bytes of a frame.
pub const FRAME: usize = 4096;
/// The largest order: 512 frames, 2 MiB.
pub const MAX_ORDER: usize = 9;

/// The least memory behind the infos: whether a program can run in it is found out later.
const LEAST: usize = 1 << 20;
/// The number of no frame.
pub const NO_FRAME: u32 = u32::MAX;
const NONE: u32 = NO_FRAME;
const FREE: u32 = 0x100;
const ZERO: u32 = 0x200;
/// Of the bundle, in use, and never the allocator's so far.
const ADOPTED: u32 = 0x400;
/// The allocator had it.
const USED: u32 = 0x800;

/// A frame's metadata. All zero for a frame that was never used.
#[repr(C)]
struct FrameInfo {
    next: u32,
    previous: u32,
    /// Order of the block that begins here, FREE, ZERO, ADOPTED, USED. Those of free blocks are written under the
    /// allocator's lock, which also covers looks at other blocks' ([`Allocator::give`]); their owners write theirs without
    /// ([`split_block`]).
    state: AtomicU32,
    references: AtomicU32,
}

struct Allocator {
    lists: [u32; MAX_ORDER + 1],
    /// Regions of never-used memory, in frames: [from, to).
    virgin: [(u32, u32); 16],
    free: usize,
    /// Frames from this one on have no info.
    end: u32,
    /// Below this one never-used memory is not known to be zero.
    written: u32,
}

static ALLOCATOR: SpinLock<Allocator> = SpinLock::new(Allocator {
    lists: [NONE; MAX_ORDER + 1],
    virgin: [(0, 0); 16],
    free: 0,
    end: 0,
    written: 0,
});
/// `Allocator`'s numbers, for a look without the lock.
static FREE_FRAMES: AtomicUsize = AtomicUsize::new(0);
static TOTAL_FRAMES: AtomicUsize = AtomicUsize::new(0);
/// Address of the FrameInfo of frame 0.
static INFOS: AtomicUsize = AtomicUsize::new(0);

/// A block of frames: its physical address, and whether it is known to be zero.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Physical address.
    pub phys: usize,
    /// All bytes are zero.
    pub zero: bool,
}

fn info(frame: u32) -> *mut FrameInfo {
    (INFOS.load(Ordering::Relaxed) as *mut FrameInfo).wrapping_add(frame as usize)
}

/// # Safety
/// `frame` is one of RAM.
unsafe fn state(frame: u32) -> u32 {
    // SAFETY: its info lies in the array.
    unsafe { (*info(frame)).state.load(Ordering::Relaxed) }
}

/// # Safety
/// As [`state`]; and the frame is free and the allocator's lock held, or it is the caller's.
unsafe fn set_state(frame: u32, state: u32) {
    // SAFETY: as above.
    unsafe { (*info(frame)).state.store(state, Ordering::Relaxed) };
}

/// Takes over `regions` of free memory (physical start and end), of which the array of infos takes its part. Once.
/// Every frame below `ram_end` gets an info, for the bundle's come to the allocator later ([`adopt`]). Below
/// `written_below` (a physical address) memory may hold what firmware left; above, it is zero.
pub fn init(regions: &[(usize, usize)], ram_end: usize, written_below: usize) {
    let mut allocator = ALLOCATOR.lock();
    let infos = (ram_end.div_ceil(FRAME) * size_of::<FrameInfo>()).next_multiple_of(FRAME);
    let mut placed = false;
    let mut used = 0;
    for &(start, end) in regions {
        let (mut start, end) = (start.next_multiple_of(FRAME), end / FRAME * FRAME);
        if !placed && end.saturating_sub(start) > infos + LEAST {
            INFOS.store(phys_to_virt(start), Ordering::Relaxed);
            if start < written_below {
                // SAFETY: free memory, all of which is this array's.
                unsafe { core::ptr::write_bytes(phys_to_virt(start) as *mut u8, 0, infos) };
            }
            start += infos;
            placed = true;
        }
        if start < end && used < allocator.virgin.len() {
            allocator.virgin[used] = ((start / FRAME) as u32, (end / FRAME) as u32);
            used += 1;
            allocator.free += (end - start) / FRAME;
        }
    }
    allocator.end = ram_end.div_ceil(FRAME) as u32;
    allocator.written = written_below.div_ceil(FRAME).min(ram_end.div_ceil(FRAME)) as u32;
    FREE_FRAMES.store(allocator.free, Ordering::Relaxed);
    TOTAL_FRAMES.store(allocator.free, Ordering::Relaxed);
    assert!(placed, "too little memory");
}

impl Allocator {
    fn change_free(&mut self, by: isize) {
        self.free = self.free.wrapping_add_signed(by);
        FREE_FRAMES.store(self.free, Ordering::Relaxed);
    }

    /// # Safety (of the raw accesses below)
    /// `info` of a frame of RAM lies in the array; the lock is held.
    fn unlink(&mut self, frame: u32, order: usize) {
        // SAFETY: see above.
        unsafe {
            let (next, previous) = ((*info(frame)).next, (*info(frame)).previous);
            match previous {
                NONE => self.lists[order] = next,
                previous => (*info(previous)).next = next,
            }
            if next != NONE {
                (*info(next)).previous = previous;
            }
        }
    }

    fn link(&mut self, frame: u32, order: usize, zero: bool) {
        let head = self.lists[order];
        // SAFETY: as in `unlink`.
        unsafe {
            (*info(frame)).next = head;
            (*info(frame)).previous = NONE;
            set_state(frame, order as u32 | FREE | if zero { ZERO } else { 0 });
            if head != NONE {
                (*info(head)).previous = frame;
            }
        }
        self.lists[order] = frame;
    }

    fn take(&mut self, order: usize) -> Option<(u32, bool)> {
        if let Some(from) = (order..=MAX_ORDER).find(|&order| self.lists[order] != NONE) {
            let frame = self.lists[from];
            self.unlink(frame, from);
            // SAFETY: as in `unlink`.
            let zero = unsafe { state(frame) } & ZERO != 0;
            self.split(frame, from, order, zero);
            return Some((frame, zero));
        }
        self.take_virgin(order)
    }

    /// Gives the upper halves of a block of order `from` back, down to `to`.
    fn split(&mut self, frame: u32, from: usize, to: usize, zero: bool) {
        for order in (to..from).rev() {
            self.link(frame + (1 << order), order, zero);
        }
    }

    /// Takes a 2 MiB block from the frontier, or what is left before one is aligned.
    fn take_virgin(&mut self, wanted: usize) -> Option<(u32, bool)> {
        for index in 0..self.virgin.len() {
            loop {
                let (from, to) = self.virgin[index];
                if from >= to {
                    break;
                }
                let mut order = (from.trailing_zeros() as usize).min(MAX_ORDER);
                while from + (1 << order) > to {
                    order -= 1;
                }
                self.virgin[index].0 = from + (1 << order);
                let zero = from >= self.written;
                if order >= wanted {
                    self.split(from, order, wanted, zero);
                    return Some((from, zero));
                }
                self.link(from, order, zero);
            }
        }
        None
    }

    fn give(&mut self, mut frame: u32, mut order: usize) {
        while order < MAX_ORDER {
            let buddy = frame ^ 1 << order;
            if !self.has_info(buddy) {
                break;
            }
            // SAFETY: as in `unlink`.
            let state = unsafe { state(buddy) };
            if state & !ZERO != order as u32 | FREE {
                break;
            }
            self.unlink(buddy, order);
            // SAFETY: as in `unlink`.
            unsafe { set_state(buddy, USED) };
            frame &= !(1 << order);
            order += 1;
        }
        self.link(frame, order, false);
    }

    /// Whether the info of a frame is there and means something: above a frontier it does not. Frames between regions have
    /// state 0, never FREE.
    fn has_info(&self, frame: u32) -> bool {
        frame < self.end
            && !self
                .virgin
                .iter()
                .any(|&(from, to)| frame >= from && frame < to)
    }
}

/// A block of 2^`order` frames, aligned to its size; None when memory is short.
pub fn alloc(order: usize) -> Option<Block> {
    let mut allocator = ALLOCATOR.lock();
    let (frame, zero) = allocator.take(order)?;
    allocator.change_free(-(1 << order));
    // SAFETY: the block is ours now.
    unsafe {
        set_state(frame, order as u32 | USED);
        (*info(frame)).references.store(1, Ordering::Relaxed);
    }
    Some(Block {
        phys: frame as usize * FRAME,
        zero,
    })
}

/// As [`alloc`], but leaves the kernel's reserve alone (but for what other CPUs take in the same moment).
pub fn alloc_spare(order: usize) -> Option<Block> {
    has_spare(1 << order).then(|| alloc(order))?
}

/// As [`alloc_spare`], but leaves what was promised alone, too.
pub fn alloc_unpromised(order: usize) -> Option<Block> {
    has_unpromised(1 << order).then(|| alloc(order))?
}

/// As [`alloc`], and filled with zeros.
pub fn alloc_zeroed(order: usize) -> Option<usize> {
    alloc(order).map(|block| fill(block, order))
}

/// As [`alloc_spare`], and filled with zeros.
pub fn alloc_spare_zeroed(order: usize) -> Option<usize> {
    alloc_spare(order).map(|block| fill(block, order))
}

/// As [`alloc_unpromised`], and filled with zeros.
pub fn alloc_unpromised_zeroed(order: usize) -> Option<usize> {
    alloc_unpromised(order).map(|block| fill(block, order))
}

fn fill(block: Block, order: usize) -> usize {
    if !block.zero {
        // SAFETY: it was just given to us.
        unsafe { clear(block.phys, order) };
    }
    block.phys
}

/// Zeroes a block.
///
/// # Safety
/// It is the caller's, and nobody else uses it.
pub unsafe fn clear(phys: usize, order: usize) {
    // SAFETY: it lies in the direct map, and is the caller's.
    unsafe { core::ptr::write_bytes(phys_to_virt(phys) as *mut u8, 0, FRAME << order) };
}

/// Gives a block back.
///
/// # Safety
/// It is the caller's, as [`alloc`] gave it or after its frames' last references went, and nobody uses it any more.
pub unsafe fn free(phys: usize, order: usize) {
    let mut allocator = ALLOCATOR.lock();
    allocator.change_free(1 << order);
    allocator.give((phys / FRAME) as u32, order);
}

/// One more reference to a single frame.
///
/// # Safety
/// A frame of RAM that counts references, of which the caller has one or keeps one alive; or one that never becomes free.
pub unsafe fn retain(phys: usize) {
    // SAFETY: a frame of RAM.
    unsafe {
        (*info((phys / FRAME) as u32))
            .references
            .fetch_add(1, Ordering::Relaxed)
    };
}

/// A reference to a frame that did not come from the allocator (the bundle's): the first one, or one more while there is
/// one. Released for the last time it joins the others, and cannot be adopted any more: then this gives false.
///
/// # Safety
/// It is a frame of RAM that nobody uses but by such references.
pub unsafe fn adopt(phys: usize) -> bool {
    let info = info((phys / FRAME) as u32);
    // SAFETY: a frame of RAM.
    let (state, references) = unsafe { (&(*info).state, &(*info).references) };
    match state.compare_exchange(0, ADOPTED, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            references.store(1, Ordering::Release);
            true
        }
        Err(ADOPTED) => references
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |count| {
                (count != 0).then_some(count + 1)
            })
            .is_ok(),
        Err(_) => false,
    }
}

/// One reference less to a single frame; the last one frees it.
///
/// # Safety
/// The caller has the reference, and does not use the frame by it any more.
pub unsafe fn release(phys: usize) {
    // SAFETY: a frame of RAM.
    let before = unsafe {
        (*info((phys / FRAME) as u32))
            .references
            .fetch_sub(1, Ordering::AcqRel)
    };
    if before == 1 {
        // SAFETY: that was the last reference.
        unsafe { free(phys, 0) };
    }
}

/// How many references a single frame has.
pub fn references(phys: usize) -> u32 {
    // SAFETY: a frame of RAM.
    unsafe {
        (*info((phys / FRAME) as u32))
            .references
            .load(Ordering::Acquire)
    }
}

/// What the owner of a block may keep in the metadata of its first frame while it has the block, under its own lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The next block's first frame in some list of the owner's.
    pub next: u32,
    /// The one before.
    pub previous: u32,
    /// The owner's own. It is the reference count of frames that are shared.
    pub value: u32,
}

/// What the owner of the block that begins at `frame` keeps there.
///
/// # Safety
/// The block is the caller's, who holds its own lock for what it keeps.
#[inline]
pub unsafe fn owner(frame: u32) -> Owner {
    // SAFETY: the frame is the caller's, so that nobody else uses its info but for `state`.
    unsafe {
        let info = info(frame);
        Owner {
            next: (*info).next,
            previous: (*info).previous,
            value: (*info).references.load(Ordering::Relaxed),
        }
    }
}

/// Sets [`Owner::next`] and [`Owner::previous`].
///
/// # Safety
/// As [`owner`].
#[inline]
pub unsafe fn set_links(frame: u32, next: u32, previous: u32) {
    // SAFETY: as in `owner`.
    unsafe {
        (*info(frame)).next = next;
        (*info(frame)).previous = previous;
    }
}

/// Sets [`Owner::value`].
///
/// # Safety
/// As [`owner`].
#[inline]
pub unsafe fn set_value(frame: u32, value: u32) {
    // SAFETY: as in `owner`.
    unsafe { (*info(frame)).references.store(value, Ordering::Relaxed) };
}

/// Makes 2^`order` frames of one block into single frames with a reference each.
///
/// # Safety
/// The block is the caller's; so are the references then.
pub unsafe fn split_block(phys: usize, order: usize) {
    let first = (phys / FRAME) as u32;
    for frame in first..first + (1 << order) {
        // SAFETY: the block is the caller's.
        unsafe {
            set_state(frame, USED);
            (*info(frame)).references.store(1, Ordering::Relaxed);
        }
    }
}

/// Free frames.
#[inline]
pub fn free_count() -> usize {
    FREE_FRAMES.load(Ordering::Relaxed)
}

/// All frames.
#[inline]
pub fn total_count() -> usize {
    TOTAL_FRAMES.load(Ordering::Relaxed)
}

/// (free, total) frames.
pub fn counts() -> (usize, usize) {
    (free_count(), total_count())
}
