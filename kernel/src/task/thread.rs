//! Threads: what the kernel knows of each of Go's Ms.
//!
//! Threads live in an arena of chunks that is never freed, and are recycled: `&'static Thread` is the reference
//! everybody uses. A late wake-up may therefore reach a newer thread in the same place; every wait looks at its
//! condition again, so that is harmless. What is not is left with a [`ThreadRef`]. A [`Tid`](Thread::tid) is never reused
//! while the thread lives.
//!
//! States, and who changes them:
//! ```text
//!            prepare_block            block (own CPU)
//!   Running ---------------> Blocking ---------------> Blocked
//!      ^   <---------------     |                         | wake: any CPU
//!      |     wake, cancel       |                         v
//!      +------- schedule (own CPU) ------------------- Runnable (in one run queue)
//! ```
//! `on_cpu` is true while some CPU still stands on the thread's kernel stack; whoever picks a runnable thread waits for
//! it to become false.
use super::attributes::Attributes;
use super::credentials::Credentials;
use super::futex_queue::Link;
use super::restart::Restart;
use super::signal::ThreadSignals;
use crate::cpu::fpu::FpuState;
use crate::memory::frames::check_spare;
use crate::memory::spare::Spare;
use crate::memory::stack::KernelStack;
use crate::sync::{SpinLock, WaitLink};
use crate::time::cpu_alarm::CpuAlarms;
use crate::time::{self, SleepTimer};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ringo_abi::Errno;
use spin::Once;

/// A thread's number as the program sees it (gettid(2)).
pub type Tid = i32;

/// See the module's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Executing, or about to without having left its CPU.
    Running = 0,
    /// Has announced that it will block.
    Blocking = 1,
    /// Off the CPU until somebody wakes it.
    Blocked = 2,
    /// In a run queue.
    Runnable = 3,
    /// Finished; its place waits for the next thread.
    Dead = 4,
}

/// One thread.
pub struct Thread {
    /// Its place in the arena.
    pub index: u32,
    tid: AtomicU32,
    state: AtomicU8,
    /// Some CPU stands on its kernel stack.
    pub on_cpu: AtomicBool,
    /// The CPU it ran on last.
    pub last_cpu: AtomicU32,
    /// Next in a run queue: index + 1, or 0.
    pub next: AtomicU32,
    /// The futex it waits on.
    pub futex: Link,
    /// In a wait queue; changed under that queue's lock.
    pub in_wait_queue: AtomicBool,
    /// Where in it.
    pub waiting: WaitLink,
    stack: SpinLock<Option<KernelStack>>,
    stack_top: AtomicUsize,
    /// Where its context is saved while it is off the CPU.
    pub saved_sp: AtomicUsize,
    /// FS.base while it is off the CPU.
    pub fs_base: AtomicUsize,
    /// Registers of the floating-point and vector units while it is off the CPU, as far as they matter.
    pub fpu: FpuState,
    /// Signal mask, pending signals, alternate stack.
    pub signals: ThreadSignals,
    /// Its ids.
    pub credentials: Credentials,
    /// set_tid_address(2): zeroed and woken at exit.
    pub clear_child_tid: AtomicUsize,
    /// CPU time used up to the last switch, in ns.
    pub cpu_time: AtomicU64,
    /// When it was last switched in (ns since boot).
    pub switched_in: AtomicU64,
    /// When it was created (ns since boot).
    pub started: AtomicU64,
    /// prctl(PR_SET_NAME).
    pub name: SpinLock<[u8; 16]>,
    /// CPUs it may run on (sched_setaffinity(2)).
    pub affinity: AtomicU64,
    /// When it was last moved from one busy CPU to another (ns since boot); see balance.rs.
    pub moved: AtomicU64,
    /// It leaves its CPU because it may not stay there: until somebody else runs.
    pub moves: AtomicBool,
    /// Timer of the deadline it sleeps for: see time/.
    pub sleep_timer: SleepTimer,
    /// Alarms by its CPU time.
    pub cpu_alarms: CpuAlarms,
    /// The timed call that goes on if no handler runs.
    pub restart: Restart,
    /// Nice value, policy and I/O priority.
    pub attributes: Attributes,
    /// set_robust_list(2): the futexes it holds, whose waiters are told if it ends.
    pub robust_list: AtomicUsize,
    /// Voluntary and involuntary switches.
    pub switches: [AtomicU32; 2],
    /// Faults served for it (getrusage).
    pub faults: AtomicU64,
}

const CHUNK: usize = 64;
const CHUNKS: usize = 1024;
/// The most threads there can be.
pub const MAX: usize = CHUNK * CHUNKS;

/// Chunk by chunk; a chunk is never freed.
static ARENA: [Once<Vec<Thread>>; CHUNKS] = [const { Once::new() }; CHUNKS];
static REGISTRY: SpinLock<Registry> = SpinLock::new(Registry {
    by_tid: BTreeMap::new(),
    free: Vec::new(),
    chunks: 0,
});
static CREATED: AtomicU64 = AtomicU64::new(0);
static NEXT_TID: AtomicU32 = AtomicU32::new(super::PID as u32);

