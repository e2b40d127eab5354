//! Open files of pipes and FIFOs.
use super::{Pipe, READABLE, WRITABLE};
use crate::fs::{Dentry, FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, file, notify};
use crate::memory::user::{self, UserIo};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general::{F_GETPIPE_SZ, F_SETPIPE_SZ, O_ACCMODE, O_DIRECT, O_RDONLY, O_WRONLY};
use linux_raw_sys::ioctl::FIONREAD;
use ringo_abi::{Errno, SysResult};

/// What an open file of a pipe can do.
pub struct End {
    pub(super) pipe: Arc<Pipe>,
    pub(super) reads: bool,
    pub(super) writes: bool,
    pub(super) name: Option<Named>,
}

/// What is different about the end of a FIFO.
pub struct Named {
    /// The name it was opened by.
    pub dentry: Arc<Dentry>,
    /// Opened without waiting for a writer when so many had been seen: none to come is no hang-up.
    pub quiet: Option<usize>,
}

impl Drop for End {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.reads {
            pipe.readers.fetch_sub(1, Ordering::SeqCst);
        }
        if self.writes {
            pipe.writers.fetch_sub(1, Ordering::SeqCst);
        }
        if pipe.no_readers() != pipe.no_writers() {
            pipe.read_wait.wake_all();
            pipe.write_wait.wake_all();
            let gone = PollEvents::ERR | PollEvents::HUP;
            pipe.read_poll.notify(READABLE | gone);
            pipe.write_poll.notify(WRITABLE | gone);
        }
    }
}

impl FileOps for End {
    fn call_flags(&self, _writes: bool) -> u32 {
        match self.name {
            Some(_) => file::CALL_FLAGS,
            None => file::WAITLESS_FLAGS,
        }
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let result = self.pipe.read(io, file.nonblocking());
        if let Some(named) = &self.name {
            named.dentry.inode.accessed();
        }
        result
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let packet = file.flags() & O_DIRECT != 0;
        let result = self.pipe.write(io, file.nonblocking(), packet);
        if let Some(named) = &self.name {
            named.dentry.inode.modified();
        }
        result
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let pipe = &self.pipe;
        let mut events = PollEvents::empty();
        if self.reads {
            events.set(READABLE, !pipe.is_empty());
            let seen = || pipe.writers_seen.load(Ordering::Acquire);
            let quiet = self.name.as_ref().and_then(|named| named.quiet);
            events.set(
                PollEvents::HUP,
                pipe.no_writers() && quiet.is_none_or(|before| before != seen()),
            );
        }
        if self.writes {
            events.set(WRITABLE, !pipe.is_full());
            events.set(PollEvents::ERR, pipe.no_readers());
        }
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(if self.reads {
            &self.pipe.read_poll
        } else {
            &self.pipe.write_poll
        })
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            FIONREAD => {
                let bytes = self.pipe.ring.lock().bytes() as i32;
                user::write(argument, &bytes).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn control(&self, _file: &OpenFile, command: u32, argument: usize) -> SysResult {
        match command {
            F_GETPIPE_SZ => Ok(self.pipe.capacity()),
            F_SETPIPE_SZ => self.pipe.set_capacity(argument as u32 as usize),
            _ => Err(Errno::EINVAL),
        }
    }

    fn allocate(&self, _mode: u32, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::ESPIPE)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(match &self.name {
            Some(named) => named.dentry.inode.stat(),
            None => anon::pipe_stat(
                self.pipe.inode,
                self.pipe.created,
                crate::task::credentials().file_ids(),
            ),
        })
    }

    fn dentry(&self) -> Option<Arc<Dentry>> {
        self.name.as_ref().map(|named| named.dentry.clone())
    }

    fn release(&self, file: &OpenFile) {
        if let Some(named) = &self.name {
            named.dentry.inode.locks.file_released(file);
            notify::closed(&named.dentry, file);
        }
    }

    fn reopen(&self, _file: &OpenFile, flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        let mode = flags & O_ACCMODE;
        Ok(self.pipe.end(mode != O_WRONLY, mode != O_RDONLY, None))
    }

    fn name(&self) -> Vec<u8> {
        match &self.name {
            Some(named) => named.dentry.shown_path(),
            None => alloc::format!("pipe:[{}]", self.pipe.inode).into_bytes(),
        }
    }
}
