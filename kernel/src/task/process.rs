//! What all threads share: the one process, and its end.
use super::signal::ProcessSignals;
use super::thread::{self, Thread};
use crate::cpu::{interrupts, percpu};
use crate::drivers::control;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
pub use ringo_control::ExitStatus;
use ringo_control::{Note, ToHost};
use spin::Once;

/// The process.
pub struct Process {
    /// Signal actions and signals for whichever thread takes them.
    pub signals: ProcessSignals,
    /// File-creation mask (umask(2)).
    pub umask: AtomicU32,
    /// RLIMIT_NOFILE: soft and hard.
    pub nofile: [AtomicU64; 2],
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: AtomicBool,
    /// /proc/self/oom_score_adj: kept for the program, which is the only victim there is.
    pub oom_score_adjust: AtomicI32,
    /// The user it began as.
    pub owner: AtomicU32,
    hostname: Once<&'static [u8]>,
    exiting: AtomicBool,
}

static PROCESS: Process = Process {
    signals: ProcessSignals::new(),
    umask: AtomicU32::new(0o022),
    nofile: [AtomicU64::new(1024), AtomicU64::new(1024 * 1024)],
    no_new_privileges: AtomicBool::new(false),
    oom_score_adjust: AtomicI32::new(0),
    owner: AtomicU32::new(0),
    hostname: Once::new(),
    exiting: AtomicBool::new(false),
};

/// What threads have been through.
#[derive(Clone, Copy, Default)]
pub struct Totals {
    /// Page faults served.
    pub faults: u64,
    /// Voluntary and involuntary switches.
    pub switches: [u64; 2],
}

impl Totals {
    fn add(&mut self, thread: &Thread) {
        self.faults += thread.faults.load(Ordering::Relaxed);
        for (sum, count) in self.switches.iter_mut().zip(&thread.switches) {
            *sum += u64::from(count.load(Ordering::Relaxed));
        }
    }
}

/// Of the threads that have ended.
static ENDED: SpinLock<Totals> = SpinLock::new(Totals {
    faults: 0,
    switches: [0; 2],
});

/// The one process.
#[inline]
pub fn process() -> &'static Process {
    &PROCESS
}

impl Process {
    /// The program is over: no thread goes back to it.
    #[inline]
    pub fn exiting(&self) -> bool {
        self.exiting.load(Ordering::Relaxed)
    }

    /// Takes over what the parent process would have handed on.
    pub fn set_up(&self, config: &ringo_bundle::Config<'static>) {
        self.umask.store(config.umask, Ordering::Relaxed);
        self.nofile[0].store(config.nofile.0, Ordering::Relaxed);
        self.nofile[1].store(config.nofile.1, Ordering::Relaxed);
        self.owner.store(config.uid, Ordering::Relaxed);
        // Of the thread that boots: the program's first one inherits them.
        super::credentials().begin(config.uid, config.gid, config.groups.iter());
        self.hostname.call_once(|| config.hostname);
        let ignore = super::signal::Action {
            handler: super::signal::SIG_IGN,
            ..super::signal::Action::default()
        };
        for signo in 1..=super::signal::MAX_SIGNAL {
            if config.ignored_signals & super::signal::bit(signo) != 0 {
                self.signals.set_action(signo, ignore);
            }
        }
    }

    /// uname(2)'s nodename.
    pub fn hostname(&self) -> &'static [u8] {
        self.hostname.get().copied().unwrap_or(b"localhost")
    }

    /// Sums over all threads there ever were.
    pub fn totals(&self) -> Totals {
        let mut totals = *ENDED.lock();
        thread::find(|thread| {
            totals.add(thread);
            false
        });
        totals
    }

    /// The thread ends: what it has been through stays with the process.
    pub fn thread_ends(&self, thread: &Thread) {
        ENDED.lock().add(thread);
    }

    /// CPU time of all threads, in ns.
    pub fn cpu_time(&self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let total = (0..percpu::cpu_count())
            .map(|id| percpu::cpu(id).threads_time_now())
            .sum();
        // A switch between the two parts of a CPU's sum must not show as time going back.
        LAST.fetch_max(total, Ordering::Relaxed).max(total)
    }
}

/// The program asked for another one to be started: the command is told once, as it may be what ends the program.
pub fn note_another_program() {
    static NOTED: AtomicBool = AtomicBool::new(false);
    if !NOTED.swap(true, Ordering::Relaxed) {
        control::send(&ToHost::Noted(Note::OneProgram));
    }
}

/// Ends the program and the VM. Other CPUs stop when they next leave the kernel, or by interrupt.
pub fn exit_group(status: ExitStatus) -> ! {
    if PROCESS.exiting.swap(true, Ordering::SeqCst) {
        // Another thread is at it.
        park()
    }
    let me = percpu::this_cpu().id();
    for id in (0..percpu::cpu_count()).filter(|&id| id != me) {
        interrupts::poke(percpu::cpu(id));
    }
    crate::fs::keep::send();
    super::profile::finish();
    crate::drivers::power::exit(status, &crate::program::stats::json())
}

/// Blocks the calling thread for good: the program is over.
pub fn park() -> ! {
    let thread = super::current();
    loop {
        super::prepare_block(thread);
        super::block(None, false);
    }
}
