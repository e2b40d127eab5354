//! The program's memory, seen from the kernel.
//!
//! Privilege does not separate the two, so every address is checked against the program's half first; inside it, page
//! faults are served as for the program itself, and one that cannot be served ends the copy (EFAULT) by way of a fix-up.
//! All raw access is in the three assembly routines here. They may fault and sleep: never call them under a spin lock,
//! but for [`read_u32_no_fault`], which gives up instead.
use alloc::vec::Vec;
use core::arch::global_asm;
use ringo_abi::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// End of the program's half of the address space (x86-64, 4 levels, less the guard page Linux leaves).
pub const USER_END: usize = 0x7fff_ffff_f000;

global_asm!(
    r#"
    .pushsection .text
    .balign 16
    // user_copy(rdi = destination, rsi = source, rdx = length) -> rax = bytes not copied.
    .global user_copy, user_copy_words, user_copy_bytes, user_copy_fixup
user_copy:
    mov rcx, rdx
    shr rcx, 3
    and edx, 7
user_copy_words:
    rep movsq
    mov ecx, edx
user_copy_bytes:
    rep movsb
    xor eax, eax
    ret
    // RCX words (then RDX bytes) or RCX bytes were left.
user_copy_fixup:
    // Up to the very byte that cannot be reached, as Linux does: that one faults again, below.
    lea rcx, [rdx + rcx * 8]
    jmp user_copy_bytes
    .global user_copy_bytes_fixup
user_copy_bytes_fixup:
    mov rax, rcx
    ret

    // user_zero(rdi = destination, rsi = length) -> rax = bytes not zeroed.
    .balign 16
    .global user_zero, user_zero_bytes, user_zero_fixup
user_zero:
    mov rcx, rsi
    xor eax, eax
user_zero_bytes:
    rep stosb
user_zero_fixup:
    mov rax, rcx
    ret

    // user_read_u32(rdi = address) -> rax = value, rdx = 0; rdx = 1 if it would fault.
    .balign 16
    .global user_read_u32, user_read_u32_access, user_read_u32_fixup
user_read_u32:
    mov edx, 1
user_read_u32_access:
    mov eax, [rdi]
    xor edx, edx
user_read_u32_fixup:
    ret

    // user_cas_u32(rdi = address, esi = old, edx = new) -> rax = value found, rdx = 0; rdx = 1 if it would fault.
    .balign 16
    .global user_cas_u32, user_cas_u32_access, user_cas_u32_fixup
user_cas_u32:
    mov eax, esi
    mov ecx, edx
    mov edx, 1
user_cas_u32_access:
    lock cmpxchg [rdi], ecx
    xor edx, edx
user_cas_u32_fixup:
    ret
    .popsection
    "#
);

#[repr(C)]
struct MaybeWord {
    value: usize,
    faulted: usize,
}

unsafe extern "C" {
    fn user_copy(destination: *mut u8, source: *const u8, length: usize) -> usize;
    fn user_zero(destination: *mut u8, length: usize) -> usize;
    fn user_read_u32(address: *const u32) -> MaybeWord;
    fn user_copy_words();
    fn user_copy_bytes();
    fn user_copy_fixup();
    fn user_copy_bytes_fixup();
    fn user_zero_bytes();
    fn user_zero_fixup();
    fn user_read_u32_access();
    fn user_read_u32_fixup();
    fn user_cas_u32(address: *mut u32, old: u32, new: u32) -> MaybeWord;
    fn user_cas_u32_access();
    fn user_cas_u32_fixup();
}

fn is(rip: usize, symbol: unsafe extern "C" fn()) -> bool {
    rip == symbol as usize
}

/// Whether a fault at `rip` is one of these routines', to be served like the program's own.
pub fn may_fault(rip: usize) -> bool {
    is(rip, user_copy_words) || is(rip, user_copy_bytes) || is(rip, user_zero_bytes)
}

/// Where to go on after a fault at `rip` that could not be served.
pub fn fixup(rip: usize) -> usize {
    if is(rip, user_copy_words) {
        user_copy_fixup as *const () as usize
    } else if is(rip, user_copy_bytes) {
        user_copy_bytes_fixup as *const () as usize
    } else {
        user_zero_fixup as *const () as usize
    }
}

