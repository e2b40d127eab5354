//! Room in the kernel's collections that a program can make long: refused while only the kernel's reserve is left.
//!
//! What a call of the program (or a packet) adds to a list asks for its place first, by [`Spare::spare`]; `push` then
//! cannot fail, which it would do by a panic. Costs nothing while the capacity lasts. What a call needs while it runs it
//! takes by [`list`] and [`zeros`]. tools/rules.sh looks for system calls that do neither.
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

/// An empty list with room for exactly `count` elements.
///
/// # Errors
/// ENOMEM.
pub fn list<T>(count: usize) -> Result<Vec<T>, Errno> {
    check_bytes(count.saturating_mul(size_of::<T>()))?;
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    Ok(list)
}

/// So many zeros, to be filled.
///
/// # Errors
/// ENOMEM.
pub fn zeros(count: usize) -> Result<Vec<u8>, Errno> {
    let mut zeros = list(count)?;
    zeros.resize(count, 0);
    Ok(zeros)
}

/// Whether there are frames for an object of so many bytes. Those below a page come and go with their call.
///
/// # Errors
/// ENOMEM.
#[inline]
pub fn check_bytes(bytes: usize) -> Result<(), Errno> {
    if bytes < FRAME || frames::has_spare(bytes.div_ceil(FRAME)) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
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
