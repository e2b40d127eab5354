//! A port to the host: standard output or error.
//!
//! A write copies the program's bytes into a buffer of 32 KiB and hands it to the device; it returns when all bytes are in
//! buffers, and sleeps while all of them are with the device, which is how a slow reader slows the program. While the
//! device has a buffer, what is written next is collected in the following one, so that a program that writes line by line
//! notifies the host once for many lines; the interrupt for the buffer that comes back sends the next on its way.
//!
//! Locks: `writers` (turn.rs; one write is one piece), then `state`. A reader that has gone makes writes fail with EPIPE.
//! Memory: nothing before the first write, eight buffers at most.
use super::turn::Turn;
use super::virtio::{Chain, DmaBuffer, Kick, Part, Queue};
use crate::fs::{PollEvents, PollQueue};
use crate::memory::user::UserIo;
use crate::sync::{SpinLock, Wait, WaitQueue};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use ringo_abi::{Errno, SysResult};

const BUFFER: usize = 32 << 10;
const BUFFERS: usize = 8;
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

struct State {
    queue: Queue,
    /// Being filled: so many bytes of it are.
    filling: Option<(DmaBuffer, usize)>,
    free: arrayvec::ArrayVec<DmaBuffer, BUFFERS>,
    /// Buffers there are.
    made: usize,
}

/// See the module's head.
pub struct OutPort {
    writers: Turn,
    state: SpinLock<State>,
    /// A buffer came back, or the reader went.
    changed: WaitQueue,
    /// The same, for poll.
    pub poll: PollQueue,
    gone: AtomicBool,
    /// What the host could not write of an earlier write, for the next one to tell: an errno, or 0.
    error: AtomicU16,
    /// Bytes taken over from the program, in all.
    written: AtomicU64,
}

impl State {
    fn collect(&mut self) {
        while let Some((_, chain, _)) = self.queue.pop() {
            for part in chain {
                // There are never more than fit.
                let _ = self.free.try_push(part.buffer);
            }
        }
    }

    /// Hands the buffer that is being filled to the device.
    fn send(&mut self) -> Option<Kick> {
        let (buffer, length) = self.filling.take()?;
        let part = Part {
            buffer,
            length,
            device_writes: false,
        };
        if let Err(chain) = self.queue.add(Chain::from_iter([part])) {
            // A queue has more entries than there are buffers, unless it is broken: then the bytes are lost.
            for part in chain {
                let _ = self.free.try_push(part.buffer);
            }
        }
        self.queue.publish()
    }

    /// A buffer with room: the one being filled, a free one, or a new one.
    fn take(&mut self) -> Option<(DmaBuffer, usize)> {
        if let Some(filling) = self.filling.take() {
            return Some(filling);
        }
        self.collect();
        if let Some(buffer) = self.free.pop() {
            return Some((buffer, 0));
        }
        if self.made == BUFFERS {
            return None;
        }
        let buffer = DmaBuffer::zeroed(BUFFER).ok()?;
        self.made += 1;
        Some((buffer, 0))
    }

    fn has_room(&self) -> bool {
        self.filling.is_some()
            || !self.free.is_empty()
            || self.made < BUFFERS
            || self.queue.has_used()
    }
}

impl OutPort {
    /// Entries of its queue.
    pub const QUEUE_SIZE: u16 = 16;

