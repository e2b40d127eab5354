//! The program's buffers of a call that reads or writes: one or many, consumed from the front as bytes are moved.
//!
//! Whoever moves bytes holds no spin lock: a copy may fault, and after each [`rest::BYTES`] others get their turn.
use super::spare::{self, Spare};
use super::user::{copy_in_raw, copy_out_raw, copy_shared, in_range, read, zero_partial};
use crate::task::rest;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// The most buffers of a readv-like call (limits.h).
const IOV_MAX: usize = 1024;
/// The most bytes one call moves (Linux's MAX_RW_COUNT).
pub const RW_MAX: usize = 0x7fff_f000;

/// The buffers of a read- or write-like call, consumed from the front.
pub struct UserIo {
    /// The current buffer.
    address: usize,
    length: usize,
    /// The buffers after it, last first.
    rest: Vec<(usize, usize)>,
    remaining: usize,
    /// The one buffer is the kernel's: see [`with_kernel_buffer`].
    kernel: bool,
    /// RWF_APPEND or RWF_NOAPPEND: goes before the file's own O_APPEND.
    appending: Option<bool>,
    /// Bytes to be moved before others get their turn (task/rest.rs).
    until_rest: usize,
}

/// Calls `f` with a kernel buffer in the place of the program's, for calls that move bytes from file to file.
pub fn with_kernel_buffer<R>(buffer: &mut [u8], f: impl FnOnce(&mut UserIo) -> R) -> R {
    let mut io = UserIo {
        address: buffer.as_mut_ptr() as usize,
        length: buffer.len(),
        rest: Vec::new(),
        remaining: buffer.len(),
        kernel: true,
        appending: None,
        until_rest: rest::BYTES,
    };
    f(&mut io)
}

/// As [`with_kernel_buffer`], with several buffers.
///
/// # Errors
/// ENOMEM.
pub fn with_kernel_buffers<'a, R>(
    buffers: impl DoubleEndedIterator<Item = &'a mut [u8]>,
    f: impl FnOnce(&mut UserIo) -> R,
) -> Result<R, Errno> {
    let mut rest: Vec<(usize, usize)> = Vec::new();
    let mut remaining = 0;
    for buffer in buffers.rev() {
        rest.spare(1)?;
        rest.push((buffer.as_mut_ptr() as usize, buffer.len()));
        remaining += buffer.len();
    }
    let (address, length) = rest.pop().unwrap_or((0, 0));
    let mut io = UserIo {
        address,
        length,
        rest,
        remaining,
        kernel: true,
        appending: None,
        until_rest: rest::BYTES,
    };
    Ok(f(&mut io))
}

impl UserIo {
    /// One buffer; the length is cut to what one call may move.
    ///
    /// # Errors
    /// EFAULT if it is not in the program's half.
    pub fn single(address: usize, length: usize) -> Result<Self, Errno> {
        // Of the whole length, as Linux does it, before it is cut.
        if !in_range(address, length) {
            return Err(Errno::EFAULT);
        }
        let length = length.min(RW_MAX);
        Ok(Self {
            address,
            length,
            rest: Vec::new(),
            remaining: length,
            kernel: false,
            appending: None,
            until_rest: rest::BYTES,
        })
    }

    /// A vector of buffers (struct iovec).
    ///
    /// # Errors
    /// EINVAL for a bad count or length, EFAULT.
    pub fn vector(iov: usize, count: usize) -> Result<Self, Errno> {
        // An unsigned int, as Linux takes it.
        let count = count as u32 as usize;
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let mut rest: Vec<(usize, usize)> = spare::list(count)?;
        for index in 0..count {
            let [address, length]: [usize; 2] =
                read(iov.checked_add(index * 16).ok_or(Errno::EFAULT)?)?;
            if length > isize::MAX as usize {
                return Err(Errno::EINVAL);
            }
            rest.push((address, length));
        }
        let mut remaining = 0usize;
        for (address, length) in &mut rest {
            let cut = (*length).min(RW_MAX - remaining);
            // Of the whole length, as for one buffer; but a vector of one is cut first.
            if !in_range(*address, if count == 1 { cut } else { *length }) {
                return Err(Errno::EFAULT);
            }
            *length = cut;
            remaining += cut;
        }
        rest.reverse();
        let (address, length) = rest.pop().unwrap_or((0, 0));
        Ok(Self {
            address,
            length,
            rest,
            remaining,
            kernel: false,
            appending: None,
            until_rest: rest::BYTES,
        })
    }

