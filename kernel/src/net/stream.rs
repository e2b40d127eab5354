//! A stream of bytes from one socket to another: half of a connection inside this machine.
//!
//! The writer copies from the program into a [`Buffer`] of its own and hangs it on the queue; the reader takes the first
//! piece off and copies from there. So both copy at the same time, and the spin lock between them is held for a few
//! instructions. Small pieces behind unread ones are put together. There are no segments, windows or
//! acknowledgements: what TCP over a loopback device would do for nothing.
//!
//! `unread` counts bytes from the writer's push to the reader's copy; it decides readiness without a lock. A writer that
//! found no room sets FULL; the reader clears it when a third is free, and only then tells (as Linux does with
//! SOCK_NOSPACE, so edge-triggered epoll reports the same edges).
//!
//! ```text
//!   writer                                 reader
//!   FULL = true                            unread -= n
//!   room? -> yes: go on                    FULL? -> yes: clear it, wake
//!   wait
//! ```
//! Each puts its store before its load (sequentially consistent), so one of them sees the other's.
//!
//! Locks, in order: `writing` (sleeping; one writer's copy), `reading` (sleeping; one reader's), `queue`. Costs: O(1) a
//! piece; a stream without unread bytes holds no memory but itself.
use super::buffer::{self, Buffer};
use super::events::Events;
use crate::memory::spare::Spare;
use crate::memory::user::UserIo;
use crate::sync::{SleepMutex, SpinLock};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use ringo_abi::{Errno, SysResult};

/// The most bytes that are copied once more to be put behind others.
const JOIN: usize = 1024;
/// The room of a stream while memory is tight.
const TIGHT: usize = 16 << 10;
/// The longest queue whose memory is kept when it is empty.
const KEPT_QUEUE: usize = 16;

/// The writer ended the stream.
const ENDED: u32 = 1;
/// The reader is gone: nobody will read what is written.
const ABANDONED: u32 = 2;
/// A writer found no room and waits to hear of some.
const FULL: u32 = 4;
/// The reader wants no more (shutdown(2)), but what comes is still kept.
const DECLINED: u32 = 8;

/// What goes along with a piece of a stream: nothing for TCP.
pub trait Attachment: Send {
    /// Whether a piece with this may be put behind one with `before` as if they were one.
    fn joins(&self, before: &Self) -> bool;

    /// Whether a piece the program's memory does not have all of is not sent (EFAULT), rather than cut.
    const WHOLE: bool;
}

impl Attachment for () {
    const WHOLE: bool = false;

    fn joins(&self, (): &Self) -> bool {
        true
    }
}

/// Some bytes of the stream.
pub struct Piece<A> {
    buffer: Buffer,
    start: usize,
    end: usize,
    /// What came along with it.
    pub attachment: A,
}

impl<A> Piece<A> {
    /// Bytes that were not read.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }
}

/// See the module's head.
pub struct Stream<A> {
    writing: SleepMutex<()>,
    /// The piece that is being read.
    reading: SleepMutex<Option<Piece<A>>>,
    queue: SpinLock<VecDeque<Piece<A>>>,
    unread: AtomicUsize,
    capacity: AtomicUsize,
    state: AtomicU32,
    reader: Arc<Events>,
    writer: Arc<Events>,
}

impl<A: Attachment> Stream<A> {
    /// An empty stream with room for `capacity` bytes.
    pub fn new(writer: Arc<Events>, reader: Arc<Events>, capacity: usize) -> Self {
        Self {
            writing: SleepMutex::new(()),
            reading: SleepMutex::new(None),
            queue: SpinLock::new(VecDeque::new()),
            unread: AtomicUsize::new(0),
            capacity: AtomicUsize::new(capacity),
            state: AtomicU32::new(0),
            reader,
            writer,
        }
    }

    /// The reader's side of the world.
    pub fn reader(&self) -> &Arc<Events> {
        &self.reader
    }

    /// The writer's.
    pub fn writer(&self) -> &Arc<Events> {
        &self.writer
    }

    /// Bytes written and not read.
    #[inline]
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    #[inline]
    fn has(&self, bits: u32) -> bool {
        self.state.load(Ordering::SeqCst) & bits != 0
    }

    /// The writer has ended it.
    #[inline]
    pub fn ended(&self) -> bool {
        self.has(ENDED)
    }

    /// The reader is gone.
    #[inline]
    pub fn abandoned(&self) -> bool {
        self.has(ABANDONED)
    }

    /// The reader wants no more.
    #[inline]
    pub fn declined(&self) -> bool {
        self.has(DECLINED)
    }

    /// How much may be unread.
    pub fn set_capacity(&self, bytes: usize) {
        self.capacity.store(bytes, Ordering::Relaxed);
    }

