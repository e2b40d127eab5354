//! The program: from the bundle into memory, system calls rewritten, started.
//!
//! - boot.rs: what the hypervisor handed over, and the last steps of booting. file.rs: the executable as a mappable file.
//! - load.rs: segments, relocations. sites.rs: the rewritten system calls. stack.rs: arguments, environment, auxv.
//! - host.rs: what the command asks for while the program runs. stats.rs: the figures it is told at the end.
//!
//! All of it runs once, on the first CPU, before the program; afterwards only the site table is read, without locks.
pub mod boot;
mod file;
pub mod host;
mod load;
mod sites;
mod stack;
pub mod stats;

pub use load::{bias, loaded};
pub use sites::{counts as site_counts, in_call, settle, site_before};
pub use stack::layout;
