//! A virtqueue against a device that keeps no rule: it writes to both rings and to the descriptors what it likes.
//!
//! What must hold all the same: nothing panics or leaves the queue's memory, a chain comes back once, as it was lent and under
//! its number, with no more bytes written than it has room for, and who looks until the queue is quiet comes to an end.
#[path = "../../../../../kernel/src/drivers/virtio/queue.rs"]
mod queue;

use self::buffer::DmaBuffer;
use self::queue::{Chain, Part, Queue};
use self::transport::Device;
use crate::Steps;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

#[derive(Debug)]
pub enum VirtioError {
    NoMemory,
}

pub mod feature {
    pub const EVENT_INDEX: u64 = 1;
}

/// Memory of the test's own, at its own address.
pub mod buffer {
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    pub struct DmaBuffer(usize, Layout);

    impl DmaBuffer {
        pub fn zeroed(bytes: usize) -> Result<Self, ()> {
            let layout =
                Layout::from_size_align(bytes.next_multiple_of(4096), 4096).map_err(drop)?;
            // SAFETY: its size is not zero.
            let start = unsafe { alloc_zeroed(layout) };
            Ok(Self(start as usize, layout))
        }

        pub fn phys(&self) -> usize {
            self.0
        }

        pub fn len(&self) -> usize {
            self.1.size()
        }
    }

    impl Drop for DmaBuffer {
        fn drop(&mut self) {
            // SAFETY: as it was allocated.
            unsafe { dealloc(self.0 as *mut u8, self.1) };
        }
    }
}

/// The device, as far as a queue knows it.
pub mod transport {
    use super::VirtioError;
    use std::cell::Cell;

    #[derive(Clone, Copy)]
    pub struct Kick;

    pub struct Device {
        pub event_index: bool,
        /// Where descriptors, available and used ring are.
        pub rings: Cell<[usize; 3]>,
    }

    impl Device {
        pub fn has(&self, _feature: u64) -> bool {
            self.event_index
        }

        pub fn set_queue(&self, _: u16, _: u16, rings: [usize; 3]) -> Result<Kick, VirtioError> {
            self.rings.set(rings);
            Ok(Kick)
        }
    }
}

const SIZE: u16 = 8;

struct Rig {
    device: Device,
    queue: Queue,
    /// By number: the buffers of a chain that is lent, and how much of it the device may write.
    lent: HashMap<u16, (Vec<usize>, usize)>,
    steps: Steps,
}

fn word(at: usize) -> &'static AtomicU16 {
    // SAFETY: inside of the queue's memory, as the caller has it from the queue itself; all accesses are atomic.
    unsafe { AtomicU16::from_ptr(at as *mut u16) }
}

fn long(at: usize) -> &'static AtomicU32 {
    // SAFETY: as above.
    unsafe { AtomicU32::from_ptr(at as *mut u32) }
}

impl Rig {
    fn new(event_index: bool, seed: u64) -> Self {
        let device = Device {
            event_index,
            rings: std::cell::Cell::new([0; 3]),
        };
        let queue = Queue::new(&device, 0, SIZE).expect("a queue");
        Self {
            device,
            queue,
            lent: HashMap::new(),
            steps: Steps::new(seed),
        }
    }

    fn add(&mut self) {
        let mut chain = Chain::new();
        let mut written = 0;
        let reads = self.steps.below(3);
        for at in 0..1 + self.steps.below(4) {
            let buffer = DmaBuffer::zeroed(4096).expect("memory");
            let length = self.steps.below(4097);
            let device_writes = at >= reads;
            written += if device_writes { length } else { 0 };
            chain.push(Part {
                buffer,
                length,
                device_writes,
            });
        }
        let buffers = chain.iter().map(|part| part.buffer.phys()).collect();
        let (room, length) = (self.queue.room(), chain.len());
        match self.queue.add(chain) {
            Ok(number) => {
                assert!(number < SIZE && room >= length);
                let before = self.lent.insert(number, (buffers, written));
                assert!(before.is_none(), "lent twice");
            }
            Err(chain) => assert!(chain.len() > room),
        }
    }

    /// Takes all that comes back.
    fn take(&mut self) {
        for _ in 0..=SIZE {
            let Some((number, chain, written)) = self.queue.pop() else {
                assert!(!self.queue.has_used() || self.queue.is_broken());
                return;
            };
            let (buffers, most) = self.lent.remove(&number).expect("lent, and once");
            let back: Vec<_> = chain.iter().map(|part| part.buffer.phys()).collect();
            assert_eq!(back, buffers);
            assert!(written <= most);
        }
        panic!("more came back than there are");
    }

    /// The device gives something back as it should.
    fn use_one(&mut self, number: u16, written: u32) {
        let [_, _, used] = self.device.rings.get();
        let index = word(used + 2).load(Relaxed);
        let entry = used + 4 + 8 * usize::from(index % SIZE);
        long(entry).store(u32::from(number), Relaxed);
        long(entry + 4).store(written, Relaxed);
        word(used + 2).store(index.wrapping_add(1), Relaxed);
    }

    /// The device writes somewhere.
    fn scribble(&mut self) {
        let [descriptors, available, used] = self.device.rings.get();
        let end = used + 6 + 8 * usize::from(SIZE);
        let value = match self.steps.below(3) {
            0 => self.steps.below(12) as u16,
            _ => self.steps.below(1 << 16) as u16,
        };
        let from = [descriptors, available, used][self.steps.below(3)];
        let at = from + self.steps.below((end - from) / 2) * 2;
        word(at).store(value, Relaxed);
    }

    fn step(&mut self, wild: bool) {
        match self.steps.below(8) {
            0..=2 => self.add(),
            3 => drop(self.queue.publish()),
            4 => drop(self.queue.want_interrupt()),
            5 if wild => self.scribble(),
            5 | 6 if !self.lent.is_empty() => {
                let mut numbers: Vec<_> = self.lent.keys().copied().collect();
                numbers.sort_unstable();
                let number = numbers[self.steps.below(numbers.len())];
                let written = [0, 1, 4096, u32::MAX][self.steps.below(4)];
                self.use_one(number, written);
                self.take();
            }
            _ => self.take(),
        }
        if !self.queue.is_broken() {
            assert!(self.queue.room() <= usize::from(SIZE));
            assert_eq!(
                self.queue.in_flight() + self.queue.room(),
                usize::from(SIZE)
            );
        }
    }
}

#[test]
fn a_queue_gives_back_what_was_lent() {
    for event_index in [false, true] {
        let mut rig = Rig::new(event_index, 3);
        for _ in 0..50_000 {
            rig.step(false);
        }
        assert!(!rig.queue.is_broken());
    }
}

#[test]
fn no_rule_that_a_device_breaks_harms_a_queue() {
    let mut broken = 0;
    for seed in 0..4_000 {
        let mut rig = Rig::new(seed % 2 == 0, seed);
        for _ in 0..60 {
            rig.step(true);
        }
        broken += u32::from(rig.queue.is_broken());
        rig.take();
    }
    assert!(broken > 200, "{broken}");
}

#[test]
fn a_device_that_claims_more_than_it_has_is_not_believed() {
    let mut rig = Rig::new(true, 1);
    while rig.lent.is_empty() {
        rig.add();
    }
    let number = *rig.lent.keys().next().expect("one");
    for _ in 0..=rig.lent.len() {
        rig.use_one(number, 1);
    }
    assert!(rig.queue.pop().is_none() && rig.queue.is_broken());
    assert!(!rig.queue.has_used() && rig.queue.room() == 0);
}
