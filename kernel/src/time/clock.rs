//! The clock: TSC to nanoseconds.
//!
//! cpu/tsc.rs has the arithmetic, and how it is changed while everybody reads it. The frequency comes from the hypervisor
//! where it tells (the paravirtual interface or kvmclock), else from CPUID leaf 0x15, else from
//! 10 ms of the PIT (cpu/calibrate.rs). From then on the clock follows the host's (host_clock.rs): its rate is trimmed, and the
//! wall clock, which starts at what the hypervisor or the command said, is set when it is off by much.
use super::vdso;
use crate::cpu::tsc::{Parameters, Which, from_nanoseconds, mult_of, nanoseconds};
use crate::cpu::{kvm, msr, pit};
use crate::klog;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

static FREQUENCY: AtomicU64 = AtomicU64::new(0);
/// Ticks a nanosecond, times 2^32.
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
/// Who changes the words.
static CHANGES: SpinLock<()> = SpinLock::new(());

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
    TICKS_PER_NS.store(
        ((u128::from(hertz) << 32) / 1_000_000_000) as u64,
        Ordering::Relaxed,
    );
    let mult = mult_of(hertz);
    change(|_| {
        let zero = Parameters {
            base: boot_tsc,
            mult,
            starts: [0; 2],
        };
        zero.with_rate(boot_tsc, mult, hertz)
    });
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

fn change(next: impl FnOnce(Parameters) -> Parameters) {
    let _changing = CHANGES.lock();
    vdso::words().change(next);
}

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now() -> u64 {
    nanoseconds(vdso::words().read(Which::Monotonic, msr::rdtsc))
}

/// Nanoseconds since the epoch.
#[inline]
pub fn realtime() -> u64 {
    nanoseconds(vdso::words().read(Which::Wall, msr::rdtsc))
}

/// What the wall clock shows when the TSC is `tsc`, ns, and the rate (cpu/tsc.rs).
pub fn wall_at(tsc: u64) -> (u64, u64) {
    let _unchanged = CHANGES.lock();
    let words = vdso::words();
    (nanoseconds(words.read(Which::Wall, || tsc)), words.mult())
}

/// Sets the wall clock: it is `realtime` ns since the epoch now.
pub fn set_realtime(realtime: u64) {
    change(|mut parameters| {
        let shown = parameters.at(Which::Wall, msr::rdtsc());
        let wall = &mut parameters.starts[Which::Wall as usize];
        *wall = wall.wrapping_add(from_nanoseconds(realtime).wrapping_sub(shown));
        parameters
    });
}

/// Sets the wall clock forward by `step` ns (back, if negative), and from now on runs at this rate.
pub fn adjust(step: i64, mult: u64) {
    change(|parameters| {
        let slack = tsc_hertz();
        let next = parameters.with_rate(msr::rdtsc(), mult, slack);
        if step == 0 {
            next
        } else {
            next.with_step(step)
        }
    });
}

/// The TSC value at which [`now`] reaches `deadline`, rounded up. Later than a second from now a thousandth less: the rate
/// may change meanwhile, and a timer that fires early is armed again.
pub fn ns_to_tsc_deadline(deadline: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let (tsc, now) = (msr::rdtsc(), now());
    let mut left = deadline.saturating_sub(now);
    if left > SECOND {
        left -= left / 1024;
    }
    let ticks = (u128::from(left) * u128::from(TICKS_PER_NS.load(Ordering::Relaxed))) >> 32;
    tsc.wrapping_add(
        u64::try_from(ticks)
            .unwrap_or(u64::MAX >> 1)
            .min(u64::MAX >> 1)
            + 1,
    )
}
