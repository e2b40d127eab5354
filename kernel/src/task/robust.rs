//! Robust futexes (set_robust_list(2)): when a thread ends, those who wait for what it holds learn that the owner died.
use super::{Thread, futex, shared_word};
use crate::memory::user;
use core::sync::atomic::Ordering;
use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

/// As many as Linux looks at: the list is the program's and may be a circle.
const LIMIT: usize = 2048;
/// The lowest bit of a pointer: a priority-inheritance futex, which there are none of.
const PI: usize = 1;

/// Walks the list of a thread that is about to end. Whatever is wrong with it ends the walk.
pub fn release(thread: &Thread) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return;
    }
    // struct robust_list_head: next, offset of the futex from an entry, the entry that is being locked or unlocked.
    let Ok([mut entry, offset, pending]) = user::read::<[usize; 3]>(head) else {
        return;
    };
    for _ in 0..LIMIT {
        if entry & !PI == head {
            break;
        }
        let Ok(next) = user::read::<usize>(entry & !PI) else {
            break;
        };
        if entry != pending && !died(thread, (entry & !PI).wrapping_add(offset)) {
            break;
        }
        entry = next;
    }
    if pending & !PI != 0 {
        died(thread, (pending & !PI).wrapping_add(offset));
    }
}

/// Marks a futex that the thread holds. False if it cannot be written to.
fn died(thread: &Thread, at: usize) -> bool {
    if !at.is_multiple_of(4) {
        return false;
    }
    let ours = |word: u32| word & FUTEX_TID_MASK == thread.tid().cast_unsigned();
    let mark = |word: u32| {
        if ours(word) {
            word & FUTEX_WAITERS | FUTEX_OWNER_DIED
        } else {
            word
        }
    };
    match user::update_u32(at, mark) {
        Ok(old) => {
            if ours(old) && old & FUTEX_WAITERS != 0 {
                futex::wake(shared_word::shared(at), 1, u32::MAX);
            }
            true
        }
        Err(_) => false,
    }
}
