//! The port from the host: standard input, or the controlling terminal where that is another thing.
//!
//! The command reads its standard input only as far as the program asked for ([`ToHost::StdinCredit`]), so that what the
//! program never wants stays there for the next reader, as with any process. A read that finds nothing grants what it
//! wants and sleeps. End of file comes as a position in the stream: from a terminal it ends one read, else it is final.
//!
//! Buffers of a page (QEMU fills no more at a time) are posted at the first read. Locks: `readers` (turn.rs: a read is one
//! piece), then `state`.
use super::turn::Turn;
use super::virtio::{Chain, DmaBuffer, Kick, Part, Queue};
use super::{console, control};
use crate::fs::{PollEvents, PollQueue};
use crate::memory::user::UserIo;
use crate::sync::{SpinLock, Wait, WaitQueue};
use crate::time;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use ringo_abi::{Errno, SysResult};
use ringo_control::ToHost;

const BUFFER: usize = 4096;
/// The most one read asks the host for.
const CREDIT_MAX: usize = 1 << 20;
/// What poll asks for, to learn whether there is anything.
const POLL_CREDIT: usize = 1024;
/// How long a reader looks for more before it sleeps: a host that is sending takes less for the next piece, and an
/// interrupt costs more.
const SPIN_NS: u64 = 30_000;
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);

struct Filled {
    buffer: DmaBuffer,
    start: usize,
    end: usize,
}

struct State {
    queue: Queue,
    posted: bool,
    ready: VecDeque<Filled>,
    /// Bytes received, bytes read, bytes asked for, in all.
    received: u64,
    read: u64,
    granted: u64,
    /// Positions of ends of file that were not read yet.
    ends: VecDeque<u64>,
}

/// See the module's head.
pub struct InPort {
    /// It is the controlling terminal's, not standard input's.
    is_tty: bool,
    readers: Turn,
    state: SpinLock<State>,
    changed: WaitQueue,
    /// For poll.
    pub poll: PollQueue,
    /// An end of file is final.
    final_end: AtomicBool,
    /// What the host's read(2) says at the end, instead of nothing; 0 if it is an ordinary one.
    end_error: AtomicU16,
}

impl State {
    fn post(&mut self, buffer: DmaBuffer) {
        let part = Part {
            buffer,
            length: BUFFER,
            device_writes: true,
        };
        // There is an entry for every buffer; a broken queue drops it.
        let _ = self.queue.add(Chain::from_iter([part]));
    }

    /// Takes what the device filled.
    fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some((_, chain, written)) = self.queue.pop() {
            for part in chain {
                self.received += written as u64;
                any = true;
                self.ready.push_back(Filled {
                    buffer: part.buffer,
                    start: 0,
                    end: written,
                });
            }
        }
        any
    }

    fn at_end(&self) -> bool {
        self.ends.front().is_some_and(|&end| self.read >= end)
    }

    /// Whether a read would find something: input, its end, or that the device broke the rules.
    fn is_ready(&self) -> bool {
        !self.ready.is_empty() || self.at_end() || self.queue.is_broken()
    }

    /// What is to be asked for so that something may come, `wanted` bytes at most: nothing while the host may still send.
    fn credit(&mut self, wanted: usize) -> Option<u32> {
        if self.granted > self.received {
            return None;
        }
        let wanted = wanted.clamp(1, CREDIT_MAX) as u32;
        self.granted = self.received + u64::from(wanted);
        Some(wanted)
    }
}

impl InPort {
    /// Entries of its queue.
    pub const QUEUE_SIZE: u16 = 64;

    /// A port on this queue.
    pub fn new(queue: Queue, is_tty: bool) -> Self {
        Self {
            is_tty,
            readers: Turn::new(),
            state: SpinLock::new(State {
                queue,
                posted: false,
                ready: VecDeque::with_capacity(Self::QUEUE_SIZE as usize),
                received: 0,
                read: 0,
                granted: 0,
                ends: VecDeque::new(),
            }),
            changed: WaitQueue::new(),
            poll: PollQueue::new(),
            final_end: AtomicBool::new(!is_tty),
            end_error: AtomicU16::new(0),
        }
    }

    /// It comes from a terminal: an end of file ends one read only.
    pub fn set_terminal(&self) {
        self.final_end.store(false, Ordering::Relaxed);
    }

    /// The host's input ended behind `position` bytes (a terminal's may go on after that, `set_terminal`); `errno` is why, if
    /// it is no ordinary end.
    pub fn end_at(&self, position: u64, errno: u16) {
        self.end_error.store(errno, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            state.ends.push_back(position);
            // The command reads no further before it is asked again.
            state.granted = position;
        }
        self.tell();
    }

    fn tell(&self) {
        self.changed.wake_all();
        self.poll.notify(READABLE);
        super::terminal_poll().notify(READABLE);
    }

