//! The program's memory: the test's own atomics, by address.
pub mod user {
    use core::sync::atomic::{AtomicU32, Ordering};
    use ringo_abi::Errno;

    fn word(address: usize) -> &'static AtomicU32 {
        // SAFETY: tests pass addresses of words that outlive their threads.
        unsafe { &*(address as *const AtomicU32) }
    }

    pub fn read_u32_no_fault(address: usize) -> Option<u32> {
        Some(word(address).load(Ordering::Relaxed))
    }

    pub fn read<T: From<u32>>(address: usize) -> Result<T, Errno> {
        Ok(word(address).load(Ordering::Relaxed).into())
    }
}

pub mod stack {
    use ringo_abi::Errno;

    pub struct KernelStack;

    impl KernelStack {
        pub fn alloc() -> Result<Self, Errno> {
            Ok(Self)
        }

        pub fn top(&self) -> usize {
            0
        }
    }
}

#[path = "../../../../kernel/src/memory/spare.rs"]
pub mod spare;

/// There are always enough.
pub mod frames {
    pub const FRAME: usize = 4096;

    pub fn has_spare(_count: usize) -> bool {
        true
    }

    pub fn check_spare() -> Result<(), ringo_abi::Errno> {
        Ok(())
    }
}
