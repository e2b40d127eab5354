//! Room in the kernel's collections that a program can make long: refused while only the kernel's reserve is left.
//!
//! What a call of the program (or a packet) adds to a list asks for its place first, by [`Spare::spare`]; `push` then
//! cannot fail, which it would do by a panic. Costs nothing while the capacity lasts.
use super::frames::{self, FRAME};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// See the module's head.
pub trait Spare {
    /// Makes room for `more` elements.
    ///
    /// # Errors
    /// ENOMEM.
    fn spare(&mut self, more: usize) -> Result<(), Errno>;
}

/// Whether there are frames for a list of `length` elements of `size` bytes that grows by `more`, which at least doubles it.
fn check(length: usize, more: usize, size: usize) -> Result<(), Errno> {
    let wanted = length.checked_add(more).ok_or(Errno::ENOMEM)?;
    let bytes = wanted.max(2 * length).saturating_mul(size);
    if frames::has_spare(bytes.div_ceil(FRAME)) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// The two collections have the same methods, but share no trait that has them.
macro_rules! spare {
    ($collection:ident) => {
        impl<T> Spare for $collection<T> {
            #[inline]
            fn spare(&mut self, more: usize) -> Result<(), Errno> {
                if self.capacity() - self.len() >= more {
                    return Ok(());
                }
                check(self.len(), more, size_of::<T>())?;
                self.try_reserve(more).map_err(|_| Errno::ENOMEM)
            }
        }
    };
}

spare!(Vec);
spare!(VecDeque);