    #[inline]
    fn capacity(&self) -> usize {
        let capacity = self.capacity.load(Ordering::Relaxed);
        if buffer::is_tight() {
            capacity.min(TIGHT)
        } else {
            capacity
        }
    }

    /// Neither end has done anything about it but write and read.
    #[inline]
    pub fn is_open(&self) -> bool {
        !self.has(ENDED | ABANDONED | DECLINED)
    }

    /// Bytes it has room for.
    #[inline]
    pub fn room(&self) -> usize {
        self.capacity().saturating_sub(self.unread())
    }

    /// A third is free: what poll(2) calls writable. Asked in vain, the reader will tell when it is so.
    pub fn writable(&self) -> bool {
        if self.room() * 3 >= self.capacity() {
            return true;
        }
        self.state.fetch_or(FULL, Ordering::SeqCst);
        self.room() * 3 >= self.capacity()
    }

    /// Ends the stream: true for the one who did it.
    pub fn end(&self) -> bool {
        self.state.fetch_or(ENDED, Ordering::SeqCst) & ENDED == 0
    }

    /// The reader wants no more.
    pub fn decline(&self) {
        self.state.fetch_or(DECLINED, Ordering::SeqCst);
    }

    /// The reader goes: gives how many bytes it had not read. They are dropped, as will be what comes.
    pub fn abandon(&self) -> usize {
        self.state.fetch_or(ABANDONED, Ordering::SeqCst);
        let mut reading = self.reading.lock();
        let mut rest = core::mem::take(&mut *self.queue.lock());
        rest.extend(reading.take());
        drop(reading);
        // Just these: a reader or writer that is still at it counts its own.
        let bytes = rest.iter().map(Piece::len).sum();
        self.unread.fetch_sub(bytes, Ordering::SeqCst);
        bytes
    }

