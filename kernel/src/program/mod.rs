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

use crate::memory::paging::PAGE;

/// Where brk(2) begins: behind the program's data, and behind the stubs of its system calls, which lie there unless the
/// address space ends.
pub fn first_break() -> usize {
    let data = loaded().map_or(0, |loaded| loaded.data.1.next_multiple_of(PAGE));
    data.max(sites::end())
}
