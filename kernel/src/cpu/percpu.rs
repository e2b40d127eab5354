//! What each CPU has for itself, found through GS.
//!
//! GS belongs to the kernel: Go does not use it, so there is no swapgs on the way in. The first fields are read by
//! assembly (entry.rs, trap.rs); `const` assertions below hold their offsets. Everything is touched by its own CPU
//! only, but for the atomics, which others read or set.
use crate::task::{RunQueue, Thread};
use crate::time::TimerQueue;
use core::cell::Cell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use ringo_abi::MAX_CPUS;

/// One CPU's data.
#[repr(C, align(64))]
pub struct PerCpu {
    this: AtomicUsize,
    /// The "in kernel" mark: 1 while this CPU runs kernel code. Interrupts that see it only note and return.
    pub in_kernel: AtomicU8,
    /// Something is to be done before the program goes on: interrupts noted, a signal, a thread switch.
    pub pending: AtomicU8,
    /// The running thread's vector registers matter: it was interrupted, or came by an unknown `syscall` site. A switch
    /// then saves them all.
    pub keep_vectors: AtomicU8,
    /// Where system calls start pushing: the top of the running thread's kernel stack less 8 (entry.rs pushes nine
    /// words, and calls want 16-byte alignment).
    pub kernel_stack: AtomicUsize,
    current: Cell<Option<&'static Thread>>,
    /// System calls made here.
    pub syscalls: AtomicU64,
    /// Address of the paravirtual interface page (kvm.rs), 0 without.
    pub vif: AtomicUsize,

    /// See [`PerCpu::id`].
    id: AtomicUsize,
    /// The local APIC's id.
    pub apic_id: AtomicU32,
    /// Vectors 32.. that arrived while in the kernel, a bit each.
    pub noted_vectors: [AtomicU64; 4],
    /// Threads ready to run here.
    pub run_queue: RunQueue,
    /// Timers armed on this CPU.
    pub timers: TimerQueue,
    /// What the APIC timer is armed for (ns since boot), u64::MAX if not.
    pub timer_armed: Cell<u64>,
    /// When to look at the running thread's CPU-time alarms (ns), u64::MAX if it has none; see time/cpu_alarm.rs.
    pub cpu_alarm: AtomicU64,
    /// When this CPU is to be looked at for the profile (ns), u64::MAX if not; see time/sampling.rs.
    pub sample_due: AtomicU64,
    /// CPU time (ns) that threads used here, up to the last switch.
    pub threads_time: AtomicU64,
    /// When the running thread was switched in (ns), 0 while none runs.
    pub running_since: AtomicU64,
    /// When the running thread should give way to others (ns), u64::MAX while nobody else wants this CPU.
    pub slice_end: AtomicU64,
    /// 0 busy, 1 idle and polling, 2 halted: who wants to wake this CPU needs an interrupt only for 2.
    pub idle: AtomicU8,
    /// How long to poll before the next halt (ns): learnt, see task/idle.rs.
    pub poll_ns: Cell<u64>,
    /// How much before a timer's time a halt is ended (ns): learnt, too.
    pub halt_lead: Cell<u64>,
    /// The CPU's own context when it has no thread: runs the idle loop.
    pub idle_thread: Cell<Option<&'static Thread>>,
    /// The thread that was just switched away from, whose context may now be picked up elsewhere.
    pub switched_from: Cell<Option<&'static Thread>>,
    /// TLB generation this CPU has caught up with; see tlb.rs.
    pub tlb_generation: AtomicU64,
    /// Interrupts that arrived, and switches from one thread to another: for /proc/stat.
    pub interrupts: AtomicU64,
    /// See above.
    pub switches: AtomicU64,
    /// For `--stats`: what leaves the guest, on the paravirtual KVM for 7 to 30 µs each.
    pub halts: AtomicU64,
    /// Interrupts sent to other CPUs.
    pub ipis: AtomicU64,
    /// How often the timer was armed.
    pub timer_arms: AtomicU64,
    /// For /proc/PID/io: calls that read and that write, and bytes of each.
    pub transfers: [Transfers; 2],
}

/// Calls that moved bytes one way, and how many.
pub struct Transfers {
    /// Calls.
    pub calls: AtomicU64,
    /// Bytes.
    pub bytes: AtomicU64,
}

