//! Memory. (Stand-in until the memory subsystem lands.)
pub mod stack;
pub mod user;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Address in the direct map.
pub fn phys_to_virt(phys: usize) -> usize {
    0xffff_8800_0000_0000 + phys
}
/// Physical address of something in the kernel's image.
pub fn kernel_phys(virt: usize) -> usize {
    virt - 0xffff_ffff_c000_0000
}
/// Kernel tables on another CPU.
pub fn use_kernel_tables() {}
/// Init.
pub fn init(_boot: &crate::program::boot::BootInfo) {}

/// A fault that becomes a signal.
#[derive(Debug)]
pub struct FaultSignal {
    /// SIGSEGV or SIGBUS.
    pub signo: i32,
    /// si_code.
    pub code: i32,
}
/// The address space.
pub struct AddressSpace;
impl AddressSpace {
    /// Serves a page fault.
    pub fn fault(&self, _address: usize, _write: bool, _fetch: bool) -> Result<(), FaultSignal> {
        Err(FaultSignal { signo: 11, code: 1 })
    }
}
/// The one.
pub fn space() -> &'static AddressSpace {
    &AddressSpace
}

struct Bump(AtomicUsize);
// SAFETY: hands out each byte once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let at = self
            .0
            .fetch_add(layout.size() + layout.align(), Ordering::Relaxed);
        ((at + layout.align() - 1) & !(layout.align() - 1)) as *mut u8
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
#[global_allocator]
static HEAP: Bump = Bump(AtomicUsize::new(0xffff_8800_0080_0000));
