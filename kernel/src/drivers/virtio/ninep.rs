//! The 9P transport (virtio 1.2, 5.11): requests and replies in chains of one queue.
//!
//! [`Channel::exchange`] sends calls together and returns when each has its reply. Any number of threads may; the tag of
//! a request is its slot, and a thread sleeps on its own slots. (To look at the queue for a while instead gains nothing
//! that can be measured: QEMU takes 60 to 100 µs, and an idle CPU polls anyway.)
//! What the device writes is taken as bytes and a length; who asked checks them (crates/ninep).
//! Locks: `state`, then a wait queue's own.
use super::{Chain, Device, DmaBuffer, Part, Queue, feature};
use crate::sync::{SpinLock, Wait, WaitQueue};
use crate::task::host::HostWorks;
use crate::{klog, task, time};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::Errno;

/// Descriptors; QEMU's queue has as many.
const QUEUE_SIZE: u16 = 128;
/// Calls in flight: each takes up to three descriptors.
const SLOTS: usize = QUEUE_SIZE as usize / 3;
/// After so long without an answer the device is asked whether it still works.
const DOUBT_NS: u64 = 5_000_000_000;
/// Where the tag is in a message.
const TAG: core::ops::Range<usize> = 5..7;

/// Requests sent, and how often somebody waited for the replies to some of them.
static COUNTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Requests sent so far, and the round trips they took.
pub fn counts() -> (u64, u64) {
    let [requests, trips] = COUNTS.each_ref().map(|count| count.load(Ordering::Relaxed));
    (requests, trips)
}

/// A way to the host.
pub trait Channel: Send + Sync {
    /// Sends the calls and waits until each has its reply.
    ///
    /// # Errors
    /// EIO when the device is broken.
    fn exchange(&self, calls: &mut [Call]) -> Result<(), Errno>;
}

/// A request, and the buffers for its reply.
pub struct Call {
    /// Request, reply, and perhaps data that follows the reply's beginning; none while the device has them.
    parts: Option<Chain>,
    /// What the device wrote, in all.
    written: usize,
    /// A tag that means something; others are given when the call is sent.
    pub fixed_tag: Option<u16>,
    tag: u16,
}

impl Call {
    /// A call with a request and the beginning of a reply of these lengths.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(request: usize, reply: usize) -> Result<Self, Errno> {
        let part = |length, device_writes| {
            Ok::<_, Errno>(Part {
                buffer: DmaBuffer::stale(length)?,
                length,
                device_writes,
            })
        };
        Ok(Self {
            parts: Some(Chain::from_iter([
                part(request, false)?,
                part(reply, true)?,
            ])),
            written: 0,
            fixed_tag: None,
            tag: 0,
        })
    }

    /// Adds room for data behind the reply's beginning.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn receive_data(&mut self, length: usize) -> Result<(), Errno> {
        let part = Part {
            buffer: DmaBuffer::spare(length)?,
            length,
            device_writes: true,
        };
        let parts = self.parts.as_mut().ok_or(Errno::EIO)?;
        parts.try_push(part).map_err(|_| Errno::EIO)
    }

    /// Where the request is to be written.
    pub fn request_bytes(&mut self) -> &mut [u8] {
        match self.parts.as_mut().and_then(|parts| parts.first_mut()) {
            Some(part) => &mut part.buffer.bytes_mut()[..part.length],
            None => &mut [],
        }
    }

    /// The tag it was sent with.
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// The beginning of the reply, and the length of all of it.
    pub fn reply(&self) -> (&[u8], usize) {
        let Some(part) = self.parts.as_ref().and_then(|parts| parts.get(1)) else {
            return (&[], 0);
        };
        let here = self.written.min(part.length);
        (&part.buffer.bytes()[..here], self.written)
    }

    /// The data's memory.
    pub fn take_data(&mut self) -> Option<DmaBuffer> {
        let parts = self.parts.as_mut()?;
        (parts.len() > 2)
            .then(|| parts.pop())
            .flatten()
            .map(|part| part.buffer)
    }

    fn set_tag(&mut self, tag: u16) {
        self.tag = self.fixed_tag.unwrap_or(tag);
        let tag = self.tag;
        if let Some(bytes) = self.request_bytes().get_mut(TAG) {
            bytes.copy_from_slice(&tag.to_le_bytes());
        }
    }
}

enum Slot {
    Free,
    /// In the queue under this number.
    Sent(u16),
    Done(Chain, usize),
}

struct State {
    queue: Queue,
    slots: [Slot; SLOTS],
}

/// The device.
pub struct Ninep {
    device: Device,
    state: SpinLock<State>,
    /// By slot: the thread that waits for the reply.
    waiters: [WaitQueue; SLOTS],
    /// Threads that wait for a slot.
    room: WaitQueue,
}

