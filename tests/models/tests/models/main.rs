//! The kernel's lock-free and scheduling code under every order of steps that a scheduler can think of.
//!
//! The files named by `#[path]` are the kernel's own, compiled against a `core` whose atomics are the model's (src/lib.rs);
//! around them stand the smallest stand-ins that let them run: CPUs that are baton holders (cpu.rs), a switch that hands
//! the baton over (task.rs), a clock that jumps (time.rs), memory that is the test's own (memory.rs). rig.rs starts a
//! machine and its threads. A lost wake-up is a deadlock, which the scheduler reports; the rest are assertions.
//! A failure prints its schedule: `MODEL_SCHEDULE=... cargo test -p ringo-models NAME` runs that one execution again.
//! `MODEL_RUNS=100000` looks longer.
#![allow(dead_code, unused_imports)] // Parts of the kernel's files that no model calls.

extern crate alloc;
extern crate model_core as core;

mod clock;
mod cpu;
mod memory;
mod rig;
#[path = "../../../../kernel/src/sync/mod.rs"]
mod sync;
mod task;
mod time;

mod balancing;
mod futexes;
mod mutexes;
mod queues;
mod scheduler;
mod signals;
mod slots;
