//! The kernel's spin lock.
#[path = "../../../../kernel/src/sync/contention.rs"]
pub mod contention;
#[path = "../../../../kernel/src/sync/spin.rs"]
mod spin;

pub use spin::SpinLock;
