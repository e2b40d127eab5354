//! CPUs: whoever holds a CPU's baton runs on it. An interrupt is a flag that ends a halt.
#[path = "../../../../kernel/src/cpu/tsc.rs"]
pub mod tsc;

pub mod percpu {
    use crate::task::{RunQueue, Thread};
    use crate::time::TimerQueue;
    use core::cell::Cell;
    use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// As in the kernel, as far as the included files look.
    pub struct PerCpu {
        id: usize,
        pub pending: AtomicU8,
        current: Cell<Option<&'static Thread>>,
        pub run_queue: RunQueue,
        pub timers: TimerQueue,
        pub timer_armed: Cell<u64>,
        pub cpu_alarm: AtomicU64,
        pub sample_due: AtomicU64,
        pub threads_time: AtomicU64,
        pub running_since: AtomicU64,
        pub slice_end: AtomicU64,
        pub idle: AtomicU8,
        pub poll_ns: Cell<u64>,
        pub halt_lead: Cell<u64>,
        pub idle_thread: Cell<Option<&'static Thread>>,
        pub switched_from: Cell<Option<&'static Thread>>,
        pub switches: AtomicU64,
        pub halts: AtomicU64,
        /// An interrupt arrived and was not handled.
        pub line: shuttle::sync::Mutex<bool>,
        pub raised: shuttle::sync::Condvar,
        /// What ends the CPU when the test is over: see rig.rs.
        pub terminator: Cell<Option<&'static Thread>>,
    }

    // SAFETY: shuttle runs one thread at a time, and the Cells are the owning CPU's.
    unsafe impl Sync for PerCpu {}

    impl PerCpu {
        fn new(id: usize) -> Self {
            let timers = TimerQueue::new();
            timers.begin();
            // Nobody looks before it is done.
            core::drain_own();
            Self {
                id,
                pending: AtomicU8::new(0),
                current: Cell::new(None),
                run_queue: RunQueue::new(),
                timers,
                timer_armed: Cell::new(u64::MAX),
                cpu_alarm: AtomicU64::new(u64::MAX),
                sample_due: AtomicU64::new(u64::MAX),
                threads_time: AtomicU64::new(0),
                running_since: AtomicU64::new(0),
                slice_end: AtomicU64::new(u64::MAX),
                idle: AtomicU8::new(0),
                poll_ns: Cell::new(0),
                halt_lead: Cell::new(0),
                idle_thread: Cell::new(None),
                switched_from: Cell::new(None),
                switches: AtomicU64::new(0),
                halts: AtomicU64::new(0),
                line: shuttle::sync::Mutex::new(false),
                raised: shuttle::sync::Condvar::new(),
                terminator: Cell::new(None),
            }
        }

        pub fn id(&self) -> usize {
            self.id
        }

        pub fn current(&self) -> &'static Thread {
            self.current.get().expect("no thread runs here")
        }

        pub fn set_current(&self, thread: &'static Thread) {
            self.current.set(Some(thread));
        }

        pub fn count(counter: &AtomicU64, by: u64) {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    static CPUS: Mutex<Vec<&'static PerCpu>> = Mutex::new(Vec::new());
    /// Which CPU a thread of the model runs on.
    static RUNS_ON: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

    fn lock<T>(mutex: &'static Mutex<T>) -> std::sync::MutexGuard<'static, T> {
        match mutex.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// A fresh machine; the old one is left behind, as references to it may be.
    pub fn reset(count: usize) {
        *lock(&CPUS) = (0..count)
            .map(|id| &*Box::leak(Box::new(PerCpu::new(id))))
            .collect();
        lock(&RUNS_ON).clear();
    }

    /// The calling thread got the baton of CPU `id`.
    pub fn run_here(id: usize) {
        lock(&RUNS_ON).insert(shuttle::current::me().into(), id);
        core::run_on(id);
    }

    pub fn this_cpu() -> &'static PerCpu {
        let me: usize = shuttle::current::me().into();
        let id = lock(&RUNS_ON)[&me];
        cpu(id)
    }

    pub fn cpu(id: usize) -> &'static PerCpu {
        lock(&CPUS)[id]
    }

    pub fn cpu_count() -> usize {
        lock(&CPUS).len()
    }
}

pub mod apic {
    use super::percpu::PerCpu;

    /// Not ordered behind the stores before it: a write of the x2APIC's register is not.
    pub fn send_ipi(target: &PerCpu, _vector: u8) {
        *target.line.lock().expect("the line") = true;
        target.raised.notify_all();
    }

    pub fn arm_timer(_deadline: u64) {}
}

pub mod interrupts {
    use super::percpu::{PerCpu, this_cpu};
    use core::sync::atomic::Ordering;

    pub const RESCHEDULE: u8 = 0x21;

    pub fn poke(target: &PerCpu) {
        target.pending.store(1, Ordering::SeqCst);
        if !core::ptr::eq(target, this_cpu()) {
            super::apic::send_ipi(target, RESCHEDULE);
        }
    }

    pub fn any_noted() -> bool {
        *this_cpu().line.lock().expect("the line")
    }

    pub fn handle_noted() {
        let cpu = this_cpu();
        *cpu.line.lock().expect("the line") = false;
        cpu.timer_armed.set(u64::MAX);
    }

    pub fn mask() {}

    pub fn unmask() {}

    /// Waits for an interrupt; the timer's comes when it likes.
    pub fn unmask_and_halt() {
        core::drain_own();
        let cpu = this_cpu();
        // No thread that another CPU may want is held here.
        let own = cpu.idle_thread.get().expect("an idle thread");
        assert!(core::ptr::eq(cpu.current(), own), "a thread's stack halts");
        let armed = cpu.timer_armed.get();
        let mut line = cpu.line.lock().expect("the line");
        if armed != u64::MAX && !*line {
            crate::time::pass_until(armed);
            *line = true;
            return;
        }
        while !*line {
            line = cpu.raised.wait(line).expect("the line");
        }
    }
}

pub mod tlb {
    pub fn catch_up() {}
}

pub mod fpu {
    pub struct FpuState;

    impl FpuState {
        pub const fn new() -> Self {
            Self
        }

        pub fn prepare(&self) -> Result<(), ringo_abi::Errno> {
            Ok(())
        }
    }
}

pub mod trap {
    /// The registers that the included files look at.
    pub struct TrapFrame {
        pub rip: u64,
        pub rax: u64,
    }
}