struct Registry {
    by_tid: BTreeMap<Tid, u32>,
    /// Places in the arena without a thread.
    free: Vec<u32>,
    chunks: usize,
}

/// The thread in place `index`.
#[inline]
pub fn by_index(index: u32) -> Option<&'static Thread> {
    ARENA
        .get(index as usize / CHUNK)?
        .get()?
        .get(index as usize % CHUNK)
}

/// The living thread with this number.
pub fn by_tid(tid: Tid) -> Option<&'static Thread> {
    let index = *REGISTRY.lock().by_tid.get(&tid)?;
    by_index(index)
}

/// A thread as it was found by its number. Its place in the arena may be another one's since: whoever leaves something with
/// a thread for good (a signal, an alarm) looks at [`ThreadRef::get`] under the lock of where it leaves it, and
/// [`Thread::create`] empties those places, under the same locks, after it has given the place a new number.
#[derive(Clone, Copy)]
pub struct ThreadRef {
    place: &'static Thread,
    tid: Tid,
}

impl ThreadRef {
    /// The living thread with this number.
    pub fn find(tid: Tid) -> Option<Self> {
        by_tid(tid).map(|place| Self { place, tid })
    }

    /// The calling thread.
    pub fn current() -> Self {
        super::current().handle()
    }

    /// The thread, if no other one has its place.
    pub fn get(self) -> Option<&'static Thread> {
        (self.place.tid() == self.tid).then_some(self.place)
    }
}

/// The living thread with the lowest number not below `tid`.
pub fn next_from(tid: Tid) -> Option<Tid> {
    let registry = REGISTRY.lock();
    registry.by_tid.range(tid..).next().map(|(&tid, _)| tid)
}

/// The number that was given last.
pub fn newest() -> Tid {
    NEXT_TID.load(Ordering::Relaxed) as Tid - 1
}

/// How many threads were ever created.
pub fn created() -> u64 {
    CREATED.load(Ordering::Relaxed)
}

/// How many threads live.
pub fn count() -> usize {
    REGISTRY.lock().by_tid.len()
}

