//! The descriptor table: a recycled entry never shows another object, and each object ends once, when nobody has it.
use crate::rig::{model, spawn};
use crate::sync::{Pool, PoolArc, SlotTable};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// An object that knows its name and how many of that name live.
struct Object {
    name: usize,
    alive: Arc<AtomicUsize>,
}

impl Object {
    fn check(&self) {
        assert_ne!(
            self.alive.load(Ordering::SeqCst),
            0,
            "object {} is dead",
            self.name
        );
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        assert_ne!(
            self.alive.fetch_sub(1, Ordering::SeqCst),
            0,
            "object {} ended twice",
            self.name
        );
    }
}

/// Entries are never freed, in tests either: each test has its own.
struct World {
    pool: &'static Pool<Object>,
    table: &'static SlotTable<Object>,
    alive: [Arc<AtomicUsize>; 4],
}

impl World {
    fn new() -> Arc<Self> {
        // Its many null pointers are a static's in the kernel; on a stack of the model they would not fit.
        static TABLES: std::sync::Mutex<Vec<&'static SlotTable<Object>>> =
            std::sync::Mutex::new(Vec::new());
        let recycled = TABLES.lock().expect("the tables").pop();
        let table = recycled.unwrap_or_else(|| {
            let make = || -> &'static SlotTable<Object> { Box::leak(Box::new(SlotTable::new())) };
            std::thread::Builder::new()
                .stack_size(8 << 20)
                .spawn(make)
                .expect("a thread")
                .join()
                .expect("a table")
        });
        Arc::new(Self {
            pool: Box::leak(Box::new(Pool::new())),
            table,
            alive: core::array::from_fn(|_| Arc::new(AtomicUsize::new(0))),
        })
    }

    fn object(&self, name: usize) -> PoolArc<Object> {
        self.alive[name].fetch_add(1, Ordering::SeqCst);
        self.pool.alloc(Object {
            name,
            alive: self.alive[name].clone(),
        })
    }

    fn open(&self, name: usize) -> i32 {
        let number = self.table.insert(0, 64, self.object(name), false);
        number.expect("a slot")
    }

    fn living(&self) -> usize {
        let living = |alive: &Arc<AtomicUsize>| alive.load(Ordering::SeqCst);
        self.alive.iter().map(living).sum()
    }
}

#[test]
fn a_reader_gets_an_object_that_was_there_and_lives_while_it_has_it() {
    model(3, || {
        let world = World::new();
        assert_eq!(world.open(0), 0);
        let closer = world.clone();
        for _ in 0..2 {
            let world = world.clone();
            spawn(move || {
                for _ in 0..6 {
                    if let Some(object) = world.table.get(0) {
                        object.check();
                        // Slot 0 has only ever shown these.
                        assert!(object.name < 2, "object {} in slot 0", object.name);
                        object.check();
                    }
                }
            });
        }
        spawn(move || {
            for _ in 0..4 {
                drop(closer.table.remove(0));
                // Elsewhere, and most likely in the same entry: a reader of slot 0 must not see it.
                let other = closer.table.insert(5, 64, closer.object(2), false);
                assert_eq!(other, Ok(5));
                assert_eq!(closer.open(1), 0);
                drop(closer.table.remove(5));
            }
            drop(closer.table.remove(0));
        });
    });
}

#[test]
fn every_object_ends_once_when_nobody_has_it() {
    model(2, || {
        let world = World::new();
        world.open(0);
        let reader = world.clone();
        let done = Arc::new(AtomicUsize::new(0));
        let other = done.clone();
        spawn(move || {
            let held = reader.table.get(0);
            let copy = held.clone();
            drop(held);
            if let Some(object) = copy {
                object.check();
            }
            last(&reader, &done);
        });
        spawn(move || {
            // dup2 over it.
            let replaced = world.table.replace(0, 64, world.object(1), true);
            drop(replaced);
            drop(world.table.remove(0));
            last(&world, &other);
        });
    });

    fn last(world: &World, done: &AtomicUsize) {
        if done.fetch_add(1, Ordering::SeqCst) == 1 {
            assert_eq!(world.living(), 0);
        }
    }
}

#[test]
fn a_weak_reference_never_finds_the_next_object_in_its_entry() {
    model(2, || {
        let world = World::new();
        let strong = world.object(0);
        let weak = PoolArc::downgrade(&strong);
        spawn(move || {
            for _ in 0..2 {
                if let Some(object) = weak.upgrade() {
                    object.check();
                    assert_eq!(object.name, 0);
                }
            }
        });
        spawn(move || {
            drop(strong);
            for _ in 0..2 {
                for name in [1, 2] {
                    let object = world.object(name);
                    (0..5).for_each(|_| object.check());
                }
            }
        });
    });
}

#[test]
fn slots_are_given_once() {
    model(3, || {
        let world = World::new();
        let taken = Arc::new(AtomicUsize::new(0));
        for name in 0..3 {
            let (world, taken) = (world.clone(), taken.clone());
            spawn(move || {
                let number = world.open(name);
                let bit = 1 << number;
                assert_eq!(taken.fetch_or(bit, Ordering::SeqCst) & bit, 0);
                let found = world.table.get(number).expect("our own");
                assert_eq!(found.name, name);
                taken.fetch_and(!bit, Ordering::SeqCst);
                let removed = world.table.remove(number).expect("our own");
                assert_eq!(removed.name, name);
            });
        }
    });
}

#[test]
fn a_reserved_slot_is_nobodys_until_it_is_filled() {
    model(3, || {
        let world = World::new();
        let number = world.table.reserve(64).expect("a slot");
        assert_eq!(number, 0);
        let other = world.clone();
        spawn(move || {
            assert!(other.table.remove(0).is_none_or(|found| found.name == 0));
            let opened = other.open(1);
            let replaced = other.table.replace(0, 64, other.object(2), false);
            match replaced {
                // Filled by then, and perhaps removed and opened anew: a file like any other.
                Ok(before) => assert!(before.is_some_and(|found| found.name < 2)),
                Err(errno) => assert_eq!(errno, ringo_abi::Errno::EBUSY),
            }
            // dup2 may have come over it.
            let found = other.table.get(opened).expect("our own");
            assert!(found.name == 1 || opened == 0 && found.name == 2);
        });
        spawn(move || {
            world.table.fill(number, world.object(0), true);
        });
    });
}

#[test]
fn the_lowest_free_slot_is_found_whatever_was_full_before() {
    model(2, || {
        let world = World::new();
        let reader = world.clone();
        spawn(move || {
            for number in [0, 70, 129] {
                if let Some(object) = reader.table.get(number) {
                    object.check();
                }
            }
        });
        spawn(move || numbers(&world));
    });

    fn numbers(world: &World) {
        let open = |min: usize| world.table.insert(min, 256, world.object(0), false);
        let close = |number| drop(world.table.remove(number));
        for number in 0..130 {
            assert_eq!(open(0), Ok(number));
        }
        // Beyond a gap: what is free before it stays.
        assert_eq!(open(200), Ok(200));
        assert_eq!(open(64), Ok(130));
        close(70);
        close(3);
        assert_eq!(open(64), Ok(70));
        assert_eq!(open(10), Ok(131));
        assert_eq!(open(0), Ok(3));
        assert_eq!(open(0), Ok(132));
        close(129);
        let reserved = world.table.reserve(256);
        assert_eq!(reserved, Ok(129));
        world.table.give_up(129);
        assert_eq!(open(0), Ok(129));
        for number in (0..200).chain([200]) {
            close(number);
        }
        assert_eq!(open(0), Ok(0));
        close(0);
    }
}
