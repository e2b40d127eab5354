//! KVM: its paravirtual clock, and the variant of KVM that runs guests without hardware support.
//!
//! The latter ("PVM": the hypervisor itself is a guest without VT-x or SVM) interprets a guest at about 1 µs an
//! instruction until it enables the paravirtual interface, then runs it natively. boot.rs enables it before the first
//! line of Rust; here is what differs afterwards: the interrupt flag is a byte in a page shared with the hypervisor
//! ("VIF page": +0 flag, +1 pending, +8 address of the last page fault), and cli/sti are traps that the kernel avoids.
//! Everything else, including the page tables' user bit that it wants, is the same kernel. Under hardware KVM and plain
//! emulation `paravirtual()` is false and the ordinary instructions are used.
use super::msr;
use super::percpu::{MAX_CPUS, this_cpu};
use core::arch::x86_64::__cpuid;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Writing the VIF page's address and 0x10 ("report cr2") enables the interface on this CPU.
pub const MSR_ENABLE: u32 = 0x4b56_4d10;
/// Reads [`SIGNATURE`] where the interface exists.
pub const MSR_SIGNATURE: u32 = 0x4b56_4d11;
/// "PVM" as the low bytes of the signature MSR.
pub const SIGNATURE: u64 = 0x4d_5650;
const MSR_TSC_KHZ: u32 = 0x4b56_4d13;
const MSR_WALL_CLOCK: u32 = 0x4b56_4d00;
const MSR_SYSTEM_TIME: u32 = 0x4b56_4d01;

/// One VIF page a CPU.
#[repr(C, align(4096))]
pub struct VifPage {
    enabled: AtomicU8,
    pending: AtomicU8,
    reserved: [u8; 6],
    fault_address: AtomicU64,
    rest: [u8; 4080],
}

/// The pages, by CPU.
pub static VIF_PAGES: [VifPage; MAX_CPUS] = [const {
    VifPage {
        enabled: AtomicU8::new(0),
        pending: AtomicU8::new(0),
        reserved: [0; 6],
        fault_address: AtomicU64::new(0),
        rest: [0; 4080],
    }
}; MAX_CPUS];

static PARAVIRTUAL: AtomicBool = AtomicBool::new(false);

/// Whether this is the paravirtual KVM.
#[inline]
pub fn paravirtual() -> bool {
    PARAVIRTUAL.load(Ordering::Relaxed)
}

/// boot.rs enabled the interface.
pub fn set_paravirtual(on: bool) {
    PARAVIRTUAL.store(on, Ordering::Relaxed);
}

/// Tells this CPU's assembly where its page is.
pub fn init_this_cpu() {
    if paravirtual() {
        let page = core::ptr::from_ref(vif()) as usize;
        this_cpu().vif.store(page, Ordering::Relaxed);
    }
}

#[inline]
fn vif() -> &'static VifPage {
    &VIF_PAGES[this_cpu().id()]
}

/// Lets interrupts in; one that waits already needs a trap to get noticed.
#[inline]
pub fn unmask() {
    let page = vif();
    page.enabled.store(1, Ordering::SeqCst);
    if page.pending.load(Ordering::SeqCst) != 0 {
        // SAFETY: cli is a trap to the hypervisor here, which then delivers what is pending; it leaves the flag alone...
        unsafe { asm!("cli", options(nostack)) };
        // ...or clears it, as the instruction says.
        page.enabled.store(1, Ordering::SeqCst);
    }
}

/// Keeps interrupts out.
#[inline]
pub fn mask() {
    vif().enabled.store(0, Ordering::SeqCst);
}

/// Lets interrupts in and halts. Two instructions: an interrupt between them must not end with the halt, see
/// [`leave_halt`].
pub fn unmask_and_halt() {
    // SAFETY: as the ordinary sti; hlt.
    unsafe { kvm_unmask_and_halt(core::ptr::from_ref(&vif().enabled)) };
}

global_asm!(
    r#"
    .pushsection .text
    .global kvm_unmask_and_halt, kvm_halt
kvm_unmask_and_halt:
    mov byte ptr [rdi], 1
kvm_halt:
    hlt
    ret
    .popsection
    "#
);

unsafe extern "C" {
    fn kvm_unmask_and_halt(flag: *const AtomicU8);
    fn kvm_halt();
}

/// Where to go on after an interrupt at `rip`: if that is the halt that it was to end, behind it.
pub fn leave_halt(rip: u64) -> u64 {
    let halt = kvm_halt as *const () as u64;
    if rip == halt { rip + 1 } else { rip }
}

