//! The local APIC: timer, inter-processor interrupts, end of interrupt (Intel SDM 3A ch. 11).
//!
//! x2APIC (by MSR) where the CPU has it, else the memory-mapped registers. The timer runs in TSC-deadline mode where it
//! can, else one-shot with a count measured against the TSC.
use super::calibrate::{Ratio, Reading, Wanted, measure};
use super::percpu::{MAX_CPUS, PerCpu, cpu, cpu_count, this_cpu};
use super::{interrupts, msr};
use crate::memory::phys_to_virt;
use crate::time;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const BASE: usize = 0xfee0_0000;
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const EOI: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const COMMAND: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;
const LVT_MASKED: u32 = 1 << 16;
const LVT_TSC_DEADLINE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_START: u32 = 6 << 8;
const LEVEL_ASSERT: u32 = 1 << 14;
const TO_OTHERS: u32 = 3 << 18;

static X2APIC: AtomicBool = AtomicBool::new(false);
static TSC_DEADLINE: AtomicBool = AtomicBool::new(false);
/// Timer counts a nanosecond << 32, for one-shot mode.
static COUNTS_PER_NS: AtomicU64 = AtomicU64::new(0);

fn register(offset: u32) -> *mut u32 {
    (phys_to_virt(BASE) + offset as usize) as *mut u32
}

fn read(offset: u32) -> u32 {
    // SAFETY: an APIC register, by MSR or mapped uncached by boot.rs.
    unsafe {
        if X2APIC.load(Ordering::Relaxed) {
            msr::read(0x800 + (offset >> 4)) as u32
        } else {
            register(offset).read_volatile()
        }
    }
}

fn write(offset: u32, value: u32) {
    // SAFETY: as in `read`.
    unsafe {
        if X2APIC.load(Ordering::Relaxed) {
            msr::write(0x800 + (offset >> 4), u64::from(value));
        } else {
            register(offset).write_volatile(value);
        }
    }
}

/// Turns this CPU's APIC on.
pub fn init_cpu() {
    let features = __cpuid(1).ecx;
    let x2apic = features & 1 << 21 != 0;
    // SAFETY: every CPU with an APIC has this MSR; 0x400 only where CPUID has x2APIC.
    unsafe {
        let base = msr::read(msr::APIC_BASE) | 0x800 | if x2apic { 0x400 } else { 0 };
        msr::write(msr::APIC_BASE, base);
    }
    X2APIC.store(x2apic, Ordering::Relaxed);
    TSC_DEADLINE.store(features & 1 << 24 != 0, Ordering::Relaxed);
    let id = if x2apic { read(ID) } else { read(ID) >> 24 };
    this_cpu().apic_id.store(id, Ordering::Relaxed);
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, 0x100 | u32::from(interrupts::SPURIOUS));
    if TSC_DEADLINE.load(Ordering::Relaxed) {
        write(LVT_TIMER, LVT_TSC_DEADLINE | u32::from(interrupts::TIMER));
    } else {
        write(DIVIDE, DIVIDE_BY_1);
        write(LVT_TIMER, u32::from(interrupts::TIMER));
    }
}

/// Measures the one-shot timer against the clock; once, after time::init.
pub fn calibrate_timer() {
    if TSC_DEADLINE.load(Ordering::Relaxed) {
        return;
    }
    write(LVT_TIMER, LVT_MASKED);
    write(INITIAL_COUNT, u32::MAX);
    let hertz = time::tsc_hertz();
    let wanted = Wanted {
        modulus: 1 << 32,
        progress: |_, ticks| ticks,
        span: [hertz / 4000, hertz / 500, hertz / 10],
        ppm: 500,
    };
    let look = || {
        let before = msr::rdtsc();
        let count = u64::from(u32::MAX - read(CURRENT_COUNT));
        Reading {
            before,
            count,
            after: msr::rdtsc(),
        }
    };
    let found = measure(look, &wanted);
    write(INITIAL_COUNT, 0);
    write(LVT_TIMER, u32::from(interrupts::TIMER));
    // Without an answer a count a nanosecond, as QEMU has it: too early or late, but no less than once.
    let per_ns = found.map_or(1 << 32, |Ratio { ticks, counts, .. }| {
        ((u128::from(counts) * u128::from(hertz)) << 32) / (u128::from(ticks) * 1_000_000_000)
    });
    COUNTS_PER_NS.store(per_ns as u64, Ordering::Relaxed);
}

