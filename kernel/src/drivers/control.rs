//! The control port: messages to and from the `ringo` command (crates/control).
//!
//! [`send`] works from anywhere in the kernel, interrupt handlers included: it copies the message into a buffer and, should
//! the host be behind, waits for it by polling; log lines are dropped then instead. Messages from the host are decoded
//! where the interrupt is handled and go to the one receiver (program/host.rs).
//! A kernel that is going down uses [`Control::send_last`], which breaks the lock: whoever held it was stopped.
use super::console::console;
use super::files;
use super::virtio::{Chain, DmaBuffer, Kick, Part, Queue, VirtioError};
use crate::sync::{SpinGuard, SpinLock, lock_by_force};
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_control::{Decoder, HEADER, MAX_PAYLOAD, ToGuest, ToHost, encode};
use spin::Once;

/// Messages of the host are short.
const DECODER: usize = 64;
const RECEIVE_BUFFERS: usize = 4;
const RECEIVE_SIZE: usize = 4096;
/// Beside them, where files are read.
const DATA_BUFFERS: usize = Control::RECEIVE_QUEUE_SIZE as usize - RECEIVE_BUFFERS;
/// Most messages fit in here.
const SMALL: usize = 4096;

struct Transmit {
    queue: Queue,
    free: arrayvec::ArrayVec<DmaBuffer, 4>,
    /// For the last words, which must not need memory.
    reserve: Option<DmaBuffer>,
}

struct Receive {
    queue: Queue,
    decoder: Decoder<DECODER>,
    /// Bytes of a file's answer that are still to come, outside of any frame.
    raw: u32,
}

/// The port.
pub struct Control {
    transmit: SpinLock<Transmit>,
    receive: SpinLock<Receive>,
}

type Receiver = fn(ToGuest);

static RECEIVER: Once<Receiver> = Once::new();
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Names who takes the host's messages. It runs where interrupts are handled: it may wake threads, not block.
pub fn set_receiver(receiver: Receiver) {
    RECEIVER.call_once(|| receiver);
}

/// Log lines are wanted.
pub fn set_verbose(on: bool) {
    VERBOSE.store(on, Ordering::Relaxed);
}

/// Sends a message; without a console there is nobody to send it to.
pub fn send(message: &ToHost<'_>) {
    if let Some(console) = console() {
        console.control.send(message);
    }
}

/// Whether somebody wants the log.
pub fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Sends a line of the log, if the host keeps up.
pub fn log(line: &str) {
    if let Some(console) = console() {
        let line = &line.as_bytes()[..line.len().min(MAX_PAYLOAD)];
        console.control.send_if_room(&ToHost::Log(line));
    }
}

impl Transmit {
    fn collect(&mut self) {
        while let Some((_, chain, _)) = self.queue.pop() {
            for part in chain {
                if part.buffer.len() == SMALL {
                    // The others are dropped.
                    let _ = self.free.try_push(part.buffer);
                }
            }
        }
    }

    fn forget_used(&mut self) {
        while let Some((_, chain, _)) = self.queue.pop() {
            core::mem::forget(chain);
        }
    }

    fn buffer(&mut self, message: &ToHost<'_>) -> Option<(DmaBuffer, usize)> {
        let mut buffer = match (self.free.pop(), message) {
            (Some(buffer), _) => buffer,
            // The command waits for it, and whoever crashes now has said enough.
            (None, ToHost::Exit(_)) => self.reserve.take()?,
            (None, _) => DmaBuffer::zeroed(SMALL).ok()?,
        };
        if let Ok(length) = encode(message, buffer.bytes_mut()) {
            return Some((buffer, length));
        }
        let _ = self.free.try_push(buffer);
        let mut large = DmaBuffer::zeroed(HEADER + MAX_PAYLOAD).ok()?;
        let length = encode(message, large.bytes_mut()).ok()?;
        Some((large, length))
    }

    fn put(&mut self, buffer: DmaBuffer, length: usize) -> Option<Kick> {
        let part = Part {
            buffer,
            length,
            device_writes: false,
        };
        // The callers made room; a broken queue takes nothing.
        let _ = self.queue.add(Chain::from_iter([part]));
        self.queue.publish()
    }
}

impl Control {
    /// Entries of the queue that receives.
    pub const RECEIVE_QUEUE_SIZE: u16 = 64;

    /// A port on these queues.
    ///
    /// # Errors
    /// NoMemory.
    pub fn new(mut transmit: Queue, receive: Queue) -> Result<Self, VirtioError> {
        transmit.refuse_interrupts();
        Ok(Self {
            transmit: SpinLock::new(Transmit {
                queue: transmit,
                free: arrayvec::ArrayVec::new(),
                reserve: Some(DmaBuffer::zeroed(SMALL).map_err(|_| VirtioError::NoMemory)?),
            }),
            receive: SpinLock::new(Receive {
                queue: receive,
                decoder: Decoder::new(),
                raw: 0,
            }),
        })
    }

    /// Posts buffers for the host's messages.
    pub fn listen(&self) {
        self.post(RECEIVE_BUFFERS);
    }

    /// Posts more buffers: data is to come.
    pub fn expect_data(&self) {
        self.post(DATA_BUFFERS);
    }

