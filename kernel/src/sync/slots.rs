//! The descriptor table: small integers to shared objects, looked up without a lock.
//!
//! write(2) looks a descriptor up on every call, so the read side is one load, one increment and one compare. What
//! makes that sound without deferred reclamation is type-stable memory: an object lives in an [`Entry`] that is
//! recycled for objects of the same type and never returned to the heap. A reader that loses the race with close(2)
//! therefore increments a count that still is a count, sees that the slot changed, and tries again.
//!
//! An entry's `state` is `generation << 32 | references`; the generation changes when the entry is recycled, which is
//! what [`PoolWeak`] compares. Writers take the table's lock; chunks of slots are never freed.
use super::SpinLock;
use super::used_numbers::UsedNumbers;
use alloc::boxed::Box;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use ringo_abi::Errno;

const REFS: u64 = 0xffff_ffff;
const CHUNK: usize = 64;
const CHUNKS: usize = 16 * 1024;

struct Entry<T: 'static> {
    state: AtomicU64,
    pool: &'static Pool<T>,
    /// The next free entry; guarded by the pool's lock.
    next: Cell<Option<NonNull<Entry<T>>>>,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Where the objects of one type live. Entries are recycled, never freed; the free ones are linked through themselves,
/// so that giving one back needs no memory.
pub struct Pool<T: 'static> {
    free: SpinLock<Option<NonNull<Entry<T>>>>,
}

// SAFETY: the entries in the free list are owned by it; their links are only followed under its lock.
unsafe impl<T: Send> Sync for Pool<T> {}

/// A counted reference to an object in a [`Pool`]; dropping the last one drops the object.
pub struct PoolArc<T: 'static> {
    entry: NonNull<Entry<T>>,
}

/// A reference that does not keep the object alive.
pub struct PoolWeak<T: 'static> {
    entry: NonNull<Entry<T>>,
    generation: u64,
}

// SAFETY: as Arc: shared access from any CPU, dropped on any CPU.
unsafe impl<T: Send + Sync> Send for PoolArc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for PoolArc<T> {}
// SAFETY: as above; a weak reference gives no access by itself.
unsafe impl<T: Send + Sync> Send for PoolWeak<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for PoolWeak<T> {}

impl<T> Pool<T> {
    /// A pool without entries.
    pub const fn new() -> Self {
        Self {
            free: SpinLock::new(None),
        }
    }

    fn pop(&self) -> Option<NonNull<Entry<T>>> {
        let mut free = self.free.lock();
        let entry = (*free)?;
        // SAFETY: entries are never freed; the lock is held.
        *free = unsafe { entry.as_ref() }.next.get();
        Some(entry)
    }

    fn push(&self, entry: NonNull<Entry<T>>) {
        let mut free = self.free.lock();
        // SAFETY: as in `pop`.
        unsafe { entry.as_ref() }.next.set(*free);
        *free = Some(entry);
    }

    /// Puts `value` into the pool.
    pub fn alloc(&'static self, value: T) -> PoolArc<T> {
        let entry = self.pop().unwrap_or_else(|| {
            NonNull::from(Box::leak(Box::new(Entry {
                state: AtomicU64::new(0),
                pool: self,
                next: Cell::new(None),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            })))
        });
        // SAFETY: the entry came from the free list or is new: nobody else may touch its value while references are 0.
        let at = unsafe { entry.as_ref() };
        // SAFETY: as above.
        unsafe { (*at.value.get()).write(value) };
        // The next generation, one reference. A racing reader's failed try leaves the count untouched (see try_get).
        let generation = (at.state.load(Ordering::Relaxed) & !REFS).wrapping_add(1 << 32);
        at.state.store(generation | 1, Ordering::Release);
        PoolArc { entry }
    }
}

impl<T> Entry<T> {
    /// One more reference unless there is none (or another generation than wanted).
    #[inline]
    fn try_get(&self, generation: Option<u64>) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & REFS == 0 || generation.is_some_and(|wanted| state & !REFS != wanted) {
                return false;
            }
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => state = seen,
            }
        }
    }
}

impl<T> PoolArc<T> {
    /// A weak reference to the same object.
    pub fn downgrade(this: &Self) -> PoolWeak<T> {
        // SAFETY: entries are never freed.
        let state = unsafe { this.entry.as_ref() }.state.load(Ordering::Relaxed);
        PoolWeak {
            entry: this.entry,
            generation: state & !REFS,
        }
    }

    /// How many references there are.
    pub fn references(this: &Self) -> usize {
        // SAFETY: entries are never freed.
        let state = unsafe { this.entry.as_ref() }.state.load(Ordering::SeqCst);
        (state & REFS) as usize
    }

