//! Starting the other CPUs: INIT and start-up interrupts, one CPU through the gate of boot.rs at a time. The reset is
//! asked for early, so that other work passes the time it takes.
use super::percpu::{MAX_CPUS, set_cpu_count};
use super::{apic, fpu, gdt, msr, port, tlb};
use crate::memory::{self, phys_to_virt};
use crate::{task, time};
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

impl Others {
    /// Starts them, one after the other; gives how many CPUs run in all.
    pub fn finish(self) -> usize {
        // SAFETY: atomics in the boot data, shared with assembly.
        let (gate, number, stack) = unsafe { (&ap_gate, &ap_number, &ap_stack) };
        let mut running = 1;
        for id in 1..self.wanted {
            let Ok(own) = memory::stack::KernelStack::alloc() else {
                break;
            };
            stack.store(own.top() as u64, Ordering::Relaxed);
            number.store(id as u32, Ordering::SeqCst);
            STARTED.store(0, Ordering::SeqCst);
            gate.store(0, Ordering::SeqCst);
            let started = || STARTED.load(Ordering::SeqCst) != 0;
            if id == 1 {
                apic::start_others((TRAMPOLINE >> 12) as u8, started);
            }
            let until = time::now() + 1_000_000_000;
            while !started() && time::now() < until {
                core::hint::spin_loop();
            }
            if !started() {
                break;
            }
            // The idle thread of that CPU lives on it for ever.
            core::mem::forget(own);
            running = id + 1;
            set_cpu_count(running);
        }
        running
    }
}

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A new CPU's way into the scheduler.
pub fn enter(_id: usize) -> ! {
    memory::use_kernel_tables();
    init_this_cpu();
    tlb::catch_up();
    if task::init_cpu().is_err() {
        super::trap::halt_forever();
    }
    STARTED.store(1, Ordering::SeqCst);
    super::interrupts::unmask();
    task::idle_forever()
}

/// What every CPU sets up for itself, the first one too.
pub fn init_this_cpu() {
    super::kvm::init_this_cpu();
    fpu::init_cpu();
    gdt::init_cpu();
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
