//! Memory that a device may touch: [`DmaBuffer`], a block of frames with one owner.
//!
//! While a device may write to it the buffer is in a queue's hands (queue.rs), so nobody holds a reference to bytes that
//! change on their own.
use crate::memory::page::Page;
use crate::memory::{frames, phys_to_virt};
use ringo_abi::Errno;

/// 2^order frames, physically contiguous.
pub struct DmaBuffer {
    phys: usize,
    order: usize,
}

impl DmaBuffer {
    /// At least `bytes` bytes, at most 2 MiB, zeroed.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn zeroed(bytes: usize) -> Result<Self, Errno> {
        let order = Self::order(bytes)?;
        let phys = frames::alloc_zeroed(order).ok_or(Errno::ENOMEM)?;
        Ok(Self { phys, order })
    }

    /// As [`DmaBuffer::zeroed`], with what the frames held before.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn stale(bytes: usize) -> Result<Self, Errno> {
        let order = Self::order(bytes)?;
        let phys = frames::alloc(order).ok_or(Errno::ENOMEM)?.phys;
        Ok(Self { phys, order })
    }

    /// As [`DmaBuffer::stale`], but leaves the kernel's reserve alone: for data that the program asked for.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn spare(bytes: usize) -> Result<Self, Errno> {
        let order = Self::order(bytes)?;
        let phys = frames::alloc_spare(order).ok_or(Errno::ENOMEM)?.phys;
        Ok(Self { phys, order })
    }

    fn order(bytes: usize) -> Result<usize, Errno> {
        let frames = bytes.div_ceil(frames::FRAME).max(1);
        let order = frames.next_power_of_two().trailing_zeros() as usize;
        if order > frames::MAX_ORDER {
            return Err(Errno::ENOMEM);
        }
        Ok(order)
    }

    /// Its frames, one by one.
    pub fn into_pages(self) -> impl Iterator<Item = Page> {
        let (phys, order) = (self.phys, self.order);
        core::mem::forget(self);
        // SAFETY: a block of our own, given away here.
        unsafe { Page::split(phys, order) }
    }

    /// Where the device finds it.
    #[inline]
    pub fn phys(&self) -> usize {
        self.phys
    }

    /// Its size in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        frames::FRAME << self.order
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: frames of our own in the direct map; no device writes to them while we are not in a queue.
        unsafe { core::slice::from_raw_parts(phys_to_virt(self.phys) as *const u8, self.len()) }
    }

    /// Its bytes, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is exclusive.
        unsafe { core::slice::from_raw_parts_mut(phys_to_virt(self.phys) as *mut u8, self.len()) }
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        // SAFETY: a block of our own, which no device has.
        unsafe { frames::free(self.phys, self.order) };
    }
}