impl Ninep {
    /// Sets the device up, for good.
    ///
    /// # Errors
    /// EIO, ENOMEM.
    pub fn start(device: Device) -> Result<&'static Self, Errno> {
        device.negotiate(feature::EVENT_INDEX, 0)?;
        let queue = Queue::new(&device, 0, QUEUE_SIZE)?;
        let ninep: &'static Self = Box::leak(Box::new(Self {
            device,
            state: SpinLock::new(State {
                queue,
                slots: [const { Slot::Free }; SLOTS],
            }),
            waiters: [const { WaitQueue::new() }; SLOTS],
            room: WaitQueue::new(),
        }));
        ninep
            .device
            .on_interrupt(Box::new(|| ninep.on_interrupt()))?;
        ninep.device.ready();
        Ok(ninep)
    }

    fn on_interrupt(&self) {
        let mut state = self.state.lock();
        loop {
            self.collect(&mut state);
            // Another one only if somebody may sleep for it.
            if state.queue.in_flight() == 0 || state.queue.want_interrupt() {
                return;
            }
        }
    }

    /// Takes what came back and wakes who waits for it.
    fn collect(&self, state: &mut State) {
        while let Some((number, chain, written)) = state.queue.pop() {
            let sent = |slot: &Slot| matches!(slot, Slot::Sent(sent) if *sent == number);
            if let Some(index) = state.slots.iter().position(sent) {
                state.slots[index] = Slot::Done(chain, written);
                self.waiters[index].wake_all();
            }
        }
    }

    /// Sends calls from the front as far as there are slots, at least one; gives their slots.
    fn send(&self, calls: &mut [Call]) -> Result<Vec<usize>, Errno> {
        let mut sent = Vec::with_capacity(calls.len().min(SLOTS));
        let room = || {
            let mut state = self.state.lock();
            if state.queue.is_broken() {
                return Some(Err(Errno::EIO));
            }
            for index in 0..SLOTS {
                let Some(call) = calls.get_mut(sent.len()) else {
                    break;
                };
                if !matches!(state.slots[index], Slot::Free) {
                    continue;
                }
                call.set_tag(index as u16);
                let Some(parts) = call.parts.take() else {
                    return Some(Err(Errno::EIO));
                };
                match state.queue.add(parts) {
                    Ok(number) => state.slots[index] = Slot::Sent(number),
                    Err(parts) => {
                        call.parts = Some(parts);
                        break;
                    }
                }
                sent.push(index);
            }
            (!sent.is_empty()).then(|| Ok(state.queue.publish()))
        };
        let kick = self.room.wait_until(Wait::uninterruptible(), room)??;
        if let Some(kick) = kick {
            kick.ring();
        }
        Ok(sent)
    }

    /// The reply in `slot`, if it is there; the slot is free then.
    fn take(&self, state: &mut State, slot: usize) -> Option<Result<(Chain, usize), Errno>> {
        self.collect(state);
        match core::mem::replace(&mut state.slots[slot], Slot::Free) {
            Slot::Done(chain, written) => Some(Ok((chain, written))),
            _ if state.queue.is_broken() => Some(Err(Errno::EIO)),
            other => {
                state.slots[slot] = other;
                None
            }
        }
    }

    fn wait(&self, slot: usize) -> Result<(Chain, usize), Errno> {
        // The idle thread, at boot, cannot sleep.
        while task::current().tid() == 0 {
            if let Some(reply) = self.take(&mut self.state.lock(), slot) {
                return reply;
            }
            core::hint::spin_loop();
        }
        loop {
            let how = Wait::uninterruptible().deadline(Some(time::now() + DOUBT_NS));
            let reply = self.waiters[slot].wait_until(how, || {
                let mut state = self.state.lock();
                loop {
                    if let Some(reply) = self.take(&mut state, slot) {
                        return Some(reply);
                    }
                    if state.queue.want_interrupt() {
                        return None;
                    }
                }
            });
            match reply {
                Ok(reply) => return reply,
                Err(_) if self.device.needs_reset() => {
                    klog!("9p: the device has given up");
                    self.state.lock().queue.give_up();
                }
                // A slow disk.
                Err(_) => {}
            }
        }
    }
}

impl Channel for Ninep {
    fn exchange(&self, calls: &mut [Call]) -> Result<(), Errno> {
        let mut rest = calls;
        while !rest.is_empty() {
            let slots = self.send(rest)?;
            COUNTS[0].fetch_add(slots.len() as u64, Ordering::Relaxed);
            COUNTS[1].fetch_add(1, Ordering::Relaxed);
            let (now, later) = rest.split_at_mut(slots.len());
            let mut outcome = Ok(());
            let _works = HostWorks::new();
            for (call, slot) in now.iter_mut().zip(slots) {
                // All are waited for, whatever becomes of one: the slots are ours.
                match self.wait(slot) {
                    Ok((chain, written)) => {
                        (call.parts, call.written) = (Some(chain), written);
                    }
                    Err(errno) => outcome = Err(errno),
                }
                self.room.wake_one();
            }
            outcome?;
            rest = later;
        }
        Ok(())
    }
}
