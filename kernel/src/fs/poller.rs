//! Waiting for several files at once: what poll(2) and select(2) have in common.
//!
//! A scan asks every file. If none is ready, one [`Waiter`] observes them all, they are scanned again whenever one tells
//! of an event that somebody asked for, and the waiter is taken off at the end. Cost: O(files) a scan and nothing that
//! grows faster, also when one file is asked for many times; without waiting nothing is allocated.
use super::poll::Observer;
use super::{OpenFile, PollEvents};
use crate::sync::{SlotRef, Wait, WaitQueue};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::{Errno, SysResult};

/// One thread that waits for any of its files.
struct Waiter {
    /// All that was asked of any file.
    wanted: PollEvents,
    told: AtomicBool,
    queue: WaitQueue,
}

impl Observer for Waiter {
    fn notify(&self, events: PollEvents) {
        if events.is_empty() || events.intersects(self.wanted) {
            self.told.store(true, Ordering::SeqCst);
            self.queue.wake_one();
        }
    }
}

/// The waiter on its files, as long as this lives.
struct Observing<'a> {
    observer: Arc<dyn Observer>,
    files: &'a [SlotRef<OpenFile>],
}

impl<'a> Observing<'a> {
    fn new(waiter: Arc<Waiter>, files: &'a [SlotRef<OpenFile>]) -> Result<Self, Errno> {
        for (done, file) in files.iter().enumerate() {
            if let Some(queue) = file.ops.poll_queue()
                && let Err(errno) = queue.observe(waiter.clone())
            {
                // Off those that have it.
                drop(Self {
                    observer: waiter,
                    files: &files[..done],
                });
                return Err(errno);
            }
        }
        Ok(Self {
            observer: waiter,
            files,
        })
    }
}

impl Drop for Observing<'_> {
    fn drop(&mut self) {
        for queue in self.files.iter().filter_map(|file| file.ops.poll_queue()) {
            queue.forget(&self.observer);
        }
    }
}

/// Calls `scan`, which says how many of the files are ready for what was wanted of them, until that is not 0 or the
/// deadline (ns since boot; 0: does not wait) has passed.
///
/// # Errors
/// ERESTARTNOHAND when a signal is pending; ENOMEM.
pub fn wait(
    files: &[SlotRef<OpenFile>],
    wanted: PollEvents,
    deadline: Option<u64>,
    mut scan: impl FnMut() -> usize,
) -> SysResult {
    let ready = scan();
    if ready > 0 || deadline == Some(0) {
        return Ok(ready);
    }
    let waiter = Arc::new(Waiter {
        wanted: wanted | PollEvents::ERR | PollEvents::HUP,
        told: AtomicBool::new(false),
        queue: WaitQueue::new(),
    });
    let _observing = Observing::new(waiter.clone(), files)?;
    let how = Wait::interruptible().deadline(deadline);
    loop {
        // Before the files are asked: what happens from here on is told again.
        waiter.told.store(false, Ordering::SeqCst);
        let ready = scan();
        if ready > 0 {
            return Ok(ready);
        }
        let told = || waiter.told.load(Ordering::SeqCst).then_some(());
        match waiter.queue.wait_until(how, told) {
            Ok(()) => {}
            Err(Errno::ETIMEDOUT) => return Ok(scan()),
            Err(_) => return Err(Errno::ERESTARTNOHAND),
        }
    }
}
