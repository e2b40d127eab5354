//! The network card (virtio 1.2, 5.1): Ethernet frames in and out.
//!
//! Receiving: a ring of buffers that are lent to the device for ever and go back as soon as their frame was looked at,
//! so a flood costs the device's time and not our memory. Frames are handed to `input` where interrupts are handled, one
//! CPU at a time, in the order they came. Sending: [`Nic::frame`] gives an empty [`Frame`] or none while the device
//! has enough to do, [`Nic::send`] queues it, [`Nic::flush`] tells the device (one exit for any number). Its
//! buffers come back with the next frame; an interrupt says so only if somebody was turned away: then `room` is called.
//!
//! Where the device can (a tap interface; not QEMU's user network), it checks checksums of what comes and completes those of
//! what goes ([`Frame::complete`]), and hands TCP segments over that belong together as one frame of up to 64 KiB. Such a
//! frame lies in several buffers and is copied together here, once. What goes is cut into segments by the device, too, if it
//! lies in a [large frame](Nic::large_frame); of those there are few, and at least one.
//! Locks: `receive`, held while frames are looked at, above all of the network's own; `transmit`, a leaf.
mod frame;
mod traffic;

pub use frame::{Checksum, Frame, LARGE_PACKET, MTU};
pub use traffic::Traffic;

use super::{Chain, Device, DmaBuffer, Kick, Part, Queue, VirtioError, feature};
use crate::sync::SpinLock;
use crate::time;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use frame::{BUFFER, BUFFERS, FLAGS, HEADER, LARGE, NEEDS_CHECKSUM};
use ringo_abi::Errno;
use ringo_net::packet::ETHERNET_HEADER;

/// The device completes checksums of what goes.
const CHECKSUM: u64 = 1 << 0;
/// What comes may lack its checksum, or have one that was checked.
const GUEST_CHECKSUM: u64 = 1 << 1;
/// The device knows its address.
const MAC: u64 = 1 << 5;
/// TCP segments (of IPv4) may come several in one frame.
const GUEST_SEGMENTS: u64 = 1 << 7;
/// The device cuts TCP segments of IPv4 to size.
const SEGMENTS: u64 = 1 << 11;
/// The device tells whether its cable is plugged in.
const STATUS: u64 = 1 << 16;
/// A frame that comes may lie in several buffers.
const MERGED: u64 = 1 << 15;

/// Queue numbers.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Their sizes; QEMU has 256.
const RECEIVE_SIZE: u16 = 128;
const TRANSMIT_SIZE: u16 = 256;
/// Frames kept back for CPUs that asked for room at the same moment.
const SLACK: usize = 32;
/// Free buffers that are kept.
const KEPT: usize = 64;
/// Large ones that there are at most: half a MiB.
const LARGE_MOST: usize = 8;
/// How often the cable is looked at under load, in ns.
const LINK_INTERVAL: u64 = 1_000_000_000;
/// Returned receive buffers that are worth telling the device of.
const RETURNED: u16 = 32;

/// A flag of the header: the checksum was checked.
const CHECKED: u8 = 2;
/// A buffer to receive into: a frame of memory, which it takes anyway.
const ROOM: usize = 4096;
/// The longest frame that may come: an IP packet's 65,535 bytes.
const LONGEST: usize = ETHERNET_HEADER + 65_535;

struct Receive {
    queue: Queue,
    /// A frame in several buffers, as far as it was seen; memory for the longest once there was one.
    whole: Vec<u8>,
    /// Buffers of it that are to come.
    missing: u16,
    /// The device has checked it.
    checked: bool,
}

impl Receive {
    /// Begins a frame of `count` buffers. Without memory it is left out.
    fn begin(&mut self, frame: &[u8], count: u16, checked: bool) {
        self.whole.clear();
        self.missing = count - 1;
        self.checked = checked;
        if self.whole.try_reserve_exact(LONGEST).is_ok() {
            self.join(frame);
        }
    }

    /// Adds a buffer; one that the frame would be too long with ends it, for good.
    fn join(&mut self, bytes: &[u8]) {
        if self.whole.len() + bytes.len() <= self.whole.capacity().min(LONGEST) {
            self.whole.extend_from_slice(bytes);
        } else {
            self.whole = Vec::new();
        }
    }
}

struct Transmit {
    queue: Queue,
    free: Vec<DmaBuffer>,
    free_large: Vec<DmaBuffer>,
    /// Large buffers, free or with the device.
    large: usize,
    /// Somebody was turned away.
    wanted: bool,
}

/// What the card tells its user. Called where interrupts are handled.
pub trait User: Sync {
    /// A frame came; `checked`: checksums behind IP's header are right. What is sent meanwhile is flushed afterwards.
    fn input(&self, frame: &[u8], checked: bool);
    /// There is room to send again.
    fn room(&self);
    /// The cable was unplugged, or plugged in.
    fn link(&self, up: bool);
}

