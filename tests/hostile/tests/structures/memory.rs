//! Physical memory that is a piece of the test's own.
use std::alloc::{Layout, alloc_zeroed};
use std::sync::LazyLock;

#[path = "../../../../kernel/src/memory/budget.rs"]
pub mod budget;
#[path = "../../../../kernel/src/memory/frames.rs"]
pub mod frames;

/// Nothing is kept that could be given back.
pub mod reclaim {
    pub fn reclaim(_count: usize) -> usize {
        0
    }
}

/// Bytes of it.
pub const SIZE: usize = 24 << 20;

static START: LazyLock<usize> = LazyLock::new(|| {
    let layout = Layout::from_size_align(SIZE, frames::FRAME).expect("a layout");
    // SAFETY: its size is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    assert!(!start.is_null());
    start as usize
});

pub fn phys_to_virt(phys: usize) -> usize {
    // What is far above is some test's own, at its own address.
    if phys > 1 << 32 {
        return phys;
    }
    assert!(phys < SIZE);
    *START + phys
}

/// The bytes of frames that the caller has.
pub fn words(phys: usize, bytes: usize) -> &'static mut [u64] {
    assert!(phys + bytes <= SIZE);
    // SAFETY: inside of the allocation, aligned, and the caller's alone.
    unsafe { std::slice::from_raw_parts_mut(phys_to_virt(phys) as *mut u64, bytes / 8) }
}
