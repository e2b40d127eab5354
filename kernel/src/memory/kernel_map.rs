//! The kernel's own mappings, made once: the image with its sections' rights, the direct map of all RAM, devices.
//!
//! The tables of boot.rs serve until then. The program's half of the same top-level table belongs to space.rs.
use super::paging::{HUGE_PAGE, NO_EXECUTE, PAGE, PageTable, UNCACHED, WRITABLE};
use super::{DIRECT_MAP, KERNEL_BASE, frames};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where the APICs and virtio-mmio devices are on every machine the kernel knows; PCI's 32-bit windows too.
const DEVICES: (usize, usize) = (0xc000_0000, 0x1_0000_0000);

static ROOT: AtomicUsize = AtomicUsize::new(0);
static RAM_END: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static kernel_start: u8;
    static kernel_text_end: u8;
    static kernel_rodata_end: u8;
    static kernel_end: u8;
}

/// Whether all of [phys, phys + length) is device memory, mapped uncached in the direct map.
pub fn is_device_memory(phys: usize, length: usize) -> bool {
    phys >= DEVICES.0 && phys.checked_add(length).is_some_and(|end| end <= DEVICES.1)
}

/// Where the direct map of RAM ends, physically.
pub fn ram_end() -> usize {
    RAM_END.load(Ordering::Relaxed)
}

/// The kernel's top-level table.
pub fn kernel_table() -> PageTable {
    PageTable::at(ROOT.load(Ordering::Relaxed))
}

/// [start, end) of the image in physical memory.
pub fn image() -> (usize, usize) {
    // Only the addresses of the symbols are used.
    (
        super::kernel_phys(&raw const kernel_start as usize),
        super::kernel_phys(&raw const kernel_end as usize),
    )
}

/// Builds the tables for RAM up to `ram_end` and switches this CPU to them. What must not be written in the image must not
/// be written through the direct map either.
pub fn init(ram_end: usize) {
    let root = frames::alloc_zeroed(0).expect("memory for the kernel's page table");
    let table = PageTable::at(root);
    let (start, end) = image();
    let text_end = super::kernel_phys(&raw const kernel_text_end as usize);
    let rodata_end = super::kernel_phys(&raw const kernel_rodata_end as usize);
    for phys in (0..ram_end.max(DEVICES.1)).step_by(HUGE_PAGE) {
        let is_device = is_device_memory(phys, HUGE_PAGE);
        if phys >= ram_end && !is_device {
            continue;
        }
        let flags = WRITABLE | NO_EXECUTE | if is_device { UNCACHED } else { 0 };
        let mapped = if phys < rodata_end && phys + HUGE_PAGE > start {
            (phys..phys + HUGE_PAGE).step_by(PAGE).all(|page| {
                let read_only = (start..rodata_end).contains(&page);
                let flags = if read_only { NO_EXECUTE } else { flags };
                table.map(DIRECT_MAP + page, page, flags)
            })
        } else {
            table.map_huge(DIRECT_MAP + phys, phys, flags)
        };
        assert!(mapped, "memory for the direct map");
    }
    for phys in (start..end).step_by(PAGE) {
        let flags = if phys < text_end {
            0
        } else if phys < rodata_end {
            NO_EXECUTE
        } else {
            WRITABLE | NO_EXECUTE
        };
        assert!(
            table.map(KERNEL_BASE + phys, phys, flags),
            "memory for the kernel's map"
        );
    }
    RAM_END.store(ram_end, Ordering::Relaxed);
    ROOT.store(root, Ordering::Release);
    use_kernel_tables();
}

/// Switches this CPU to the kernel's tables.
pub fn use_kernel_tables() {
    // SAFETY: they map everything the kernel uses at the addresses it uses.
    unsafe {
        core::arch::asm!("mov cr3, {}", in(reg) ROOT.load(Ordering::Acquire), options(nostack))
    };
}

unsafe extern "C" {
    static mut boot_pml4: [u64; 512];
}

/// The other CPUs start on the tables of boot.rs, and need their stacks there: gives those tables the kernel's upper
/// half. The first stack must exist.
pub fn share_with_boot_tables() {
    let kernel = super::phys_to_virt(ROOT.load(Ordering::Acquire)) as *const u64;
    // SAFETY: both are top-level tables; no CPU uses boot_pml4 now, and the entries map the same kernel.
    unsafe {
        let boot = (&raw mut boot_pml4).cast::<u64>();
        for index in 256..512 {
            boot.add(index)
                .write_volatile(kernel.add(index).read_volatile());
        }
    }
}
