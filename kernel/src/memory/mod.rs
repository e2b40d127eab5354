//! Memory: frames, page tables, the kernel's heap and stacks, the program's address space.
//!
//! - frames.rs: physical memory, reference counts; budget.rs: who may take the last of it.
//! - paging.rs: page tables; sweep.rs, retired.rs: those that go. kernel_map.rs: the kernel's mappings.
//! - heap.rs with slabs.rs and mapped.rs, stack.rs: the kernel's own memory.
//! - space.rs: the program's mappings (mmap and its family), with areas.rs, pages.rs and commit.rs; remap.rs: mremap;
//!   grow.rs: stacks that grow; file_map.rs: mappings seen from files; fault.rs: page faults.
//! - spare.rs: room for what a program makes long. page.rs: a frame in the hands of a file. reclaim.rs: what is only kept
//!   for later; report.rs: where the frames are when there are none.
//! - user.rs: the one way to the program's memory; user_io.rs: its buffers; peek.rs: a look from inside an interrupt.
//!
//! One address space, one top-level table: the lower half is the program's, the upper the kernel's. Locks: the address
//! space's sleeping lock, then heap and frames (leaves).
mod areas;
mod budget;
mod commit;
pub mod fault;
pub mod file_map;
pub mod frames;
mod grow;
mod heap;
mod kernel_map;
mod mapped;
pub mod page;
mod pages;
pub mod paging;
pub mod peek;
pub mod reclaim;
pub mod remap;
mod report;
mod retired;
mod slabs;
pub mod space;
pub mod spare;
pub mod stack;
mod sweep;
pub mod user;
mod user_io;

pub use heap::frames as heap_frames;
pub use kernel_map::{is_device_memory, kernel_table, share_with_boot_tables, use_kernel_tables};
pub use space::space;

use crate::program::boot::BootInfo;
use arrayvec::ArrayVec;

/// All of RAM, from physical address 0 on. Not slot 256 of the top-level table: the paravirtual KVM keeps that.
pub const DIRECT_MAP: usize = 0xffff_8800_0000_0000;
/// The image is linked at this plus its physical address.
pub const KERNEL_BASE: usize = 0xffff_ffff_c000_0000;
/// Below it: BIOS data, the trampoline of the other CPUs, option ROMs.
const FIRST_USABLE: usize = 0x10_0000;

/// Where a physical address is in the direct map.
#[inline]
pub const fn phys_to_virt(phys: usize) -> usize {
    DIRECT_MAP + phys
}

/// Back from the direct map.
#[inline]
pub const fn virt_to_phys(virt: usize) -> usize {
    virt - DIRECT_MAP
}

/// Physical address of something in the kernel's image.
pub fn kernel_phys(virt: usize) -> usize {
    virt - KERNEL_BASE
}

/// Takes over the RAM that `boot` describes, but for the kernel's image and the bundle.
pub fn init(boot: &BootInfo) {
    let mut free: ArrayVec<(usize, usize), 32> = ArrayVec::new();
    for &(start, end) in &boot.ram {
        add_without(
            &mut free,
            (start.max(FIRST_USABLE), end),
            &[kernel_map::image(), boot.bundle_range()],
        );
    }
    let ram_end = boot.ram.iter().map(|region| region.1).max().unwrap_or(0);
    // A PC's firmware (q35's SeaBIOS) has worked in RAM below 4 GiB and wiped nothing; microvm's has not.
    let written_below = match boot.is_microvm() {
        true => 0,
        false => 4 << 30,
    };
    frames::init(&free, ram_end, written_below);
    kernel_map::init(ram_end);
}

/// Adds what of `region` is outside of `taken`, whole pages only.
fn add_without(
    free: &mut ArrayVec<(usize, usize), 32>,
    region: (usize, usize),
    taken: &[(usize, usize)],
) {
    let (start, end) = region;
    if start >= end {
        return;
    }
    let Some((&(from, to), rest)) = taken.split_first() else {
        // More regions than fit lose the rest of the memory, not the boot.
        let _ = free.try_push(region);
        return;
    };
    let (from, to) = (
        from / frames::FRAME * frames::FRAME,
        to.next_multiple_of(frames::FRAME),
    );
    add_without(free, (start, end.min(from)), rest);
    add_without(free, (start.max(to), end), rest);
}
