//! The scheduler: every thread that can run does, on one CPU at a time, where it may.
use crate::cpu::percpu::this_cpu;
use crate::rig::{leave_kernel, model, spawn};
use crate::task::{self, State, Thread, block, current, prepare_block, wake};
use crate::time;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

/// Fails if two CPUs run one thread.
struct Once(AtomicUsize);

impl Once {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn run(&self) {
        assert_eq!(
            self.0.fetch_add(1, Ordering::SeqCst),
            0,
            "a thread runs twice"
        );
        assert!(core::ptr::eq(this_cpu().current(), current()));
        assert_eq!(self.0.fetch_sub(1, Ordering::SeqCst), 1);
    }
}

fn sleep_until(flag: &AtomicBool, once: &Once) {
    while !flag.load(Ordering::SeqCst) {
        prepare_block(current());
        if flag.load(Ordering::SeqCst) {
            task::cancel_block(current());
            break;
        }
        block(None, false);
        once.run();
    }
}

#[test]
fn a_thread_that_two_wake_runs_once() {
    model(3, || {
        let flag = Arc::new(AtomicBool::new(false));
        let (sleeper, once) = (flag.clone(), Once::new());
        let thread = spawn(move || sleep_until(&sleeper, &once));
        for _ in 0..2 {
            let flag = flag.clone();
            spawn(move || {
                flag.store(true, Ordering::SeqCst);
                wake(thread);
            });
        }
    });
}

#[test]
fn two_threads_hand_over_to_one_another() {
    for cpus in 1..=2 {
        model(cpus, || {
            let turn = Arc::new(AtomicUsize::new(0));
            let threads: Arc<[std::sync::OnceLock<&'static Thread>; 2]> = Arc::default();
            for me in 0..2 {
                let (turn, others) = (turn.clone(), threads.clone());
                let thread = spawn(move || {
                    for round in 0..10 {
                        let mine = round * 2 + me;
                        while turn.load(Ordering::SeqCst) != mine {
                            prepare_block(current());
                            if turn.load(Ordering::SeqCst) == mine {
                                task::cancel_block(current());
                                break;
                            }
                            block(None, false);
                        }
                        turn.store(mine + 1, Ordering::SeqCst);
                        if let Some(other) = others[1 - me].get() {
                            wake(other);
                        }
                    }
                });
                let _ = threads[me].set(thread);
                // It may have looked for the other before that was known.
                wake(thread);
            }
            for thread in threads.iter() {
                wake(thread.get().expect("both"));
            }
        });
    }
}

#[test]
fn a_sleep_ends_with_its_deadline() {
    model(2, || {
        for thread in 0..2 {
            spawn(move || {
                let deadline = 50_000 * (1 + thread);
                while time::now() < deadline {
                    prepare_block(current());
                    block(Some(deadline), false);
                }
            });
        }
    });
}

#[test]
fn yielding_lets_others_run() {
    for cpus in 1..=2 {
        model(cpus, || {
            let flag = Arc::new(AtomicBool::new(false));
            let waiter = flag.clone();
            let once = Once::new();
            spawn(move || {
                while !waiter.load(Ordering::SeqCst) {
                    task::yield_now();
                    leave_kernel();
                    core::hint::spin_loop();
                    once.run();
                }
            });
            spawn(move || flag.store(true, Ordering::SeqCst));
        });
    }
}

/// Computes without a system call until `flag` is set; interrupts are all that makes it give way.
fn compute_until(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        leave_kernel();
        core::hint::spin_loop();
    }
}

#[test]
fn a_woken_thread_gets_a_cpu_though_all_compute() {
    model(2, || {
        let (flag, busy) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (ready, released) = (Arc::new(AtomicBool::new(false)), flag.clone());
        let sleeping = ready.clone();
        let thread = spawn(move || {
            sleep_until(&sleeping, &Once(AtomicUsize::new(0)));
            released.store(true, Ordering::SeqCst);
        });
        for waker in [true, false] {
            let (flag, busy, ready) = (flag.clone(), busy.clone(), ready.clone());
            spawn(move || {
                busy.fetch_add(1, Ordering::SeqCst);
                if waker {
                    ready.store(true, Ordering::SeqCst);
                    wake(thread);
                }
                compute_until(&flag);
            });
        }
    });
}

#[test]
fn a_thread_leaves_a_cpu_where_it_may_not_stay() {
    model(2, || {
        for target in 0..2usize {
            spawn(move || {
                for cpu in [target, 1 - target] {
                    current().affinity.store(1 << cpu, Ordering::Relaxed);
                    task::move_to_allowed_cpu();
                    assert_eq!(this_cpu().id(), cpu);
                    assert_eq!(current().state(), State::Running);
                }
            });
        }
    });
}

