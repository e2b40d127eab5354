//! Work that the host does for threads of ours, on CPUs that ours may be running on: while some of it is waited for, an idle
//! CPU halts rather than poll. (A round trip for a file's name takes four host threads; beside two CPUs that poll, on a
//! host of two, it took several times as long.)
use core::sync::atomic::{AtomicUsize, Ordering};

static WORKS: AtomicUsize = AtomicUsize::new(0);

/// The host works for the calling thread as long as this lives.
pub struct HostWorks(());

impl HostWorks {
    /// From now on.
    pub fn new() -> Self {
        WORKS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for HostWorks {
    fn drop(&mut self) {
        WORKS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the host works for somebody.
#[inline]
pub fn works() -> bool {
    WORKS.load(Ordering::Relaxed) != 0
}
