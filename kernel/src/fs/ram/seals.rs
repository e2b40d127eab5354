//! Seals of memory files (fcntl(2), F_ADD_SEALS): what may no longer be done to the contents, whoever asks.
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// All there are.
pub const KNOWN: u32 = abi::F_SEAL_SEAL
    | abi::F_SEAL_SHRINK
    | abi::F_SEAL_GROW
    | abi::F_SEAL_WRITE
    | abi::F_SEAL_FUTURE_WRITE
    | abi::F_SEAL_EXEC;
/// Those that forbid writing.
pub const WRITES: u32 = abi::F_SEAL_WRITE | abi::F_SEAL_FUTURE_WRITE;

/// The seals of one file. Changed and tested under the lock of the file's writers.
pub struct Seals(AtomicU32);

impl Seals {
    /// Of a file that cannot be sealed.
    pub const fn none() -> Self {
        Self(AtomicU32::new(abi::F_SEAL_SEAL))
    }

    /// F_GET_SEALS.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Starts anew with these.
    pub fn set(&self, seals: u32) {
        self.0.store(seals, Ordering::Relaxed);
    }

    /// F_ADD_SEALS.
    ///
    /// # Errors
    /// EPERM when no more may be added.
    pub fn add(&self, seals: u32) -> Result<(), Errno> {
        self.forbid(abi::F_SEAL_SEAL)?;
        self.0.fetch_or(seals, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses what any of `seals` forbids.
    ///
    /// # Errors
    /// EPERM.
    #[inline]
    pub fn forbid(&self, seals: u32) -> Result<(), Errno> {
        if self.get() & seals == 0 {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}
