//! futex(2): what the program's locks are made of.
use crate::rig::{model, spawn};
use crate::task::{futex, signal};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use ringo_abi::Errno;
use std::sync::Arc;

const ALL: u32 = u32::MAX;

fn address(word: &AtomicU32) -> usize {
    core::ptr::from_ref(word) as usize
}

/// A mutex of three states as the Go runtime and every C library have it: free, locked, locked with waiters.
struct Mutex {
    word: AtomicU32,
    inside: AtomicUsize,
}

impl Mutex {
    fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            inside: AtomicUsize::new(0),
        }
    }

    fn lock(&self) {
        let mut new = 1;
        while self
            .word
            .compare_exchange(0, new, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
        {
            new = 2;
            if self.word.swap(2, Ordering::SeqCst) == 0 {
                break;
            }
            // The word may have changed; a wake-up may be meant for somebody before us.
            let _ = futex::wait(address(&self.word), 2, None, ALL);
        }
        assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0);
    }

    fn unlock(&self) {
        assert_eq!(self.inside.fetch_sub(1, Ordering::Relaxed), 1);
        if self.word.swap(0, Ordering::SeqCst) == 2 {
            futex::wake(address(&self.word), 1, ALL);
        }
    }
}

#[test]
fn a_mutex_of_futexes_loses_no_wake_up() {
    for cpus in 1..=3 {
        model(cpus, || {
            let mutex = Arc::new(Mutex::new());
            for _ in 0..3 {
                let mutex = mutex.clone();
                spawn(move || {
                    for _ in 0..2 {
                        mutex.lock();
                        mutex.unlock();
                    }
                });
            }
        });
    }
}

/// Go's note (runtime/lock_futex.go): one sleeper, one event.
#[test]
fn a_note_wakes_its_sleeper() {
    model(2, || {
        let note = Arc::new(AtomicU32::new(0));
        let sleeper = note.clone();
        spawn(move || {
            while sleeper.load(Ordering::SeqCst) == 0 {
                let result = futex::wait(address(&sleeper), 0, None, ALL);
                assert!(matches!(result, Ok(0) | Err(Errno::EAGAIN)), "{result:?}");
            }
        });
        spawn(move || {
            assert_eq!(note.swap(1, Ordering::SeqCst), 0);
            futex::wake(address(&note), 1, ALL);
        });
    });
}

#[test]
fn a_woken_waiter_is_counted_and_one_that_gave_up_is_not() {
    model(2, || {
        let word = Arc::new(AtomicU32::new(0));
        let outcome = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        for waiter in 0..2 {
            let (word, outcome) = (word.clone(), outcome.clone());
            spawn(move || {
                let deadline = (waiter == 0).then_some(20_000);
                match futex::wait(address(&word), 0, deadline, ALL) {
                    Ok(_) => outcome.0.fetch_add(1, Ordering::SeqCst),
                    Err(Errno::ETIMEDOUT) if waiter == 0 => 0,
                    // It came after the word had changed.
                    Err(Errno::EAGAIN) => 0,
                    Err(errno) => panic!("{errno:?}"),
                };
                if outcome.1.fetch_add(1, Ordering::SeqCst) == 2 {
                    check(&outcome.0);
                }
            });
        }
        spawn(move || {
            word.store(1, Ordering::SeqCst);
            let woken = futex::wake(address(&word), usize::MAX, ALL);
            // Threads count themselves up, the waker counts them down: whoever is last sees 0.
            outcome.0.fetch_sub(woken, Ordering::SeqCst);
            if outcome.1.fetch_add(1, Ordering::SeqCst) == 2 {
                check(&outcome.0);
            }
        });
    });

    fn check(balance: &AtomicUsize) {
        assert_eq!(balance.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_signal_ends_a_wait_and_leaves_nothing_behind() {
    model(2, || {
        let word = Arc::new(AtomicU32::new(0));
        let waiter = word.clone();
        let thread = spawn(move || {
            let result = futex::wait(address(&waiter), 0, None, ALL);
            assert!(
                matches!(result, Ok(0) | Err(Errno::ERESTARTSYS)),
                "{result:?}"
            );
            // Nobody stands there any more.
            assert_eq!(futex::wake(address(&waiter), usize::MAX, ALL), 0);
        });
        spawn(move || signal::send(thread));
    });
}

#[test]
fn requeue_moves_waiters_and_the_other_word_wakes_them() {
    for cpus in 1..=2 {
        model(cpus, || {
            let words = Arc::new([const { AtomicU32::new(0) }; 2]);
            let done = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                let (words, done) = (words.clone(), done.clone());
                spawn(move || {
                    let result = futex::wait(address(&words[0]), 0, None, ALL);
                    assert!(matches!(result, Ok(0) | Err(Errno::EAGAIN)), "{result:?}");
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            spawn(move || {
                let (from, to) = (address(&words[0]), address(&words[1]));
                words[0].store(1, Ordering::SeqCst);
                let requeued = futex::requeue(from, to, 1, usize::MAX, Some(1));
                let Ok((woken, moved)) = requeued else {
                    panic!("{requeued:?}");
                };
                assert!(woken <= 1 && moved <= 1);
                // None is left at the old word, and exactly those that moved stand at the new one.
                assert_eq!(futex::wake(from, usize::MAX, ALL), 0);
                assert_eq!(futex::wake(to, usize::MAX, ALL), moved);
            });
        });
    }
}

#[test]
fn a_waiter_that_is_moved_may_give_up_meanwhile() {
    model(2, || {
        let words = Arc::new([const { AtomicU32::new(0) }; 2]);
        let waiter = words.clone();
        let thread = spawn(move || {
            let result = futex::wait(address(&waiter[0]), 0, None, ALL);
            assert!(
                matches!(result, Ok(0) | Err(Errno::EAGAIN | Errno::ERESTARTSYS)),
                "{result:?}"
            );
            for word in waiter.iter() {
                assert_eq!(futex::wake(address(word), usize::MAX, ALL), 0);
            }
        });
        spawn(move || {
            // It stays on the second word until the signal comes.
            let _ = futex::requeue(address(&words[0]), address(&words[1]), 0, 1, None);
        });
        spawn(move || signal::send(thread));
    });
}

#[test]
fn a_bit_set_chooses_its_waiters() {
    model(2, || {
        let word = Arc::new(AtomicU32::new(0));
        for bit in [1, 2] {
            let word = word.clone();
            spawn(move || {
                let result = futex::wait(address(&word), 0, None, bit);
                assert!(matches!(result, Ok(0) | Err(Errno::EAGAIN)), "{result:?}");
            });
        }
        spawn(move || {
            word.store(1, Ordering::SeqCst);
            assert!(futex::wake(address(&word), usize::MAX, 1) <= 1);
            assert!(futex::wake(address(&word), usize::MAX, 2) <= 1);
        });
    });
}
