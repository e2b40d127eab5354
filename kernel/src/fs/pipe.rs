//! Pipes (pipe(7)).
//!
//! A ring of page-sized buffers, as Linux has it: a write goes behind the last buffer's bytes if it fits there whole,
//! else into buffers of its own. So capacity in bytes depends on how it is written, and a write of at most PIPE_BUF
//! bytes is one piece. Pages are taken when written and two are kept when read, so a ping-pong allocates nothing.
//!
//! The ring is behind a SleepMutex, held while bytes move to and from the program (which may fault). How many buffers
//! are in use and how many ends are open are atomics as well: waiters and poll look at those without the lock.
//! Each end has a wait queue and a poll queue. Wake-ups are made after the lock was given back.
use super::{Dentry, FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, fd};
use crate::memory::user::{self, UserIo};
use crate::sync::{SleepMutex, Wait, WaitQueue};
use crate::task::process;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general::{
    F_GETPIPE_SZ, F_SETPIPE_SZ, O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY,
};
use linux_raw_sys::ioctl::FIONREAD;
use ringo_abi::{Errno, SysResult};

/// Bytes of a buffer, and PIPE_BUF.
const PAGE: usize = 4096;
/// Buffers of a new pipe: 64 KiB.
const DEFAULT_SLOTS: usize = 16;
/// What F_SETPIPE_SZ gives anybody (/proc/sys/fs/pipe-max-size), and root.
const MAX_SIZE: usize = 1 << 20;
const ROOT_MAX_SIZE: usize = 1 << 31;
/// Pages kept for the next writes.
const SPARE: usize = 2;

const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

/// Some bytes in a page.
struct Buffer {
    page: Vec<u8>,
    start: usize,
    end: usize,
}

struct Ring {
    buffers: VecDeque<Buffer>,
    spare: Vec<Vec<u8>>,
}

impl Ring {
    fn page(&mut self) -> Result<Vec<u8>, Errno> {
        if let Some(page) = self.spare.pop() {
            return Ok(page);
        }
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOMEM)?;
        page.resize(PAGE, 0);
        Ok(page)
    }

    fn keep(&mut self, page: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(page);
        }
    }

    fn bytes(&self) -> usize {
        self.buffers
            .iter()
            .map(|buffer| buffer.end - buffer.start)
            .sum()
    }
}

/// One pipe; both ends' open files refer to it.
pub struct Pipe {
    ring: SleepMutex<Ring>,
    /// Buffers in use, and how many there may be.
    used: AtomicUsize,
    slots: AtomicUsize,
    /// Open ends.
    readers: AtomicUsize,
    writers: AtomicUsize,
    /// Ends that were ever opened by name: who waits for a partner must not miss one that came and went.
    pub(super) readers_seen: AtomicUsize,
    pub(super) writers_seen: AtomicUsize,
    /// Who waits for a partner to open the FIFO.
    pub(super) partners: WaitQueue,
    read_wait: WaitQueue,
    write_wait: WaitQueue,
    read_poll: PollQueue,
    write_poll: PollQueue,
    inode: u64,
    created: i64,
}

/// What an open file of a pipe can do.
pub struct End {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    name: Option<Named>,
}

/// What is different about the end of a FIFO.
pub struct Named {
    /// The name it was opened by.
    pub dentry: Arc<Dentry>,
    /// Opened without waiting for a writer when so many had been seen: none to come is no hang-up.
    pub quiet: Option<usize>,
}

