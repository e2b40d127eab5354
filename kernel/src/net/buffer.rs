//! Buffers of sockets: what was written and not yet read.
//!
//! A [`Buffer`] is a power of two of bytes from 256 on, initialised once. Those of up to 64 Ki are recycled: each CPU keeps a
//! few of each size, and a list of all takes what is too many there and helps out where there are none (a stream's writer takes
//! them on one CPU, its reader gives them back on another). A socket without unread data has none. All that sockets have
//! taken from the heap is counted, and beyond a quarter of memory new data gets only little room ([`is_tight`]).
//! Locks: a list's, leaves; the heap is not called under one.
use crate::cpu::percpu::{MAX_CPUS, this_cpu};
use crate::memory::frames;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;
use spin::Once;

/// The largest buffer that is recycled, and the largest piece of a stream.
pub const MAX: usize = 1 << MAX_SHIFT;
const MIN_SHIFT: usize = 8;
const MAX_SHIFT: usize = 16;
const CLASSES: usize = MAX_SHIFT - MIN_SHIFT + 1;
/// Bytes of each size that a CPU keeps, and the list of all: at least two buffers.
const KEPT_HERE: usize = 128 << 10;
const KEPT_FOR_ALL: usize = 512 << 10;

/// One size's free buffers.
type List = SpinLock<Vec<Box<[u8]>>>;

#[repr(align(64))]
struct Lists([List; CLASSES]);

impl Lists {
    const fn new() -> Self {
        Self([const { SpinLock::new(Vec::new()) }; CLASSES])
    }
}

/// Made at a CPU's first use: until then all zeros, and no part of the kernel's image.
static HERE: [Once<Lists>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];
static FOR_ALL: Lists = Lists::new();
/// Bytes taken from the heap and not given back to it.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Memory for some bytes; see the module's head.
pub struct Buffer(Box<[u8]>);

/// Which of the lists a size belongs to.
fn class(length: usize) -> Option<usize> {
    let shift = length.next_power_of_two().trailing_zeros() as usize;
    Some(shift.saturating_sub(MIN_SHIFT)).filter(|&class| class < CLASSES)
}

fn here() -> &'static Lists {
    HERE[this_cpu().id()].call_once(Lists::new)
}

impl Buffer {
    /// A buffer for at least `length` bytes. What it holds is left over from others' use.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn take(length: usize) -> Result<Self, Errno> {
        if let Some(class) = class(length) {
            let kept = here().0[class].lock().pop();
            if let Some(bytes) = kept.or_else(|| FOR_ALL.0[class].lock().pop()) {
                return Ok(Self(bytes));
            }
        }
        let size = length.max(1 << MIN_SHIFT).next_power_of_two();
        // Not of the kernel's reserve: whoever fills buffers can wait, or do without.
        if !frames::has_spare(size.div_ceil(frames::FRAME)) {
            return Err(Errno::ENOBUFS);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
        bytes.resize(size, 0);
        TAKEN.fetch_add(size, Ordering::Relaxed);
        Ok(Self(bytes.into_boxed_slice()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = core::mem::take(&mut self.0);
        let size = bytes.len();
        let rest = match class(size) {
            Some(class) => keep(&here().0[class], KEPT_HERE, bytes)
                .or_else(|bytes| keep(&FOR_ALL.0[class], KEPT_FOR_ALL, bytes)),
            None => Err(bytes),
        };
        if rest.is_err() {
            TAKEN.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

/// Puts free bytes on a list unless it has enough.
fn keep(list: &List, most: usize, bytes: Box<[u8]>) -> Result<(), Box<[u8]>> {
    let mut list = list.lock();
    if list.len() >= (most / bytes.len()).max(2) {
        return Err(bytes);
    }
    list.push(bytes);
    Ok(())
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Whether sockets hold so much that each should take only little more.
pub fn is_tight() -> bool {
    static LIMIT: Once<usize> = Once::new();
    let limit = LIMIT.call_once(|| frames::counts().1 * frames::FRAME / 4);
    TAKEN.load(Ordering::Relaxed) > *limit
}