    /// Posts the buffers, once.
    fn post_all(&self) {
        let kick = {
            let mut state = self.state.lock();
            if core::mem::replace(&mut state.posted, true) {
                return;
            }
            for _ in 0..Self::QUEUE_SIZE {
                match DmaBuffer::zeroed(BUFFER) {
                    Ok(buffer) => state.post(buffer),
                    Err(_) => break,
                }
            }
            state.queue.publish()
        };
        ring(kick);
    }

    /// Asks the host for `wanted` bytes unless enough was asked for.
    fn ask(&self, wanted: usize) {
        self.post_all();
        let credit = self.state.lock().credit(wanted);
        if let Some(bytes) = credit {
            let written = console::written();
            control::send(&if self.is_tty {
                ToHost::TtyCredit { bytes, written }
            } else {
                ToHost::StdinCredit { bytes, written }
            });
        }
    }

    /// Whether a read would not block; asks the host for something if not.
    pub fn is_readable(&self) -> bool {
        if self.look() {
            return true;
        }
        self.ask(POLL_CREDIT);
        self.look()
    }

    /// Bytes that are there (FIONREAD).
    pub fn available(&self) -> usize {
        let mut state = self.state.lock();
        state.collect();
        state
            .ready
            .iter()
            .map(|filled| filled.end - filled.start)
            .sum()
    }

    /// Whether a read would find something; if not, an interrupt tells.
    fn look(&self) -> bool {
        let mut state = self.state.lock();
        state.collect();
        state.is_ready() || {
            let missed = !state.queue.want_interrupt();
            missed && state.collect()
        }
    }

    /// Looks for a while without asking for an interrupt.
    fn spin(&self) {
        let until = time::now() + SPIN_NS;
        while time::now() < until {
            let mut state = self.state.lock();
            state.collect();
            if state.is_ready() {
                return;
            }
            drop(state);
            core::hint::spin_loop();
        }
    }

    /// Reads what is there, waiting for something if need be.
    ///
    /// # Errors
    /// EAGAIN, ERESTARTSYS, EFAULT.
    pub fn read(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        let _turn = self.readers.take(nonblocking, &self.poll, READABLE)?;
        if !self.look() {
            self.ask(io.remaining());
            let ready = || self.look().then_some(());
            if !nonblocking {
                self.spin();
            }
            if ready().is_none() {
                if nonblocking {
                    return Err(Errno::EAGAIN);
                }
                self.changed.wait_until(Wait::interruptible(), ready)?;
            }
        }
        let done = self.take(io)?;
        let kick = {
            let mut state = self.state.lock();
            // Awake, the reader needs no interrupts, unless somebody else watches.
            if !self.poll.is_observed() && !super::terminal_poll().is_observed() {
                state.queue.refuse_interrupts();
            }
            // Buffers go back by the dozen: each notification is an exit.
            if state.queue.unpublished() >= Self::QUEUE_SIZE / 4 {
                state.queue.publish()
            } else {
                None
            }
        };
        ring(kick);
        Ok(done)
    }

    /// Copies from the filled buffers, and posts those that are empty then.
    fn take(&self, io: &mut UserIo) -> SysResult {
        let mut done = 0;
        while io.remaining() > 0 {
            let mut filled = {
                let mut state = self.state.lock();
                if state.at_end() {
                    if done == 0 && !self.final_end.load(Ordering::Relaxed) {
                        state.ends.pop_front();
                    }
                    let error = Errno::from_number(self.end_error.load(Ordering::Relaxed).into());
                    return match error {
                        Some(errno) if done == 0 => Err(errno),
                        _ => Ok(done),
                    };
                }
                match state.ready.pop_front() {
                    Some(filled) => filled,
                    None if done == 0 && state.queue.is_broken() => return Err(Errno::EIO),
                    None => return Ok(done),
                }
            };
            let result = io.copy_out(&filled.buffer.bytes()[filled.start..filled.end]);
            let count = *result.as_ref().unwrap_or(&0);
            filled.start += count;
            done += count;
            let mut state = self.state.lock();
            state.read += count as u64;
            let emptied = filled.start == filled.end;
            if emptied {
                state.post(filled.buffer);
            } else {
                state.ready.push_front(filled);
            }
            drop(state);
            // What a terminal gave at once is a line, and one read gives no more than that.
            if emptied && !self.final_end.load(Ordering::Relaxed) {
                return result.map(|_| done);
            }
            match result {
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
                Ok(_) => {}
            }
        }
        Ok(done)
    }

    /// Throws away what was received and not read (TCIFLUSH).
    pub fn discard(&self) {
        let kick = {
            let mut state = self.state.lock();
            state.collect();
            while let Some(filled) = state.ready.pop_front() {
                state.read += (filled.end - filled.start) as u64;
                state.post(filled.buffer);
            }
            state.queue.publish()
        };
        ring(kick);
    }

    /// The device may have filled buffers.
    pub fn on_interrupt(&self) {
        if self.state.lock().queue.has_used() {
            self.tell();
        }
    }
}

fn ring(kick: Option<Kick>) {
    if let Some(kick) = kick {
        kick.ring();
    }
}
