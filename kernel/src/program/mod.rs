//! The program: from the bundle into memory, system calls rewritten, started.
pub mod boot;
mod sites;

pub use sites::{settle, site_before};
