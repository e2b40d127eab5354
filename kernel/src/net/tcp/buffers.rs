//! Memory for the rings of connections to other machines, and how many of these are half open.
//!
//! A ring is as large as the window it can offer. The first connections get [`LARGEST`]; as what an eighth of memory allows
//! runs out, new ones get less, down to [`SMALLEST`], so that ten thousand idle ones fit where a few may be fast. Rings are
//! given back when the connection is over (in TIME_WAIT it has none).
use crate::memory::frames;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

const LARGEST: usize = 64 << 10;
const SMALLEST: usize = 4 << 10;
/// A new ring gets at most this part of what is left.
const SHARE: usize = 256;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static OPENING: AtomicUsize = AtomicUsize::new(0);

/// The size of the next ring.
fn size() -> usize {
    let budget = frames::counts().1 * frames::FRAME / 8;
    let left = budget.saturating_sub(TAKEN.load(Ordering::Relaxed));
    let share = (left / SHARE).clamp(SMALLEST, LARGEST);
    // The largest power of two in it.
    1 << share.ilog2()
}

/// A new ring.
///
/// # Errors
/// ENOBUFS.
pub fn ring() -> Result<Vec<u8>, Errno> {
    let size = size();
    if !frames::has_spare(size.div_ceil(frames::FRAME)) {
        return Err(Errno::ENOBUFS);
    }
    let mut ring = Vec::new();
    ring.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
    ring.resize(size, 0);
    TAKEN.fetch_add(size, Ordering::Relaxed);
    Ok(ring)
}

/// Rings of so many bytes were given back.
pub fn gone(bytes: usize) {
    TAKEN.fetch_sub(bytes, Ordering::Relaxed);
}

/// Connections from outside that are half open.
pub fn opening() -> usize {
    OPENING.load(Ordering::Relaxed)
}

/// One more of them.
pub fn opening_begins() {
    OPENING.fetch_add(1, Ordering::Relaxed);
}

/// One less.
pub fn opening_ends() {
    OPENING.fetch_sub(1, Ordering::Relaxed);
}