/// Where to go on at once after a fault at `rip`, if that is one of the accesses that must not be served.
pub fn fixup_at_once(rip: usize) -> Option<usize> {
    if is(rip, user_read_u32_access) {
        Some(user_read_u32_fixup as *const () as usize)
    } else if is(rip, user_cas_u32_access) {
        Some(user_cas_u32_fixup as *const () as usize)
    } else {
        None
    }
}

/// Whether `length` bytes at `address` lie in the program's half.
#[inline]
pub fn in_range(address: usize, length: usize) -> bool {
    length <= USER_END && address <= USER_END - length
}

/// Copies into the program as much as goes; gives how many bytes that were.
pub fn copy_out_partial(to: usize, from: &[u8]) -> usize {
    let length = from.len().min(USER_END.saturating_sub(to));
    // SAFETY: the range is the program's; faults in it are served or end the copy.
    length - unsafe { user_copy(to as *mut u8, from.as_ptr(), length) }
}

/// Copies from the program as much as goes; gives how many bytes that were.
pub fn copy_in_partial(to: &mut [u8], from: usize) -> usize {
    let length = to.len().min(USER_END.saturating_sub(from));
    // SAFETY: as above.
    length - unsafe { user_copy(to.as_mut_ptr(), from as *const u8, length) }
}