    fn post(&self, buffers: usize) {
        let kick = {
            let mut receive = self.receive.lock();
            for _ in 0..buffers {
                if let Ok(buffer) = DmaBuffer::zeroed(RECEIVE_SIZE) {
                    receive.post(buffer);
                }
            }
            let _ = receive.queue.want_interrupt();
            receive.queue.publish()
        };
        if let Some(kick) = kick {
            kick.ring();
        }
    }

    /// The transmit side with room for a message; none if the device broke the rules, for it will take no more.
    fn with_room(&self) -> Option<SpinGuard<'_, Transmit>> {
        loop {
            let mut transmit = self.transmit.lock();
            transmit.collect();
            if transmit.queue.room() > 0 {
                return Some(transmit);
            }
            if transmit.queue.is_broken() {
                return None;
            }
            drop(transmit);
            core::hint::spin_loop();
        }
    }

    fn send(&self, message: &ToHost<'_>) {
        let Some(mut transmit) = self.with_room() else {
            return;
        };
        let kick = match transmit.buffer(message) {
            Some((buffer, length)) => transmit.put(buffer, length),
            None => None,
        };
        drop(transmit);
        if let Some(kick) = kick {
            kick.ring();
        }
    }

    fn send_if_room(&self, message: &ToHost<'_>) {
        let has_room = {
            let mut transmit = self.transmit.lock();
            transmit.collect();
            transmit.queue.room() > 1
        };
        if has_room {
            self.send(message);
        }
    }

    /// Waits until the host has taken everything that was sent. It polls: nothing else is left to do.
    pub fn drain(&self) {
        loop {
            let mut transmit = self.transmit.lock();
            transmit.collect();
            if transmit.queue.in_flight() == 0 || transmit.queue.is_broken() {
                return;
            }
            drop(transmit);
            core::hint::spin_loop();
        }
    }

    /// Sends the last message of a kernel that can go on no further; other CPUs have been told to stop.
    ///
    /// What comes back of the queue is forgotten, not freed: the frames' lock may be held by whoever was stopped.
    pub fn send_last(&self, message: &ToHost<'_>) {
        let mut transmit = lock_by_force(&self.transmit);
        transmit.forget_used();
        let Some(mut buffer) = transmit.reserve.take() else {
            return;
        };
        let Ok(length) = encode(message, buffer.bytes_mut()) else {
            core::mem::forget(buffer);
            return;
        };
        let part = Part {
            buffer,
            length,
            device_writes: false,
        };
        if let Err(chain) = transmit.queue.add(Chain::from_iter([part])) {
            core::mem::forget(chain);
        }
        if let Some(kick) = transmit.queue.publish() {
            kick.ring();
        }
        // Bounded: a host that takes nothing will not take this.
        for _ in 0..100_000_000u64 {
            transmit.forget_used();
            if transmit.queue.in_flight() == 0 || transmit.queue.is_broken() {
                return;
            }
            core::hint::spin_loop();
        }
    }

    /// Looks for messages of the host.
    pub fn on_interrupt(&self) {
        loop {
            let mut arrived: arrayvec::ArrayVec<ToGuest, 64> = arrayvec::ArrayVec::new();
            let (kick, more) = self.receive.lock().take(&mut arrived);
            if let Some(kick) = kick {
                kick.ring();
            }
            // Handled without the lock: the receiver sends answers.
            if let Some(receiver) = RECEIVER.get() {
                arrived.into_iter().for_each(receiver);
            }
            if !more {
                return;
            }
        }
    }
}

impl Receive {
    fn post(&mut self, buffer: DmaBuffer) {
        let part = Part {
            buffer,
            length: RECEIVE_SIZE,
            device_writes: true,
        };
        // As many entries as buffers.
        let _ = self.queue.add(Chain::from_iter([part]));
    }

    fn decode(&mut self, mut bytes: &[u8], into: &mut arrayvec::ArrayVec<ToGuest, 64>) {
        while !bytes.is_empty() {
            if self.raw > 0 {
                let (here, rest) = bytes.split_at(bytes.len().min(self.raw as usize));
                files::arrived(here);
                self.raw -= here.len() as u32;
                bytes = rest;
                continue;
            }
            let taken = self.decoder.feed(bytes);
            bytes = &bytes[taken..];
            while let Some(message) = self.decoder.next::<ToGuest>() {
                match message {
                    // What follows it does not pass through the decoder, and its reader waits already.
                    Ok(ToGuest::FileAnswer { result, length }) => {
                        let here = self.decoder.raw(length as usize);
                        self.raw = length - here.len() as u32;
                        files::answered(result, length as usize, here);
                        if self.raw > 0 {
                            break;
                        }
                    }
                    // The host sends few messages at a time; more than fit are not worth keeping.
                    Ok(message) => drop(into.try_push(message)),
                    // Out of step for good: nothing more will be understood.
                    Err(error) if error.is_fatal() => return,
                    Err(_) => {}
                }
            }
        }
    }

    /// Decodes what arrived, as much as `into` holds; true if there may be more.
    fn take(&mut self, into: &mut arrayvec::ArrayVec<ToGuest, 64>) -> (Option<Kick>, bool) {
        while let Some((_, chain, written)) = self.queue.pop() {
            for part in chain {
                self.decode(&part.buffer.bytes()[..written.min(part.length)], into);
                self.post(part.buffer);
            }
            if into.remaining_capacity() < 16 {
                return (self.queue.publish(), true);
            }
        }
        let kick = self.queue.publish();
        let more = !self.queue.want_interrupt();
        (kick, more)
    }
}
