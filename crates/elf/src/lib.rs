//! Go executables: what the loader must know of the ELF file, and the rewriting of its system calls.
//!
//! - image.rs: headers, checked once; bad input gives an [`ElfError`] whose text tells the user what to do.
//! - sites.rs: where the `syscall` instructions are. stubs.rs: the code they are replaced by.
//!
//! No hardware, no unsafe: the kernel and `ringo doctor` share it, fuzzers run it on the host. All arithmetic on values
//! from the file is checked; nothing here panics on any input.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod image;
mod sites;
mod stubs;

pub use image::{ElfError, Image, ImageKind, Segment};
pub use sites::{Site, scan};
pub use stubs::{PATCH_MAX, STUB_SIZE, SiteTable};