/// Copies `from` into the program at `to`.
///
/// # Errors
/// EFAULT if not all of it is writable; some of it may have been written.
pub fn copy_out(to: usize, from: &[u8]) -> Result<(), Errno> {
    if copy_out_partial(to, from) == from.len() {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Fills `to` from the program at `from`.
///
/// # Errors
/// EFAULT if not all of it is readable.
pub fn copy_in(to: &mut [u8], from: usize) -> Result<(), Errno> {
    if copy_in_partial(to, from) == to.len() {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Zeroes `length` bytes of the program at `to`.
///
/// # Errors
/// EFAULT if not all of it is writable.
pub fn zero(to: usize, length: usize) -> Result<(), Errno> {
    if zero_partial(to, length) == length {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Zeroes as much of the program's memory as goes; gives how many bytes that were.
pub fn zero_partial(to: usize, length: usize) -> usize {
    let length = length.min(USER_END.saturating_sub(to));
    // SAFETY: as in copy_out_partial.
    length - unsafe { user_zero(to as *mut u8, length) }
}

/// Reads a value.
///
/// # Errors
/// EFAULT.
pub fn read<T: FromBytes + IntoBytes>(from: usize) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    copy_in(value.as_mut_bytes(), from)?;
    Ok(value)
}

/// Writes a value.
///
/// # Errors
/// EFAULT.
pub fn write<T: IntoBytes + Immutable>(to: usize, value: &T) -> Result<(), Errno> {
    copy_out(to, value.as_bytes())
}

/// Reads a word without serving a fault: None if its page is not mapped readable now. For use under spin locks; the
/// caller faults the page in with [`read`] and tries again.
pub fn read_u32_no_fault(from: usize) -> Option<u32> {
    if !in_range(from, 4) {
        return None;
    }
    // SAFETY: the range is the program's; a fault goes to the fix-up.
    let word = unsafe { user_read_u32(from as *const u32) };
    (word.faulted == 0).then_some(word.value as u32)
}

/// Replaces a word by what `change` makes of it, atomically; gives the old value.
///
/// # Errors
/// EFAULT if it is not writable.
pub fn update_u32(address: usize, change: impl Fn(u32) -> u32) -> Result<u32, Errno> {
    let mut old: u32 = read(address)?;
    loop {
        // SAFETY: `read` checked the range; a fault goes to the fix-up.
        let found = unsafe { user_cas_u32(address as *mut u32, old, change(old)) };
        if found.faulted != 0 {
            // Not there, or not writable: writing the first byte back would race, so ask for the page instead.
            crate::memory::space()
                .fault(address, true, false)
                .map_err(|_| Errno::EFAULT)?;
        } else if found.value as u32 == old {
            return Ok(old);
        } else {
            old = found.value as u32;
        }
    }
}

/// Reads a zero-terminated string of at most `max` bytes, without its zero.
///
/// # Errors
/// EFAULT; ENAMETOOLONG if there is no zero in the first `max + 1` bytes.
pub fn cstr(from: usize, max: usize) -> Result<Vec<u8>, Errno> {
    let mut string: Vec<u8> = Vec::new();
    let mut chunk = [0; 256];
    loop {
        let at = from.checked_add(string.len()).ok_or(Errno::EFAULT)?;
        // Not past the end of a page that may be the last one mapped.
        let wanted = (4096 - at % 4096).min(chunk.len());
        let got = copy_in_partial(&mut chunk[..wanted], at);
        if let Some(end) = chunk[..got].iter().position(|&byte| byte == 0) {
            string.extend_from_slice(&chunk[..end]);
            return if string.len() > max {
                Err(Errno::ENAMETOOLONG)
            } else {
                Ok(string)
            };
        }
        if got < wanted {
            return Err(Errno::EFAULT);
        }
        string.extend_from_slice(&chunk[..got]);
        if string.len() > max {
            return Err(Errno::ENAMETOOLONG);
        }
    }
}

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
}

/// Calls `f` with a kernel buffer in the place of the program's, for calls that move bytes from file to file.
pub fn with_kernel_buffer<R>(buffer: &mut [u8], f: impl FnOnce(&mut UserIo) -> R) -> R {
    let mut io = UserIo {
        address: buffer.as_mut_ptr() as usize,
        length: buffer.len(),
        rest: Vec::new(),
        remaining: buffer.len(),
        kernel: true,
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
        rest.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
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
    };
    Ok(f(&mut io))
}

/// Copies `length` bytes; 0 are left.
fn copy_kernel(to: *mut u8, from: *const u8, length: usize) -> usize {
    // SAFETY: one side is the piece of `with_kernel_buffer`'s exclusive buffer, the other a slice of the caller.
    unsafe { core::ptr::copy(from, to, length) };
    length
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
        })
    }

    /// A vector of buffers (struct iovec).
    ///
    /// # Errors
    /// EINVAL for a bad count or length, EFAULT.
    pub fn vector(iov: usize, count: usize) -> Result<Self, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let mut rest = Vec::new();
        rest.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        let mut remaining = 0usize;
        for index in 0..count {
            let [address, length]: [usize; 2] =
                read(iov.checked_add(index * 16).ok_or(Errno::EFAULT)?)?;
            if length > isize::MAX as usize {
                return Err(Errno::EINVAL);
            }
            let length = length.min(RW_MAX - remaining);
            if !in_range(address, length) {
                return Err(Errno::EFAULT);
            }
            remaining += length;
            rest.push((address, length));
        }
        rest.reverse();
        let (address, length) = rest.pop().unwrap_or((0, 0));
        Ok(Self {
            address,
            length,
            rest,
            remaining,
            kernel: false,
        })
    }

    /// Bytes left in the buffers.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.remaining
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
        let kernel = self.kernel;
        self.transfer(from.len(), |address, done, length| {
            if kernel {
                let from = &from[done..done + length];
                return copy_kernel(address as *mut u8, from.as_ptr(), length);
            }
            copy_out_partial(address, &from[done..done + length])
        })
    }

    /// Copies from the buffers into the kernel; gives how much went.
    ///
    /// # Errors
    /// EFAULT if nothing went though something was to.
    pub fn copy_in(&mut self, to: &mut [u8]) -> Result<usize, Errno> {
        let (length, kernel) = (to.len(), self.kernel);
        self.transfer(length, |address, done, length| {
            if kernel {
                let to = &mut to[done..done + length];
                return copy_kernel(to.as_mut_ptr(), address as *const u8, length);
            }
            copy_in_partial(&mut to[done..done + length], address)
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

    fn transfer(
        &mut self,
        count: usize,
        mut copy: impl FnMut(usize, usize, usize) -> usize,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while done < count && self.remaining > 0 {
            let (address, length) = self.piece(count - done);
            let went = copy(address, done, length);
            self.advance(went);
            done += went;
            if went < length {
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