    /// Takes as much of `io` as there is room for, with one `attachment` for all of it, and wakes the reader. Gives how
    /// much that was: 0 if there is no room, of which the writer will be told then.
    ///
    /// # Errors
    /// EFAULT, ENOBUFS if nothing was taken.
    pub fn write(&self, io: &mut UserIo, attachment: impl Fn() -> A) -> SysResult {
        let _writing = self.writing.lock();
        let mut done = 0;
        while io.remaining() > 0 && !self.abandoned() {
            let mut room = self.room();
            if room == 0 {
                self.state.fetch_or(FULL, Ordering::SeqCst);
                room = self.room();
                if room == 0 {
                    break;
                }
            }
            match self.write_piece(io, room, &attachment) {
                Ok(went) => done += went,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            self.reader.readable();
        }
        Ok(done)
    }

    fn write_piece(&self, io: &mut UserIo, room: usize, attachment: &impl Fn() -> A) -> SysResult {
        let wanted = io.remaining().min(room).min(buffer::MAX);
        let mut buffer = Buffer::take(wanted)?;
        let end = io.copy_in(&mut buffer[..wanted])?;
        if A::WHOLE && end < wanted {
            return Err(Errno::EFAULT);
        }
        let piece = Piece {
            buffer,
            start: 0,
            end,
            attachment: attachment(),
        };
        self.push(piece)?;
        Ok(end)
    }

    /// Takes bytes of the kernel's, as many as there is room for (or, with `beyond`, more), without a word to the reader. For
    /// a writer that is alone; it does not block. Gives how many those were.
    pub fn push_bytes(&self, bytes: &[u8], attachment: A, beyond: bool) -> usize {
        let room = if beyond { buffer::MAX } else { self.room() };
        let count = bytes.len().min(room).min(buffer::MAX);
        if count == 0 || self.abandoned() {
            return 0;
        }
        let Ok(mut buffer) = Buffer::take(count) else {
            return 0;
        };
        buffer[..count].copy_from_slice(&bytes[..count]);
        let piece = Piece {
            buffer,
            start: 0,
            end: count,
            attachment,
        };
        self.push(piece).map_or(0, |()| count)
    }

    /// Shows `take` the first bytes that are unread, until it takes no more; it gives how many it took. For a reader that is
    /// alone; it does not block.
    pub fn take_bytes(&self, mut take: impl FnMut(&[u8]) -> usize) {
        // Nobody else reads; who looks at the queue to throw it away is about to end the stream.
        let Some(mut reading) = self.reading.try_lock() else {
            return;
        };
        let mut done = 0;
        while let Some(mut piece) = reading.take().or_else(|| self.next()) {
            let went = take(&piece.buffer[piece.start..piece.end]).min(piece.len());
            piece.start += went;
            done += went;
            if piece.len() > 0 {
                *reading = Some(piece);
                break;
            }
        }
        drop(reading);
        self.consumed(done);
    }

    /// Hangs a piece on the queue.
    ///
    /// # Errors
    /// ENOBUFS.
    fn push(&self, piece: Piece<A>) -> Result<(), Errno> {
        let length = piece.len();
        let mut queue = self.queue.lock();
        let left = match queue.back_mut() {
            Some(last)
                if length <= JOIN
                    && last.buffer.len() - last.end >= length
                    && piece.attachment.joins(&last.attachment) =>
            {
                last.buffer[last.end..last.end + length]
                    .copy_from_slice(&piece.buffer[piece.start..piece.end]);
                last.end += length;
                Some(piece)
            }
            _ => {
                if queue.spare(1).is_err() {
                    drop(queue);
                    return Err(Errno::ENOBUFS);
                }
                queue.push_back(piece);
                None
            }
        };
        self.unread.fetch_add(length, Ordering::SeqCst);
        drop(queue);
        drop(left);
        if self.abandoned() {
            // The reader went meanwhile: it may have looked before the push.
            self.abandon();
        }
        Ok(())
    }

    /// Takes the first piece off the queue.
    #[inline]
    fn next(&self) -> Option<Piece<A>> {
        let mut queue = self.queue.lock();
        let piece = queue.pop_front();
        if queue.is_empty() && queue.capacity() > KEPT_QUEUE {
            queue.shrink_to(0);
        }
        piece
    }

    /// Copies what there is, up to what `io` takes. `on_piece` sees each piece's attachment before anything of it is
    /// copied, and whether something was copied already, and says whether to go on.
    ///
    /// # Errors
    /// EFAULT if nothing was copied.
    pub fn read(
        &self,
        io: &mut UserIo,
        mut on_piece: impl FnMut(&mut A, bool) -> bool,
    ) -> SysResult {
        let mut reading = self.reading.lock();
        let mut done = 0;
        let mut result = Ok(());
        while io.remaining() > 0 && result.is_ok() {
            let Some(mut piece) = reading.take().or_else(|| self.next()) else {
                break;
            };
            if !on_piece(&mut piece.attachment, done > 0) {
                *reading = Some(piece);
                break;
            }
            let wanted = piece.len().min(io.remaining());
            match io.copy_out(&piece.buffer[piece.start..piece.start + wanted]) {
                Ok(went) if went == wanted => {
                    piece.start += went;
                    done += went;
                }
                // As on Linux: what cannot be had of a piece as a whole stays in it.
                Ok(_) => result = Err(Errno::EFAULT),
                Err(errno) => result = Err(errno),
            }
            if piece.len() > 0 {
                *reading = Some(piece);
            }
        }
        drop(reading);
        self.consumed(done);
        match result {
            Err(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// As [`Stream::read`], and leaves everything where it is.
    ///
    /// # Errors
    /// EFAULT if nothing was copied.
    pub fn peek(&self, io: &mut UserIo, mut on_piece: impl FnMut(&A, bool) -> bool) -> SysResult {
        let mut reading = self.reading.lock();
        let mut seen = Vec::new();
        let mut done = 0;
        let mut result = Ok(());
        while io.remaining() > 0 && result.is_ok() {
            let Some(piece) = reading.take().or_else(|| self.next()) else {
                break;
            };
            let goes_on = on_piece(&piece.attachment, done > 0);
            let wanted = piece.len().min(io.remaining());
            if goes_on {
                match io.copy_out(&piece.buffer[piece.start..piece.start + wanted]) {
                    Ok(went) => done += went,
                    Err(errno) => result = Err(errno),
                }
            }
            seen.push(piece);
            if !goes_on {
                break;
            }
        }
        // Back in front of what came meanwhile, which only goes behind.
        let mut queue = self.queue.lock();
        for piece in seen.into_iter().rev() {
            queue.push_front(piece);
        }
        drop(queue);
        drop(reading);
        match result {
            Err(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// Throws away up to `count` bytes; gives how many there were.
    pub fn discard(&self, count: usize) -> usize {
        let mut reading = self.reading.lock();
        let mut done = 0;
        while done < count {
            let Some(mut piece) = reading.take().or_else(|| self.next()) else {
                break;
            };
            let step = piece.len().min(count - done);
            piece.start += step;
            done += step;
            if piece.len() > 0 {
                *reading = Some(piece);
            }
        }
        drop(reading);
        self.consumed(done);
        done
    }

    /// `count` bytes were read: tells a writer that found no room.
    fn consumed(&self, count: usize) {
        if count == 0 {
            return;
        }
        self.unread.fetch_sub(count, Ordering::SeqCst);
        if self.has(FULL) && self.room() * 3 >= self.capacity() {
            self.state.fetch_and(!FULL, Ordering::SeqCst);
            self.writer.writable();
        }
    }
}