impl Pipe {
    /// An empty pipe without ends.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: SleepMutex::new(Ring {
                buffers: VecDeque::with_capacity(DEFAULT_SLOTS),
                spare: Vec::with_capacity(SPARE),
            }),
            used: AtomicUsize::new(0),
            slots: AtomicUsize::new(DEFAULT_SLOTS),
            readers: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            readers_seen: AtomicUsize::new(0),
            writers_seen: AtomicUsize::new(0),
            partners: WaitQueue::new(),
            read_wait: WaitQueue::new(),
            write_wait: WaitQueue::new(),
            read_poll: PollQueue::new(),
            write_poll: PollQueue::new(),
            inode: anon::next_inode(),
            created: anon::now(),
        })
    }

    /// One more end; it closes with the last reference to it.
    pub fn end(self: &Arc<Self>, reads: bool, writes: bool, name: Option<Named>) -> Arc<End> {
        self.readers.fetch_add(usize::from(reads), Ordering::SeqCst);
        self.writers
            .fetch_add(usize::from(writes), Ordering::SeqCst);
        Arc::new(End {
            pipe: self.clone(),
            reads,
            writes,
            name,
        })
    }

    fn is_full(&self) -> bool {
        self.used.load(Ordering::Acquire) >= self.slots.load(Ordering::Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.used.load(Ordering::Acquire) == 0
    }

    /// Whether no end that reads is open.
    pub(super) fn no_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) == 0
    }

    /// Whether no end that writes is open.
    pub(super) fn no_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) == 0
    }

    fn has_bytes(&self) {
        self.read_wait.wake_one();
        self.read_poll.notify(READABLE);
    }

    fn has_room(&self) {
        self.write_wait.wake_one();
        self.write_poll.notify(WRITABLE);
    }

    fn read(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        loop {
            let mut ring = self.ring.lock();
            if self.is_empty() {
                drop(ring);
                if self.no_writers() {
                    return Ok(0);
                }
                if nonblocking {
                    return Err(Errno::EAGAIN);
                }
                self.read_wait.wait_until(Wait::interruptible(), || {
                    (!self.is_empty() || self.no_writers()).then_some(())
                })?;
                continue;
            }
            let was_full = self.is_full();
            let result = self.take(&mut ring, io);
            drop(ring);
            if was_full && !self.is_full() {
                self.has_room();
            }
            if !self.is_empty() {
                // More than this reader wanted: the next one's.
                self.read_wait.wake_one();
            }
            return result;
        }
    }

    fn take(&self, ring: &mut Ring, io: &mut UserIo) -> SysResult {
        let mut done = 0;
        while io.remaining() > 0 {
            let Some(first) = ring.buffers.front_mut() else {
                break;
            };
            let wanted = (first.end - first.start).min(io.remaining());
            match io.copy_out(&first.page[first.start..first.start + wanted]) {
                Ok(went) => {
                    first.start += went;
                    done += went;
                    if first.start == first.end {
                        if let Some(buffer) = ring.buffers.pop_front() {
                            ring.keep(buffer.page);
                        }
                        self.used.store(ring.buffers.len(), Ordering::Release);
                    }
                    if went < wanted {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        let mut done = 0;
        let mut ring = self.ring.lock();
        let mut was_empty = self.is_empty();
        let result = loop {
            if self.no_readers() {
                break Err(Errno::EPIPE);
            }
            if done == 0 {
                match self.append(&mut ring, io) {
                    Ok(went) => done += went,
                    Err(errno) => break Err(errno),
                }
            }
            if let Err(errno) = self.put(&mut ring, io, &mut done) {
                break Err(errno);
            }
            if io.remaining() == 0 {
                break Ok(());
            }
            if nonblocking {
                break Err(Errno::EAGAIN);
            }
            drop(ring);
            if done > 0 {
                if was_empty {
                    self.read_wait.wake_one();
                }
                self.read_poll.notify(READABLE);
            }
            let waited = self.write_wait.wait_until(Wait::interruptible(), || {
                (!self.is_full() || self.no_readers()).then_some(())
            });
            ring = self.ring.lock();
            was_empty = self.is_empty();
            if let Err(errno) = waited {
                break Err(errno);
            }
        };
        drop(ring);
        if done > 0 {
            if was_empty {
                self.has_bytes();
            } else {
                self.read_poll.notify(READABLE);
            }
        }
        if !self.is_full() {
            self.write_wait.wake_one();
        }
        match result {
            Err(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// Puts what does not fill pages behind the last buffer's bytes, if it fits there whole.
    fn append(&self, ring: &mut Ring, io: &mut UserIo) -> SysResult {
        let count = io.remaining() % PAGE;
        match ring.buffers.back_mut() {
            Some(last) if count > 0 && last.end + count <= PAGE => {
                let went = io.copy_in(&mut last.page[last.end..last.end + count])?;
                if went < count {
                    return Err(Errno::EFAULT);
                }
                last.end += count;
                Ok(count)
            }
            _ => Ok(0),
        }
    }

    /// Fills new buffers until nothing is left or the pipe is full.
    fn put(&self, ring: &mut Ring, io: &mut UserIo, done: &mut usize) -> Result<(), Errno> {
        while io.remaining() > 0 && ring.buffers.len() < self.slots.load(Ordering::Relaxed) {
            let count = io.remaining().min(PAGE);
            let mut page = ring.page()?;
            let copied = io.copy_in(&mut page[..count]);
            if copied != Ok(count) {
                ring.keep(page);
                return Err(Errno::EFAULT);
            }
            ring.buffers.push_back(Buffer {
                page,
                start: 0,
                end: count,
            });
            self.used.store(ring.buffers.len(), Ordering::Release);
            *done += count;
        }
        Ok(())
    }

    /// F_GETPIPE_SZ.
    pub fn capacity(&self) -> usize {
        self.slots.load(Ordering::Relaxed) * PAGE
    }

    /// F_SETPIPE_SZ: gives the capacity it has then.
    ///
    /// # Errors
    /// EINVAL, EPERM above what the user may have, EBUSY when more is in use, ENOMEM.
    pub fn set_capacity(&self, size: usize) -> SysResult {
        if size > ROOT_MAX_SIZE {
            return Err(Errno::EINVAL);
        }
        let size = size.max(PAGE).next_power_of_two();
        if size > MAX_SIZE && size > self.capacity() && process().ids().0 != 0 {
            return Err(Errno::EPERM);
        }
        let slots = size / PAGE;
        let mut ring = self.ring.lock();
        let used = ring.buffers.len();
        if slots < used {
            return Err(Errno::EBUSY);
        }
        ring.buffers
            .try_reserve(slots - used)
            .map_err(|_| Errno::ENOMEM)?;
        self.slots.store(slots, Ordering::Release);
        drop(ring);
        self.write_wait.wake_all();
        self.write_poll.notify(WRITABLE);
        Ok(size)
    }
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

impl End {
    /// The pipe it is an end of.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl FileOps for End {
    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let result = self.pipe.read(io, file.nonblocking());
        if let Some(named) = &self.name {
            named.dentry.inode.accessed();
        }
        result
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let result = self.pipe.write(io, file.nonblocking());
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
            None => anon::pipe_stat(self.pipe.inode, self.pipe.created, process().ids()),
        })
    }

    fn dentry(&self) -> Option<Arc<Dentry>> {
        self.name.as_ref().map(|named| named.dentry.clone())
    }

    fn release(&self, file: &OpenFile) {
        if let Some(named) = &self.name {
            named.dentry.inode.locks.file_released(file);
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

/// Makes a pipe and gives both ends descriptors: (read, write).
///
/// # Errors
/// EMFILE.
pub fn open_pair(nonblocking: bool, close_on_exec: bool) -> Result<(i32, i32), Errno> {
    let pipe = Pipe::new();
    let status = if nonblocking { O_NONBLOCK } else { 0 };
    let reader = OpenFile::new(pipe.end(true, false, None), O_RDONLY | status);
    let writer = OpenFile::new(pipe.end(false, true, None), O_WRONLY | status);
    let read = fd::install(reader, close_on_exec)?;
    match fd::install(writer, close_on_exec) {
        Ok(write) => Ok((read, write)),
        Err(errno) => {
            fd::table().remove(read);
            Err(errno)
        }
    }
}
