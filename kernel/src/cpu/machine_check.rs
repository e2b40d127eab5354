//! Machine checks: the hardware says that it is broken (Intel SDM 3B ch. 16).
//!
//! Without CR4.MCE one shuts the machine down without a word. With it vector 18 ends in the crash report, which says what
//! the banks hold; there is nothing else to do, since which memory is bad is the host's business.
use super::{kvm, msr};
use core::arch::x86_64::__cpuid;
use core::fmt::Write;

const GLOBAL_CAPABILITIES: u32 = 0x179;
const FIRST_STATUS: u32 = 0x401;
const REGISTERS_A_BANK: u32 = 4;
const VALID: u64 = 1 << 63;

/// Whether this CPU tells of machine checks (MCE and MCA). The paravirtual KVM takes no such bit in CR4.
fn available() -> bool {
    const BOTH: u32 = 1 << 7 | 1 << 14;
    !kvm::paravirtual() && __cpuid(1).edx & BOTH == BOTH
}

/// Lets machine checks in. The descriptor tables must be loaded.
pub fn init_cpu() {
    const CR4_MCE: usize = 1 << 6;
    if !available() {
        return;
    }
    // SAFETY: CPUID has the feature; vector 18 has its own stack.
    unsafe {
        core::arch::asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, const CR4_MCE, options(nostack));
    }
}

/// What the banks hold, for the crash report.
pub fn describe(out: &mut impl Write) {
    if !available() {
        return;
    }
    // SAFETY: CPUID has MCA, so these registers exist, as many banks of four as the first one says.
    let read = |register| unsafe { msr::read(register) };
    let banks = read(GLOBAL_CAPABILITIES) as u32 & 0xff;
    for bank in 0..banks {
        let status = read(FIRST_STATUS + REGISTERS_A_BANK * bank);
        if status & VALID != 0 {
            let _ = write!(out, ", bank {bank} says {status:#x}");
        }
    }
}
