//! Memory, and the store buffers in front of it.
use ::core::cell::UnsafeCell;
use ::core::sync::atomic::Ordering;
use shuttle::rand::{Rng, thread_rng};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// A store that waits: where, and how to make it.
struct Pending {
    address: usize,
    bits: u64,
    write: unsafe fn(usize, u64),
}

/// By CPU, oldest first. Shuttle runs one thread at a time, so the lock is never waited for.
static BUFFERS: Mutex<BTreeMap<usize, VecDeque<Pending>>> = Mutex::new(BTreeMap::new());
/// The chance, of a hundred, that the oldest store in a buffer drains at a step; each execution has its own.
static CHANCE: ::core::sync::atomic::AtomicU32 = ::core::sync::atomic::AtomicU32::new(50);
/// Touched at each step: shuttle's own atomic is where it may switch.
static STEP: shuttle::sync::atomic::AtomicBool = shuttle::sync::atomic::AtomicBool::new(false);

fn buffers() -> std::sync::MutexGuard<'static, BTreeMap<usize, VecDeque<Pending>>> {
    match BUFFERS.lock() {
        Ok(guard) => guard,
        // A test that failed left it.
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// Which buffer a thread's stores go to, where that is not its own: threads that take turns on one CPU share its buffer.
static CPU_OF: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());
/// Numbers above are those of threads without a CPU.
const NO_CPU: usize = 1 << 20;

fn me() -> usize {
    let thread: usize = shuttle::current::me().into();
    match CPU_OF.lock() {
        Ok(cpus) => cpus.get(&thread).copied().unwrap_or(NO_CPU + thread),
        Err(_) => NO_CPU + thread,
    }
}

/// The calling thread runs on this CPU from now on.
pub fn run_on(cpu: usize) {
    if let Ok(mut cpus) = CPU_OF.lock() {
        cpus.insert(shuttle::current::me().into(), cpu);
    }
}

fn make(store: Pending) {
    // SAFETY: the cell takes its stores back when it is dropped, so it is still there.
    unsafe { (store.write)(store.address, store.bits) };
}

/// First thing in each execution: nothing waits that the last one left.
pub fn start() {
    for (_, buffer) in ::core::mem::take(&mut *buffers()) {
        buffer.into_iter().for_each(make);
    }
    if let Ok(mut cpus) = CPU_OF.lock() {
        cpus.clear();
    }
    let chance = [2, 10, 50][thread_rng().gen_range(0..3)];
    CHANCE.store(chance, Ordering::Relaxed);
}

/// All stores of the calling thread become visible: a locked instruction, a full fence.
pub fn drain_own() {
    if let Some(buffer) = buffers().get_mut(&me()) {
        buffer.drain(..).for_each(make);
    }
}

/// The machine may drain any thread's buffer at any time.
pub fn drain_some() {
    for buffer in buffers().values_mut() {
        while !buffer.is_empty() && thread_rng().gen_range(0..100) < CHANCE.load(Ordering::Relaxed)
        {
            if let Some(store) = buffer.pop_front() {
                make(store);
            }
        }
    }
}

/// A step: others may run before it, and stores may drain.
fn step() {
    STEP.load(Ordering::SeqCst);
    drain_some();
}

/// A full fence drains the buffer; the lesser ones are free on x86-64.
pub fn fence(order: Ordering) {
    step();
    if order == Ordering::SeqCst {
        drain_own();
    }
}

/// What an atomic can hold.
trait Value: Copy + PartialEq {
    fn bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! values {
    ($($int:ty)*) => { $(impl Value for $int {
        fn bits(self) -> u64 {
            self as u64
        }
        fn from_bits(bits: u64) -> Self {
            bits as Self
        }
    })* };
}
values!(u8 u16 u32 u64 usize i32 i64);

impl Value for bool {
    fn bits(self) -> u64 {
        u64::from(self)
    }
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

impl<T> Value for *mut T {
    fn bits(self) -> u64 {
        self as usize as u64
    }
    fn from_bits(bits: u64) -> Self {
        bits as usize as Self
    }
}

/// A word of memory.
struct Cell<T> {
    value: UnsafeCell<T>,
}

// SAFETY: shuttle runs one thread at a time; switches happen in `step` only.
unsafe impl<T> Sync for Cell<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Cell<T> {}

unsafe fn write<T: Value>(address: usize, bits: u64) {
    // SAFETY: the address is a `Cell<T>`'s value (see `make`).
    unsafe { *(address as *mut T) = T::from_bits(bits) };
}

#[allow(private_bounds)]
impl<T: Value> Cell<T> {
    const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
        }
    }

