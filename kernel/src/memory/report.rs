//! Where the frames are, when there are none: a line of the log for `-v`, as Linux prints its counts before it kills.
//!
//! The command hears of the first one in any case: it tells the user what to do about it.
//! Nothing here allocates: the caller holds the address space, and memory is short.
use super::space::{Backing, Inner};
use super::{frames, heap, kernel_table};
use crate::drivers::control;
use crate::klog;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_control::{Note, ToHost};

/// Reports so far: what is refused once is often asked for again.
static REPORTS: AtomicUsize = AtomicUsize::new(0);
const MOST: usize = 8;

/// Says what was refused, and who has the frames.
#[cold]
pub fn refused(what: &str, inner: &Inner) {
    let before = REPORTS.fetch_add(1, Ordering::Relaxed);
    if before == 0 {
        control::send(&ToHost::Noted(Note::OutOfMemory));
    }
    if before >= MOST {
        return;
    }
    let (free, total) = frames::counts();
    let files: usize = inner
        .areas
        .iter()
        .filter(|(_, area)| matches!(area.backing, Backing::File { .. }))
        .map(|(&start, area)| inner.touched(start, area.end))
        .sum();
    klog!(
        "out of memory: {what} refused. Frames: {total}, free {free}, of these promised {}, reserved {}; the program's \
         {} anonymous, {files} of files; tables {}, kernel's heap {}",
        frames::promised(),
        frames::reserve(),
        inner.resident.saturating_sub(files),
        kernel_table().program_tables(),
        heap::frames(),
    );
}
