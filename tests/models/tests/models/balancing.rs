//! Balance between CPUs that all compute: nobody is lost on the way to another CPU, runs where it may not, or never.
use crate::cpu::percpu::this_cpu;
use crate::rig::{leave_kernel, model, spawn};
use crate::task::{self, current};
use crate::time;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

/// Longer than a turn of balance.rs, so that the first end of a slice may move a thread.
const TURNS_PASS: u64 = 100_000_000;

/// Computes until `done`; the ends of its slices are all that makes it give way. Nobody else runs it, or elsewhere.
fn compute_until(done: impl Fn() -> bool) {
    let running = AtomicBool::new(false);
    while !done() {
        assert!(!running.swap(true, Ordering::SeqCst), "it runs twice");
        assert!(core::ptr::eq(this_cpu().current(), current()));
        let mask = current().affinity.load(Ordering::SeqCst);
        assert!(mask >> this_cpu().id() & 1 != 0, "it may not run here");
        running.store(false, Ordering::SeqCst);
        leave_kernel();
        core::hint::spin_loop();
    }
}

#[test]
fn more_threads_than_cpus_all_get_on() {
    for threads in 3..=5 {
        model(2, move || {
            time::pass_until(TURNS_PASS);
            let begun = Arc::new(AtomicUsize::new(0));
            for _ in 0..threads {
                let begun = begun.clone();
                spawn(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    compute_until(|| begun.load(Ordering::SeqCst) == threads);
                });
            }
        });
    }
}

#[test]
fn a_thread_given_to_a_cpu_that_goes_idle_runs() {
    model(2, || {
        time::pass_until(TURNS_PASS);
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            // Neither ends before the other has run: a CPU for each, or turns on one.
            let arrived = arrived.clone();
            spawn(move || {
                arrived.fetch_add(1, Ordering::SeqCst);
                compute_until(|| arrived.load(Ordering::SeqCst) == 2);
            });
        }
        for _ in 0..2 {
            // Makes its CPU a busy one that is about to idle.
            spawn(|| {
                for _ in 0..40 {
                    leave_kernel();
                }
            });
        }
    });
}

#[test]
fn a_thread_that_may_run_on_one_cpu_is_not_given_away() {
    model(3, || {
        time::pass_until(TURNS_PASS);
        let begun = Arc::new(AtomicUsize::new(0));
        for thread in 0..5usize {
            let begun = begun.clone();
            spawn(move || {
                if thread < 3 {
                    current().affinity.store(1 << 1, Ordering::SeqCst);
                    task::move_to_allowed_cpu();
                }
                begun.fetch_add(1, Ordering::SeqCst);
                compute_until(|| begun.load(Ordering::SeqCst) == 5);
            });
        }
    });
}