/// Makes this CPU's timer fire when the clock reaches `deadline` (ns since boot); u64::MAX disarms.
pub fn arm_timer(deadline: u64) {
    PerCpu::count(&this_cpu().timer_arms, 1);
    if TSC_DEADLINE.load(Ordering::Relaxed) {
        let tsc = if deadline == u64::MAX {
            0
        } else {
            time::ns_to_tsc_deadline(deadline)
        };
        arm_at(tsc);
    } else if deadline == u64::MAX {
        write(INITIAL_COUNT, 0);
    } else {
        arm_after(deadline.saturating_sub(time::now()));
    }
}

/// The same for when the TSC reaches `tsc`. Inside of traps, too: it does not look at the clock, which may be half changed.
pub fn arm_timer_at(tsc: u64) {
    PerCpu::count(&this_cpu().timer_arms, 1);
    if TSC_DEADLINE.load(Ordering::Relaxed) {
        return arm_at(tsc);
    }
    let ticks = u128::from(tsc.saturating_sub(msr::rdtsc()));
    let ns = ticks * 1_000_000_000 / u128::from(time::tsc_hertz().max(1));
    arm_after(u64::try_from(ns).unwrap_or(u64::MAX));
}

/// In TSC-deadline mode; 0 disarms.
fn arm_at(tsc: u64) {
    // SAFETY: CPUID has TSC-deadline mode, and the LVT is in it.
    unsafe { msr::write(msr::TSC_DEADLINE, tsc) };
}

/// In one-shot mode.
fn arm_after(ns: u64) {
    let counts = (u128::from(ns) * u128::from(COUNTS_PER_NS.load(Ordering::Relaxed))) >> 32;
    // A count that does not fit fires early, and is armed again then.
    write(
        INITIAL_COUNT,
        u32::try_from(counts).unwrap_or(u32::MAX).max(1),
    );
}

/// The interrupt is taken; the next one may come.
#[inline]
pub fn end_of_interrupt() {
    write(EOI, 0);
}

fn command(destination: u32, low: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: the x2APIC's command register.
        unsafe {
            msr::write(
                0x800 + (COMMAND >> 4),
                u64::from(destination) << 32 | u64::from(low),
            )
        };
    } else {
        while read(COMMAND) & 1 << 12 != 0 {
            core::hint::spin_loop();
        }
        write(COMMAND_HIGH, destination << 24);
        write(COMMAND, low);
    }
}

/// Interrupts another CPU.
pub fn send_ipi(target: &PerCpu, vector: u8) {
    PerCpu::count(&this_cpu().ipis, 1);
    command(
        target.apic_id.load(Ordering::Relaxed),
        LEVEL_ASSERT | u32::from(vector),
    );
}

/// Interrupts all other online CPUs.
pub fn send_ipi_to_others(vector: u8) {
    let me = this_cpu().id();
    for id in (0..cpu_count().min(MAX_CPUS)).filter(|&id| id != me) {
        send_ipi(cpu(id), vector);
    }
}

/// INIT to every other CPU; the start-up interrupts follow after 200 µs at the earliest.
pub fn reset_others() {
    command(0, TO_OTHERS | DELIVER_INIT | LEVEL_ASSERT);
    RESET.store(time::now(), Ordering::Relaxed);
}

/// When the other CPUs were reset.
static RESET: AtomicU64 = AtomicU64::new(0);

/// A start-up interrupt to the CPU whose APIC is `destination`, or to every other CPU; `page` is the trampoline's page
/// number below 256.
pub fn start_up(destination: Option<u32>, page: u8) {
    while time::now() < RESET.load(Ordering::Relaxed) + 200_000 {
        core::hint::spin_loop();
    }
    let to = if destination.is_some() { 0 } else { TO_OTHERS };
    command(
        destination.unwrap_or(0),
        to | DELIVER_START | LEVEL_ASSERT | u32::from(page),
    );
}

/// Stops all other CPUs wherever they are, as a panic does.
pub fn stop_others() {
    send_ipi_to_others(interrupts::STOP);
}