    /// A port on this queue.
    pub fn new(mut queue: Queue) -> Self {
        queue.refuse_interrupts();
        Self {
            writers: Turn::new(),
            state: SpinLock::new(State {
                queue,
                filling: None,
                free: arrayvec::ArrayVec::new(),
                made: 0,
            }),
            changed: WaitQueue::new(),
            poll: PollQueue::new(),
            gone: AtomicBool::new(false),
            error: AtomicU16::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Bytes taken over from the program, in all.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the reader went away.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The host could not write: the reader went away (EPIPE), for good; or a disk is full, which the next write tells, as
    /// with network file systems.
    pub fn failed(&self, errno: u16) {
        if i32::from(errno) == Errno::EPIPE.number() {
            self.gone.store(true, Ordering::Release);
        } else {
            self.error.store(errno, Ordering::Release);
        }
        self.changed.wake_all();
        self.tell(PollEvents::ERR | WRITABLE);
    }

    /// The failure that no write has told so far.
    pub fn take_error(&self) -> Option<Errno> {
        if self.error.load(Ordering::Acquire) == 0 {
            return None;
        }
        Errno::from_number(self.error.swap(0, Ordering::AcqRel).into())
    }

    fn tell(&self, events: PollEvents) {
        self.poll.notify(events);
        super::terminal_poll().notify(events);
    }

    /// Whether a write would not block; if it would, an interrupt tells when that changes.
    pub fn is_writable(&self) -> bool {
        if self.is_gone() {
            return true;
        }
        let mut state = self.state.lock();
        state.has_room() || state.queue.is_broken() || !state.queue.want_interrupt()
    }

    /// Writes all of the program's bytes, or as many as go without waiting if `nonblocking`.
    ///
    /// # Errors
    /// EPIPE, EAGAIN, EFAULT, ERESTARTSYS; each only if nothing was written. What the host could not write earlier (ENOSPC).
    pub fn write(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        let _turn = self.writers.take(nonblocking, &self.poll, WRITABLE)?;
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        let mut done = 0;
        while io.remaining() > 0 {
            let step = self
                .buffer(nonblocking)
                .and_then(|(buffer, filled)| self.fill(buffer, filled, io));
            match step {
                Ok(count) => done += count,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// A buffer to fill, waiting for one if need be.
    fn buffer(&self, nonblocking: bool) -> Result<(DmaBuffer, usize), Errno> {
        let attempt = || {
            if self.is_gone() {
                return Some(Err(Errno::EPIPE));
            }
            let mut state = self.state.lock();
            match state.take() {
                // The device broke the rules: nothing more goes through this port.
                _ if state.queue.is_broken() => Some(Err(Errno::EIO)),
                Some(buffer) => Some(Ok(buffer)),
                // False: one came back just now.
                None if !state.queue.want_interrupt() => state.take().map(Ok),
                None => None,
            }
        };
        match attempt() {
            Some(result) => result,
            None if nonblocking => Err(Errno::EAGAIN),
            None => self
                .changed
                .wait_until(Wait::interruptible(), attempt)
                .and_then(|result| result),
        }
    }

    /// Copies into the buffer, and sends it if it is full or the device has nothing to do.
    fn fill(&self, mut buffer: DmaBuffer, filled: usize, io: &mut UserIo) -> SysResult {
        let end = BUFFER.min(filled + io.remaining());
        let copied = io.copy_in(&mut buffer.bytes_mut()[filled..end]);
        let count = *copied.as_ref().unwrap_or(&0);
        let filled = filled + count;
        // One writer at a time.
        self.written
            .store(self.written() + count as u64, Ordering::Release);
        let kick = {
            let mut state = self.state.lock();
            if filled == 0 {
                let _ = state.free.try_push(buffer);
                None
            } else {
                state.filling = Some((buffer, filled));
                state.collect();
                // The last look and the wish are one step under the lock: the interrupt cannot be missed.
                if filled == BUFFER || state.queue.in_flight() == 0 || !state.queue.want_interrupt()
                {
                    state.send()
                } else {
                    None
                }
            }
        };
        if let Some(kick) = kick {
            kick.ring();
        }
        copied
    }

    /// The device may have given buffers back.
    pub fn on_interrupt(&self) {
        let kick = {
            let mut state = self.state.lock();
            if !state.queue.has_used() {
                None
            } else {
                state.collect();
                if state.queue.in_flight() == 0 {
                    state.send()
                } else if state.queue.want_interrupt() {
                    None
                } else {
                    state.collect();
                    state.send()
                }
            }
        };
        if let Some(kick) = kick {
            kick.ring();
        }
        // Also when a writer has collected what the interrupt was for: those who sleep wished for this one, and have to
        // wish anew for what that writer sent.
        self.changed.wake_all();
        self.tell(WRITABLE);
    }

    /// Sends what is left; true when the device has given everything back (or nobody reads any more).
    pub fn flush(&self) -> bool {
        let (kick, done) = {
            let mut state = self.state.lock();
            state.collect();
            let kick = state.send();
            let done = state.queue.in_flight() == 0 || state.queue.is_broken();
            (kick, done || self.is_gone())
        };
        if let Some(kick) = kick {
            kick.ring();
        }
        done
    }

    /// Waits until everything written has reached the host, or its reader went away.
    pub fn drain(&self) {
        let attempt = || {
            if self.flush() {
                return Some(());
            }
            let wait = self.state.lock().queue.want_interrupt();
            (!wait && self.flush()).then_some(())
        };
        // Uninterruptible waits without a deadline have no error.
        let _ = self.changed.wait_until(Wait::uninterruptible(), attempt);
    }
}
