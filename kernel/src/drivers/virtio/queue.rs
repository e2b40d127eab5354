//! Split virtqueues (virtio 1.2, 2.7).
//!
//! A [`Queue`] owns what it lent to the device: [`Queue::add`] takes the buffers of a chain, [`Queue::pop`] gives them
//! back with how many bytes the device says it wrote, cut to what the chain has. Entries become visible to the device
//! with [`Queue::publish`], which tells whether it wants to be notified; the notification itself is a [`Kick`], made
//! after the driver's lock was given back.
//!
//! With the event index the driver asks for an interrupt when the device passes a certain entry; [`Queue::want_interrupt`]
//! gives false if something arrived meanwhile, so that a sleeper looks again (the fence pairs with the device's).
//! The device can write to the rings, whatever the standard says of who owns what, so nothing there is believed but what it was
//! lent: chains and the links between descriptors are kept here, and a device that gives back what it does not have, or more
//! than it has, is not listened to any more.
//! Costs: O(parts) to add and to pop; no allocation after the set-up.
use super::buffer::DmaBuffer;
use super::transport::{Device, Kick};
use super::{VirtioError, feature};
use crate::memory::phys_to_virt;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Parts of a chain at most.
const MAX_PARTS: usize = 4;

const NEXT: u16 = 1;
const DEVICE_WRITES: u16 = 2;
/// `flags` of either ring without the event index: do not notify, do not interrupt.
const NO_EVENTS: u16 = 1;
const DESCRIPTOR_SIZE: usize = 16;
const USED_SIZE: usize = 8;

/// What some device gave back and did not have, a descriptor or a count, with [`STRAYED`]; 0 if all is well. The log itself
/// goes by a queue whose lock the driver holds when it finds out.
static STRAY: AtomicU64 = AtomicU64::new(0);
const STRAYED: u64 = 1 << 32;

/// Logs what a queue could not tell while its driver's lock was held. Called without locks, after a device's interrupt.
#[inline]
pub fn tell_stray() {
    if STRAY.load(Ordering::Relaxed) != 0 {
        let head = STRAY.swap(0, Ordering::Relaxed) as u32;
        crate::klog!("virtio: a device gave back what it did not have ({head})");
    }
}

/// One piece of a chain.
pub struct Part {
    /// Its memory.
    pub buffer: DmaBuffer,
    /// Bytes of it that count.
    pub length: usize,
    /// The device writes it (else it reads it). Such parts come last.
    pub device_writes: bool,
}

/// What is handed to the device as one request, and comes back as a whole.
pub type Chain = ArrayVec<Part, MAX_PARTS>;

/// See the module's head. Not for concurrent use: drivers keep it behind a lock.
pub struct Queue {
    memory: DmaBuffer,
    size: u16,
    event_index: bool,
    /// By head: what is in flight.
    chains: Vec<Option<Chain>>,
    /// By descriptor: the next one of its chain.
    links: Vec<u16>,
    /// How many chains are in flight.
    lent: u16,
    /// Unused descriptors.
    free: Vec<u16>,
    /// Our part of the available ring's index, and what of it the device was shown.
    added: u16,
    published: u16,
    /// Entries of the used ring that were taken.
    taken: u16,
    kick: Kick,
    /// The device gave back what it never had.
    broken: bool,
}

/// Offsets in the queue's memory: descriptors, available ring, used ring (4-byte aligned).
struct Layout {
    available: usize,
    used: usize,
    size: usize,
}

const fn layout(size: u16) -> Layout {
    let size = size as usize;
    let available = size * DESCRIPTOR_SIZE;
    let used = (available + 6 + 2 * size).next_multiple_of(4);
    Layout {
        available,
        used,
        size: used + 6 + USED_SIZE * size,
    }
}

