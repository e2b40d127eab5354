//! Signals: whoever is to take one learns of it, whatever it does when it is sent.
use crate::cpu::percpu::this_cpu;
use crate::rig::{leave_kernel, model, spawn};
use crate::sync::{Wait, WaitQueue};
use crate::task::{current, futex, signal};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

/// A program that computes until a signal's handler has run: nothing but the signal makes it look.
fn compute_until_signalled(mut taken: u64) {
    while taken == 0 {
        core::hint::spin_loop();
        if crate::cpu::interrupts::any_noted() || this_cpu().pending.load(Ordering::SeqCst) != 0 {
            taken |= leave_kernel();
        }
    }
}

/// As Go's preemption has it: sent once to a thread that sleeps, is woken or runs, it may not rely on a second one.
#[test]
fn a_signal_reaches_a_thread_that_is_being_woken() {
    for cpus in 2..=3 {
        model(cpus, || {
            let word = Arc::new(AtomicU32::new(0));
            let waiter = word.clone();
            let thread = spawn(move || {
                let address = core::ptr::from_ref(&*waiter) as usize;
                let _ = futex::wait(address, 0, None, u32::MAX);
                compute_until_signalled(leave_kernel());
            });
            spawn(move || {
                word.store(1, Ordering::SeqCst);
                futex::wake(core::ptr::from_ref(&*word) as usize, 1, u32::MAX);
            });
            spawn(move || signal::send(thread));
        });
    }
}

#[test]
fn a_signal_reaches_a_thread_after_a_sleep_that_it_does_not_end() {
    model(3, || {
        let flag = Arc::new((AtomicBool::new(false), WaitQueue::new()));
        let waiter = flag.clone();
        let thread = spawn(move || {
            let ready = || waiter.0.load(Ordering::SeqCst).then_some(());
            let waited = waiter.1.wait_until(Wait::uninterruptible(), ready);
            assert_eq!(waited, Ok(()));
            compute_until_signalled(leave_kernel());
        });
        spawn(move || {
            flag.0.store(true, Ordering::SeqCst);
            flag.1.wake_one();
        });
        spawn(move || signal::send(thread));
    });
}

/// The first thread sleeps such that no signal ends it, for longer than the test: the second one is told.
#[test]
fn a_signal_for_the_process_goes_to_a_thread_that_can_take_it() {
    model(2, || {
        let taken = Arc::new((AtomicBool::new(false), WaitQueue::new()));
        let sleeper = taken.clone();
        spawn(move || {
            let ready = || sleeper.0.load(Ordering::SeqCst).then_some(());
            let _ = sleeper.1.wait_until(Wait::uninterruptible(), ready);
        });
        spawn(move || {
            let word = AtomicU32::new(0);
            let address = core::ptr::from_ref(&word) as usize;
            let mut signals = 0;
            while signals == 0 {
                let _ = futex::wait(address, 0, None, u32::MAX);
                signals |= leave_kernel();
            }
            taken.0.store(true, Ordering::SeqCst);
            taken.1.wake_all();
        });
        spawn(signal::send_process);
    });
}

/// What two threads wait for: that one of them has taken a signal.
struct Taken {
    word: AtomicU32,
}

impl Taken {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(0),
        })
    }

    fn address(&self) -> usize {
        core::ptr::from_ref(&self.word) as usize
    }

    fn note(&self, signals: u64) {
        if signals != 0 {
            self.word.store(1, Ordering::SeqCst);
            futex::wake(self.address(), 1, u32::MAX);
        }
    }

    fn wait(&self) {
        while self.word.load(Ordering::SeqCst) == 0 {
            let _ = futex::wait(self.address(), 0, None, u32::MAX);
            self.note(leave_kernel());
        }
    }
}

/// Of two threads one takes it, though the first to be told may block it, or end, just then.
#[test]
fn a_signal_for_the_process_is_handed_on_by_one_that_cannot_take_it() {
    for ends in [false, true] {
        model(3, move || {
            let taken = Taken::new();
            let (first, second) = (taken.clone(), taken);
            spawn(move || {
                first.note(leave_kernel());
                if !ends {
                    current().signals.set_mask(1);
                    first.wait();
                }
            });
            spawn(move || second.wait());
            spawn(signal::send_process);
        });
    }
}
