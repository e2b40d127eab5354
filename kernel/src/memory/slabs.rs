//! Small objects of the kernel's heap: frames cut into objects of one size each.
//!
//! Sizes are powers of two and some between, 16 B to 2 KiB. A frame with a free object is on its class's list; its first free
//! object, how many are used, and the links of the list stand in the frame's own metadata (frames.rs), the next free
//! object in a free object's first bytes. So giving an object back is O(1), and a frame whose objects are all free goes
//! back to the others at once, but for one a class, which the next object would want again. A lock a class, then the
//! frames' (leaves). After Bonwick, "The Slab Allocator", 1994, and Linux mm/slub.c.
use super::frames::{self, FRAME, NO_FRAME, Owner};
use super::{phys_to_virt, virt_to_phys};
use crate::sync::SpinLock;
use core::alloc::Layout;
use core::sync::atomic::{AtomicUsize, Ordering};

const SIZES: [u16; 14] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1360, 2048,
];
/// The largest object.
const LARGEST: usize = 2048;
/// The strictest alignment.
const ALIGNMENT: usize = 256;
/// Sizes differ by multiples of this.
const UNIT: usize = 16;
/// The class for a size in units, rounded up.
const CLASS_OF: [u8; LARGEST / UNIT + 1] = classes();
/// No free object: none begins there.
const FULL: u16 = u16::MAX;

/// Frames that slabs have.
static FRAMES: AtomicUsize = AtomicUsize::new(0);
static SLABS: [SpinLock<Slabs>; SIZES.len()] = [const { SpinLock::new(Slabs::new()) }; SIZES.len()];

const fn classes() -> [u8; LARGEST / UNIT + 1] {
    let mut table = [0; LARGEST / UNIT + 1];
    let (mut class, mut units) = (0, 0);
    while units < table.len() {
        if units * UNIT > SIZES[class] as usize {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
}

/// How many frames small objects take.
pub fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

/// The class for a size and alignment; none for what does not come from slabs. Objects of a class are aligned to the
/// largest power of two that divides its size.
#[inline]
pub fn class(layout: &Layout) -> Option<usize> {
    let align = layout.align();
    let mut class = usize::from(*CLASS_OF.get(layout.size().div_ceil(UNIT))?);
    if align > UNIT {
        if align > ALIGNMENT {
            return None;
        }
        while !usize::from(*SIZES.get(class)?).is_multiple_of(align) {
            class += 1;
        }
    }
    Some(class)
}

/// An object of a class; None when frames are short.
pub fn alloc(class: usize) -> Option<usize> {
    SLABS[class].lock().alloc(usize::from(SIZES[class]))
}

/// Gives an object back.
///
/// # Safety
/// It came from [`alloc`] with this class, and nobody uses it.
pub unsafe fn free(class: usize, object: usize) {
    SLABS[class].lock().free(object);
}

/// What a frame of ours keeps.
fn owner(frame: u32) -> Owner {
    // SAFETY: frames in our lists, and those that hold our objects, are ours; their class's lock is held.
    unsafe { frames::owner(frame) }
}

fn set_links(frame: u32, next: u32, previous: u32) {
    // SAFETY: as in `owner`.
    unsafe { frames::set_links(frame, next, previous) };
}

fn set_value(frame: u32, value: u32) {
    // SAFETY: as in `owner`.
    unsafe { frames::set_value(frame, value) };
}

/// The frames of one class that have free objects.
struct Slabs {
    /// The first of them.
    first: u32,
    /// How many are not used at all: 0 or 1.
    unused: usize,
}

/// What a slab keeps in its frame's metadata.
#[derive(Clone, Copy)]
struct Slab {
    /// Objects in use.
    used: u16,
    /// Where in the frame the first free one is.
    free: u16,
}

impl Slab {
    fn of(owner: &Owner) -> Self {
        Self {
            used: (owner.value >> 16) as u16,
            free: owner.value as u16,
        }
    }

    fn value(self) -> u32 {
        u32::from(self.used) << 16 | u32::from(self.free)
    }
}

impl Slabs {
    const fn new() -> Self {
        Self {
            first: NO_FRAME,
            unused: 0,
        }
    }

    fn alloc(&mut self, size: usize) -> Option<usize> {
        if self.first == NO_FRAME {
            self.add_frame(size)?;
        }
        let frame = self.first;
        let owner = owner(frame);
        let mut slab = Slab::of(&owner);
        let object = phys_to_virt(frame as usize * FRAME) + usize::from(slab.free);
        if slab.used == 0 {
            self.unused -= 1;
        }
        slab.used += 1;
        // SAFETY: a free object of a frame of ours.
        slab.free = unsafe { *(object as *const u16) };
        if slab.free == FULL {
            self.unlink(&owner);
        }
        set_value(frame, slab.value());
        Some(object)
    }

    fn free(&mut self, object: usize) {
        let frame = (virt_to_phys(object) / FRAME) as u32;
        let owner = owner(frame);
        let mut slab = Slab::of(&owner);
        let was_full = slab.free == FULL;
        // SAFETY: the object is the caller's, who gives it back.
        unsafe { *(object as *mut u16) = slab.free };
        slab.free = (object % FRAME) as u16;
        slab.used -= 1;
        if slab.used == 0 && self.unused > 0 {
            if !was_full {
                self.unlink(&owner);
            }
            FRAMES.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: a frame of ours, with no object in use and in no list any more.
            unsafe { frames::free(frame as usize * FRAME, 0) };
            return;
        }
        set_value(frame, slab.value());
        self.unused += usize::from(slab.used == 0);
        if was_full {
            self.link(frame);
        }
    }

    /// A fresh frame, cut into free objects.
    #[cold]
    fn add_frame(&mut self, size: usize) -> Option<()> {
        let block = frames::alloc(0)?;
        FRAMES.fetch_add(1, Ordering::Relaxed);
        let base = phys_to_virt(block.phys);
        let mut free = FULL;
        for index in (0..FRAME / size).rev() {
            // SAFETY: inside the fresh frame.
            unsafe { *((base + index * size) as *mut u16) = free };
            free = (index * size) as u16;
        }
        let frame = (block.phys / FRAME) as u32;
        set_value(frame, Slab { used: 0, free }.value());
        self.unused += 1;
        self.link(frame);
        Some(())
    }

    fn link(&mut self, frame: u32) {
        set_links(frame, self.first, NO_FRAME);
        if self.first != NO_FRAME {
            let next = owner(self.first).next;
            set_links(self.first, next, frame);
        }
        self.first = frame;
    }

    /// Takes the frame with these links out of the list.
    fn unlink(&mut self, gone: &Owner) {
        if gone.previous == NO_FRAME {
            self.first = gone.next;
        } else {
            let before = owner(gone.previous).previous;
            set_links(gone.previous, gone.next, before);
        }
        if gone.next != NO_FRAME {
            let after = owner(gone.next).next;
            set_links(gone.next, after, gone.previous);
        }
    }
}
