//! Pipes (pipe(7)).
//!
//! A ring of page-sized buffers, as Linux has it: a write goes behind the last buffer's bytes if it fits there whole,
//! else into buffers of its own. So capacity in bytes depends on how it is written, and a write of at most PIPE_BUF
//! bytes is one piece. Pages are taken when written and two are kept when read, so a ping-pong allocates nothing.
//!
//! - ring.rs: the buffers. end.rs: open files of either end. fifo.rs: opening by name. splice.rs: moves without the
//!   program's memory between.
//!
//! The ring is behind a SleepMutex, held while bytes move to and from the program (which may fault). How many buffers
//! are in use and how many ends are open are atomics as well: waiters and poll look at those without the lock.
//! Each end has a wait queue and a poll queue. Wake-ups are made after the lock was given back.
mod end;
pub mod fifo;
mod ring;
mod splice;

pub use end::{End, Named};
pub use splice::{end_of, pour};

use super::file::broken_pipe;
use super::{OpenFile, PollEvents, PollQueue, anon, fd};
use crate::memory::user::UserIo;
use crate::sync::{SleepGuard, SleepMutex, Wait, WaitQueue};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general::{O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY};
use ring::{DEFAULT_SLOTS, PAGE, Ring};
use ringo_abi::{Errno, SysResult};

/// What F_SETPIPE_SZ gives anybody (/proc/sys/fs/pipe-max-size), and root.
pub const MAX_SIZE: usize = 1 << 20;
const ROOT_MAX_SIZE: usize = 1 << 31;
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

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
    readers_seen: AtomicUsize,
    writers_seen: AtomicUsize,
    /// Who waits for a partner to open the FIFO.
    partners: WaitQueue,
    read_wait: WaitQueue,
    write_wait: WaitQueue,
    read_poll: PollQueue,
    write_poll: PollQueue,
    inode: u64,
    created: i64,
}

impl Pipe {
    /// An empty pipe without ends.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: SleepMutex::new(Ring::new()),
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
    fn no_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) == 0
    }

    /// Whether no end that writes is open.
    fn no_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) == 0
    }

    /// The ring, when there are bytes in it; None at the end.
    fn ring_with_bytes(&self, nonblocking: bool) -> Result<Option<SleepGuard<'_, Ring>>, Errno> {
        loop {
            let ring = self.ring.lock();
            if !self.is_empty() {
                return Ok(Some(ring));
            }
            drop(ring);
            if self.no_writers() {
                return Ok(None);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.read_wait.wait_until(Wait::interruptible(), || {
                (!self.is_empty() || self.no_writers()).then_some(())
            })?;
        }
    }

    /// The ring, when there is room for a buffer in it.
    fn ring_with_room(&self, nonblocking: bool) -> Result<SleepGuard<'_, Ring>, Errno> {
        loop {
            let ring = self.ring.lock();
            if self.no_readers() {
                return Err(Errno::EPIPE);
            }
            if !self.is_full() {
                return Ok(ring);
            }
            drop(ring);
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.wait_for_room()?;
        }
    }

    fn wait_for_room(&self) -> Result<(), Errno> {
        self.write_wait.wait_until(Wait::interruptible(), || {
            (!self.is_full() || self.no_readers()).then_some(())
        })
    }

    /// Gives the ring back after bytes were taken out.
    fn consumed(&self, ring: SleepGuard<'_, Ring>) {
        let was_full = self.is_full();
        self.used.store(ring.buffers.len(), Ordering::Release);
        drop(ring);
        if was_full && !self.is_full() {
            self.write_wait.wake_one();
            self.write_poll.notify(WRITABLE);
        }
        // More than this reader wanted: the next one's.
        self.pass_bytes_on();
    }

    /// A reader goes, who may have been woken for bytes that are still there.
    fn pass_bytes_on(&self) {
        if !self.is_empty() {
            self.read_wait.wake_one();
        }
    }

    /// A writer goes, who may have been woken for room that is still there: only the step from full to not full wakes one.
    fn pass_room_on(&self) {
        if !self.is_full() {
            self.write_wait.wake_one();
        }
    }

    /// Gives the ring back after bytes may have been put in.
    fn produced(&self, ring: SleepGuard<'_, Ring>, any: bool) {
        let was_empty = self.is_empty();
        self.used.store(ring.buffers.len(), Ordering::Release);
        drop(ring);
        if any {
            if was_empty {
                self.read_wait.wake_one();
            }
            // Edge-triggered observers want to know of every write.
            self.read_poll.notify(READABLE);
        }
    }

    fn read(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        let Some(mut ring) = self.ring_with_bytes(nonblocking)? else {
            return Ok(0);
        };
        let result = ring.take(io);
        self.consumed(ring);
        result
    }

    fn write(&self, io: &mut UserIo, nonblocking: bool, packet: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        let mut done = 0;
        let result = loop {
            let mut ring = self.ring.lock();
            if self.no_readers() {
                break Err(Errno::EPIPE);
            }
            let before = done;
            let filled = self.fill(&mut ring, io, packet, &mut done);
            self.produced(ring, done > before);
            if filled.is_err() || io.remaining() == 0 {
                break filled;
            }
            if nonblocking {
                break Err(Errno::EAGAIN);
            }
            if let Err(errno) = self.wait_for_room() {
                break Err(errno);
            }
        };
        self.pass_room_on();
        match result {
            Err(errno) if done == 0 => Err(errno),
            Err(Errno::EPIPE) => {
                // The bytes that went count, but nobody will read them.
                broken_pipe();
                Ok(done)
            }
            _ => Ok(done),
        }
    }

    /// Puts bytes in until nothing is left or the pipe is full.
    fn fill(
        &self,
        ring: &mut Ring,
        io: &mut UserIo,
        packet: bool,
        done: &mut usize,
    ) -> Result<(), Errno> {
        if *done == 0 {
            *done += ring.append(io)?;
        }
        while io.remaining() > 0 && ring.buffers.len() < self.slots.load(Ordering::Relaxed) {
            *done += ring.put(io, packet)?;
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
        if size > MAX_SIZE && size > self.capacity() && !crate::task::credentials().privileged() {
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

/// Makes a pipe and gives both ends descriptors: (read, write). `flags` are pipe2's.
///
/// # Errors
/// EMFILE.
pub fn open_pair(flags: u32, close_on_exec: bool) -> Result<(i32, i32), Errno> {
    let pipe = Pipe::new();
    let status = flags & (O_NONBLOCK | O_DIRECT);
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
