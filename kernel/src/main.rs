//! The Ringo kernel: runs one stock Go program in ring 0.
//!
//! The boot order is [`main`]; the folders are the subsystems (docs/architecture.md walks through them).
#![no_std]
#![no_main]

extern crate alloc;

mod cpu;
mod crash_test;
mod drivers;
mod fs;
mod log;
mod memory;
mod net;
mod panic;
mod program;
mod sync;
mod syscall;
mod task;
mod time;

/// Enough for the deepest step of booting, which goes through the host's files, with all of it inlined into one frame.
const BOOT_STACK: usize = 64 * 1024;

/// Boots; a line a step. `start_info` is PVH's (physical), `tsc` the counter at entry.
fn main(start_info: usize, tsc: u64) -> ! {
    let boot = program::boot::read(start_info);
    memory::init(boot);
    if let Some(reason) = cpu::fpu::missing_feature() {
        drivers::power::fail(reason);
    }
    cpu::continue_on_new_stack(BOOT_STACK, tsc, boot_on)
}

/// The rest, on a stack that has a guard. This CPU will idle there.
extern "C" fn boot_on(tsc: u64) -> ! {
    cpu::smp::init_this_cpu();
    time::init(tsc);
    cpu::apic::calibrate_timer();
    task::init_cpu().expect("memory for the first idle thread");
    cpu::pic::turn_off();
    cpu::interrupts::unmask();
    program::boot::start();
    task::idle_forever()
}
