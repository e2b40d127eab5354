//! The network card (virtio 1.2, 5.1): Ethernet frames in and out.
//!
//! Receiving: a ring of buffers that are lent to the device for ever and go back as soon as their frame was looked at,
//! so a flood costs the device's time and not our memory. Frames are handed to `input` where interrupts are handled, one
//! CPU at a time, in the order they came. Sending: [`Nic::frame`] gives an empty [`Frame`] or none while the device
//! has enough to do, [`Nic::send`] queues it, [`Nic::flush`] tells the device (one exit for any number). Its
//! buffers come back with the next frame; an interrupt says so only if somebody was turned away: then `room` is called.
//!
//! No offloads: checksums are made and checked by who makes and reads packets.
//! Locks: `receive`, held while frames are looked at, above all of the network's own; `transmit`, a leaf.
use super::{Chain, Device, DmaBuffer, Part, Queue, VirtioError, feature};
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ringo_net::packet::ETHERNET_HEADER;

/// The device knows its address.
const MAC: u64 = 1 << 5;

/// Queue numbers.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Entries of either; QEMU has 256.
const RECEIVE_SIZE: u16 = 128;
const TRANSMIT_SIZE: u16 = 256;
/// Frames kept back for CPUs that asked for room at the same moment.
const SLACK: usize = 32;
/// Free buffers that are kept.
const KEPT: usize = 64;
/// Returned receive buffers that are worth telling the device of.
const RETURNED: u16 = 32;

/// struct virtio_net_hdr_v1.
const HEADER: usize = 12;
/// What a packet may have at most behind the Ethernet header.
pub const MTU: usize = 1500;
/// A buffer: header and frame with room to spare.
const BUFFER: usize = 2048;

/// A frame to be sent, being filled.
pub struct Frame {
    buffer: DmaBuffer,
    /// Of the Ethernet frame.
    length: usize,
}

impl Frame {
    /// The whole frame; the length is the frame's then.
    ///
    /// # Panics
    /// If it is longer than a card's frames are: callers know the MTU.
    pub fn ethernet(&mut self, length: usize) -> &mut [u8] {
        assert!(length <= ETHERNET_HEADER + MTU);
        self.length = length;
        &mut self.buffer.bytes_mut()[HEADER..HEADER + length]
    }

    /// What is behind the Ethernet header: an IP packet of this length.
    ///
    /// # Panics
    /// As [`Frame::ethernet`].
    pub fn packet(&mut self, length: usize) -> &mut [u8] {
        &mut self.ethernet(ETHERNET_HEADER + length)[ETHERNET_HEADER..]
    }

    /// The frame as it is.
    pub fn bytes(&mut self) -> &mut [u8] {
        let length = self.length;
        &mut self.buffer.bytes_mut()[HEADER..HEADER + length]
    }
}

struct Transmit {
    queue: Queue,
    free: Vec<DmaBuffer>,
    /// Somebody was turned away.
    wanted: bool,
}

/// Frames and bytes one way.
#[derive(Default)]
pub struct Traffic {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    fn count(&self, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Frames, bytes.
    pub fn so_far(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.frames), load(&self.bytes))
    }
}

/// What the card tells its user. Called where interrupts are handled.
pub trait User: Sync {
    /// A frame came. What is sent meanwhile is flushed afterwards.
    fn input(&self, frame: &[u8]);
    /// There is room to send again.
    fn room(&self);
}

/// The card.
pub struct Nic {
    device: Device,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    user: &'static dyn User,
    receive: SpinLock<Queue>,
    /// Somebody found `receive` taken: its holder looks again.
    again: AtomicBool,
    transmit: SpinLock<Transmit>,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// Frames that found no room.
    pub dropped: AtomicU64,
}