/// The address of the last page fault.
#[inline]
pub fn fault_address() -> u64 {
    if paravirtual() {
        vif().fault_address.load(Ordering::Relaxed)
    } else {
        msr::cr2() as u64
    }
}

/// Whether the hypervisor is KVM.
pub fn present() -> bool {
    let leaf = __cpuid(0x4000_0000);
    __cpuid(1).ecx >> 31 != 0 && (leaf.ebx, leaf.ecx, leaf.edx) == (0x4b4d_564b, 0x564b_4d56, 0x4d)
}

/// kvmclock's page (Linux Documentation/virt/kvm/x86/msr.rst).
#[repr(C, align(64))]
struct SystemTime {
    version: AtomicU64,
    tsc: AtomicU64,
    system_time: AtomicU64,
    mul_and_shift: AtomicU64,
}
static SYSTEM_TIME: SystemTime = SystemTime {
    version: AtomicU64::new(0),
    tsc: AtomicU64::new(0),
    system_time: AtomicU64::new(0),
    mul_and_shift: AtomicU64::new(0),
};

/// Wall clock page: version, seconds, nanoseconds.
#[repr(C, align(64))]
struct WallClock {
    version_and_seconds: AtomicU64,
    nanoseconds: AtomicU64,
}
static WALL_CLOCK: WallClock = WallClock {
    version_and_seconds: AtomicU64::new(0),
    nanoseconds: AtomicU64::new(0),
};

fn has_clock() -> bool {
    present() && __cpuid(0x4000_0001).eax & 1 << 3 != 0
}

/// The TSC's frequency as kvmclock or the paravirtual interface tells it.
pub fn tsc_hertz() -> Option<u64> {
    if paravirtual() {
        // SAFETY: the interface has this MSR.
        let khz = unsafe { msr::read(MSR_TSC_KHZ) };
        if khz != 0 {
            return Some(khz * 1000);
        }
    }
    if !has_clock() {
        return None;
    }
    enable_system_time();
    let word = SYSTEM_TIME.mul_and_shift.load(Ordering::Acquire);
    let (mul, shift) = (word as u32, (word >> 32) as u8 as i8);
    if mul == 0 {
        return None;
    }
    let hertz = (1_000_000_000u128 << 32) / u128::from(mul);
    u64::try_from(if shift >= 0 {
        hertz >> shift
    } else {
        hertz << -shift
    })
    .ok()
    .filter(|&hertz| hertz != 0)
}

fn enable_system_time() {
    let page = crate::memory::kernel_phys(core::ptr::from_ref(&SYSTEM_TIME) as usize);
    // SAFETY: CPUID says the MSR is there; the page is ours and lives for ever.
    unsafe { msr::write(MSR_SYSTEM_TIME, page as u64 | 1) };
}

/// The page's words, all of one version: the hypervisor may be writing it for the CPU that named it before.
fn system_time() -> [u64; 3] {
    let page = &SYSTEM_TIME;
    loop {
        let version = page.version.load(Ordering::Acquire) as u32;
        let words = [&page.tsc, &page.system_time, &page.mul_and_shift]
            .map(|word| word.load(Ordering::Acquire));
        if version & 1 == 0 && page.version.load(Ordering::Acquire) as u32 == version {
            return words;
        }
        core::hint::spin_loop();
    }
}

/// Wall time now (ns since the epoch) by kvmclock.
pub fn realtime() -> Option<u64> {
    if !has_clock() {
        return None;
    }
    enable_system_time();
    let page = crate::memory::kernel_phys(core::ptr::from_ref(&WALL_CLOCK) as usize);
    // SAFETY: CPUID says the MSR is there; the hypervisor writes the static once, during the wrmsr.
    unsafe { msr::write(MSR_WALL_CLOCK, page as u64) };
    let seconds = WALL_CLOCK.version_and_seconds.load(Ordering::Acquire) >> 32;
    let nanoseconds = WALL_CLOCK.nanoseconds.load(Ordering::Acquire) & 0xffff_ffff;
    let [tsc, system_time, word] = system_time();
    let (mul, shift) = (word as u32, (word >> 32) as u8 as i8);
    if seconds == 0 || mul == 0 {
        return None;
    }
    let mut ticks = u128::from(msr::rdtsc().wrapping_sub(tsc));
    ticks = if shift >= 0 {
        ticks << shift
    } else {
        ticks >> -shift
    };
    let since_boot = system_time + ((ticks * u128::from(mul)) >> 32) as u64;
    Some(seconds * 1_000_000_000 + nanoseconds + since_boot)
}