impl Transfers {
    const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

// SAFETY: the Cells are only used by the owning CPU (through `this_cpu`), in code that is never preempted; what others
// read is atomic.
unsafe impl Sync for PerCpu {}

/// Offsets that assembly uses.
pub mod offset {
    #![allow(missing_docs)]
    pub const IN_KERNEL: usize = 8;
    pub const PENDING: usize = 9;
    pub const KEEP_VECTORS: usize = 10;
    pub const KERNEL_STACK: usize = 16;
    pub const SYSCALLS: usize = 32;
    pub const VIF: usize = 40;
    pub const ID: usize = 48;
}

const _: () = assert!(offset_of!(PerCpu, in_kernel) == offset::IN_KERNEL);
const _: () = assert!(offset_of!(PerCpu, pending) == offset::PENDING);
const _: () = assert!(offset_of!(PerCpu, keep_vectors) == offset::KEEP_VECTORS);
const _: () = assert!(offset_of!(PerCpu, kernel_stack) == offset::KERNEL_STACK);
const _: () = assert!(offset_of!(PerCpu, syscalls) == offset::SYSCALLS);
const _: () = assert!(offset_of!(PerCpu, vif) == offset::VIF);
const _: () = assert!(offset_of!(PerCpu, id) == offset::ID);

impl PerCpu {
    /// All zeros, so that the table is no part of the kernel's image: [`begin`](Self::begin) says the rest.
    const fn new() -> Self {
        Self {
            this: AtomicUsize::new(0),
            in_kernel: AtomicU8::new(0),
            pending: AtomicU8::new(0),
            keep_vectors: AtomicU8::new(0),
            kernel_stack: AtomicUsize::new(0),
            current: Cell::new(None),
            syscalls: AtomicU64::new(0),
            vif: AtomicUsize::new(0),
            id: AtomicUsize::new(0),
            apic_id: AtomicU32::new(0),
            noted_vectors: [const { AtomicU64::new(0) }; 4],
            run_queue: RunQueue::new(),
            timers: TimerQueue::new(),
            timer_armed: Cell::new(0),
            cpu_alarm: AtomicU64::new(0),
            sample_due: AtomicU64::new(0),
            threads_time: AtomicU64::new(0),
            running_since: AtomicU64::new(0),
            slice_end: AtomicU64::new(0),
            idle: AtomicU8::new(0),
            poll_ns: Cell::new(0),
            halt_lead: Cell::new(0),
            idle_thread: Cell::new(None),
            switched_from: Cell::new(None),
            tlb_generation: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            halts: AtomicU64::new(0),
            ipis: AtomicU64::new(0),
            timer_arms: AtomicU64::new(0),
            transfers: [const { Transfers::new() }; 2],
        }
    }

    /// What is not zero when this CPU, which is number `id`, starts. Nobody else looks at it before it counts as online.
    fn begin(&self, id: usize) {
        let this = core::ptr::from_ref(self) as usize;
        self.this.store(this, Ordering::Relaxed);
        self.in_kernel.store(1, Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
        self.timers.begin();
        self.timer_armed.set(u64::MAX);
        for never in [&self.cpu_alarm, &self.sample_due, &self.slice_end] {
            never.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// 0, 1, 2... in the order of starting. Whoever found this CPU through [`cpu_count`] sees what it was set to.
    #[inline]
    pub fn id(&self) -> usize {
        self.id.load(Ordering::Relaxed)
    }

    /// The thread that runs here.
    #[inline]
    pub fn current(&self) -> &'static Thread {
        match self.current.get() {
            Some(thread) => thread,
            None => unreachable!("no thread before task::init"),
        }
    }

    /// CPU time (ns) that threads used here.
    pub fn threads_time_now(&self) -> u64 {
        let running = match self.running_since.load(Ordering::Relaxed) {
            0 => 0,
            since => crate::time::now().saturating_sub(since),
        };
        self.threads_time.load(Ordering::Relaxed) + running
    }

    /// Counts `more`. On the CPU's own counters only, so that it needs no locked instruction.
    #[inline]
    pub fn count(counter: &AtomicU64, more: u64) {
        counter.store(
            counter.load(Ordering::Relaxed).wrapping_add(more),
            Ordering::Relaxed,
        );
    }

    /// Whether a thread has been set: false early in boot.
    pub fn has_current(&self) -> bool {
        self.current.get().is_some()
    }

    /// Makes `thread` the running one.
    #[inline]
    pub fn set_current(&self, thread: &'static Thread) {
        self.current.set(Some(thread));
        self.kernel_stack
            .store(thread.stack_top() - 8, Ordering::Relaxed);
    }
}

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// Another CPU's data.
#[inline]
pub fn cpu(id: usize) -> &'static PerCpu {
    &CPUS[id]
}

/// How many CPUs are online; their ids are below it. Pairs with [`go_online`]: what such a CPU did before that is seen.
#[inline]
pub fn cpu_count() -> usize {
    COUNT.load(Ordering::SeqCst)
}

/// The calling CPU is online from now on; CPUs come one after the other. It misses no TLB flush that begins later, and
/// has to catch up with those that began before ([`super::tlb::catch_up`]).
pub fn go_online() {
    COUNT.store(this_cpu().id() + 1, Ordering::SeqCst);
}

/// This CPU's data.
#[inline]
pub fn this_cpu() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: GS points at this CPU's entry of CPUS from `install` on, which comes first on every CPU.
    unsafe {
        core::arch::asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags, pure));
        &*this
    }
}

/// Points GS at the data of CPU `id`. First thing on each CPU.
pub fn install(id: usize) {
    let percpu = &CPUS[id];
    percpu.begin(id);
    // SAFETY: only GS.base changes, which nothing used before.
    unsafe { super::msr::write(super::msr::GS_BASE, core::ptr::from_ref(percpu) as u64) };
}
