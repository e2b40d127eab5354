//! Model-specific registers and the other registers with an instruction of their own.
use core::arch::asm;

/// IA32_APIC_BASE.
pub const APIC_BASE: u32 = 0x1b;
/// IA32_TSC_DEADLINE.
pub const TSC_DEADLINE: u32 = 0x6e0;
/// IA32_EFER.
pub const EFER: u32 = 0xc000_0080;
/// IA32_STAR: selectors of `syscall`.
pub const STAR: u32 = 0xc000_0081;
/// IA32_LSTAR: where `syscall` goes.
pub const LSTAR: u32 = 0xc000_0082;
/// IA32_FMASK: flags that `syscall` clears.
pub const FMASK: u32 = 0xc000_0084;
/// IA32_GS_BASE.
pub const GS_BASE: u32 = 0xc000_0101;

/// Reads an MSR.
///
/// # Safety
/// The CPU must have it.
#[inline]
pub unsafe fn read(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes an MSR.
///
/// # Safety
/// The CPU must have it, and the value must keep the kernel's assumptions.
#[inline]
pub unsafe fn write(msr: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack, preserves_flags));
    }
}

/// The time-stamp counter.
#[inline]
pub fn rdtsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// FS.base: the program's thread-local storage.
#[inline]
pub fn fs_base() -> usize {
    let base: usize;
    // SAFETY: CR4.FSGSBASE is set on every CPU at start.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// Sets FS.base; the address must be canonical.
#[inline]
pub fn set_fs_base(base: usize) {
    // SAFETY: the kernel does not use FS; callers check that the address is in the program's half.
    unsafe { asm!("wrfsbase {}", in(reg) base, options(nomem, nostack, preserves_flags)) };
}

/// The address of the last page fault as the CPU has it.
#[inline]
pub fn cr2() -> usize {
    let address: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Reloads CR3, which flushes this CPU's TLB.
#[inline]
pub fn reload_cr3() {
    // SAFETY: writes back what it read.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}
