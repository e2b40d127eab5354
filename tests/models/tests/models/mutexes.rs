//! Locks: one holder at a time, and everybody gets in.
use crate::rig::{leave_kernel, model, spawn};
use crate::sync::contention::{Place, Table};
use crate::sync::{SleepMutex, SpinLock};
use crate::task;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Enters a section that must be empty, and gives others every chance to enter it too.
fn visit(inside: &AtomicUsize, visits: &mut usize) {
    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
    *visits += 1;
    assert_eq!(inside.fetch_sub(1, Ordering::Relaxed), 1);
}

#[test]
fn a_spin_lock_has_one_holder() {
    model(3, || {
        let lock = Arc::new((SpinLock::new(0), AtomicUsize::new(0)));
        for _ in 0..3 {
            let lock = lock.clone();
            spawn(move || {
                for _ in 0..2 {
                    visit(&lock.1, &mut lock.0.lock());
                }
            });
        }
    });
}

#[test]
fn a_sleeping_lock_has_one_holder_and_every_taker_gets_it() {
    for cpus in 1..=3 {
        model(cpus, || {
            let lock = Arc::new((SleepMutex::new(0), AtomicUsize::new(0)));
            for _ in 0..3 {
                let lock = lock.clone();
                spawn(move || {
                    for _ in 0..2 {
                        visit(&lock.1, &mut lock.0.lock());
                    }
                });
            }
        });
    }
}

#[test]
fn a_waiter_gets_a_lock_that_was_held_for_long() {
    model(2, || {
        let lock = Arc::new(SleepMutex::new(()));
        for _ in 0..2 {
            let lock = lock.clone();
            spawn(move || {
                for _ in 0..5 {
                    let guard = lock.lock();
                    // Longer than a taker spins.
                    (0..150).for_each(|_| core::hint::spin_loop());
                    drop(guard);
                }
            });
        }
    });
}

#[test]
fn a_holder_may_sleep() {
    model(2, || {
        let lock = Arc::new((SleepMutex::new(0), AtomicUsize::new(0)));
        for _ in 0..3 {
            let lock = lock.clone();
            spawn(move || {
                let mut visits = lock.0.lock();
                visit(&lock.1, &mut visits);
                task::yield_now();
                leave_kernel();
                visit(&lock.1, &mut visits);
            });
        }
    });
}

#[test]
fn a_wait_is_counted_once_at_its_place() {
    model(3, || {
        // More places than entries.
        let places = [Location::caller(), here(), there()];
        let table = Arc::new((Table::<2>::new(), AtomicUsize::new(0)));
        for _ in 0..3 {
            let table = table.clone();
            spawn(move || {
                for place in places {
                    table.0.add(place, 7, true);
                }
                if table.1.fetch_add(1, Ordering::Relaxed) < 2 {
                    return;
                }
                let all: Vec<_> = table.0.all().collect();
                // Each of two places has an entry, the third has none.
                assert_eq!(all.len(), 3);
                assert_ne!(all[0].place, all[1].place);
                for each in &all {
                    assert_eq!((each.waits, each.spins, each.sleeps), (3, 21, 3));
                }
            });
        }
    });
}

fn here() -> Place {
    Location::caller()
}

fn there() -> Place {
    Location::caller()
}