    /// A number that names the object as long as it lives.
    pub fn id(this: &Self) -> usize {
        this.entry.as_ptr() as usize
    }

    fn into_raw(self) -> *mut Entry<T> {
        let raw = self.entry.as_ptr();
        core::mem::forget(self);
        raw
    }

    /// # Safety
    /// `raw` came from `into_raw`, whose reference this takes over.
    unsafe fn from_raw(raw: *mut Entry<T>) -> Option<Self> {
        NonNull::new(raw).map(|entry| Self { entry })
    }
}

impl<T> PoolWeak<T> {
    /// The object, if it still lives.
    pub fn upgrade(&self) -> Option<PoolArc<T>> {
        // SAFETY: entries are never freed.
        let alive = unsafe { self.entry.as_ref() }.try_get(Some(self.generation));
        // Only now: a reference that was not taken must not be dropped either.
        alive.then(|| PoolArc { entry: self.entry })
    }
}

impl<T> Clone for PoolWeak<T> {
    fn clone(&self) -> Self {
        Self {
            entry: self.entry,
            generation: self.generation,
        }
    }
}

impl<T> Clone for PoolArc<T> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: entries are never freed; our own reference keeps the count above 0.
        unsafe { self.entry.as_ref() }
            .state
            .fetch_add(1, Ordering::Relaxed);
        Self { entry: self.entry }
    }
}

impl<T> Deref for PoolArc<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while we hold a reference the value is initialised and only shared.
        unsafe { (*self.entry.as_ref().value.get()).assume_init_ref() }
    }
}

impl<T> Drop for PoolArc<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: entries are never freed.
        let entry = unsafe { self.entry.as_ref() };
        if entry.state.fetch_sub(1, Ordering::AcqRel) & REFS == 1 {
            // SAFETY: that was the last reference, and try_get refuses a count of 0: the value is ours.
            unsafe { drop_value(entry, self.entry) };
        }
    }
}

/// Drops the object and recycles its entry. Out of line: every system call on a descriptor drops a reference, few the last.
///
/// # Safety
/// There is no reference left.
#[cold]
#[inline(never)]
unsafe fn drop_value<T>(entry: &Entry<T>, pointer: NonNull<Entry<T>>) {
    // SAFETY: the caller's promise.
    unsafe { (*entry.value.get()).assume_init_drop() };
    entry.pool.push(pointer);
}

struct Slot<T: 'static> {
    entry: AtomicPtr<Entry<T>>,
    close_on_exec: AtomicBool,
}

/// A table of [`PoolArc`]s by small integer.
pub struct SlotTable<T: 'static> {
    chunks: [AtomicPtr<[Slot<T>; CHUNK]>; CHUNKS],
    /// Also what writers hold.
    used: SpinLock<UsedNumbers<CHUNKS>>,
}

/// What [`SlotTable::get`] gives.
pub type SlotRef<T> = PoolArc<T>;

impl<T: Send + Sync> SlotTable<T> {
    /// The largest number of slots.
    pub const MAX: usize = CHUNK * CHUNKS;