impl Queue {
    /// Sets queue `index` of `device` up with at most `size` entries (a power of two).
    ///
    /// # Errors
    /// NoQueue, NoMemory.
    pub fn new(device: &Device, index: u16, size: u16) -> Result<Self, VirtioError> {
        let memory = DmaBuffer::zeroed(layout(size).size).map_err(|_| VirtioError::NoMemory)?;
        let at = |offset| memory.phys() + offset;
        let parts = layout(size);
        let kick = device.set_queue(index, size, [at(0), at(parts.available), at(parts.used)])?;
        Ok(Self {
            memory,
            size,
            event_index: device.has(feature::EVENT_INDEX),
            chains: (0..size).map(|_| None).collect(),
            links: (0..size).collect(),
            lent: 0,
            free: (0..size).rev().collect(),
            added: 0,
            published: 0,
            taken: 0,
            kick,
            broken: false,
        })
    }

    fn address(&self, offset: usize) -> usize {
        debug_assert!(offset < self.memory.len());
        phys_to_virt(self.memory.phys()) + offset
    }

    fn u16_at(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: inside the queue's memory, aligned by the layout; both sides use atomic accesses.
        unsafe { AtomicU16::from_ptr(self.address(offset) as *mut u16) }
    }

    fn u32_at(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.address(offset) as *mut u32) }
    }

    fn available_index(&self) -> &AtomicU16 {
        self.u16_at(layout(self.size).available + 2)
    }

    fn used_index(&self) -> u16 {
        self.u16_at(layout(self.size).used + 2)
            .load(Ordering::Acquire)
    }

    /// The device's wish: the entry whose publication it wants to hear of.
    fn available_event(&self) -> &AtomicU16 {
        self.u16_at(layout(self.size).used + 4 + USED_SIZE * self.size as usize)
    }

    /// Ours.
    fn used_event(&self) -> &AtomicU16 {
        self.u16_at(layout(self.size).available + 4 + 2 * self.size as usize)
    }

    fn write_descriptor(&self, index: u16, part: &Part, next: Option<u16>) {
        let at = index as usize * DESCRIPTOR_SIZE;
        // SAFETY: as in `u16_at`, 8-byte aligned.
        let address = unsafe { AtomicU64::from_ptr(self.address(at) as *mut u64) };
        address.store(part.buffer.phys() as u64, Ordering::Relaxed);
        let length = part.length.min(part.buffer.len()) as u32;
        self.u32_at(at + 8).store(length, Ordering::Relaxed);
        let writes = if part.device_writes { DEVICE_WRITES } else { 0 };
        let flags = writes | if next.is_some() { NEXT } else { 0 };
        self.u16_at(at + 12).store(flags, Ordering::Relaxed);
        self.u16_at(at + 14)
            .store(next.unwrap_or(0), Ordering::Relaxed);
    }

    /// Descriptors that are not in use.
    pub fn room(&self) -> usize {
        if self.broken { 0 } else { self.free.len() }
    }

    /// Whether the device broke the rules or gave up: nothing comes back any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The device is known to have given up. Its buffers stay lent for ever.
    pub fn give_up(&mut self) {
        self.broken = true;
    }

    /// Chains the device has, or keeps for ever if it is broken.
    pub fn in_flight(&self) -> usize {
        self.size as usize - self.free.len()
    }

    /// Queues a chain; gives its number, by which [`Queue::pop`] names it. Or gives it back if there is no room.
    ///
    /// # Errors
    /// The chain.
    #[allow(clippy::result_large_err)] // The chain goes back as it came.
    pub fn add(&mut self, chain: Chain) -> Result<u16, Chain> {
        if chain.is_empty() || chain.len() > self.room() {
            return Err(chain);
        }
        let mut next = None;
        for part in chain.iter().rev() {
            // There is room: checked above.
            let Some(index) = self.free.pop() else {
                return Err(chain);
            };
            self.write_descriptor(index, part, next);
            self.links[index as usize] = next.unwrap_or(index);
            next = Some(index);
        }
        let Some(head) = next else {
            return Err(chain);
        };
        let slot = layout(self.size).available + 4 + 2 * (self.added % self.size) as usize;
        self.u16_at(slot).store(head, Ordering::Relaxed);
        self.added = self.added.wrapping_add(1);
        self.chains[head as usize] = Some(chain);
        self.lent += 1;
        Ok(head)
    }

    /// Chains that were added and not shown to the device.
    pub fn unpublished(&self) -> u16 {
        self.added.wrapping_sub(self.published)
    }

    /// Shows the device what was added. Gives the notification to make if it wants one.
    #[must_use]
    pub fn publish(&mut self) -> Option<Kick> {
        if self.added == self.published {
            return None;
        }
        let (old, new) = (self.published, self.added);
        self.available_index().store(new, Ordering::Release);
        self.published = new;
        // Our index before the look at the device's wish.
        fence(Ordering::SeqCst);
        let wanted = if self.event_index {
            let event = self.available_event().load(Ordering::Relaxed);
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            let flags = self.u16_at(layout(self.size).used).load(Ordering::Relaxed);
            flags & NO_EVENTS == 0
        };
        wanted.then_some(self.kick)
    }

    /// Whether the device has given something back. A broken one never has: who looks until it is quiet comes to an end.
    #[inline]
    pub fn has_used(&self) -> bool {
        self.used_index() != self.taken && !self.broken
    }

    /// Takes a chain that the device is done with: its number, itself, and how many bytes the device wrote.
    pub fn pop(&mut self) -> Option<(u16, Chain, usize)> {
        let ready = self.used_index().wrapping_sub(self.taken);
        if ready == 0 || self.broken {
            return None;
        }
        if ready > self.lent {
            self.breaks_rules(u32::from(ready));
            return None;
        }
        let entry = layout(self.size).used + 4 + USED_SIZE * (self.taken % self.size) as usize;
        let head = self.u32_at(entry).load(Ordering::Relaxed);
        let written = self.u32_at(entry + 4).load(Ordering::Relaxed) as usize;
        let chain = usize::try_from(head)
            .ok()
            .and_then(|head| self.chains.get_mut(head))
            .and_then(Option::take);
        let Some(chain) = chain else {
            self.breaks_rules(head);
            return None;
        };
        self.lent -= 1;
        self.taken = self.taken.wrapping_add(1);
        self.release(head as u16, chain.len());
        let writable = chain
            .iter()
            .filter(|part| part.device_writes)
            .map(|part| part.length)
            .sum();
        Some((head as u16, chain, written.min(writable)))
    }

    /// The device gave back something that it never had.
    fn breaks_rules(&mut self, what: u32) {
        self.broken = true;
        STRAY.store(u64::from(what) | STRAYED, Ordering::Relaxed);
    }

    /// Puts a chain's descriptors back.
    fn release(&mut self, head: u16, parts: usize) {
        let mut at = head;
        for _ in 0..parts {
            self.free.push(at);
            at = self.links[at as usize];
        }
    }

    /// Asks for an interrupt at the next chain that is given back. False if one was already: look at it first.
    #[must_use]
    pub fn want_interrupt(&mut self) -> bool {
        if self.event_index {
            self.used_event().store(self.taken, Ordering::Relaxed);
        } else {
            self.u16_at(layout(self.size).available)
                .store(0, Ordering::Relaxed);
        }
        // Our wish before the look at the device's index.
        fence(Ordering::SeqCst);
        !self.has_used()
    }

    /// Asks for no interrupts until further notice.
    pub fn refuse_interrupts(&mut self) {
        if self.event_index {
            // Half a turn away: never reached before the wish is renewed.
            let never = self.taken.wrapping_add(0x8000);
            self.used_event().store(never, Ordering::Relaxed);
        } else {
            self.u16_at(layout(self.size).available)
                .store(NO_EVENTS, Ordering::Relaxed);
        }
    }
}