impl Nic {
    /// Sets the card up, for good. Frames come as soon as [`Nic::listen`] was called.
    ///
    /// # Errors
    /// As the transport and queues have them; Features for a card without an address.
    pub fn start(device: Device, user: &'static dyn User) -> Result<&'static Self, VirtioError> {
        device.negotiate(feature::EVENT_INDEX | MAC, MAC)?;
        let mac = device.configuration(0).ok_or(VirtioError::Features)?;
        let receive = Queue::new(&device, RECEIVE, RECEIVE_SIZE)?;
        let transmit = Transmit {
            queue: Queue::new(&device, TRANSMIT, TRANSMIT_SIZE)?,
            free: Vec::new(),
            wanted: false,
        };
        let nic: &'static Self = Box::leak(Box::new(Self {
            device,
            mac,
            user,
            receive: SpinLock::new(receive),
            again: AtomicBool::new(false),
            transmit: SpinLock::new(transmit),
            received: Traffic::default(),
            sent: Traffic::default(),
            dropped: AtomicU64::new(0),
        }));
        nic.transmit.lock().queue.refuse_interrupts();
        nic.device.on_interrupt(Box::new(|| nic.on_interrupt()))?;
        Ok(nic)
    }

    /// Lends the device its buffers and lets it begin.
    ///
    /// # Errors
    /// NoMemory if there is not even one buffer.
    pub fn listen(&self) -> Result<(), VirtioError> {
        let mut queue = self.receive.lock();
        for _ in 0..RECEIVE_SIZE {
            let Ok(buffer) = DmaBuffer::stale(BUFFER) else {
                break;
            };
            let part = Part {
                buffer,
                length: BUFFER,
                device_writes: true,
            };
            let _ = queue.add(Chain::from_iter([part]));
        }
        if queue.in_flight() == 0 {
            return Err(VirtioError::NoMemory);
        }
        self.device.ready();
        let kick = queue.publish();
        let _ = queue.want_interrupt();
        drop(queue);
        if let Some(kick) = kick {
            kick.ring();
        }
        Ok(())
    }

    fn on_interrupt(&self) {
        self.look();
        self.sent_some();
    }

    /// Hands what has come to the user. Any CPU may; one that finds another at it leaves it to that one.
    pub fn look(&self) {
        loop {
            self.again.store(true, Ordering::SeqCst);
            let Some(mut queue) = self.receive.try_lock() else {
                return;
            };
            self.again.store(false, Ordering::SeqCst);
            self.take_frames(&mut queue);
            drop(queue);
            if !self.again.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    fn take_frames(&self, queue: &mut Queue) {
        loop {
            while let Some((_, chain, written)) = queue.pop() {
                if let Some(part) = chain.first()
                    && let Some(frame) = part.buffer.bytes().get(HEADER..written)
                {
                    self.received.count(frame.len());
                    self.user.input(frame);
                }
                // There is room: its own descriptors were just freed.
                let _ = queue.add(chain);
                if queue.unpublished() >= RETURNED
                    && let Some(kick) = queue.publish()
                {
                    kick.ring();
                }
            }
            if let Some(kick) = queue.publish() {
                kick.ring();
            }
            // What they were answered with.
            self.flush();
            if queue.is_broken() || queue.want_interrupt() {
                return;
            }
        }
    }

    /// Some frames were sent: tells those that were turned away, once half the ring is free.
    fn sent_some(&self) {
        let mut transmit = self.transmit.lock();
        while transmit.wanted {
            transmit.collect();
            if transmit.queue.in_flight() <= usize::from(TRANSMIT_SIZE) / 2 {
                transmit.wanted = false;
                transmit.queue.refuse_interrupts();
                drop(transmit);
                self.user.room();
                return;
            }
            if transmit.queue.is_broken() || transmit.queue.want_interrupt() {
                return;
            }
        }
    }

    /// An empty frame; none while the device has as many as it should. Then the user is told of room.
    pub fn frame(&self) -> Option<Frame> {
        let most = usize::from(TRANSMIT_SIZE) - SLACK;
        let mut transmit = self.transmit.lock();
        if transmit.queue.in_flight() >= most / 2 {
            transmit.collect();
        }
        while transmit.queue.in_flight() >= most {
            transmit.wanted = true;
            // The device works on what it was shown.
            let kick = transmit.queue.publish();
            let quiet = transmit.queue.want_interrupt();
            if let Some(kick) = kick {
                kick.ring();
            }
            if quiet {
                return None;
            }
            transmit.collect();
        }
        let free = transmit.free.pop();
        drop(transmit);
        let buffer = match free {
            Some(buffer) => buffer,
            None => {
                let mut buffer = DmaBuffer::stale(BUFFER).ok()?;
                buffer.bytes_mut()[..HEADER].fill(0);
                buffer
            }
        };
        Some(Frame { buffer, length: 0 })
    }

    /// Queues a frame; [`Nic::flush`] follows.
    pub fn send(&self, frame: Frame) {
        let length = frame.length;
        let part = Part {
            buffer: frame.buffer,
            length: HEADER + length,
            device_writes: false,
        };
        let mut transmit = self.transmit.lock();
        if transmit.queue.add(Chain::from_iter([part])).is_ok() {
            drop(transmit);
            self.sent.count(length);
        } else {
            drop(transmit);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows the device what was queued.
    pub fn flush(&self) {
        let mut transmit = self.transmit.lock();
        let kick = transmit.queue.publish();
        drop(transmit);
        if let Some(kick) = kick {
            kick.ring();
        }
    }
}

impl Transmit {
    /// Takes back the buffers of frames that were sent.
    fn collect(&mut self) {
        while let Some((_, chain, _)) = self.queue.pop() {
            for part in chain {
                if self.free.len() < KEPT {
                    self.free.push(part.buffer);
                }
            }
        }
        // Its wish follows what was taken, so that it is never passed by accident.
        if !self.wanted {
            self.queue.refuse_interrupts();
        }
    }
}
