//! Requests for the standard streams that are regular files on the host, over the control port (crates/control/src/file.rs).
//!
//! One at a time: [`ask`] sends it and sleeps until all of the answer is there. The answer's bytes are put where the asker
//! said while they arrive, by whoever looks at the port (control.rs), without passing through a decoder.
//! Standard input may be read ahead: then the host's position is behind the program's, by `OWED`, until something is asked
//! for, or the program stops or ends ([`settle`]).
//! Locks: `ASKING` (sleeping), then `OWED`, then the control port's, then `ANSWER`.
use super::{console, control};
use crate::sync::{SleepMutex, SpinLock, Wait, WaitQueue};
use crate::task::host::HostWorks;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;
use ringo_control::{FileRequest, FileWork, Stream, ToHost};

struct Answer {
    result: Option<i64>,
    /// Bytes of it that are still to come.
    missing: usize,
    /// With room for what was asked for: nothing is allocated where the port is looked at.
    data: Vec<u8>,
}

static ASKING: SleepMutex<()> = SleepMutex::new(());
static ANSWER: SpinLock<Answer> = SpinLock::new(Answer {
    result: None,
    missing: 0,
    data: Vec::new(),
});
static ARRIVED: WaitQueue = WaitQueue::new();

/// Bytes of standard input that the program has read and the host's position has not moved over.
/// Locked until the move is on its way, so that no request overtakes it.
static OWED: SpinLock<u64> = SpinLock::new(0);

/// The program has read so many bytes of standard input that were fetched ahead.
pub fn owe(bytes: usize) {
    *OWED.lock() += bytes as u64;
}

/// Moves the host's position to where the program's is.
pub fn settle() {
    settle_locked(&mut OWED.lock());
}

fn settle_locked(owed: &mut u64) {
    let bytes = core::mem::take(owed);
    if bytes > 0 {
        post(Stream::Stdin as u32, FileWork::Advance(bytes));
    }
}

/// Prepares for requests, once.
pub fn init() {
    static READY: AtomicBool = AtomicBool::new(false);
    if let Some(console) = console()
        && !READY.swap(true, Ordering::Relaxed)
    {
        console.control.expect_data();
    }
}

/// Asks for something to be done with a file, and gives the system call's result; what comes with it is put into `data` as
/// far as that has room.
///
/// # Errors
/// The host's; EIO without a console.
pub fn ask(handle: u32, work: FileWork<'_>, data: &mut Vec<u8>) -> Result<u64, Errno> {
    console().ok_or(Errno::EIO)?;
    let _asking = ASKING.lock();
    data.clear();
    {
        let mut answer = ANSWER.lock();
        answer.result = None;
        answer.data = core::mem::take(data);
    }
    send(handle, work);
    let there = || {
        let mut answer = ANSWER.lock();
        (answer.missing == 0)
            .then(|| answer.result.take())
            .flatten()
    };
    let works = HostWorks::new();
    // An uninterruptible wait without a deadline has no error.
    let result = ARRIVED
        .wait_until(Wait::uninterruptible(), there)
        .unwrap_or(-i64::from(Errno::EIO.number()));
    drop(works);
    *data = core::mem::take(&mut ANSWER.lock().data);
    u64::try_from(result).map_err(|_| {
        i32::try_from(-result)
            .ok()
            .and_then(Errno::from_number)
            .unwrap_or(Errno::EIO)
    })
}

/// Sends a request that has no answer.
pub fn send(handle: u32, work: FileWork<'_>) {
    let mut owed = OWED.lock();
    settle_locked(&mut owed);
    post(handle, work);
}

fn post(handle: u32, work: FileWork<'_>) {
    control::send(&ToHost::File(FileRequest {
        handle,
        written: console::written(),
        work,
    }));
}

/// The beginning of an answer arrived: of its `length` bytes these.
pub(super) fn answered(result: i64, length: usize, here: &[u8]) {
    let mut answer = ANSWER.lock();
    answer.result = Some(result);
    answer.missing = length;
    drop(answer);
    arrived(here);
}

/// More of it.
pub(super) fn arrived(bytes: &[u8]) {
    let mut answer = ANSWER.lock();
    answer.missing = answer.missing.saturating_sub(bytes.len());
    let room = answer.data.capacity() - answer.data.len();
    answer
        .data
        .extend_from_slice(&bytes[..bytes.len().min(room)]);
    let complete = answer.missing == 0;
    drop(answer);
    if complete {
        ARRIVED.wake_all();
    }
}
