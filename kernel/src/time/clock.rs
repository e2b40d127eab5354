//! The clock: TSC to nanoseconds.
//!
//! `ns = (tsc - base) * mult >> 32`, 128 bits wide in the middle, so that it holds for centuries. The frequency comes
//! from the hypervisor where it tells (the paravirtual interface, kvmclock, or CPUID leaf 0x40000010), else from CPUID
//! leaf 0x15, else from 10 ms of the PIT (cpu/calibrate.rs). Wall time is a fixed offset, set from the hypervisor or by the
//! command over the control port (drivers/control.rs).
use crate::cpu::{kvm, msr, pit};
use crate::klog;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

static BASE: AtomicU64 = AtomicU64::new(0);
static MULT: AtomicU64 = AtomicU64::new(0);
static FREQUENCY: AtomicU64 = AtomicU64::new(0);
/// Wall time at boot, ns since the epoch.
static WALL: AtomicU64 = AtomicU64::new(0);

/// Who told the TSC's frequency, and by how many millionths it may be wrong.
static SOURCE: Once<(&str, u64)> = Once::new();

/// Finds the TSC's frequency and starts the clock; `boot_tsc` is the counter at entry, the zero of monotonic time.
pub fn init(boot_tsc: u64) {
    let (source, (hertz, ppm)) = if let Some(hertz) = kvm::tsc_hertz() {
        ("the hypervisor", (hertz, 0))
    } else if let Some(hertz) = cpuid_hertz() {
        ("CPUID", (hertz, 0))
    } else {
        ("the PIT", pit::measure_tsc())
    };
    SOURCE.call_once(|| (source, ppm));
    FREQUENCY.store(hertz, Ordering::Relaxed);
    BASE.store(boot_tsc, Ordering::Relaxed);
    MULT.store(
        ((1_000_000_000u128 << 32) / u128::from(hertz)) as u64,
        Ordering::Relaxed,
    );
}

/// Says in the log what time is measured by.
pub fn report() {
    let Some((source, ppm)) = SOURCE.get() else {
        return;
    };
    let invariant = match crate::cpu::features::has_invariant_tsc() {
        true => "invariant",
        false => "not said to be invariant",
    };
    klog!(
        "clock: TSC of {} kHz by {source} (within {ppm} ppm), {invariant}",
        tsc_hertz() / 1000
    );
}

/// The TSC's frequency.
pub fn tsc_hertz() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// CPUID leaf 0x15: crystal frequency times ratio, where all three are given.
fn cpuid_hertz() -> Option<u64> {
    let max = core::arch::x86_64::__cpuid(0).eax;
    if max < 0x15 {
        return None;
    }
    let leaf = core::arch::x86_64::__cpuid(0x15);
    (leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0)
        .then(|| u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now() -> u64 {
    let ticks = msr::rdtsc().wrapping_sub(BASE.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(MULT.load(Ordering::Relaxed))) >> 32) as u64
}

/// Nanoseconds since the epoch.
#[inline]
pub fn realtime() -> u64 {
    WALL.load(Ordering::Relaxed).wrapping_add(now())
}

/// Sets the wall clock: it is `realtime` ns since the epoch now.
pub fn set_realtime(realtime: u64) {
    WALL.store(realtime.wrapping_sub(now()), Ordering::Relaxed);
    super::vdso::update();
}

/// The TSC value at which [`now`] reaches `deadline`, rounded up.
pub fn ns_to_tsc_deadline(deadline: u64) -> u64 {
    let ticks =
        u128::from(deadline) * u128::from(FREQUENCY.load(Ordering::Relaxed)) / 1_000_000_000 + 1;
    BASE.load(Ordering::Relaxed)
        .wrapping_add(u64::try_from(ticks).unwrap_or(u64::MAX >> 1))
}

/// (base, mult, wall offset): what the vDSO needs.
pub fn tsc_parameters() -> (u64, u64, u64) {
    (
        BASE.load(Ordering::Relaxed),
        MULT.load(Ordering::Relaxed),
        WALL.load(Ordering::Relaxed),
    )
}
