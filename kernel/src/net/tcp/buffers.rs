//! Memory for the rings of connections to other machines.
//!
//! A ring is as large as the window it can offer. The first connections get [`LARGEST`]; as what an eighth of memory allows
//! runs out, new ones get less, down to [`SMALLEST`], so that ten thousand idle ones fit where a few may be fast. Rings are
//! given back when the connection is over (in TIME_WAIT it has none).
//!
//! What is sent to somebody far away stays in its ring for long: it may be larger, as large as what [`RATE`] fills in a round
//! trip, which is known when somebody else has opened the connection. The other ring's size is told before that.
use crate::memory::frames;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

const LARGEST: usize = 64 << 10;
const SMALLEST: usize = 4 << 10;
/// A new ring gets at most this part of what is left.
const SHARE: usize = 256;
/// One for what is sent far away, at most, and at most this part of what is left.
const FAR: usize = 1 << 20;
const FAR_SHARE: usize = 64;
/// Bytes in a ms.
const RATE: usize = 16 << 10;

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

/// The size of a ring for what is sent, beside one of this size, to somebody a round trip of so many ns away.
pub fn size_to_send(size: usize, round_trip: u64) -> usize {
    let filled = usize::try_from(round_trip / 1_000_000)
        .unwrap_or(FAR)
        .min(FAR / RATE)
        * RATE;
    round(filled.min(left() / FAR_SHARE).max(size))
}

/// How far the window of such a ring is shifted: as smoltcp has it.
pub const fn shift(size: usize) -> u8 {
    (usize::BITS - size.leading_zeros()).saturating_sub(16) as u8
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