    /// An empty table.
    pub const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            used: SpinLock::new(UsedNumbers::new()),
        }
    }

    /// How many slots the table would have if it grew as Linux's does: what select(2) looks at.
    pub fn size(&self) -> usize {
        self.capacity().next_power_of_two().max(64)
    }

    #[inline]
    fn slot(&self, number: i32) -> Option<&Slot<T>> {
        let number = usize::try_from(number).ok()?;
        let chunk = self.chunks.get(number / CHUNK)?.load(Ordering::Acquire);
        // SAFETY: a chunk is published whole and never freed.
        unsafe { chunk.as_ref() }.map(|chunk| &chunk[number % CHUNK])
    }

    fn slot_or_grow(&self, number: usize) -> &Slot<T> {
        let chunk = &self.chunks[number / CHUNK];
        if chunk.load(Ordering::Acquire).is_null() {
            // Only called under the lock, so nobody else publishes this chunk.
            let fresh = Box::leak(Box::new(
                [const {
                    Slot {
                        entry: AtomicPtr::new(ptr::null_mut()),
                        close_on_exec: AtomicBool::new(false),
                    }
                }; CHUNK],
            ));
            chunk.store(fresh, Ordering::Release);
        }
        // SAFETY: published above or earlier; never freed.
        let slots = unsafe { &*chunk.load(Ordering::Acquire) };
        &slots[number % CHUNK]
    }

    /// The object at `number`. Two atomic operations with the drop of what it gives; no lock.
    #[inline]
    pub fn get(&self, number: i32) -> Option<SlotRef<T>> {
        let slot = self.slot(number)?;
        loop {
            let entry = NonNull::new(slot.entry.load(Ordering::Acquire))?;
            // SAFETY: entries are never freed, whatever happened to the slot since.
            if unsafe { entry.as_ref() }.try_get(None) {
                let found = PoolArc { entry };
                if slot.entry.load(Ordering::Acquire) == entry.as_ptr() {
                    return Some(found);
                }
            }
        }
    }

    /// Puts `object` into the lowest free slot not below `min` and below `limit`.
    ///
    /// # Errors
    /// EMFILE when there is none; the object is dropped.
    pub fn insert(
        &self,
        min: usize,
        limit: usize,
        object: SlotRef<T>,
        close_on_exec: bool,
    ) -> Result<i32, Errno> {
        let mut used = self.used.lock();
        let number = match used.take(min, limit.min(Self::MAX)) {
            Ok(number) => number,
            Err(errno) => {
                // The object is dropped outside.
                drop(used);
                return Err(errno);
            }
        };
        let slot = self.slot_or_grow(number);
        slot.close_on_exec.store(close_on_exec, Ordering::Relaxed);
        slot.entry.store(object.into_raw(), Ordering::Release);
        Ok(number as i32)
    }

    /// Takes the lowest free slot below `limit` for an object that is still to be made: nobody finds anything in it and
    /// nobody else gets it, until [`SlotTable::fill`] or [`SlotTable::give_up`].
    ///
    /// # Errors
    /// EMFILE.
    pub fn reserve(&self, limit: usize) -> Result<i32, Errno> {
        let mut used = self.used.lock();
        let number = used.take(0, limit.min(Self::MAX))?;
        self.slot_or_grow(number);
        Ok(number as i32)
    }

    /// Puts `object` into a slot that the caller has reserved.
    pub fn fill(&self, number: i32, object: SlotRef<T>, close_on_exec: bool) {
        if let Some(slot) = self.slot(number) {
            slot.close_on_exec.store(close_on_exec, Ordering::Relaxed);
            slot.entry.store(object.into_raw(), Ordering::Release);
        }
    }

    /// Gives back a slot that the caller has reserved.
    pub fn give_up(&self, number: i32) {
        self.used.lock().free(number as usize);
    }

    /// Puts `object` at `number`, and gives what was there.
    ///
    /// # Errors
    /// EBADF when `number` is negative or not below `limit`; EBUSY when the slot is reserved.
    pub fn replace(
        &self,
        number: i32,
        limit: usize,
        object: SlotRef<T>,
        close_on_exec: bool,
    ) -> Result<Option<SlotRef<T>>, Errno> {
        let at = usize::try_from(number).map_err(|_| Errno::EBADF)?;
        if at >= limit.min(Self::MAX) {
            return Err(Errno::EBADF);
        }
        let mut used = self.used.lock();
        let slot = self.slot_or_grow(at);
        if used.is_used(at) && slot.entry.load(Ordering::Relaxed).is_null() {
            drop(used);
            return Err(Errno::EBUSY);
        }
        used.set(at);
        slot.close_on_exec.store(close_on_exec, Ordering::Relaxed);
        let old = slot.entry.swap(object.into_raw(), Ordering::AcqRel);
        // SAFETY: the slot's reference, put there by into_raw.
        Ok(unsafe { PoolArc::from_raw(old) })
    }

    /// Empties the slot and gives what was there.
    pub fn remove(&self, number: i32) -> Option<SlotRef<T>> {
        let slot = self.slot(number)?;
        let mut used = self.used.lock();
        let old = slot.entry.swap(ptr::null_mut(), Ordering::AcqRel);
        if !old.is_null() {
            used.free(number as usize);
        }
        drop(used);
        // SAFETY: the slot's reference, put there by into_raw.
        unsafe { PoolArc::from_raw(old) }
    }

    /// The close-on-exec flag of a used slot.
    pub fn close_on_exec(&self, number: i32) -> Option<bool> {
        let slot = self.slot(number)?;
        (!slot.entry.load(Ordering::Acquire).is_null())
            .then(|| slot.close_on_exec.load(Ordering::Relaxed))
    }

    /// Sets the close-on-exec flag; false if the slot is empty.
    pub fn set_close_on_exec(&self, number: i32, on: bool) -> bool {
        match self.slot(number) {
            Some(slot) if !slot.entry.load(Ordering::Acquire).is_null() => {
                slot.close_on_exec.store(on, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// How many slots the table has room for now.
    pub fn capacity(&self) -> usize {
        self.used.lock().room()
    }

    /// How many slots are used.
    pub fn count(&self) -> usize {
        self.used.lock().count()
    }

    /// The lowest used slot not below `from`: for walking the table.
    pub fn next_used(&self, from: i32) -> Option<i32> {
        let from = usize::try_from(from).ok()?;
        i32::try_from(self.used.lock().next(from)?).ok()
    }
}
