//! Page tables that were taken out of the program's half, on their way back to the frames.
//!
//! A CPU may keep the entry that led to a table in its paging-structure caches, walk the table speculatively, and even set
//! accessed bits in it (Intel SDM 3A 4.10.2 and 4.8). An idle CPU is not asked to forget the program's translations
//! (cpu/tlb.rs). So tables wait here until there are some, and are free for others after a flush of all CPUs, idle ones too.
//! (Linux: `freed_tables` in arch/x86/mm/tlb.c.) The list's lock is a leaf.
use super::frames;
use crate::cpu::tlb;
use crate::sync::SpinLock;
use arrayvec::ArrayVec;

/// How many wait: 64 KiB.
const SOME: usize = 16;

static WAITING: SpinLock<ArrayVec<usize, SOME>> = SpinLock::new(ArrayVec::new_const());

/// Takes over the frame (physical address) of a table that no entry leads to any more.
///
/// # Safety
/// The frame is the caller's, and nothing but what CPUs still remember leads to it.
pub unsafe fn retire(table: usize) {
    let full = {
        let mut waiting = WAITING.lock();
        waiting.push(table);
        if !waiting.is_full() {
            return;
        }
        waiting.take()
    };
    tlb::flush_kernel();
    for table in full {
        // SAFETY: ours, and no CPU remembers it.
        unsafe { frames::free(table, 0) };
    }
}
