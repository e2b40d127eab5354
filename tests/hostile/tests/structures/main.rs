//! Structures of the kernel that need no machine, against models too simple to be wrong.
//!
//! The files named by `#[path]` are the kernel's own: the frame allocator and the small objects of the heap over pieces of
//! the test's memory, the ranges of record locks, and the measuring of clocks and what
//! makes them follow, and queues of devices. The steps are the same in every run.
#![allow(dead_code, unused_imports)] // Parts of the kernel's files that no model calls.
#![allow(clippy::duplicate_mod, clippy::module_inception)] // The kernel's paths, made from files that models share.

extern crate alloc;

/// The kernel's log goes nowhere.
macro_rules! klog {
    ($($part:tt)*) => {
        let _ = format_args!($($part)*);
    };
}
pub(crate) use klog;

mod calibrate;
mod follow;
mod frames;
mod locks;
mod memory;
#[path = "../../../../kernel/src/fs/ranges.rs"]
mod ranges;
mod slabs;
mod sync;
mod virtio;

/// Numbers that look arbitrary (xorshift64*).
pub struct Steps(u64);

impl Steps {
    /// The same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// One below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        high as usize % limit
    }
}
