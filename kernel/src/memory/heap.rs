//! The kernel's heap.
//!
//! Objects up to 2 KiB come from slabs (slabs.rs), larger ones are blocks of contiguous frames; what is larger than such
//! a block can be (2 MiB), or finds no contiguous memory, is mapped page by page (mapped.rs). All goes back to the frames
//! when it is freed. Failure is None, which ends the kernel unless the caller asked with try_reserve: whoever keeps
//! something for each thing that the program makes asks first, so that the reserve (frames.rs) is left for those who can't.
use super::{frames, mapped, phys_to_virt, slabs, virt_to_phys};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Frames of contiguous blocks.
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// How many frames the kernel's heap has.
pub fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed) + slabs::frames() + mapped::frames()
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

fn order(layout: &Layout) -> usize {
    let frames = layout.size().max(layout.align()).div_ceil(frames::FRAME);
    frames.next_power_of_two().trailing_zeros() as usize
}

/// Contiguous frames, which suit any alignment up to their size.
fn contiguous(layout: &Layout) -> Option<usize> {
    let order = order(layout);
    if order > frames::MAX_ORDER {
        return None;
    }
    let block = frames::alloc(order)?;
    FRAMES.fetch_add(1 << order, Ordering::Relaxed);
    Some(phys_to_virt(block.phys))
}

/// Pages one by one.
fn mapped(layout: &Layout) -> Option<usize> {
    let bytes = layout.size();
    (bytes > frames::FRAME && layout.align() <= frames::FRAME).then(|| mapped::alloc(bytes))?
}

// SAFETY: each object is handed out once until it is given back; sizes and alignments follow the layout.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let object = match slabs::class(&layout) {
            Some(class) => slabs::alloc(class),
            None => contiguous(&layout).or_else(|| mapped(&layout)),
        };
        object.map_or(null_mut(), |object| object as *mut u8)
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        let object = object as usize;
        match slabs::class(&layout) {
            // SAFETY: it came from there, as the layout tells; the caller gives it back.
            Some(class) => unsafe { slabs::free(class, object) },
            // SAFETY: the same, as the address tells.
            None if mapped::is_mapped(object) => unsafe { mapped::free(object, layout.size()) },
            None => {
                let order = order(&layout);
                FRAMES.fetch_sub(1 << order, Ordering::Relaxed);
                // SAFETY: the same.
                unsafe { frames::free(virt_to_phys(object), order) };
            }
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: `new_size` is not 0 and does not overflow with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let stays = match (slabs::class(&layout), slabs::class(&new)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => !mapped::is_mapped(object as usize) && order(&layout) == order(&new),
            _ => false,
        };
        if stays {
            return object;
        }
        // SAFETY: two objects of their own, as long as is copied; the caller gives the old one back.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                let length = layout.size().min(new_size);
                core::ptr::copy_nonoverlapping(object, moved, length);
                self.dealloc(object, layout);
            }
            moved
        }
    }
}
