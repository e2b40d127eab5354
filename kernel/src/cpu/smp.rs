//! Starting the other CPUs: INIT to all, early, so that other work passes the time it takes; then a start-up interrupt to
//! one after the other, each when the one before runs. Started all at once they would wait at the gate of boot.rs, and on a
//! host with fewer CPUs each of them would have its turn before the one that shall pass: 64 CPUs on two took 15 s so.
use super::percpu::{self, MAX_CPUS};
use super::{apic, fpu, gdt, msr, port, tlb};
use crate::memory::{self, phys_to_virt};
use crate::{klog, task, time};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where the trampoline goes: conventional memory that the frame allocator leaves alone.
pub const TRAMPOLINE: usize = 0x8000;

unsafe extern "C" {
    static ap_trampoline: u8;
    static ap_trampoline_end: u8;
    static ap_gate: AtomicU32;
    static ap_number: AtomicU32;
    static ap_stack: AtomicU64;
}

/// How many CPUs the machine has, by QEMU's fw_cfg (docs/specs/fw_cfg); 1 where there is none.
fn machine_cpus() -> usize {
    const SELECT: u16 = 0x510;
    const DATA: u16 = 0x511;
    let read = |item: u16| {
        port::outw(SELECT, item);
        [
            port::inb(DATA),
            port::inb(DATA),
            port::inb(DATA),
            port::inb(DATA),
        ]
    };
    const SIGNATURE: u16 = 0;
    const CPUS: u16 = 5;
    if read(SIGNATURE) != *b"QEMU" {
        return 1;
    }
    let [low, high, ..] = read(CPUS);
    usize::from(u16::from_le_bytes([low, high]))
}

/// The machine's other CPUs, on their way: between [`begin`] and [`Others::finish`] they reset themselves.
pub struct Others {
    wanted: usize,
}

/// Resets the machine's other CPUs, which takes a while: the first of two steps.
pub fn begin() -> Others {
    let wanted = machine_cpus().min(MAX_CPUS);
    if wanted > 1 {
        memory::share_with_boot_tables();
        // SAFETY: the symbols frame the trampoline; its destination is reserved memory in the direct map.
        unsafe {
            let from = &raw const ap_trampoline;
            let length = (&raw const ap_trampoline_end).offset_from_unsigned(from);
            core::ptr::copy_nonoverlapping(from, phys_to_virt(TRAMPOLINE) as *mut u8, length);
        }
        apic::reset_others();
    }
    Others { wanted }
}

/// The gate's word: whoever finds it open by an exchange that closes it has passed.
const OPEN: u32 = 0;
const CLOSED: u32 = 1;

/// How a CPU that has passed the gate fares.
const ON_ITS_WAY: u32 = 0;
const RUNS: u32 = 1;
const FAILED: u32 = 2;
static ARRIVED: AtomicU32 = AtomicU32::new(ON_ITS_WAY);

/// How long to wait for the next CPU. On a host with many more virtual CPUs than real ones a second is not rare; one that
/// comes later finds that it is not wanted.
const PATIENCE_NS: u64 = 10_000_000_000;
/// A start-up interrupt may have been missed, and does nothing to a CPU that runs: it is sent so often.
const REPEAT_NS: u64 = 20_000_000;
/// After so long the CPU's APIC seems to have another number than expected.
const ALONE_NS: u64 = 2_000_000_000;

impl Others {
    /// Starts them, one after the other.
    pub fn finish(self) {
        // SAFETY: atomics in the boot data, shared with assembly.
        let (gate, number, stack) = unsafe { (&ap_gate, &ap_number, &ap_stack) };
        let mut running = 1;
        for id in 1..self.wanted {
            let Ok(own) = memory::stack::KernelStack::alloc() else {
                break;
            };
            stack.store(own.top() as u64, Ordering::Relaxed);
            number.store(id as u32, Ordering::SeqCst);
            ARRIVED.store(ON_ITS_WAY, Ordering::SeqCst);
            gate.store(OPEN, Ordering::SeqCst);
            call_in(id as u32);
            if !arrived() && gate.swap(CLOSED, Ordering::SeqCst) == OPEN {
                klog!("{running} CPUs started, the next one does not come");
                break;
            }
            // One that has passed the gate stands on this stack, however long it takes: it lives there for ever.
            core::mem::forget(own);
            while !arrived() {
                core::hint::spin_loop();
            }
            if ARRIVED.load(Ordering::SeqCst) == FAILED {
                break;
            }
            running = id + 1;
        }
        if self.wanted > 1 {
            // Who comes now is not wanted: it opens the gate for the next one and halts for good.
            number.store(0, Ordering::SeqCst);
            gate.store(OPEN, Ordering::SeqCst);
        }
    }
}

fn arrived() -> bool {
    ARRIVED.load(Ordering::SeqCst) != ON_ITS_WAY
}

/// Sends start-up interrupts until a CPU has come: to the APIC `id`, as QEMU and firmware number them; where that has no
/// effect to all.
fn call_in(id: u32) {
    let begun = time::now();
    let mut next = begun;
    while !arrived() && time::now() < begun + PATIENCE_NS {
        let now = time::now();
        if now >= next {
            let destination = (now < begun + ALONE_NS).then_some(id);
            apic::start_up(destination, (TRAMPOLINE >> 12) as u8);
            next = now + REPEAT_NS;
        }
        core::hint::spin_loop();
    }
}

/// A new CPU's way into the scheduler.
pub fn enter() -> ! {
    memory::use_kernel_tables();
    init_this_cpu();
    if task::init_cpu().is_err() {
        klog!("no memory for another CPU's idle thread");
        ARRIVED.store(FAILED, Ordering::SeqCst);
        super::trap::halt_forever();
    }
    // In this order: a flush either waits for this CPU or is one that it catches up with.
    percpu::go_online();
    tlb::catch_up();
    ARRIVED.store(RUNS, Ordering::SeqCst);
    super::interrupts::unmask();
    task::idle_forever()
}

/// What every CPU sets up for itself, the first one too.
pub fn init_this_cpu() {
    super::kvm::init_this_cpu();
    fpu::init_cpu();
    gdt::init_cpu();
    super::machine_check::init_cpu();
    init_syscall();
    apic::init_cpu();
}

/// The `syscall` instruction of sites that were not rewritten.
fn init_syscall() {
    const SCE: u64 = 1;
    const CLEARED_FLAGS: u64 = 0x4_0500; // AC, TF, DF; interrupts stay on.
    // SAFETY: long mode has these MSRs; LSTAR is the entry.
    unsafe {
        msr::write(msr::EFER, msr::read(msr::EFER) | SCE);
        msr::write(msr::STAR, u64::from(gdt::CODE) << 32);
        msr::write(msr::LSTAR, super::entry::lstar_entry as *const () as u64);
        msr::write(msr::FMASK, CLEARED_FLAGS);
    }
}
