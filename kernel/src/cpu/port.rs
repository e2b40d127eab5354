//! I/O ports.
use core::arch::asm;

/// Reads a byte.
pub fn inb(port: u16) -> u8 {
    let value: u8;
    // SAFETY: port reads touch no memory; the ports used belong to devices the kernel owns.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Writes a byte.
pub fn outb(port: u16, value: u8) {
    // SAFETY: as `inb`.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    };
}

/// Writes 16 bits.
pub fn outw(port: u16, value: u16) {
    // SAFETY: as `inb`.
    unsafe {
        asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags))
    };
}

/// Reads 32 bits.
pub fn inl(port: u16) -> u32 {
    let value: u32;
    // SAFETY: as `inb`.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Writes 32 bits.
pub fn outl(port: u16, value: u32) {
    // SAFETY: as `inb`.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags))
    };
}
