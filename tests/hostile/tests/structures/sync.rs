//! The kernel's spin lock.
#[path = "../../../../kernel/src/sync/spin.rs"]
mod spin;

pub use spin::SpinLock;
