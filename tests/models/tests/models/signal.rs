//! The steps of the kernel's signals (task/signal), each a bit: masks, what is pending, who is told.
#[path = "../../../../kernel/src/task/signal/notify.rs"]
mod notify;

use super::{Thread, process, set_pending};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub type SignalSet = u64;

/// Signals that are sets of bits: one that is sent twice is pending once.
pub struct Pending(AtomicU64);

impl Pending {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn set(&self) -> SignalSet {
        self.0.load(Ordering::SeqCst)
    }

    fn push(&self, set: SignalSet) {
        self.0.fetch_or(set, Ordering::SeqCst);
    }

    fn take(&self, wanted: SignalSet) -> SignalSet {
        self.0.fetch_and(!wanted, Ordering::SeqCst) & wanted
    }
}

pub struct ProcessSignals {
    pub pending: Pending,
}

impl ProcessSignals {
    pub const fn new() -> Self {
        Self {
            pending: Pending::new(),
        }
    }

    pub fn reset(&self) {
        self.pending.take(SignalSet::MAX);
    }
}

/// The steps of the kernel's (signal/mod.rs).
pub struct ThreadSignals {
    pub pending: Pending,
    mask: AtomicU64,
    interruptible: AtomicBool,
}

impl ThreadSignals {
    pub const fn new() -> Self {
        Self {
            pending: Pending::new(),
            mask: AtomicU64::new(0),
            interruptible: AtomicBool::new(false),
        }
    }

    pub fn reset(&self) {
        self.pending.take(SignalSet::MAX);
        self.mask.store(0, Ordering::SeqCst);
        self.interruptible.store(false, Ordering::SeqCst);
    }

    pub fn mask(&self) -> SignalSet {
        self.mask.load(Ordering::SeqCst)
    }

    pub fn set_mask(&self, mask: SignalSet) {
        let old = self.mask.swap(mask, Ordering::SeqCst);
        self.deliverable();
        let handed_on = process().signals.pending.set() & mask & !old;
        if handed_on != 0 {
            notify::announce(handed_on);
        }
    }

    /// A handler runs for each: deliver.rs.
    pub fn take(&self) -> SignalSet {
        let wanted = !self.mask();
        self.pending.take(wanted) | process().signals.pending.take(wanted)
    }

    pub fn deliverable(&self) -> bool {
        let any = (self.pending.set() | process().signals.pending.set()) & !self.mask() != 0;
        if any {
            set_pending();
        }
        any
    }

    pub fn hand_on(&self) {
        let mine = process().signals.pending.set() & !self.mask();
        if mine != 0 {
            notify::announce(mine);
        }
    }

    pub fn set_interruptible(&self, on: bool) {
        self.interruptible.store(on, Ordering::SeqCst);
    }

    pub fn interruptible(&self) -> bool {
        self.interruptible.load(Ordering::SeqCst)
    }
}

/// tgkill(2), as signal/send.rs has it.
pub fn send(thread: &'static Thread) {
    thread.signals.pending.push(1);
    if thread.signals.mask() & 1 == 0 {
        notify::notify(thread);
    }
}

/// kill(2).
pub fn send_process() {
    process().signals.pending.push(1);
    notify::announce(1);
}

/// A thread has ended: clone.rs.
pub fn thread_ends() {
    let pending = process().signals.pending.set();
    if pending != 0 {
        notify::announce(pending);
    }
}