#[test]
fn a_late_wake_up_does_not_disturb_a_thread_that_moves() {
    model(2, || {
        let mut threads = Vec::new();
        for target in 0..2usize {
            threads.push(spawn(move || {
                for cpu in [target, 1 - target] {
                    current().affinity.store(1 << cpu, Ordering::Relaxed);
                    task::move_to_allowed_cpu();
                    assert_eq!(this_cpu().id(), cpu);
                }
            }));
        }
        for thread in threads {
            spawn(move || {
                // As from a wait that is over already.
                wake(thread);
            });
        }
    });
}

#[test]
fn threads_that_change_places_do_not_wait_for_one_another() {
    // The third CPU is where the late wake-ups come from: the movers have the other two.
    model(3, || {
        let arrived = Arc::new(AtomicUsize::new(0));
        let threads: Vec<&'static Thread> = (0..2usize)
            .map(|target| {
                let arrived = arrived.clone();
                spawn(move || {
                    current().affinity.store(1 << target, Ordering::Relaxed);
                    task::move_to_allowed_cpu();
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < 2 {
                        leave_kernel();
                        core::hint::spin_loop();
                    }
                    // Each stands on the CPU where the other wants to be.
                    current()
                        .affinity
                        .store(1 << (1 - target), Ordering::Relaxed);
                    task::move_to_allowed_cpu();
                    assert_eq!(this_cpu().id(), 1 - target);
                })
            })
            .collect();
        spawn(move || {
            current().affinity.store(1 << 2, Ordering::Relaxed);
            task::move_to_allowed_cpu();
            for _ in 0..20 {
                for thread in &threads {
                    wake(thread);
                }
                core::hint::spin_loop();
            }
        });
    });
}

#[test]
fn a_pinned_thread_lets_other_cpus_halt_and_is_run_by_one_that_may() {
    model(3, || {
        let flag = Arc::new(AtomicBool::new(false));
        let (done, ready) = (flag.clone(), Arc::new(AtomicBool::new(false)));
        let (sleeping, once) = (ready.clone(), Once::new());
        let pinned = spawn(move || {
            // Not where it is woken, and not on the first one that idles.
            current().affinity.store(1 << 2, Ordering::Relaxed);
            task::move_to_allowed_cpu();
            sleep_until(&sleeping, &once);
            assert_eq!(this_cpu().id(), 2);
            done.store(true, Ordering::SeqCst);
        });
        spawn(move || {
            current().affinity.store(0b11, Ordering::Relaxed);
            task::move_to_allowed_cpu();
            ready.store(true, Ordering::SeqCst);
            wake(pinned);
            compute_until(&flag);
        });
    });
}

#[test]
fn a_thread_that_another_confines_moves_before_it_goes_on() {
    model(3, || {
        for computes in [false, true] {
            let moved = Arc::new(AtomicBool::new(false));
            let told = moved.clone();
            let thread = spawn(move || {
                while this_cpu().id() != 2 {
                    if !computes {
                        // Wherever it is when it is told: asleep, about to sleep, being woken.
                        let deadline = time::now() + 5000;
                        prepare_block(current());
                        block(Some(deadline), false);
                    }
                    leave_kernel_if_told();
                    core::hint::spin_loop();
                }
                told.store(true, Ordering::SeqCst);
            });
            spawn(move || {
                task::set_affinity(thread, 1 << 2);
                while !moved.load(Ordering::SeqCst) {
                    task::yield_now();
                    leave_kernel();
                    core::hint::spin_loop();
                }
            });
        }
    });
}

/// As [`leave_kernel`] for a program that makes no calls: only if something is pending.
fn leave_kernel_if_told() {
    if crate::cpu::interrupts::any_noted() || this_cpu().pending.load(Ordering::SeqCst) != 0 {
        leave_kernel();
    }
}

/// One waker, one kick; the others are passed on by those that came. No timer helps: nobody's slice ends.
#[test]
fn a_burst_of_wake_ups_reaches_every_halted_cpu() {
    model(4, || {
        let (arrived, ready) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let sleepers: Vec<&'static Thread> = (0..3)
            .map(|_| {
                let (arrived, ready) = (arrived.clone(), ready.clone());
                spawn(move || {
                    sleep_until(&ready, &Once(AtomicUsize::new(0)));
                    arrived.fetch_add(1, Ordering::SeqCst);
                    // None of the four gives its CPU up before all run.
                    while arrived.load(Ordering::SeqCst) < 4 {
                        core::hint::spin_loop();
                    }
                })
            })
            .collect();
        spawn(move || {
            ready.store(true, Ordering::SeqCst);
            for thread in sleepers {
                wake(thread);
            }
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < 4 {
                core::hint::spin_loop();
            }
        });
    });
}
