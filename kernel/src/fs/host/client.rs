//! The conversation with the host: fids, and batches of requests that travel together.
//!
//! A [`Batch`] is filled with requests, sent (which blocks until every one is answered), and asked for each reply. The
//! host's errors come as their errno; a reply that is none is EIO. Fids are owned: a dropped [`Fid`] is given up with the
//! next batch, whoever sends that.
//! Lock: the fids', a leaf.
use crate::drivers::virtio::ninep::{Call, Channel};
use crate::klog;
use crate::memory::spare::Spare;
use crate::sync::SpinLock;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU32, Ordering};
use ringo_abi::Errno;
use ringo_ninep::{self as ninep, Clunk, ReplyError, Request};

/// The longest message asked for: data of 512 KiB, and what is around it.
const MESSAGE: u32 = (512 << 10) + OVERHEAD;
/// P9_IOHDRSZ: what servers keep for what is around data.
const OVERHEAD: u32 = 24;
/// Fids given up with one batch.
const CLUNKS: usize = 16;

/// Both lists have room for all numbers there are: giving one up needs no memory, under whatever lock.
#[derive(Default)]
struct Fids {
    /// Numbers from here on were never used.
    next: u32,
    /// Numbers the host has given up.
    free: Vec<u32>,
    /// Numbers nobody needs, which the host still has.
    dropped: Vec<u32>,
}

impl Fids {
    fn take(&mut self) -> Result<u32, Errno> {
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        let all = self.next as usize + 1;
        self.free.spare(all - self.free.len())?;
        self.dropped.spare(all - self.dropped.len())?;
        self.next += 1;
        Ok(self.next)
    }
}

/// See the module's head.
pub struct Client {
    channel: &'static dyn Channel,
    fids: SpinLock<Fids>,
    /// The most data in a message.
    data: AtomicU32,
}

/// A fid of the host's, given up when dropped.
pub struct Fid {
    client: &'static Client,
    number: u32,
}

impl Fid {
    /// What requests call it.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Fid {
    fn drop(&mut self) {
        self.client.fids.lock().dropped.push(self.number);
    }
}

/// A number that a request makes a fid of. Dropped, it counts as one that was made.
pub struct NewFid(Fid);

impl NewFid {
    /// What the request calls it.
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// The host has made it.
    pub fn made(self) -> Fid {
        self.0
    }

    /// The host has not.
    pub fn not_made(self) {
        let (client, number) = (self.0.client, self.0.number);
        core::mem::forget(self);
        client.fids.lock().free.push(number);
    }
}

impl Client {
    /// A client on this channel.
    pub fn new(channel: &'static dyn Channel) -> Self {
        Self {
            channel,
            fids: SpinLock::default(),
            data: AtomicU32::new(0),
        }
    }

    /// Agrees with the host on the dialect and the size of messages.
    ///
    /// # Errors
    /// EPROTO, EIO, ENOMEM.
    pub fn agree(&'static self) -> Result<(), Errno> {
        let request = ninep::Version {
            size: MESSAGE,
            version: ninep::VERSION,
        };
        let mut batch = self.batch();
        batch.add_tagged(&request, Some(ninep::NO_TAG))?;
        batch.send()?;
        let (size, version) = batch.reply(0, &request)?;
        // Less than a page of data in a message is no use.
        if version != ninep::VERSION || size < 4096 + OVERHEAD {
            return Err(Errno::EPROTO);
        }
        self.data.store(size - OVERHEAD, Ordering::Relaxed);
        Ok(())
    }

    /// The most bytes of data in one message, in whole pages.
    pub fn data_max(&self) -> usize {
        self.data.load(Ordering::Relaxed) as usize / 4096 * 4096
    }

    /// A number that is not in use.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new_fid(&'static self) -> Result<NewFid, Errno> {
        let number = self.fids.lock().take()?;
        Ok(NewFid(Fid {
            client: self,
            number,
        }))
    }

    /// An empty batch.
    pub fn batch(&'static self) -> Batch {
        Batch {
            client: self,
            calls: Vec::new(),
        }
    }
}

/// Requests that go to the host together.
pub struct Batch {
    client: &'static Client,
    calls: Vec<Call>,
}

impl Batch {
    /// Adds a request; gives its number in the batch.
    ///
    /// # Errors
    /// ENOMEM; EIO if it cannot be encoded.
    pub fn add<R: Request>(&mut self, request: &R) -> Result<usize, Errno> {
        self.add_tagged(request, None)
    }

    fn add_tagged<R: Request>(&mut self, request: &R, tag: Option<u16>) -> Result<usize, Errno> {
        let mut call = Call::new(request.length(), request.reply_length())?;
        call.fixed_tag = tag;
        // The tag is given when the request is sent.
        ninep::encode(request, tag.unwrap_or(0), call.request_bytes()).map_err(|_| Errno::EIO)?;
        self.calls.push(call);
        Ok(self.calls.len() - 1)
    }

    /// Adds a request to read; the data goes into frames of its own.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn add_read(&mut self, request: &ninep::Read) -> Result<usize, Errno> {
        let index = self.add(request)?;
        self.calls[index].receive_data(request.count as usize)?;
        Ok(index)
    }

    /// Sends all and waits for the replies.
    ///
    /// # Errors
    /// EIO when the device is broken.
    pub fn send(&mut self) -> Result<(), Errno> {
        let asked = self.calls.len();
        let dropped: ArrayVec<u32, CLUNKS> = {
            let mut fids = self.client.fids.lock();
            let from = fids.dropped.len().saturating_sub(CLUNKS);
            fids.dropped.drain(from..).collect()
        };
        let sent = dropped
            .iter()
            .try_for_each(|&fid| self.add(&Clunk { fid }).map(|_| ()))
            .and_then(|()| self.client.channel.exchange(&mut self.calls));
        self.calls.truncate(asked);
        let mut fids = self.client.fids.lock();
        match sent {
            // Gone, whatever the host says of them.
            Ok(()) => fids.free.extend(dropped),
            Err(_) => fids.dropped.extend(dropped),
        }
        drop(fids);
        sent
    }

    /// The reply to request `index`, which was `request`.
    ///
    /// # Errors
    /// The host's; EIO for what is no reply.
    pub fn reply<R: Request>(&self, index: usize, request: &R) -> Result<R::Reply<'_>, Errno> {
        let call = self.calls.get(index).ok_or(Errno::EIO)?;
        let (bytes, length) = call.reply();
        ninep::decode_scattered(request, call.tag(), bytes, length).map_err(|error| match error {
            ReplyError::Host(number) => i32::try_from(number)
                .ok()
                .and_then(Errno::from_number)
                .unwrap_or(Errno::EIO),
            ReplyError::Malformed => {
                klog!("9p: a reply of {length} bytes makes no sense");
                Errno::EIO
            }
        })
    }

    /// The frames that took the data of request `index`.
    pub fn take_data(&mut self, index: usize) -> Option<crate::drivers::virtio::DmaBuffer> {
        self.calls.get_mut(index)?.take_data()
    }
}
