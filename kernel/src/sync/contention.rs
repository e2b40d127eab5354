//! Which locks are waited for, how often and how long: `--stats` shows it.
//!
//! A class of locks is the line of source that takes one, as the compiler knows it (`#[track_caller]`), so no lock carries a
//! name. Who finds a lock free does nothing for this: the place is an argument of the cold function that waits. That one
//! counts only if somebody wants to know, once it has the lock, in an entry for each place, which has a cache line of its
//! own: those who share it have just passed the lock's own line around. An entry is claimed once and never given back; what
//! finds none free is counted together. No lock, no allocation. Try-locks that fail are no waiting and do not count.
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Where a lock is taken.
pub type Place = &'static Location<'static>;

/// Entries of the kernel's table: it has some 400 places that take locks, of which few are ever contended.
const PLACES: usize = 128;

static COUNTING: AtomicBool = AtomicBool::new(false);
static TABLE: Table<PLACES> = Table::new();

/// Counts from now on.
pub fn count() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// Somebody had to wait for a lock.
pub(super) fn waited(place: Place, spins: u64, slept: bool) {
    if COUNTING.load(Ordering::Relaxed) {
        TABLE.add(place, spins, slept);
    }
}

/// Everything that was counted; see [`Table::all`].
pub fn counts() -> impl Iterator<Item = Contention> {
    TABLE.all()
}

/// What waiting there was at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention {
    /// Where a lock was taken; none for all places that the table had no room for.
    pub place: Option<Place>,
    /// How often it was not free.
    pub waits: u64,
    /// Turns of the loops that waited.
    pub spins: u64,
    /// How often the thread left the CPU.
    pub sleeps: u64,
}

#[repr(align(64))]
struct Entry {
    place: AtomicPtr<Location<'static>>,
    waits: AtomicU64,
    spins: AtomicU64,
    sleeps: AtomicU64,
}

impl Entry {
    const fn new() -> Self {
        Self {
            place: AtomicPtr::new(ptr::null_mut()),
            waits: AtomicU64::new(0),
            spins: AtomicU64::new(0),
            sleeps: AtomicU64::new(0),
        }
    }

    fn add(&self, spins: u64, slept: bool) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.spins.fetch_add(spins, Ordering::Relaxed);
        if slept {
            self.sleeps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self, place: Option<Place>) -> Contention {
        Contention {
            place,
            waits: self.waits.load(Ordering::Relaxed),
            spins: self.spins.load(Ordering::Relaxed),
            sleeps: self.sleeps.load(Ordering::Relaxed),
        }
    }
}

/// Counts for up to so many places, and for all others together.
pub struct Table<const PLACES: usize> {
    entries: [Entry; PLACES],
    others: Entry,
}

impl<const PLACES: usize> Table<PLACES> {
    /// Nothing was counted.
    pub const fn new() -> Self {
        Self {
            entries: [const { Entry::new() }; PLACES],
            others: Entry::new(),
        }
    }

    /// One more wait.
    pub fn add(&self, place: Place, spins: u64, slept: bool) {
        let entry = self.entry_of(place).unwrap_or(&self.others);
        entry.add(spins, slept);
    }

    /// The place's entry, claimed if it is new; none if the table is full.
    fn entry_of(&self, place: Place) -> Option<&Entry> {
        let wanted = ptr::from_ref(place).cast_mut();
        // A Location is aligned to words: the low bits tell nothing.
        let start = wanted.addr() / align_of::<Location<'_>>();
        for step in 0..PLACES {
            let entry = &self.entries[(start + step) % PLACES];
            let mut found = entry.place.load(Ordering::Relaxed);
            if found.is_null() {
                let claim = entry.place.compare_exchange(
                    found,
                    wanted,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                found = claim.err().unwrap_or(wanted);
            }
            if found == wanted {
                return Some(entry);
            }
        }
        None
    }

    /// Everything that was counted, in no order. A line of source may be there several times: once for each copy of what it
    /// was inlined into.
    pub fn all(&self) -> impl Iterator<Item = Contention> {
        let known = self.entries.iter().filter_map(|entry| {
            let place = entry.place.load(Ordering::Relaxed);
            // SAFETY: null, or what a `Place` was made into: a reference to a constant, which needs no ordering to be read.
            let place = unsafe { place.as_ref() }?;
            Some(entry.counts(Some(place)))
        });
        known.chain([self.others.counts(None)])
    }
}
