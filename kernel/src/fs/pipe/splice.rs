//! splice(2), tee(2), vmsplice(2): bytes into and out of pipes in units of their buffers.
//!
//! Linux hands pages over where it can; here bytes are copied once, from or to the file itself, which a program cannot tell
//! but for changing memory after it gave it to vmsplice. The pipe's lock is held while the other side reads or writes, as
//! in Linux, so that nothing is lost when that takes less; two pipes' locks are taken in the order of their addresses.
use super::ring::{PAGE, Ring};
use super::{End, Pipe};
use crate::fs::OpenFile;
use crate::memory::spare::Spare;
use crate::memory::user::{self, UserIo};
use crate::sync::SleepGuard;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ringo_abi::{Errno, SysResult};

/// Buffers handed to the other side at once.
const BATCH: usize = 64;

impl End {
    /// splice(2) out of the pipe: `write` is given what there is, up to `count` bytes, and says how much it took. Ends
    /// when nothing is left; waits only for the first bytes.
    ///
    /// # Errors
    /// EAGAIN, ERESTARTSYS, those of `write`; only if nothing was moved.
    pub fn drain(
        &self,
        count: usize,
        nonblocking: bool,
        mut write: impl FnMut(&mut UserIo) -> SysResult,
    ) -> SysResult {
        let mut done = 0;
        while done < count {
            // After the first bytes an empty pipe is the end.
            let ring = match self.pipe.ring_with_bytes(nonblocking || done > 0) {
                Ok(Some(ring)) => ring,
                Ok(None) => break,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            };
            match self.drain_some(ring, count - done, &mut write) {
                Ok(0) => break,
                Ok(went) => done += went,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(done)
    }

    fn drain_some(
        &self,
        mut ring: SleepGuard<'_, Ring>,
        count: usize,
        write: &mut impl FnMut(&mut UserIo) -> SysResult,
    ) -> SysResult {
        let mut left = count;
        let pieces = ring.buffers.iter_mut().take(BATCH).map_while(|buffer| {
            let length = buffer.len().min(left);
            left -= length;
            (length > 0).then(|| &mut buffer.page[buffer.start..buffer.start + length])
        });
        let pieces: Vec<&mut [u8]> = pieces.collect();
        let result = user::with_kernel_buffers(pieces.into_iter(), write).and_then(|went| went);
        if let Ok(went) = result {
            ring.consume(went);
        }
        self.pipe.consumed(ring);
        result
    }

    /// splice(2) into the pipe: `read` is asked once to fill the free buffers, up to `count` bytes. Waits for room.
    ///
    /// # Errors
    /// EPIPE, EAGAIN, ERESTARTSYS, ENOMEM, those of `read`.
    pub fn fill_from(
        &self,
        count: usize,
        nonblocking: bool,
        read: impl FnOnce(&mut UserIo) -> SysResult,
    ) -> SysResult {
        let mut ring = self.pipe.ring_with_room(nonblocking)?;
        let slots = self.pipe.slots.load(Ordering::Relaxed);
        let free = slots.saturating_sub(ring.buffers.len()).min(BATCH);
        let count = count.min(free * PAGE);
        let mut pages: Vec<Vec<u8>> = Vec::new();
        let taken = take_pages(&mut ring, &mut pages, count.div_ceil(PAGE));
        if let Err(errno) = taken {
            drop(ring);
            self.pipe.pass_room_on();
            return Err(errno);
        }
        let pieces = pages.iter_mut().enumerate().map(|(index, page)| {
            let length = (count - index * PAGE).min(PAGE);
            &mut page[..length]
        });
        let pieces: Vec<&mut [u8]> = pieces.collect();
        let result = user::with_kernel_buffers(pieces.into_iter(), read).and_then(|got| got);
        let mut got = *result.as_ref().unwrap_or(&0);
        for page in pages {
            match got.min(PAGE) {
                0 => ring.keep(page),
                length => ring.push(page, length, false),
            }
            got -= got.min(PAGE);
        }
        self.pipe.produced(ring, result != Ok(0) && result.is_ok());
        self.pipe.pass_room_on();
        result
    }

    /// vmsplice(2) into the pipe: what fits at once.
    ///
    /// # Errors
    /// EPIPE, EAGAIN, ERESTARTSYS, EFAULT.
    pub fn give(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        if io.remaining() == 0 {
            return Ok(0);
        }
        let mut ring = self.pipe.ring_with_room(nonblocking)?;
        let slots = self.pipe.slots.load(Ordering::Relaxed);
        let mut done = 0;
        let mut result = Ok(0);
        while io.remaining() > 0 && ring.buffers.len() < slots && result.is_ok() {
            result = ring.put_some(io);
            done += *result.as_ref().unwrap_or(&0);
        }
        self.pipe.produced(ring, done > 0);
        self.pipe.pass_room_on();
        match result {
            Err(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// vmsplice(2) out of the pipe.
    ///
    /// # Errors
    /// As read(2).
    pub fn get(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        self.pipe.read(io, nonblocking)
    }
}

/// Pages for as many buffers as are to be filled, which the ring then has room for.
fn take_pages(ring: &mut Ring, pages: &mut Vec<Vec<u8>>, count: usize) -> Result<(), Errno> {
    pages.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    ring.buffers.spare(count)?;
    for _ in 0..count {
        pages.push(ring.page()?);
    }
    Ok(())
}

/// The end of a pipe that an open file is, if it is one.
pub fn end_of(file: &OpenFile) -> Option<&End> {
    file.ops.downcast::<End>()
}

/// splice(2) from pipe to pipe, or tee(2) if `keeps`: moves or copies what the one has and the other has room for, up to
/// `count` bytes. Waits until both is the case.
///
/// # Errors
/// EINVAL if they are one pipe; EPIPE, EAGAIN, ERESTARTSYS, ENOMEM.
pub fn pour(from: &End, to: &End, count: usize, nonblocking: bool, keeps: bool) -> SysResult {
    let (from, to) = (&*from.pipe, &*to.pipe);
    if core::ptr::eq(from, to) {
        return Err(Errno::EINVAL);
    }
    loop {
        // One after the other, as holding both while waiting could stop a circle of pipes. Who is woken on one of them
        // and then waits on the other, or leaves, hands the first one's wake-up on.
        let ended = from.ring_with_bytes(nonblocking)?.is_none();
        from.pass_bytes_on();
        drop(to.ring_with_room(nonblocking)?);
        to.pass_room_on();
        if ended {
            return Ok(0);
        }
        let (mut source, mut target) = lock_both(from, to);
        if from.is_empty() || to.is_full() {
            // Somebody was faster.
            continue;
        }
        let result = move_buffers(&mut source, &mut target, to, count, keeps);
        to.produced(target, result.is_ok());
        from.consumed(source);
        to.pass_room_on();
        return result;
    }
}

fn lock_both<'a>(a: &'a Pipe, b: &'a Pipe) -> (SleepGuard<'a, Ring>, SleepGuard<'a, Ring>) {
    if core::ptr::from_ref(a) < core::ptr::from_ref(b) {
        let first = a.ring.lock();
        (first, b.ring.lock())
    } else {
        let first = b.ring.lock();
        (a.ring.lock(), first)
    }
}

fn move_buffers(
    source: &mut Ring,
    target: &mut Ring,
    to: &Pipe,
    count: usize,
    keeps: bool,
) -> SysResult {
    let room = to
        .slots
        .load(Ordering::Relaxed)
        .saturating_sub(target.buffers.len());
    let mut done = 0;
    let mut result = Ok(());
    for buffer in source.buffers.iter().take(room) {
        let length = buffer.len().min(count - done);
        if length == 0 {
            break;
        }
        match target.page() {
            Ok(mut page) => {
                page[..length].copy_from_slice(&buffer.bytes()[..length]);
                target.push(page, length, buffer.packet);
                done += length;
            }
            Err(errno) => {
                result = Err(errno);
                break;
            }
        }
    }
    if !keeps {
        source.consume(done);
    }
    match result {
        Err(errno) if done == 0 => Err(errno),
        _ => Ok(done),
    }
}
