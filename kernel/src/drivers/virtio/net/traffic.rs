//! How much went one way.
use core::sync::atomic::{AtomicU64, Ordering};

/// Frames and bytes one way.
#[derive(Default)]
pub struct Traffic {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// A frame of so many bytes.
    pub(super) fn count(&self, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Frames, bytes.
    pub fn so_far(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.frames), load(&self.bytes))
    }
}