    /// Bytes left in the buffers.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Whether it goes to the file's end, `file` being whether the file is open for that.
    #[inline]
    pub fn appending(&self, file: bool) -> bool {
        self.appending.unwrap_or(file)
    }

    /// Says so for this call alone.
    pub fn set_appending(&mut self, appending: bool) {
        self.appending = Some(appending);
    }

    /// Ignores what is left behind the next `max` bytes.
    pub fn truncate(&mut self, max: usize) {
        self.remaining = self.remaining.min(max);
    }

    /// The next contiguous piece, of at most `max` bytes: (address, length).
    pub fn piece(&mut self, max: usize) -> (usize, usize) {
        while self.length == 0 {
            match self.rest.pop() {
                Some((address, length)) => (self.address, self.length) = (address, length),
                None => return (self.address, 0),
            }
        }
        (self.address, self.length.min(max).min(self.remaining))
    }

    /// `count` bytes of the current piece are done with.
    pub fn advance(&mut self, count: usize) {
        self.address += count;
        self.length -= count;
        self.remaining -= count;
    }

    /// Copies from the kernel into the buffers; gives how much went.
    ///
    /// # Errors
    /// EFAULT if nothing went though something was to.
    pub fn copy_out(&mut self, from: &[u8]) -> Result<usize, Errno> {
        // SAFETY: a slice.
        unsafe { self.copy_out_raw(from.as_ptr(), from.len()) }
    }

    /// As [`UserIo::copy_out`], from memory that the program may change meanwhile.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// `count` bytes at `from` can be read.
    pub(super) unsafe fn copy_out_raw(
        &mut self,
        from: *const u8,
        count: usize,
    ) -> Result<usize, Errno> {
        let kernel = self.kernel;
        // SAFETY: `transfer` stays inside of `count` bytes; the other side is `with_kernel_buffer`'s exclusive buffer, or
        // checked as the program's.
        self.transfer(count, |address, done, length| unsafe {
            let from = from.add(done);
            if kernel {
                copy_shared(address as *mut u8, from, length);
                return length;
            }
            copy_out_raw(address, from, length)
        })
    }

    /// Copies from the buffers into the kernel; gives how much went.
    ///
    /// # Errors
    /// EFAULT if nothing went though something was to.
    pub fn copy_in(&mut self, to: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: a slice.
        unsafe { self.copy_in_raw(to.as_mut_ptr(), to.len()) }
    }

    /// As [`UserIo::copy_in`], to memory that the program may change meanwhile.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// `count` bytes at `to` can be written.
    pub(super) unsafe fn copy_in_raw(&mut self, to: *mut u8, count: usize) -> Result<usize, Errno> {
        let kernel = self.kernel;
        // SAFETY: as in `copy_out_raw`.
        self.transfer(count, |address, done, length| unsafe {
            let to = to.add(done);
            if kernel {
                copy_shared(to, address as *const u8, length);
                return length;
            }
            copy_in_raw(to, address, length)
        })
    }

    /// Zeroes up to `count` bytes of the buffers.
    ///
    /// # Errors
    /// EFAULT if nothing went though something was to.
    pub fn zero(&mut self, count: usize) -> Result<usize, Errno> {
        let kernel = self.kernel;
        self.transfer(count, |address, _, length| {
            if kernel {
                // SAFETY: a piece of `with_kernel_buffer`'s exclusive buffer.
                unsafe { core::ptr::write_bytes(address as *mut u8, 0, length) };
                return length;
            }
            zero_partial(address, length)
        })
    }

    /// False when the process is ending: nobody will miss the rest.
    #[cold]
    fn rest(&mut self) -> bool {
        self.until_rest = rest::BYTES;
        rest::rest()
    }

    fn transfer(
        &mut self,
        count: usize,
        mut copy: impl FnMut(usize, usize, usize) -> usize,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while done < count && self.remaining > 0 {
            let (address, length) = self.piece((count - done).min(self.until_rest));
            let went = copy(address, done, length);
            self.advance(went);
            done += went;
            self.until_rest -= went;
            let goes_on = self.until_rest > 0 || self.rest();
            if went < length || !goes_on {
                return if done == 0 {
                    Err(Errno::EFAULT)
                } else {
                    Ok(done)
                };
            }
        }
        Ok(done)
    }
}
