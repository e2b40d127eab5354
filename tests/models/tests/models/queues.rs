//! Wait queues: an event is never lost.
use crate::rig::{leave_kernel, model, spawn};
use crate::sync::{Wait, WaitQueue};
use crate::task::{self, State, current, signal};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ringo_abi::Errno;
use std::sync::Arc;

#[derive(Default)]
struct Event {
    happened: Flag,
    queue: WaitQueue,
}

struct Flag(AtomicBool);

impl Default for Flag {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Event {
    fn wait(&self, how: Wait) -> Result<(), Errno> {
        self.queue.wait_until(how, || {
            self.happened.0.load(Ordering::Relaxed).then_some(())
        })
    }

    fn happen(&self) {
        self.happened.0.store(true, Ordering::Relaxed);
        self.queue.wake_one();
    }
}

fn waiter_and_waker(cpus: usize) {
    model(cpus, || {
        let event = Arc::new(Event::default());
        let waker = event.clone();
        spawn(move || assert!(event.wait(Wait::uninterruptible()).is_ok()));
        spawn(move || waker.happen());
    });
}

#[test]
fn wake_before_wait_is_not_lost() {
    waiter_and_waker(1);
}

#[test]
fn a_wake_up_from_another_cpu_is_not_lost() {
    waiter_and_waker(2);
    waiter_and_waker(3);
}

/// Tokens that waiters take one each: as many wake-ups as tokens, each to somebody who still waits.
struct Tokens {
    left: AtomicUsize,
    queue: WaitQueue,
}

impl Tokens {
    fn take(&self, how: Wait) -> Result<(), Errno> {
        self.queue.wait_until(how, || self.try_take())
    }

    fn try_take(&self) -> Option<()> {
        let one_less = |left: usize| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .ok()
            .map(|_| ())
    }

    fn give(&self) {
        self.left.fetch_add(1, Ordering::SeqCst);
        self.queue.wake_one();
    }
}

#[test]
fn every_token_finds_its_taker() {
    model(2, || {
        let tokens = Arc::new(Tokens {
            left: AtomicUsize::new(0),
            queue: WaitQueue::new(),
        });
        for _ in 0..3 {
            let tokens = tokens.clone();
            spawn(move || assert!(tokens.take(Wait::uninterruptible()).is_ok()));
        }
        spawn(move || (0..3).for_each(|_| tokens.give()));
    });
}

#[test]
fn a_waiter_that_leaves_with_a_signal_takes_no_wake_up_with_it() {
    model(2, || {
        let tokens = Arc::new(Tokens {
            left: AtomicUsize::new(0),
            queue: WaitQueue::new(),
        });
        let (impatient, patient) = (tokens.clone(), tokens.clone());
        let first = spawn(move || {
            for _ in 0..6 {
                if impatient.take(Wait::interruptible()).is_ok() {
                    // It was meant for the other.
                    impatient.give();
                }
                current().signals.take();
            }
        });
        spawn(move || {
            for _ in 0..6 {
                assert!(patient.take(Wait::uninterruptible()).is_ok());
            }
        });
        spawn(move || {
            for _ in 0..6 {
                signal::send(first);
                tokens.give();
                while tokens.left.load(Ordering::SeqCst) != 0 {
                    core::hint::spin_loop();
                }
            }
            // It may still wait for the last ones.
            while first.state() != State::Dead {
                signal::send(first);
                core::hint::spin_loop();
            }
        });
    });
}

/// The one order in which it happened, step by step: the first in the queue has looked and found nothing; a signal comes;
/// the wake-up takes it out of the queue, before the second; only then does it see the signal.
#[test]
fn a_wake_up_that_meets_a_signal_goes_to_the_next() {
    model(2, || {
        let tokens = Arc::new(Tokens {
            left: AtomicUsize::new(0),
            queue: WaitQueue::new(),
        });
        let phase = Arc::new(AtomicUsize::new(0));
        let reach = |phase: &AtomicUsize, wanted| {
            while phase.load(Ordering::SeqCst) < wanted {
                task::yield_now();
                core::hint::spin_loop();
            }
        };
        let (impatient, looked) = (tokens.clone(), phase.clone());
        let first = spawn(move || {
            let mut looks = 0;
            let taken = impatient.queue.wait_until(Wait::interruptible(), || {
                looks += 1;
                let found = impatient.try_take();
                if looks == 2 {
                    // Announced and queued, and about to say what it saw.
                    looked.store(1, Ordering::SeqCst);
                    while looked.load(Ordering::SeqCst) < 2 {
                        core::hint::spin_loop();
                    }
                }
                found
            });
            if taken.is_ok() {
                impatient.give();
            }
        });
        let (patient, second) = (tokens.clone(), phase.clone());
        let second = spawn(move || {
            reach(&second, 1);
            assert!(patient.take(Wait::uninterruptible()).is_ok());
        });
        spawn(move || {
            while second.state() != State::Blocked {
                task::yield_now();
                core::hint::spin_loop();
            }
            signal::send(first);
            tokens.give();
            phase.store(2, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_waiter_whose_time_is_over_takes_no_wake_up_with_it() {
    model(2, || {
        let tokens = Arc::new(Tokens {
            left: AtomicUsize::new(0),
            queue: WaitQueue::new(),
        });
        let (impatient, patient) = (tokens.clone(), tokens.clone());
        spawn(move || {
            let soon = Wait::uninterruptible().deadline(Some(30_000));
            match impatient.take(soon) {
                Ok(()) => impatient.give(),
                Err(errno) => assert_eq!(errno, Errno::ETIMEDOUT),
            }
        });
        spawn(move || assert!(patient.take(Wait::uninterruptible()).is_ok()));
        spawn(move || {
            leave_kernel();
            tokens.give();
        });
    });
}

#[test]
fn wake_all_wakes_all() {
    model(3, || {
        let event = Arc::new(Event::default());
        for _ in 0..3 {
            let event = event.clone();
            spawn(move || assert!(event.wait(Wait::interruptible()).is_ok()));
        }
        spawn(move || {
            event.happened.0.store(true, Ordering::Relaxed);
            event.queue.wake_all();
        });
    });
}

/// Two threads that wait for one another in turn: each event races with the wait for it.
fn ping_pong(how: Wait) {
    model(2, move || {
        let turn = Arc::new((AtomicUsize::new(0), [WaitQueue::new(), WaitQueue::new()]));
        for me in 0..2 {
            let turn = turn.clone();
            spawn(move || {
                let (turn, queues) = &*turn;
                for round in 0..15 {
                    let mine = round * 2 + me;
                    let ready = || (turn.load(Ordering::Relaxed) == mine).then_some(());
                    assert!(queues[me].wait_until(how, ready).is_ok());
                    turn.store(mine + 1, Ordering::Relaxed);
                    queues[1 - me].wake_one();
                }
            });
        }
    });
}

#[test]
fn events_that_race_with_their_waiters_are_not_lost() {
    ping_pong(Wait::uninterruptible());
    ping_pong(Wait::interruptible());
}

#[test]
fn a_signal_ends_a_wait() {
    model(2, || {
        for _ in 0..3 {
            let queue = WaitQueue::new();
            let thread = spawn(move || {
                let result = queue.wait_until(Wait::interruptible(), || None::<()>);
                assert_eq!(result, Err(Errno::ERESTARTSYS));
            });
            spawn(move || signal::send(thread));
        }
    });
}
