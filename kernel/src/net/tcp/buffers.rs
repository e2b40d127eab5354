//! Memory for the rings of connections to other machines.
//!
//! A ring is as large as the window it can offer. The first connections get [`LARGEST`]; as what an eighth of memory allows
//! runs out, new ones get less, down to [`SMALLEST`], so that ten thousand idle ones fit where a few may be fast. Rings are
//! given back when the connection is over (in TIME_WAIT it has none).
//!
//! What is on its way to or from somebody far away is more: both rings may be larger, as large as what [`RATE`] fills in a
//! round trip. That is known when the connection is open, and they are made then; but how windows are shifted is told
//! before, so that is always [`SCALE`], and smoltcp's, which follows from a ring's size, becomes that on the way out
//! (ringo_net::packet::rescale).
use crate::memory::frames;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

const LARGEST: usize = 64 << 10;
const SMALLEST: usize = 4 << 10;
/// A new ring gets at most this part of what is left.
const SHARE: usize = 256;
/// One for somebody far away, at most, and at most this part of what is left.
const FAR: usize = 1 << 20;
const FAR_SHARE: usize = 32;
/// Bytes in a ms.
const RATE: usize = 32 << 10;
/// How far windows are shifted in segments.
pub const SCALE: u8 = shift(FAR);

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What all rings may take besides what they do.
fn left() -> usize {
    let budget = frames::counts().1 * frames::FRAME / 8;
    budget.saturating_sub(TAKEN.load(Ordering::Relaxed))
}

/// The largest power of two in a size.
const fn round(size: usize) -> usize {
    1 << size.ilog2()
}

/// The size of the next ring.
pub fn size() -> usize {
    round((left() / SHARE).clamp(SMALLEST, LARGEST))
}

/// The size of a ring for somebody a round trip of so many ns away, where one of this size would do for a neighbour.
pub fn size_for(size: usize, round_trip: u64) -> usize {
    let filled = usize::try_from(round_trip / 1_000_000)
        .unwrap_or(FAR)
        .min(FAR / RATE)
        * RATE;
    round(filled.min(left() / FAR_SHARE).max(size))
}

/// How far the window of such a ring is shifted: as smoltcp has it.
const fn shift(size: usize) -> u8 {
    (usize::BITS - size.leading_zeros()).saturating_sub(16) as u8
}

/// How much farther windows are shifted in segments than smoltcp shifts those of such a ring.
pub const fn rescale(size: usize) -> u8 {
    SCALE - shift(size)
}

/// A new ring.
///
/// # Errors
/// ENOBUFS.
pub fn ring(size: usize) -> Result<Vec<u8>, Errno> {
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
