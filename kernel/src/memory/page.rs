//! One counted frame in the hands of a file: [`Page`].
//!
//! The program may have the same frame mapped and change it at any time, so bytes are only ever copied or zeroed, by the
//! assembly that copies to and from the program (user.rs); nothing holds a reference to them.
use super::frames::{self, FRAME};
use super::user::{UserIo, copy_shared, zero_shared};
use super::{KERNEL_BASE, kernel_phys, phys_to_virt};
use core::num::NonZeroU32;
use ringo_abi::Errno;

/// A reference to a frame: cloning takes one more, dropping gives it back. 4 bytes, also as an Option.
pub struct Page(NonZeroU32);

impl Page {
    fn from_phys(phys: usize) -> Option<Self> {
        u32::try_from(phys / FRAME)
            .ok()
            .and_then(NonZeroU32::new)
            .map(Self)
    }

    /// A new frame of zeros, for data that may be refused.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn zeroed() -> Result<Self, Errno> {
        let phys = frames::alloc_unpromised_zeroed(0).ok_or(Errno::ENOMEM)?;
        Self::from_phys(phys).ok_or(Errno::ENOMEM)
    }

    /// The same for a fault, which kills the program if it is refused.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn zeroed_for_fault() -> Result<Self, Errno> {
        let phys = frames::alloc_spare_zeroed(0).ok_or(Errno::ENOMEM)?;
        Self::from_phys(phys).ok_or(Errno::ENOMEM)
    }

    /// A new frame whose bytes will all be written: what it held before shows until then.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn uninit() -> Result<Self, Errno> {
        let block = frames::alloc_unpromised(0).ok_or(Errno::ENOMEM)?;
        Self::from_phys(block.phys).ok_or(Errno::ENOMEM)
    }

    /// A page of the kernel's own image, to be shown to the program. It never becomes free.
    pub fn of_kernel<T: Sync>(place: &'static T) -> Option<Self> {
        let address = core::ptr::from_ref(place) as usize;
        if address < KERNEL_BASE || !address.is_multiple_of(FRAME) || size_of::<T>() != FRAME {
            return None;
        }
        let phys = kernel_phys(address);
        // SAFETY: a frame of the image, which counts references like others, but keeps one that nobody gives back.
        unsafe {
            if frames::references(phys) == 0 {
                frames::retain(phys);
            }
            frames::retain(phys);
        }
        Self::from_phys(phys)
    }

    /// The frames of a block of 2^`order`, one by one.
    ///
    /// # Safety
    /// The block is the caller's, who gives it away.
    pub unsafe fn split(phys: usize, order: usize) -> impl Iterator<Item = Self> {
        // SAFETY: the caller's promise.
        unsafe { frames::split_block(phys, order) };
        (0..1 << order).filter_map(move |index| Self::from_phys(phys + index * FRAME))
    }

    /// A page of its own with the same bytes, for a fault, which kills the program if it is refused.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn copy(&self) -> Result<Self, Errno> {
        let block = frames::alloc_spare(0).ok_or(Errno::ENOMEM)?;
        let copy = Self::from_phys(block.phys).ok_or(Errno::ENOMEM)?;
        copy.copy_part(self, 0, FRAME);
        Ok(copy)
    }

    /// Where it is.
    #[inline]
    pub fn phys(&self) -> usize {
        self.0.get() as usize * FRAME
    }

    /// Gives the reference away: whoever has the address releases it.
    pub fn into_phys(self) -> usize {
        let phys = self.phys();
        core::mem::forget(self);
        phys
    }

    fn bytes(&self) -> *mut u8 {
        phys_to_virt(self.phys()) as *mut u8
    }

    /// Copies [offset, offset + count) of the page out to `io`, as much as goes.
    ///
    /// # Errors
    /// EFAULT if nothing went.
    pub fn copy_out(&self, offset: usize, count: usize, io: &mut UserIo) -> Result<usize, Errno> {
        let count = count.min(FRAME.saturating_sub(offset));
        // SAFETY: inside the frame, which our reference keeps.
        unsafe { io.copy_out_raw(self.bytes().wrapping_add(offset), count) }
    }

    /// Fills [offset, offset + count) of the page from `io`, as far as goes.
    ///
    /// # Errors
    /// EFAULT if nothing went.
    pub fn copy_in(&self, offset: usize, count: usize, io: &mut UserIo) -> Result<usize, Errno> {
        let count = count.min(FRAME.saturating_sub(offset));
        // SAFETY: as above.
        unsafe { io.copy_in_raw(self.bytes().wrapping_add(offset), count) }
    }

    /// Zeroes [from, to) of the page.
    pub fn clear(&self, from: usize, to: usize) {
        let to = to.min(FRAME);
        if from < to {
            // SAFETY: inside the frame, which our reference keeps.
            unsafe { zero_shared(self.bytes().add(from), to - from) };
        }
    }

    /// Copies [from, to) of another page's bytes to the same place.
    pub fn copy_part(&self, other: &Self, from: usize, to: usize) {
        let to = to.min(FRAME);
        if from < to {
            // SAFETY: inside of two frames, or one, that our references keep.
            unsafe {
                copy_shared(self.bytes().add(from), other.bytes().add(from), to - from);
            }
        }
    }
}

/// Frames of the bundle, from one on: nobody's until somebody takes a [`Page`] of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BundleFrames {
    phys: usize,
}

impl BundleFrames {
    /// None.
    pub const EMPTY: Self = Self { phys: 0 };

    /// Those from `phys` on.
    ///
    /// # Safety
    /// The bundle lies there, and nobody uses its frames but by this, as far as pages are taken.
    pub const unsafe fn new(phys: usize) -> Self {
        Self { phys }
    }

    /// Those from `offset` bytes behind the first on.
    pub const fn from(self, offset: u64) -> Self {
        Self {
            phys: self.phys + offset as usize,
        }
    }

    /// Where the first one is.
    pub const fn phys(self) -> usize {
        self.phys
    }

    /// A reference to a frame; none if it had one and the last was given back.
    pub fn page(self, index: u64) -> Option<Page> {
        let phys = self.phys + index as usize * FRAME;
        // SAFETY: as `new` was told.
        unsafe { frames::adopt(phys) }.then(|| Page::from_phys(phys))?
    }
}

impl Clone for Page {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps it.
        unsafe { frames::retain(self.phys()) };
        Self(self.0)
    }
}

impl Drop for Page {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: our own reference.
        unsafe { frames::release(self.phys()) };
    }
}
