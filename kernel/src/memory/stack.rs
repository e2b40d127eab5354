//! Kernel stacks: a thread's has 16 KiB above an unmapped guard, in an area of their own; what each CPU has for ever, for
//! booting and for interrupts, are blocks of the heap's area, which has gaps as well. An overflow is a page fault, which
//! has a stack of its own, and is reported like any kernel bug.
use super::paging::{NO_EXECUTE, PAGE, WRITABLE};
use super::{frames, kernel_table, mapped};
use crate::sync::SpinLock;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Where the stacks live: a slot of its own in the top-level table.
const AREA: usize = 0xffff_c800_0000_0000;
/// Bytes of a stack.
pub const SIZE: usize = 16 * 1024;
/// Stack and guard.
const STRIDE: usize = 32 * 1024;

struct Area {
    /// Stacks that are mapped and unused: reusing one costs nothing.
    free: Vec<usize>,
    next: usize,
    /// How many stacks there are: `free` has room for all of them.
    count: usize,
}

static STACKS: SpinLock<Area> = SpinLock::new(Area {
    free: Vec::new(),
    next: AREA,
    count: 0,
});

/// A thread's kernel stack.
pub struct KernelStack {
    top: usize,
}

impl KernelStack {
    /// An unused stack.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn alloc() -> Result<Self, Errno> {
        let mut stacks = STACKS.lock();
        if let Some(top) = stacks.free.pop() {
            return Ok(Self { top });
        }
        let room = stacks.count + 1;
        let reserved = stacks.free.try_reserve(room);
        reserved.map_err(|_| Errno::ENOMEM)?;
        let top = stacks.next + STRIDE;
        for page in 1..=SIZE / PAGE {
            let at = top - page * PAGE;
            // Mapped by an attempt that found too little memory for the whole.
            if kernel_table().lookup(at).is_some() {
                continue;
            }
            let frame = frames::alloc_spare(0).ok_or(Errno::ENOMEM)?;
            if !kernel_table().map(at, frame.phys, WRITABLE | NO_EXECUTE) {
                // SAFETY: ours, and mapped nowhere.
                unsafe { frames::release(frame.phys) };
                return Err(Errno::ENOMEM);
            }
        }
        (stacks.next, stacks.count) = (top, room);
        Ok(Self { top })
    }

    /// Where it begins, growing down.
    pub fn top(&self) -> usize {
        self.top
    }
}

/// Whether `address` lies in the thread's stack with this top.
pub fn holds(top: usize, address: usize) -> bool {
    top != 0 && (top - SIZE..top).contains(&address)
}

/// The top of a stack of `bytes` (more than a page) that is never given back.
///
/// # Errors
/// ENOMEM.
pub fn permanent(bytes: usize) -> Result<usize, Errno> {
    Ok(mapped::alloc(bytes).ok_or(Errno::ENOMEM)? + bytes)
}

/// Whether an address lies in the guard below some stack.
pub fn is_guard(address: usize) -> bool {
    if mapped::is_mapped(address) {
        return kernel_table().lookup(address).is_none();
    }
    let Some(offset) = address.checked_sub(AREA) else {
        return false;
    };
    offset < 1 << 39 && offset % STRIDE < STRIDE - SIZE
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        STACKS.lock().free.push(self.top);
    }
}