    fn address(&self) -> usize {
        self.value.get() as usize
    }

    fn memory(&self) -> T {
        // SAFETY: see `Sync`.
        unsafe { *self.value.get() }
    }

    fn set(&self, value: T) {
        // SAFETY: see `Sync`.
        unsafe { *self.value.get() = value };
    }

    fn load(&self) -> T {
        step();
        let own = buffers().get(&me()).and_then(|buffer| {
            let newest = buffer.iter().rfind(|store| store.address == self.address());
            newest.map(|store| T::from_bits(store.bits))
        });
        own.unwrap_or_else(|| self.memory())
    }

    fn store(&self, value: T, order: Ordering) {
        step();
        if order == Ordering::SeqCst {
            drain_own();
            return self.set(value);
        }
        buffers().entry(me()).or_default().push_back(Pending {
            address: self.address(),
            bits: value.bits(),
            write: write::<T>,
        });
    }

    /// A locked instruction.
    fn update(&self, change: impl FnOnce(T) -> Option<T>) -> Result<T, T> {
        step();
        drain_own();
        let old = self.memory();
        match change(old) {
            Some(new) => {
                self.set(new);
                Ok(old)
            }
            None => Err(old),
        }
    }

    fn swap(&self, value: T) -> T {
        match self.update(|_| Some(value)) {
            Ok(old) | Err(old) => old,
        }
    }

    fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        self.update(|old| (old == current).then_some(new))
    }
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        let address = self.value.get() as usize;
        for buffer in buffers().values_mut() {
            buffer.retain(|store| store.address != address);
        }
    }
}

macro_rules! common {
    ($value:ty) => {
        /// As core's.
        pub const fn new(value: $value) -> Self {
            Self(Cell::new(value))
        }
        /// As core's.
        pub fn load(&self, _: Ordering) -> $value {
            self.0.load()
        }
        /// As core's.
        pub fn store(&self, value: $value, order: Ordering) {
            self.0.store(value, order);
        }
        /// As core's.
        pub fn swap(&self, value: $value, _: Ordering) -> $value {
            self.0.swap(value)
        }
        /// As core's.
        pub fn compare_exchange(
            &self,
            current: $value,
            new: $value,
            _: Ordering,
            _: Ordering,
        ) -> Result<$value, $value> {
            self.0.compare_exchange(current, new)
        }
        /// As core's; on x86-64 it never fails without reason.
        pub fn compare_exchange_weak(
            &self,
            current: $value,
            new: $value,
            _: Ordering,
            _: Ordering,
        ) -> Result<$value, $value> {
            self.0.compare_exchange(current, new)
        }
        /// As core's.
        pub fn fetch_update(
            &self,
            _: Ordering,
            _: Ordering,
            mut change: impl FnMut($value) -> Option<$value>,
        ) -> Result<$value, $value> {
            let mut old = self.0.load();
            while let Some(new) = change(old) {
                match self.0.compare_exchange(old, new) {
                    Ok(old) => return Ok(old),
                    Err(seen) => old = seen,
                }
            }
            Err(old)
        }
    };
}

macro_rules! integers {
    ($($name:ident $int:ty),*) => { $(
        /// As core's.
        pub struct $name(Cell<$int>);

        impl $name {
            common!($int);
            integers!(@ $int, fetch_add wrapping_add);
            integers!(@ $int, fetch_sub wrapping_sub);
            integers!(@ $int, fetch_max max);
            integers!(@@ $int, fetch_or |);
            integers!(@@ $int, fetch_and &);
        }
    )* };
    (@ $int:ty, $name:ident $operation:ident) => {
        /// As core's.
        pub fn $name(&self, value: $int, _: Ordering) -> $int {
            match self.0.update(|old| Some(old.$operation(value))) {
                Ok(old) | Err(old) => old,
            }
        }
    };
    (@@ $int:ty, $name:ident $operator:tt) => {
        /// As core's.
        pub fn $name(&self, value: $int, _: Ordering) -> $int {
            match self.0.update(|old| Some(old $operator value)) {
                Ok(old) | Err(old) => old,
            }
        }
    };
}
integers!(AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicUsize usize, AtomicI32 i32, AtomicI64 i64);

/// As core's.
pub struct AtomicBool(Cell<bool>);

impl AtomicBool {
    common!(bool);
}

/// As core's.
pub struct AtomicPtr<T>(Cell<*mut T>);

impl<T> AtomicPtr<T> {
    common!(*mut T);
}

impl AtomicU32 {
    /// As core's: where the value is.
    pub fn as_ptr(&self) -> *mut u32 {
        self.0.value.get()
    }
}
