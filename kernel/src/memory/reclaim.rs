//! Memory that is only kept because it might be used again: given back when frames are short.
//!
//! Whoever keeps such memory registers a function (fs/cache.rs); whoever would fail for want of frames asks first. The
//! function takes no lock that may be held by a caller: it tries, and leaves out what is busy. Nor does it drop anything
//! whose drop may take one, send or allocate.
use spin::Once;

static KEEPER: Once<fn(usize) -> usize> = Once::new();

/// Names the function that gives back as many frames as asked for, or what it can; it says how many.
pub fn register(keeper: fn(usize) -> usize) {
    KEEPER.call_once(|| keeper);
}

/// Asks for `count` frames; gives how many became free. Callable under spin locks.
pub fn reclaim(count: usize) -> usize {
    KEEPER.get().map_or(0, |keeper| keeper(count))
}
