//! Named pipes (fifo(7)): open(2) of one waits for its partner.
//!
//! The pipe belongs to the inode as long as somebody has it open. Each end opened is counted for good, so that who waits
//! for the other side also learns of one that closed again meanwhile.
use super::{Named, Pipe};
use crate::fs::inode::Content;
use crate::fs::{Dentry, FileOps};
use crate::sync::Wait;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// The inode's pipe, made if nobody has it open.
fn pipe_of(dentry: &Dentry) -> Result<Arc<Pipe>, Errno> {
    let Content::Fifo(slot) = &dentry.inode.content else {
        return Err(Errno::ENXIO);
    };
    let fresh = Pipe::new();
    let mut slot = slot.lock();
    if let Some(pipe) = slot.upgrade() {
        return Ok(pipe);
    }
    *slot = Arc::downgrade(&fresh);
    Ok(fresh)
}

/// Opens a FIFO, permissions checked.
///
/// # Errors
/// ENXIO for a writer that will not wait and has no reader; ERESTARTSYS while waiting.
pub fn open(dentry: &Arc<Dentry>, flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
    let pipe = pipe_of(dentry)?;
    let waits = flags & abi::O_NONBLOCK == 0;
    let (reads, writes) = match flags & abi::O_ACCMODE {
        abi::O_RDONLY => (true, false),
        abi::O_WRONLY => (false, true),
        _ => (true, true),
    };
    if writes && !reads && !waits && pipe.no_readers() {
        return Err(Errno::ENXIO);
    }
    // What was seen before this end shows: a partner that comes from here on counts.
    let readers = pipe.readers_seen.load(Ordering::SeqCst);
    let writers = pipe.writers_seen.load(Ordering::SeqCst);
    let quiet = (reads && !writes && !waits && pipe.no_writers()).then_some(writers);
    let end = pipe.end(
        reads,
        writes,
        Some(Named {
            dentry: dentry.clone(),
            quiet,
        }),
    );
    if reads {
        pipe.readers_seen.fetch_add(1, Ordering::SeqCst);
    }
    if writes {
        pipe.writers_seen.fetch_add(1, Ordering::SeqCst);
    }
    pipe.partners.wake_all();
    let wait_for = |seen: &AtomicUsize, before: usize, none: &dyn Fn() -> bool| {
        let came = || (!none() || seen.load(Ordering::SeqCst) != before).then_some(());
        pipe.partners.wait_until(Wait::interruptible(), came)
    };
    match (reads, writes, waits) {
        (true, false, true) => wait_for(&pipe.writers_seen, writers, &|| pipe.no_writers())?,
        (false, true, true) => wait_for(&pipe.readers_seen, readers, &|| pipe.no_readers())?,
        _ => {}
    }
    Ok(end)
}
