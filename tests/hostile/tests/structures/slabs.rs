//! Small objects of the kernel's heap against a list of what is in use, over frames of their own; and what the frame
//! allocator does at the end of memory.
use crate::Steps;
use std::alloc::{Layout, alloc_zeroed};
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[path = "../../../../kernel/src/memory/budget.rs"]
pub mod budget;
#[path = "../../../../kernel/src/memory/frames.rs"]
mod frames;
pub use crate::memory::reclaim;
#[path = "../../../../kernel/src/memory/slabs.rs"]
mod slabs;

/// Bytes of memory: an odd number of MiB, so that the last block has no neighbour.
const SIZE: usize = 9 << 20;
/// Where free memory begins: the frames' notes, then the rest.
const FIRST: usize = 0x10_0000;

static START: LazyLock<usize> = LazyLock::new(|| {
    let layout = Layout::from_size_align(SIZE, frames::FRAME).expect("a layout");
    // SAFETY: its size is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    assert!(!start.is_null());
    start as usize
});

fn phys_to_virt(phys: usize) -> usize {
    assert!(phys < SIZE);
    *START + phys
}

fn virt_to_phys(virt: usize) -> usize {
    virt - *START
}

/// Fills an object with its own address, which whoever has it too would spoil.
fn mark(object: usize, size: usize) {
    for at in (object..object + size / 8 * 8).step_by(8) {
        // SAFETY: the object is ours, and this large.
        unsafe { *(at as *mut usize) = object };
    }
}

fn check(object: usize, size: usize) {
    for at in (object..object + size / 8 * 8).step_by(8) {
        // SAFETY: as in `mark`.
        assert_eq!(unsafe { *(at as *const usize) }, object);
    }
}

/// A block at the end of memory whose buddy would lie behind it: what stands behind the notes must not be taken for one's.
fn give_back_the_last_block() {
    let notes = (SIZE / frames::FRAME * 16).next_multiple_of(frames::FRAME);
    let behind = frames::alloc(0).expect("a frame");
    assert_eq!(
        behind.phys,
        FIRST + notes,
        "the first frame behind the notes"
    );
    for at in (0..frames::FRAME).step_by(4) {
        // SAFETY: our frame. The pattern says "free, of order 8".
        unsafe { *((phys_to_virt(behind.phys) + at) as *mut u32) = 0x108 };
    }
    let order = 8;
    let blocks: Vec<usize> = std::iter::from_fn(|| frames::alloc(order))
        .map(|block| block.phys)
        .collect();
    assert!(blocks.contains(&(SIZE - (frames::FRAME << order))));
    for phys in blocks {
        // SAFETY: a block that was given and is not used.
        unsafe { frames::free(phys, order) };
    }
    // SAFETY: the same.
    unsafe { frames::free(behind.phys, 0) };
}

#[test]
fn objects_are_given_once_and_their_frames_come_back() {
    frames::init(&[(FIRST, SIZE)], SIZE, 0);
    let (all, _) = frames::counts();
    give_back_the_last_block();
    assert_eq!(frames::counts().0, all);

    let mut steps = Steps::new(7);
    let mut used: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut most = 0;
    for round in 0..60_000 {
        // Waves: mostly taken, then mostly given back.
        let take = steps.below(100) < if round / 10_000 % 2 == 0 { 65 } else { 35 };
        if take || used.is_empty() {
            let most_bytes = [32, 200, 2048][steps.below(3)];
            let size = 1 + steps.below(most_bytes);
            let align = 1 << steps.below(9);
            let layout = Layout::from_size_align(size, align).expect("a layout");
            let Some(class) = slabs::class(&layout) else {
                assert!(size > 1024, "{layout:?} has no class");
                continue;
            };
            let Some(object) = slabs::alloc(class) else {
                assert_eq!(frames::counts().0, 0, "refused while frames are free");
                continue;
            };
            assert!(object.is_multiple_of(align), "{layout:?} at {object:#x}");
            let before = used.range(..object + size).next_back();
            assert!(before.is_none_or(|(&at, &(_, size))| at + size <= object));
            mark(object, size);
            used.insert(object, (class, size));
            most = most.max(used.len());
        } else {
            let from = *START + steps.below(SIZE);
            let next = used.range(from..).next().or_else(|| used.iter().next());
            let Some((&object, &(class, size))) = next else {
                continue;
            };
            check(object, size);
            used.remove(&object);
            // SAFETY: it came from `alloc` with this class, and is in no list any more.
            unsafe { slabs::free(class, object) };
        }
    }
    assert!(most > 2000, "too few at once to mean anything: {most}");
    for (object, (class, size)) in used {
        check(object, size);
        // SAFETY: as above.
        unsafe { slabs::free(class, object) };
    }
    // One unused frame a class may stay.
    assert_eq!(all - frames::counts().0, slabs::frames());
    assert!(slabs::frames() <= 14, "{} frames stay", slabs::frames());
}
