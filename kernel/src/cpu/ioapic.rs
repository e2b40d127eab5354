//! The I/O APIC: which vector a device's line raises (Intel 82093AA).
use super::percpu::cpu;
use crate::memory::phys_to_virt;
use crate::sync::SpinLock;
use core::sync::atomic::Ordering;

/// Where QEMU, and every PC, has the first one.
const BASE: usize = 0xfec0_0000;
const SELECT: usize = 0;
const WINDOW: usize = 0x10;
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

static WINDOW_LOCK: SpinLock<()> = SpinLock::new(());

fn access(register: u32, write: Option<u32>) -> u32 {
    let base = phys_to_virt(BASE);
    // SAFETY: the I/O APIC's registers, mapped uncached; the caller holds the lock between select and window.
    unsafe {
        ((base + SELECT) as *mut u32).write_volatile(register);
        let window = (base + WINDOW) as *mut u32;
        match write {
            Some(value) => {
                window.write_volatile(value);
                value
            }
            None => window.read_volatile(),
        }
    }
}

/// Makes line `gsi` raise `vector` on CPU `target`. False if there is no such line.
pub fn route(gsi: u32, vector: u8, target: usize, level_triggered: bool) -> bool {
    let _guard = WINDOW_LOCK.lock();
    let lines = (access(VERSION, None) >> 16 & 0xff) + 1;
    if gsi >= lines {
        return false;
    }
    let low = u32::from(vector) | if level_triggered { LEVEL } else { 0 };
    let high = cpu(target).apic_id.load(Ordering::Relaxed) << 24;
    access(REDIRECTION + 2 * gsi, Some(MASKED));
    access(REDIRECTION + 2 * gsi + 1, Some(high));
    access(REDIRECTION + 2 * gsi, Some(low));
    true
}
