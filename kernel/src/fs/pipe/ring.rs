//! The buffers of a pipe, and the bytes in them.
use crate::memory::frames::check_spare;
use crate::memory::spare::Spare;
use crate::memory::user::UserIo;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ringo_abi::{Errno, SysResult};

/// Bytes of a buffer, and PIPE_BUF.
pub const PAGE: usize = 4096;
/// Buffers of a new pipe: 64 KiB.
pub const DEFAULT_SLOTS: usize = 16;
/// Pages kept for the next writes.
const SPARE: usize = 2;

/// Some bytes in a page.
pub struct Buffer {
    pub page: Vec<u8>,
    pub start: usize,
    pub end: usize,
    /// Written with O_DIRECT: one read takes it alone, and what it does not want of it is lost.
    pub packet: bool,
}

impl Buffer {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.page[self.start..self.end]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The buffers in use, oldest first.
pub struct Ring {
    pub buffers: VecDeque<Buffer>,
    spare: Vec<Vec<u8>>,
}

impl Ring {
    /// Empty.
    pub fn new() -> Self {
        Self {
            buffers: VecDeque::with_capacity(DEFAULT_SLOTS),
            spare: Vec::with_capacity(SPARE),
        }
    }

    /// A page to be filled, and room for it.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn page(&mut self) -> Result<Vec<u8>, Errno> {
        self.buffers.spare(1)?;
        if let Some(page) = self.spare.pop() {
            return Ok(page);
        }
        check_spare()?;
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOMEM)?;
        page.resize(PAGE, 0);
        Ok(page)
    }

    /// A page that is not needed now.
    pub fn keep(&mut self, page: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(page);
        }
    }

    /// FIONREAD.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(Buffer::len).sum()
    }

    /// Puts a page with `length` bytes behind the others.
    pub fn push(&mut self, page: Vec<u8>, length: usize, packet: bool) {
        self.buffers.push_back(Buffer {
            page,
            start: 0,
            end: length,
            packet,
        });
    }

    /// Forgets the first `count` bytes.
    pub fn consume(&mut self, mut count: usize) {
        while let Some(first) = self.buffers.front_mut() {
            let took = first.len().min(count);
            first.start += took;
            count -= took;
            if first.start < first.end {
                return;
            }
            if let Some(buffer) = self.buffers.pop_front() {
                self.keep(buffer.page);
            }
            if count == 0 {
                return;
            }
        }
    }

    /// Moves bytes to `io`, up to the end of a packet.
    ///
    /// # Errors
    /// EFAULT if nothing went.
    pub fn take(&mut self, io: &mut UserIo) -> SysResult {
        let mut done = 0;
        while io.remaining() > 0 {
            let Some(first) = self.buffers.front() else {
                break;
            };
            let wanted = first.len().min(io.remaining());
            if io.copy_out(&first.bytes()[..wanted]) != Ok(wanted) {
                // As on Linux: what cannot be had of a buffer as a whole stays in it.
                return if done == 0 {
                    Err(Errno::EFAULT)
                } else {
                    Ok(done)
                };
            }
            done += wanted;
            let (packet, length) = (first.packet, first.len());
            self.consume(if packet { length } else { wanted });
            if packet {
                break;
            }
        }
        Ok(done)
    }

    /// Puts what does not fill pages behind the last buffer's bytes, if it fits there whole.
    ///
    /// # Errors
    /// EFAULT.
    pub fn append(&mut self, io: &mut UserIo) -> SysResult {
        let count = io.remaining() % PAGE;
        match self.buffers.back_mut() {
            Some(last) if count > 0 && last.end + count <= PAGE && !last.packet => {
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

    /// Fills a new buffer from `io`; gives how many bytes that took.
    ///
    /// # Errors
    /// EFAULT, ENOMEM.
    pub fn put(&mut self, io: &mut UserIo, packet: bool) -> SysResult {
        self.fill(io, packet, true)
    }

    /// As [`Ring::put`], and takes what there is before a bad address.
    ///
    /// # Errors
    /// As [`Ring::put`]'s.
    pub fn put_some(&mut self, io: &mut UserIo) -> SysResult {
        self.fill(io, false, false)
    }

    fn fill(&mut self, io: &mut UserIo, packet: bool, whole: bool) -> SysResult {
        let count = io.remaining().min(PAGE);
        let mut page = self.page()?;
        match io.copy_in(&mut page[..count]) {
            Ok(went) if went == count || !whole => {
                self.push(page, went, packet);
                Ok(went)
            }
            _ => {
                self.keep(page);
                Err(Errno::EFAULT)
            }
        }
    }
}
