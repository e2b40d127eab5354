//! pidfd_open(2): a descriptor for the process, which is this one.
//!
//! It becomes readable when the process ends, which nobody lives to see; so it only names.
use super::text::Text;
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon};
use crate::task::PID;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// The process.
pub struct PidFd {
    queue: PollQueue,
}

impl PidFd {
    /// For this process.
    pub const fn new() -> Self {
        Self {
            queue: PollQueue::new(),
        }
    }
}

impl FileOps for PidFd {
    fn reads(&self) -> bool {
        false
    }

    fn writes(&self) -> bool {
        false
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        PollEvents::empty()
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.queue)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn describe(&self, out: &mut Text) -> Result<(), Errno> {
        writeln!(out, "Pid:\t{PID}\nNSpid:\t{PID}")
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[pidfd]".to_vec()
    }
}
