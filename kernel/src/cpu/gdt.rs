//! Segments, the task state segment with its interrupt stacks, and the interrupt descriptor table (Intel SDM 3A ch. 3,
//! 6, 7). Selectors are fixed: 0x10 code, 0x18 data, 0x20 TSS (two entries).
use super::trap::trap_stubs;
use crate::memory::stack;
use alloc::boxed::Box;
use core::arch::asm;
use spin::Once;

/// Code selector.
pub const CODE: u16 = 0x10;
/// Data selector.
pub const DATA: u16 = 0x18;
const TSS: u16 = 0x20;

/// Interrupt stack table slots (1 to 7), one for each kind that may interrupt another.
const IST_INTERRUPT: u64 = 1;
const IST_PAGE_FAULT: u64 = 2;
const IST_FAULT: u64 = 3;
const IST_DEBUG: u64 = 4;
const IST_NMI: u64 = 5;
const IST_MACHINE_CHECK: u64 = 6;
const IST_DOUBLE_FAULT: u64 = 7;
const IST_SIZE: usize = 8192;

#[repr(C, packed)]
struct TaskState {
    reserved: u32,
    rsp: [u64; 3],
    reserved2: u64,
    ist: [u64; 7],
    reserved3: u64,
    reserved4: u16,
    io_map: u16,
}

#[repr(C, align(16))]
struct Descriptors {
    gdt: [u64; 6],
    tss: TaskState,
}

#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

static IDT: Once<Box<[[u64; 2]; 256]>> = Once::new();

/// Gives this CPU its descriptor tables and interrupt stacks, each with nothing mapped below. The heap must work.
pub fn init_cpu() {
    let stack = || stack::permanent(IST_SIZE).expect("memory for a CPU's interrupt stacks");
    let ist = core::array::from_fn(|_| stack() as u64);
    let descriptors = Box::leak(Box::new(Descriptors {
        gdt: [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0],
        tss: TaskState {
            reserved: 0,
            rsp: [0; 3],
            reserved2: 0,
            ist,
            reserved3: 0,
            reserved4: 0,
            io_map: size_of::<TaskState>() as u16,
        },
    }));
    let base = core::ptr::addr_of!(descriptors.tss) as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    descriptors.gdt[4] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    descriptors.gdt[5] = base >> 32;
    let gdt = Pointer {
        limit: size_of::<[u64; 6]>() as u16 - 1,
        base: descriptors.gdt.as_ptr() as u64,
    };
    let idt = IDT.call_once(|| Box::new(core::array::from_fn(gate)));
    let idt = Pointer {
        limit: 4095,
        base: idt.as_ptr() as u64,
    };
    // SAFETY: the tables are leaked, well formed, and keep the selectors that are loaded already.
    unsafe {
        asm!("lgdt [{}]", in(reg) &raw const gdt, options(readonly, nostack));
        asm!("lidt [{}]", in(reg) &raw const idt, options(readonly, nostack));
        asm!("ltr {:x}", in(reg) TSS, options(nostack));
    }
}

/// An interrupt gate for `vector`.
fn gate(vector: usize) -> [u64; 2] {
    let handler = trap_stubs as *const () as u64 + 16 * vector as u64;
    let ist = match vector {
        1 => IST_DEBUG,
        2 => IST_NMI,
        8 => IST_DOUBLE_FAULT,
        14 => IST_PAGE_FAULT,
        18 => IST_MACHINE_CHECK,
        0..32 => IST_FAULT,
        _ => IST_INTERRUPT,
    };
    let low = handler & 0xffff
        | u64::from(CODE) << 16
        | ist << 32
        | 0x8e << 40
        | (handler >> 16 & 0xffff) << 48;
    [low, handler >> 32]
}
