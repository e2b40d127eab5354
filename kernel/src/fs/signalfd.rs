//! signalfd(2): pending signals as bytes.
//!
//! A read takes signals that are pending for the reading thread or the process; the program blocks them first, or their
//! handlers race with it. All descriptors share the process's queue of observers: signals are rare.
use super::text::Text;
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, file};
use crate::memory::user::UserIo;
use crate::sync::Wait;
use crate::task::signal::{SI_TIMER, SigInfo, SignalSet, UNBLOCKABLE};
use crate::task::{current, process};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::{Errno, SysResult};

/// sizeof(struct signalfd_siginfo).
const SIZE: usize = 128;

/// The signals it takes.
pub struct SignalFd {
    wanted: AtomicU64,
}

impl SignalFd {
    /// For the signals of `set`.
    pub fn new(set: SignalSet) -> Self {
        Self {
            wanted: AtomicU64::new(set & !UNBLOCKABLE),
        }
    }

    /// signalfd4(2) on an existing descriptor.
    pub fn set(&self, set: SignalSet) {
        self.wanted.store(set & !UNBLOCKABLE, Ordering::SeqCst);
        process().signals.arrivals.wake_all();
        process().signals.observers.notify(PollEvents::IN);
    }

    fn take(&self) -> Option<SigInfo> {
        let wanted = self.wanted.load(Ordering::SeqCst);
        let own = current().signals.pending.take(wanted);
        own.or_else(|| process().signals.pending.take(wanted))
    }
}

/// struct signalfd_siginfo.
fn encode(info: &SigInfo) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    let [first, second, _] = info.fields;
    let (low, high) = (first as u32, (first >> 32) as u32);
    put(0, info.signo as u32);
    put(4, info.errno as u32);
    put(8, info.code as u32);
    if info.code == SI_TIMER {
        put(24, low);
        put(32, high);
    } else {
        put(12, low);
        put(16, high);
    }
    if info.code < 0 {
        put(44, second as u32);
        bytes[48..56].copy_from_slice(&second.to_ne_bytes());
    }
    bytes
}

impl FileOps for SignalFd {
    fn writes(&self) -> bool {
        false
    }

    fn call_flags(&self, _writes: bool) -> u32 {
        file::WAITLESS_FLAGS
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if io.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let mut next = match self.take() {
            Some(info) => Some(info),
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => Some(
                process()
                    .signals
                    .arrivals
                    .wait_until(Wait::interruptible(), || self.take())?,
            ),
        };
        let mut done = 0;
        while let Some(info) = next.take() {
            done += io.copy_out(&encode(&info))?;
            if io.remaining() >= SIZE {
                next = self.take();
            }
        }
        Ok(done)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let pending = current().signals.pending.set() | process().signals.pending.set();
        let mut events = PollEvents::empty();
        events.set(
            PollEvents::IN,
            pending & self.wanted.load(Ordering::SeqCst) != 0,
        );
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&process().signals.observers)
    }

    /// As noop_llseek in Linux.
    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Ok(0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn describe(&self, out: &mut Text) -> Result<(), Errno> {
        writeln!(
            out,
            "sigmask:\t{:016x}",
            self.wanted.load(Ordering::Relaxed)
        )
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[signalfd]".to_vec()
    }
}
