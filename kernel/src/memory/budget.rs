//! Who may take the last frames.
//!
//! A few frames are kept for the kernel's own tables and heap ([`reserve`]), which cannot do without. What the program
//! would be killed for want of, or is refused a call for, leaves only those: it is "spare" ([`frames::alloc_spare`]). What
//! may be refused without harm (data in RAM files, huge pages, the next step of a heap) also leaves what the address space
//! has promised ([`promise`]) to pages that were not touched so far: it is "unpromised" ([`frames::alloc_unpromised`]).
//! A promise is a reason to say no in time, not to kill while memory is free. Pages that were promised, touched and given
//! back count for the next promise only ([`expect`]). Whoever keeps something in the kernel's heap for the program, data
//! above all, asks [`has_spare`] or [`check_spare`] first: then what cannot fail has the reserve.
use super::{frames, reclaim};
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

static PROMISED: AtomicUsize = AtomicUsize::new(0);
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// Frames that are kept for the kernel itself.
pub fn reserve() -> usize {
    (frames::total_count() / 64).clamp(64, 2048)
}

/// Keeps `pages` frames for pages that will be touched.
pub fn promise(pages: usize) {
    PROMISED.fetch_add(pages, Ordering::Relaxed);
}

/// Fewer are kept: they were given, or are not wanted any more.
pub fn fulfil(pages: usize) {
    lower(&PROMISED, pages);
}

/// Promised pages were touched and given back, and may be touched again.
pub fn expect(pages: usize) {
    EXPECTED.fetch_add(pages, Ordering::Relaxed);
}

/// Of those, so many were, or will not be.
pub fn came_back(pages: usize) {
    lower(&EXPECTED, pages);
}

fn lower(counter: &AtomicUsize, by: usize) {
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
        Some(count.saturating_sub(by))
    });
}

/// Frames that are kept for promised pages.
pub fn promised() -> usize {
    PROMISED.load(Ordering::Relaxed)
}

/// Frames that promised pages would take which were given back.
fn expected() -> usize {
    EXPECTED.load(Ordering::Relaxed)
}

/// Whether `count` frames are free beside `kept`, after what can be fetched again was given back if need be.
fn has(count: usize, kept: usize) -> bool {
    let missing = || (kept + count).saturating_sub(frames::free_count());
    match missing() {
        0 => true,
        many => reclaim::reclaim(many) > 0 && missing() == 0,
    }
}

/// Whether `count` frames are free beside the kernel's reserve.
pub fn has_spare(count: usize) -> bool {
    has(count, reserve())
}

/// The same for who holds a spin lock: nothing is given back to make it true.
pub fn are_spare_now(count: usize) -> bool {
    reserve() + count <= frames::free_count()
}

/// Whether `count` frames are free beside the reserve and what was promised.
pub fn has_unpromised(count: usize) -> bool {
    has(count, reserve() + promised())
}

/// Whether `count` frames are free beside the reserve, what was promised and what is expected again: for one more promise.
pub fn has_uncommitted(count: usize) -> bool {
    has(count, reserve() + promised() + expected())
}

/// Whether there is anything beside the kernel's reserve.
///
/// # Errors
/// ENOMEM if not.
pub fn check_spare() -> Result<(), Errno> {
    has_spare(1).then_some(()).ok_or(Errno::ENOMEM)
}

/// Whether there is anything beside the reserve and what was promised.
///
/// # Errors
/// ENOMEM if not.
pub fn check_unpromised() -> Result<(), Errno> {
    has_unpromised(1).then_some(()).ok_or(Errno::ENOMEM)
}