/// Runs `f` on each living thread, in the order of their numbers, until it returns true. Holds the registry's lock.
pub fn find(mut f: impl FnMut(&'static Thread) -> bool) -> Option<&'static Thread> {
    let registry = REGISTRY.lock();
    registry
        .by_tid
        .values()
        .filter_map(|&index| by_index(index))
        .find(|thread| f(thread))
}

impl Thread {
    fn vacant(index: u32) -> Self {
        Self {
            index,
            tid: AtomicU32::new(0),
            state: AtomicU8::new(State::Dead as u8),
            on_cpu: AtomicBool::new(false),
            last_cpu: AtomicU32::new(0),
            next: AtomicU32::new(0),
            futex: Link::new(),
            in_wait_queue: AtomicBool::new(false),
            waiting: WaitLink::new(),
            stack: SpinLock::new(None),
            stack_top: AtomicUsize::new(0),
            saved_sp: AtomicUsize::new(0),
            fs_base: AtomicUsize::new(0),
            fpu: FpuState::new(),
            signals: ThreadSignals::new(),
            credentials: Credentials::root(),
            attributes: Attributes::new(),
            robust_list: AtomicUsize::new(0),
            clear_child_tid: AtomicUsize::new(0),
            cpu_time: AtomicU64::new(0),
            switched_in: AtomicU64::new(0),
            started: AtomicU64::new(0),
            name: SpinLock::new([0; 16]),
            affinity: AtomicU64::new(u64::MAX),
            moved: AtomicU64::new(0),
            moves: AtomicBool::new(false),
            sleep_timer: SleepTimer::new(),
            cpu_alarms: CpuAlarms::new(),
            restart: Restart::new(),
            switches: [const { AtomicU32::new(0) }; 2],
            faults: AtomicU64::new(0),
        }
    }

    /// Takes a place in the arena for a new thread, with a kernel stack. Registered threads have a number and can be
    /// found; the idle threads are not.
    ///
    /// # Errors
    /// EAGAIN when there are too many threads or no memory for a stack.
    pub fn create(registered: bool) -> Result<&'static Self, Errno> {
        let stack = KernelStack::alloc().map_err(|_| Errno::EAGAIN)?;
        // What follows takes no more than a page.
        check_spare().map_err(|_| Errno::EAGAIN)?;
        let thread = {
            let mut registry = REGISTRY.lock();
            if registry.free.is_empty() {
                registry.grow().map_err(|_| Errno::EAGAIN)?;
            }
            let index = *registry.free.last().ok_or(Errno::EAGAIN)?;
            let thread = by_index(index).ok_or(Errno::EAGAIN)?;
            thread.fpu.prepare().map_err(|_| Errno::EAGAIN)?;
            registry.free.pop();
            let tid = if registered {
                let tid = next_tid(&registry.by_tid);
                registry.by_tid.insert(tid, index);
                CREATED.fetch_add(1, Ordering::Relaxed);
                tid
            } else {
                0
            };
            thread.tid.store(tid as u32, Ordering::Relaxed);
            thread
        };
        thread.signals.reset();
        thread.stack_top.store(stack.top(), Ordering::Relaxed);
        *thread.stack.lock() = Some(stack);
        for word in [
            &thread.clear_child_tid,
            &thread.fs_base,
            &thread.robust_list,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        thread.cpu_time.store(0, Ordering::Relaxed);
        thread.started.store(time::now(), Ordering::Relaxed);
        thread.faults.store(0, Ordering::Relaxed);
        thread.moved.store(0, Ordering::Relaxed);
        for count in &thread.switches {
            count.store(0, Ordering::Relaxed);
        }
        thread.restart.forget();
        thread.cpu_alarms.clear();
        thread.affinity.store(u64::MAX, Ordering::Relaxed);
        Ok(thread)
    }

    /// Gives the place and the stack back. The thread must be off the CPU for good.
    pub fn retire(&'static self) {
        *self.stack.lock() = None;
        REGISTRY.lock().free.push(self.index);
    }

    /// The thread can no longer be found by its number.
    pub fn unregister(&self) {
        REGISTRY.lock().by_tid.remove(&self.tid());
        self.set_state(State::Dead);
    }

    /// As [`Self::unregister`], unless it is the last one: then nothing happens, and it gives false. One step, so that of
    /// two threads that end together one is the last.
    pub fn unregister_unless_last(&self) -> bool {
        let mut registry = REGISTRY.lock();
        if registry.by_tid.len() == 1 {
            return false;
        }
        registry.by_tid.remove(&self.tid());
        self.set_state(State::Dead);
        true
    }

    /// A reference that tells when its place has become another thread's.
    pub fn handle(&'static self) -> ThreadRef {
        ThreadRef {
            place: self,
            tid: self.tid(),
        }
    }

    /// Its number; 0 for an idle thread.
    #[inline]
    pub fn tid(&self) -> Tid {
        self.tid.load(Ordering::Relaxed) as Tid
    }

    /// Names it; what is longer than 15 bytes is cut.
    pub fn set_name(&self, name: &[u8]) {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name[..length]);
        *self.name.lock() = bytes;
    }

    /// Where its kernel stack begins, growing down.
    #[inline]
    pub fn stack_top(&self) -> usize {
        self.stack_top.load(Ordering::Relaxed)
    }

    /// Its state now.
    #[inline]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Running,
            1 => State::Blocking,
            2 => State::Blocked,
            3 => State::Runnable,
            _ => State::Dead,
        }
    }

    /// Sets the state without a look at the old one: only where the module's head names one possible old state.
    #[inline]
    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }

    /// `from` -> `to` if it is in `from`.
    #[inline]
    pub fn change_state(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// One more page fault was served for it. Only the thread itself calls this.
    pub fn count_fault(&self) {
        let faults = self.faults.load(Ordering::Relaxed);
        self.faults.store(faults + 1, Ordering::Relaxed);
    }

    /// CPU time used, in ns, up to now if it runs.
    pub fn cpu_time_now(&self) -> u64 {
        let used = self.cpu_time.load(Ordering::Relaxed);
        if self.on_cpu.load(Ordering::Relaxed) && self.state() == State::Running {
            used + time::now().saturating_sub(self.switched_in.load(Ordering::Relaxed))
        } else {
            used
        }
    }
}

impl Registry {
    /// One more chunk of places. The list of free ones has room for all: giving one back needs no memory.
    fn grow(&mut self) -> Result<(), Errno> {
        let slot = ARENA.get(self.chunks).ok_or(Errno::EAGAIN)?;
        let first = (self.chunks * CHUNK) as u32;
        let mut chunk = Vec::new();
        chunk.spare(CHUNK)?;
        self.free
            .spare((self.chunks + 1) * CHUNK - self.free.len())?;
        chunk.extend((first..first + CHUNK as u32).map(Thread::vacant));
        slot.call_once(|| chunk);
        self.chunks += 1;
        self.free.extend((first..first + CHUNK as u32).rev());
        Ok(())
    }
}

/// The next number that no thread has; they wrap at 4 million as pid_max does.
fn next_tid(taken: &BTreeMap<Tid, u32>) -> Tid {
    loop {
        let tid = NEXT_TID.fetch_add(1, Ordering::Relaxed) as Tid;
        if tid >= 1 << 22 {
            NEXT_TID.store(super::PID as u32 + 1, Ordering::Relaxed);
        } else if !taken.contains_key(&tid) {
            return tid;
        }
    }
}