/// The card.
pub struct Nic {
    device: Device,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    user: &'static dyn User,
    receive: SpinLock<Receive>,
    /// Somebody found `receive` taken: its holder looks again.
    again: AtomicBool,
    transmit: SpinLock<Transmit>,
    /// The cable is plugged in, as far as was looked.
    link: AtomicBool,
    /// When that is looked at again while interrupts have other reasons, ns since boot.
    look_at_link: AtomicU64,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// Frames that found no room.
    pub dropped: AtomicU64,
    /// How often the device was notified: each time leaves the guest.
    pub notifications: AtomicU64,
}

impl Nic {
    /// Sets the card up, for good. Frames come as soon as [`Nic::listen`] was called.
    ///
    /// # Errors
    /// As the transport and queues have them; Features for a card without an address.
    pub fn start(device: Device, user: &'static dyn User) -> Result<&'static Self, VirtioError> {
        let plain = feature::EVENT_INDEX | MAC | STATUS | CHECKSUM | SEGMENTS | GUEST_CHECKSUM;
        device.negotiate(plain | GUEST_SEGMENTS | MERGED, MAC)?;
        if !device.has(MERGED) {
            // Segments joined by the device want buffers of 64 KiB then (virtio 1.2, 5.1.6.3.1); ours hold a frame.
            device.negotiate(plain, MAC)?;
        }
        let mac = device.configuration(0).ok_or(VirtioError::Features)?;
        let receive = Receive {
            queue: Queue::new(&device, RECEIVE, RECEIVE_SIZE)?,
            whole: Vec::new(),
            missing: 0,
            checked: false,
        };
        let first = match device.has(SEGMENTS | CHECKSUM) {
            true => DmaBuffer::stale(LARGE).ok(),
            false => None,
        };
        let transmit = Transmit {
            queue: Queue::new(&device, TRANSMIT, TRANSMIT_SIZE)?,
            free: Vec::new(),
            large: usize::from(first.is_some()),
            free_large: Vec::from_iter(first),
            wanted: false,
        };
        let nic: &'static Self = Box::leak(Box::new(Self {
            device,
            mac,
            user,
            receive: SpinLock::new(receive),
            again: AtomicBool::new(false),
            transmit: SpinLock::new(transmit),
            link: AtomicBool::new(true),
            look_at_link: AtomicU64::new(0),
            received: Traffic::default(),
            sent: Traffic::default(),
            dropped: AtomicU64::new(0),
            notifications: AtomicU64::new(0),
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
        let mut receive = self.receive.lock();
        let queue = &mut receive.queue;
        for _ in 0..RECEIVE_SIZE {
            let Ok(buffer) = DmaBuffer::stale(ROOM) else {
                break;
            };
            let part = Part {
                buffer,
                length: ROOM,
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
        drop(receive);
        if let Some(kick) = kick {
            kick.ring();
        }
        Ok(())
    }

    /// An interrupt does not say what it is for without an exit. One that brought nothing is about the cable; one that did may
    /// be, too, so the cable is looked at once a second meanwhile.
    fn on_interrupt(&self) {
        let before = self.received.so_far().0;
        self.look();
        self.sent_some();
        let now = time::now();
        let nothing = self.received.so_far().0 == before;
        if self.device.has(STATUS) && (nothing || now >= self.look_at_link.load(Ordering::Relaxed))
        {
            self.look_at_link
                .store(now + LINK_INTERVAL, Ordering::Relaxed);
            self.check_link();
        }
    }

    /// Whether the cable is plugged in.
    pub fn has_link(&self) -> bool {
        self.link.load(Ordering::Relaxed)
    }

    fn check_link(&self) {
        /// Where in the configuration the status is, and its bit for that.
        const PLACE: usize = 6;
        const UP: u8 = 1;
        let status = self.device.configuration::<2>(PLACE);
        let up = status.is_none_or(|status| status[0] & UP != 0);
        if self.link.swap(up, Ordering::Relaxed) != up {
            self.user.link(up);
        }
    }

    /// Hands what has come to the user. Any CPU may; one that finds another at it leaves it to that one.
    pub fn look(&self) {
        loop {
            self.again.store(true, Ordering::SeqCst);
            let Some(mut receive) = self.receive.try_lock() else {
                return;
            };
            self.again.store(false, Ordering::SeqCst);
            self.take_frames(&mut receive);
            drop(receive);
            if !self.again.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    fn take_frames(&self, receive: &mut Receive) {
        loop {
            while let Some((_, chain, written)) = receive.queue.pop() {
                if let Some(part) = chain.first() {
                    self.take(receive, &part.buffer.bytes()[..written]);
                }
                // There is room: its own descriptors were just freed.
                let _ = receive.queue.add(chain);
                if receive.queue.unpublished() >= RETURNED
                    && let Some(kick) = receive.queue.publish()
                {
                    self.notify(kick);
                }
            }
            if let Some(kick) = receive.queue.publish() {
                self.notify(kick);
            }
            // What they were answered with.
            self.flush();
            if receive.queue.is_broken() || receive.queue.want_interrupt() {
                return;
            }
        }
    }

    /// Looks at a buffer, which is a frame or a part of one.
    fn take(&self, receive: &mut Receive, bytes: &[u8]) {
        if receive.missing > 0 {
            receive.missing -= 1;
            receive.join(bytes);
            if receive.missing == 0 && !receive.whole.is_empty() {
                self.hand_over(&receive.whole, receive.checked);
            }
            return;
        }
        let Some((header, frame)) = bytes.split_first_chunk::<HEADER>() else {
            return;
        };
        let known = header[FLAGS] & (NEEDS_CHECKSUM | CHECKED) != 0;
        let checked = known && self.device.has(GUEST_CHECKSUM);
        match u16::from_le_bytes([header[BUFFERS], header[BUFFERS + 1]]) {
            count @ 2.. if self.device.has(MERGED) => receive.begin(frame, count, checked),
            _ => self.hand_over(frame, checked),
        }
    }

    fn hand_over(&self, frame: &[u8], checked: bool) {
        self.received.count(frame.len());
        self.user.input(frame, checked);
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
        let mut transmit = self.transmit.lock();
        if !self.has_room(&mut transmit) {
            return None;
        }
        let free = transmit.free.pop();
        drop(transmit);
        let buffer = match free {
            Some(buffer) => buffer,
            None => DmaBuffer::stale(BUFFER).ok()?,
        };
        Some(Frame::new(buffer))
    }

    /// An empty frame for up to [`LARGE_PACKET`], if the device [`cuts`](Nic::cuts) them; none while it has all there are, as
    /// with [`Nic::frame`].
    pub fn large_frame(&self) -> Option<Frame> {
        let mut transmit = self.transmit.lock();
        loop {
            if !self.has_room(&mut transmit) {
                return None;
            }
            if transmit.free_large.is_empty() {
                transmit.collect();
            }
            if let Some(buffer) = transmit.free_large.pop() {
                transmit.large -= 1;
                return Some(Frame::new(buffer));
            }
            let more = match transmit.large {
                0 => DmaBuffer::stale(LARGE),
                count if count < LARGE_MOST => DmaBuffer::spare(LARGE),
                _ => Err(Errno::ENOBUFS),
            };
            if let Ok(buffer) = more {
                return Some(Frame::new(buffer));
            }
            if !self.ask_for_room(&mut transmit) {
                return None;
            }
        }
    }

    /// Whether one more frame may be made; if not, the user will be told of room.
    fn has_room(&self, transmit: &mut Transmit) -> bool {
        let most = usize::from(TRANSMIT_SIZE) - SLACK;
        if transmit.queue.in_flight() >= most / 2 {
            transmit.collect();
        }
        while transmit.queue.in_flight() >= most {
            if !self.ask_for_room(transmit) {
                return false;
            }
        }
        true
    }

    /// Whether [`User::room`] is still to be called for who was turned away. Who enters a list of those must ask afterwards:
    /// the call may have come in between.
    pub fn will_tell_of_room(&self) -> bool {
        self.transmit.lock().wanted
    }

    /// Asks for an interrupt when something was sent. True if something was meanwhile, and was collected.
    fn ask_for_room(&self, transmit: &mut Transmit) -> bool {
        transmit.wanted = true;
        // The device works on what it was shown.
        let kick = transmit.queue.publish();
        let quiet = transmit.queue.want_interrupt();
        if let Some(kick) = kick {
            self.notify(kick);
        }
        if !quiet {
            transmit.collect();
        }
        !quiet
    }

    /// Takes back a frame that is not sent.
    pub fn put_back(&self, frame: Frame) {
        self.transmit.lock().keep(frame.into_part().buffer);
    }

    /// Whether the device cuts large frames into segments.
    pub fn cuts(&self) -> bool {
        self.device.has(SEGMENTS | CHECKSUM)
    }

    /// Whether checksums can be left to the device.
    pub fn completes(&self) -> bool {
        self.device.has(CHECKSUM)
    }

    /// Queues a frame; [`Nic::flush`] follows.
    pub fn send(&self, frame: Frame) {
        let length = frame.length();
        let part = frame.into_part();
        let mut transmit = self.transmit.lock();
        transmit.large += usize::from(part.buffer.len() >= LARGE);
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
            self.notify(kick);
        }
    }

    fn notify(&self, kick: Kick) {
        self.notifications.fetch_add(1, Ordering::Relaxed);
        kick.ring();
    }
}

impl Transmit {
    /// Keeps a free buffer for the next frames, unless there are enough.
    fn keep(&mut self, buffer: DmaBuffer) {
        if buffer.len() >= LARGE {
            self.large += 1;
            self.free_large.push(buffer);
        } else if self.free.len() < KEPT {
            self.free.push(buffer);
        }
    }

    /// Takes back the buffers of frames that were sent.
    fn collect(&mut self) {
        while let Some((_, chain, _)) = self.queue.pop() {
            for part in chain {
                self.large -= usize::from(part.buffer.len() >= LARGE);
                self.keep(part.buffer);
            }
        }
        // Its wish follows what was taken, so that it is never passed by accident.
        if !self.wanted {
            self.queue.refuse_interrupts();
        }
    }
}
