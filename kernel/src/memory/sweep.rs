//! Page tables of the program's that map nothing any more: found, and given back.
//!
//! An unmapping leaves the tables that it emptied where they are: small mappings come and go, and making and flushing tables
//! each time would cost more than the mappings. But whoever maps a page here and a page there, always elsewhere, leaves two
//! tables with each. So when as many were made as were needed at the last look, but [`SOME`] at least, all are looked at:
//! a constant cost for each that was made, and never more than twice as many as are in use. The address space's lock is held.
use super::paging::{ADDRESS, HUGE, PRESENT, PageTable, ROOT_HALF, TAKEN, entry, is_empty};
use super::retired;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Too few to be worth a look: 256 KiB.
const SOME: usize = 64;

/// Tables made since the last look, and in use then.
static MADE: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A table was made.
pub(super) fn made() {
    MADE.fetch_add(1, Ordering::Relaxed);
}

/// Looks for empty tables if it is time to. Not between making tables for pages and mapping these.
pub(super) fn sweep(tables: PageTable) {
    if MADE.load(Ordering::Relaxed) < SOME.max(IN_USE.load(Ordering::Relaxed)) {
        return;
    }
    MADE.store(0, Ordering::Relaxed);
    let Unused { kept, .. } = unused(tables.root, ROOT_HALF, 3);
    IN_USE.store(kept, Ordering::Relaxed);
}

/// What came of a look for tables that map nothing.
struct Unused {
    /// Whether the table itself maps nothing.
    empty: bool,
    /// How many tables below it are in use.
    kept: usize,
}

/// Takes those out that lie below `table` of `level`.
fn unused(table: usize, entries: usize, level: u32) -> Unused {
    let mut found = Unused {
        empty: true,
        kept: 0,
    };
    for at in 0..entries {
        // SAFETY: tables lie in the direct map; the lock is held.
        let value = unsafe { entry(table, at).read_volatile() };
        if value & TAKEN == 0 {
            continue;
        }
        if value & PRESENT == 0 || value & HUGE != 0 {
            found.empty = false;
            continue;
        }
        let lower = (value & ADDRESS) as usize;
        let below = match level {
            1 => Unused {
                empty: is_empty(lower),
                kept: 0,
            },
            _ => unused(lower, 512, level - 1),
        };
        found.kept += below.kept;
        if below.empty {
            // SAFETY: as above.
            unsafe { entry(table, at).write_volatile(0) };
            // SAFETY: no entry leads to it any more.
            unsafe { retired::retire(lower) };
        } else {
            found.empty = false;
            found.kept += 1;
        }
    }
    found
}
