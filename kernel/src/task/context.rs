//! What moves when a CPU changes threads: FS, the vector registers as far as they matter, the kernel stack.
use super::thread::Thread;
use crate::cpu::{self, msr, percpu::this_cpu};
use core::sync::atomic::Ordering;

/// Switches from `from`, the running thread, to `to`. Returns on `from`'s stack when it is switched to again.
pub fn switch(from: &Thread, to: &Thread) {
    // Interrupted, or in a call from an unknown site: all vector registers are live. See cpu/fpu.rs.
    let live = this_cpu().keep_vectors.swap(0, Ordering::Relaxed) != 0;
    from.fs_base.store(msr::fs_base(), Ordering::Relaxed);
    let all = from.fpu.save(live);
    cpu::switch_stacks(&from.saved_sp, &to.saved_sp);
    this_cpu()
        .keep_vectors
        .store(u8::from(live), Ordering::Relaxed);
    msr::set_fs_base(from.fs_base.load(Ordering::Relaxed));
    from.fpu.restore(all);
}

/// Loads what a thread that has never run begins with.
pub fn load(thread: &Thread) {
    msr::set_fs_base(thread.fs_base.load(Ordering::Relaxed));
    thread.fpu.restore(false);
}
