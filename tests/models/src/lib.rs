//! A stand-in for `core` whose atomics take part in a model: `extern crate model_core as core;` at the root of a test, and
//! source files of the kernel compile against it as they are.
//!
//! Two things decide what a concurrent kernel does: who runs next, and when stores become visible. The first is shuttle's:
//! each access here is a point at which it may switch threads. The second is x86-64's total store order, the only machine
//! the kernel runs on: a store waits in its CPU's buffer, in order, until it drains at some later time; loads see the own
//! buffer first; locked instructions and full fences drain it before they act. So a missing `fence(SeqCst)` shows, and a
//! release store that should be one does not hurt. (What the compiler may reorder beyond that is not modelled.)
//! Sources: Sewell et al., x86-TSO, CACM 2010; the mapping of orderings is the compiler's.
pub use ::core::*;

mod machine;

pub use machine::{drain_own, run_on, start};

/// `core::hint` with a spin loop that lets others run.
pub mod hint {
    pub use ::core::hint::*;

    /// Somebody else must act before this thread can go on.
    pub fn spin_loop() {
        crate::machine::drain_some();
        shuttle::thread::yield_now();
    }
}

/// `core::sync` with the model's atomics.
pub mod sync {
    pub use ::core::sync::*;

    /// See the crate's head.
    pub mod atomic {
        pub use crate::machine::{
            AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
            AtomicUsize, fence,
        };
        pub use ::core::sync::atomic::Ordering;
    }
}
