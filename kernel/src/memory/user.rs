//! The program's memory, seen from the kernel.
//!
//! Privilege does not separate the two, so every address is checked against the program's half first; inside it, page
//! faults are served as for the program itself, and one that cannot be served ends the copy (EFAULT) by way of a fix-up.
//! All raw access is in the assembly routines here, which also serve pages that the program may change meanwhile. They may
//! fault and sleep: never call them under a spin lock, but for [`read_u32_no_fault`], which gives up instead, and on memory
//! of the kernel's ([`copy_shared`], [`zero_shared`]).
pub use super::user_io::{RW_MAX, UserIo, with_kernel_buffer, with_kernel_buffers};
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
    // SAFETY: a slice.
    unsafe { copy_out_raw(to, from.as_ptr(), from.len()) }
}

/// Copies from the program as much as goes; gives how many bytes that were.
pub fn copy_in_partial(to: &mut [u8], from: usize) -> usize {
    // SAFETY: a slice.
    unsafe { copy_in_raw(to.as_mut_ptr(), from, to.len()) }
}

/// As [`copy_out_partial`], from kernel memory that the program may change meanwhile (memory/page.rs): no reference to it
/// exists, since the copy is the assembly's.
///
/// # Safety
/// `length` bytes at `from` can be read.
pub(super) unsafe fn copy_out_raw(to: usize, from: *const u8, length: usize) -> usize {
    let length = length.min(USER_END.saturating_sub(to));
    // SAFETY: the range is the program's; faults in it are served or end the copy.
    length - unsafe { user_copy(to as *mut u8, from, length) }
}

/// As [`copy_in_partial`], to such memory.
///
/// # Safety
/// `length` bytes at `to` can be written.
pub(super) unsafe fn copy_in_raw(to: *mut u8, from: usize, length: usize) -> usize {
    let length = length.min(USER_END.saturating_sub(from));
    // SAFETY: as above.
    length - unsafe { user_copy(to, from as *const u8, length) }
}

/// Copies between two pieces of kernel memory, of which the program may change one or both meanwhile.
///
/// # Safety
/// `length` bytes can be read and written there; the pieces are the same or do not overlap.
pub(super) unsafe fn copy_shared(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's promise; nothing faults.
    unsafe { user_copy(to, from, length) };
}

/// Zeroes kernel memory that the program may change meanwhile.
///
/// # Safety
/// `length` bytes at `to` can be written.
pub(super) unsafe fn zero_shared(to: *mut u8, length: usize) {
    // SAFETY: as above.
    unsafe { user_zero(to, length) };
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
/// EFAULT, ENOMEM; ENAMETOOLONG if there is no zero in the first `max + 1` bytes.
pub fn cstr(from: usize, max: usize) -> Result<Vec<u8>, Errno> {
    let mut string: Vec<u8> = Vec::new();
    let mut chunk = [0; 256];
    loop {
        let at = from.checked_add(string.len()).ok_or(Errno::EFAULT)?;
        // Not past the end of a page that may be the last one mapped.
        let wanted = (4096 - at % 4096).min(chunk.len());
        let got = copy_in_partial(&mut chunk[..wanted], at);
        let end = chunk[..got].iter().position(|&byte| byte == 0);
        let more = end.unwrap_or(got);
        string.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
        if let Some(end) = end {
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
