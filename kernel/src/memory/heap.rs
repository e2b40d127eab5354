//! The kernel's heap.
//!
//! Small objects come from lists by size class (powers of two and their midpoints, 16 B to 2 KiB), refilled a frame at a
//! time; larger ones are blocks of frames. A lock a class. Memory of a class stays with it: the kernel's objects are
//! few kinds, and descriptors, threads and timers come and go in the same sizes. Failure is None: callers with
//! user-controlled sizes use try_reserve.
use super::{frames, phys_to_virt, virt_to_phys};
use crate::sync::SpinLock;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

const CLASSES: [usize; 14] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1360, 2048,
];

/// Frames the heap has.
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// How many frames the kernel's heap has.
pub fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

struct Heap {
    /// First free object of each class; an object's first word links to the next.
    lists: [SpinLock<usize>; CLASSES.len()],
}

#[global_allocator]
static HEAP: Heap = Heap {
    lists: [const { SpinLock::new(0) }; CLASSES.len()],
};

/// The class for a size and alignment; none for what gets frames. Objects of a class are aligned to the largest power
/// of two that divides it.
fn class(layout: &Layout) -> Option<usize> {
    let class = CLASSES
        .iter()
        .position(|&size| size >= layout.size() && size % layout.align() == 0)?;
    (layout.align() <= 256).then_some(class)
}

fn order(layout: &Layout) -> usize {
    let frames = layout.size().max(layout.align()).div_ceil(frames::FRAME);
    frames.next_power_of_two().trailing_zeros() as usize
}

// SAFETY: each object is handed out once until it is given back; sizes and alignments follow the layout.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(&layout) else {
            let order = order(&layout);
            if order > frames::MAX_ORDER {
                return core::ptr::null_mut();
            }
            return frames::alloc(order).map_or(core::ptr::null_mut(), |block| {
                FRAMES.fetch_add(1 << order, Ordering::Relaxed);
                phys_to_virt(block.phys) as *mut u8
            });
        };
        let mut first = self.lists[class].lock();
        if *first == 0 {
            let Some(block) = frames::alloc(0) else {
                return core::ptr::null_mut();
            };
            FRAMES.fetch_add(1, Ordering::Relaxed);
            let base = phys_to_virt(block.phys);
            for index in 0..frames::FRAME / CLASSES[class] {
                let object = base + index * CLASSES[class];
                // SAFETY: inside the fresh frame.
                unsafe { *(object as *mut usize) = *first };
                *first = object;
            }
        }
        let object = *first;
        // SAFETY: a free object of the list.
        *first = unsafe { *(object as *const usize) };
        object as *mut u8
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        match class(&layout) {
            Some(class) => {
                let mut first = self.lists[class].lock();
                // SAFETY: the caller gives the object back.
                unsafe { *object.cast::<usize>() = *first };
                *first = object as usize;
            }
            None => {
                FRAMES.fetch_sub(1 << order(&layout), Ordering::Relaxed);
                frames::free(virt_to_phys(object as usize), order(&layout));
            }
        }
    }
}
