//! Starts a machine with kernel threads, and runs it in many orders.
//!
//! Each kernel thread, idle ones included, is a thread of the model that runs while it holds the baton of a CPU. The switch
//! gives the baton on and waits for the next. When the last thread of a test has ended, each CPU gets a terminator into its
//! run queue; switching to that ends the CPU.
use crate::cpu::{apic, interrupts, percpu};
use crate::task::{self, State, Thread};
use crate::time;
use core::sync::atomic::Ordering::SeqCst;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Config, Runner};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Unwinds a thread of the model that is over.
struct Over;

#[derive(Default)]
struct Baton {
    cpu: Mutex<Option<usize>>,
    given: Condvar,
}

static BATONS: std::sync::Mutex<BTreeMap<u32, Arc<Baton>>> = std::sync::Mutex::new(BTreeMap::new());
static HANDLES: std::sync::Mutex<Vec<shuttle::thread::JoinHandle<()>>> =
    std::sync::Mutex::new(Vec::new());
static ALIVE: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicBool = AtomicBool::new(false);
/// Tests share the kernel's statics, so they run one after the other.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn lock<T>(mutex: &'static std::sync::Mutex<T>) -> std::sync::MutexGuard<'static, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

fn baton(thread: &Thread) -> Arc<Baton> {
    lock(&BATONS).entry(thread.index).or_default().clone()
}

fn give(thread: &Thread, cpu: usize) {
    let baton = baton(thread);
    *baton.cpu.lock().expect("a baton") = Some(cpu);
    baton.given.notify_all();
}

/// Waits until the thread holds a CPU.
fn take(thread: &Thread) {
    let baton = baton(thread);
    let mut cpu = baton.cpu.lock().expect("a baton");
    let id = loop {
        if let Some(id) = cpu.take() {
            break id;
        }
        if DONE.load(Ordering::SeqCst) {
            drop(cpu);
            resume_unwind(Box::new(Over));
        }
        cpu = baton.given.wait(cpu).expect("a baton");
    };
    drop(cpu);
    percpu::run_here(id);
}

/// The switch from one kernel thread to another; returns when `from` runs again.
pub fn hand_over(from: &'static Thread, to: &'static Thread) {
    let cpu = percpu::this_cpu();
    if cpu
        .terminator
        .get()
        .is_some_and(|terminator| core::ptr::eq(terminator, to))
    {
        resume_unwind(Box::new(Over));
    }
    let dead = from.state() == State::Dead;
    give(to, cpu.id());
    if dead {
        resume_unwind(Box::new(Over));
    }
    take(from);
}

fn start(body: impl FnOnce() + Send + 'static) {
    let handle = shuttle::thread::spawn(move || {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body))
            && !payload.is::<Over>()
        {
            resume_unwind(payload);
        }
    });
    lock(&HANDLES).push(handle);
}

/// Starts a kernel thread, as clone(2) does.
pub fn spawn(body: impl FnOnce() + Send + 'static) -> &'static Thread {
    let thread = Thread::create(true).expect("a thread");
    ALIVE.fetch_add(1, Ordering::SeqCst);
    start(move || {
        take(thread);
        task::finish_switch();
        body();
        end(thread);
    });
    let cpu = percpu::this_cpu().id() as u32;
    thread
        .last_cpu
        .store(cpu, core::sync::atomic::Ordering::Relaxed);
    thread.set_state(State::Runnable);
    task::sched::enqueue(thread);
    thread
}

fn end(thread: &'static Thread) {
    one_less();
    thread.unregister();
    task::signal::thread_ends();
    task::sched::schedule(thread);
    unreachable!("a dead thread was switched to");
}

/// A thread has ended, or the test has started all it wants; with the last one the machine ends.
fn one_less() {
    if ALIVE.fetch_sub(1, Ordering::SeqCst) != 1 {
        return;
    }
    DONE.store(true, Ordering::SeqCst);
    let batons: Vec<_> = lock(&BATONS).values().cloned().collect();
    for baton in batons {
        let _cpu = baton.cpu.lock().expect("a baton");
        baton.given.notify_all();
    }
    for id in 0..percpu::cpu_count() {
        let cpu = percpu::cpu(id);
        cpu.run_queue
            .push(cpu.terminator.get().expect("a terminator"));
        core::drain_own();
        apic::send_ipi(cpu, interrupts::RESCHEDULE);
    }
}

/// What a thread does each time it leaves the kernel for the program (cpu/trap.rs, exit_work), after an interrupt that the
/// timer or another CPU may have sent while it computed. Gives the signals that it took.
pub fn leave_kernel() -> u64 {
    let now = time::now() + 100_000;
    time::pass_until(now);
    if interrupts::any_noted() || percpu::this_cpu().timer_armed.get() <= now {
        task::set_pending();
    }
    let mut taken = 0;
    while percpu::this_cpu().pending.swap(0, SeqCst) != 0 {
        interrupts::handle_noted();
        time::run_expired();
        task::preempt_if_due();
        task::move_to_allowed_cpu();
        taken |= task::current().signals.take();
    }
    time::program_hardware();
    taken
}

fn execute(cpus: usize, test: &Arc<impl Fn() + Send + Sync + 'static>) {
    core::start();
    percpu::reset(cpus);
    time::reset();
    task::process().signals.reset();
    lock(&BATONS).clear();
    lock(&HANDLES).clear();
    DONE.store(false, Ordering::SeqCst);
    ALIVE.store(1, Ordering::SeqCst);
    for id in 0..cpus {
        percpu::run_here(id);
        let terminator = Thread::create(false).expect("a thread");
        terminator
            .affinity
            .store(1 << id, core::sync::atomic::Ordering::SeqCst);
        percpu::cpu(id).terminator.set(Some(terminator));
        task::init_cpu().expect("an idle thread");
    }
    for id in (0..cpus).rev() {
        let test = test.clone();
        start(move || {
            percpu::run_here(id);
            if id == 0 {
                test();
                one_less();
            }
            task::idle_forever();
        });
    }
    loop {
        let Some(handle) = lock(&HANDLES).pop() else {
            break;
        };
        handle.join().expect("a thread of the model");
    }
    percpu::run_here(0);
    for id in 0..cpus {
        let cpu = percpu::cpu(id);
        let idle = cpu.idle_thread.get();
        let is_idle = |last: &&'static Thread| idle.is_some_and(|idle| core::ptr::eq(idle, *last));
        let last = cpu.switched_from.get().filter(|last| !is_idle(last));
        for thread in [cpu.terminator.get(), idle, last].into_iter().flatten() {
            thread.set_state(State::Dead);
            thread
                .on_cpu
                .store(false, core::sync::atomic::Ordering::SeqCst);
            thread.retire();
        }
    }
}

fn number(variable: &str, default: usize) -> usize {
    let value = std::env::var(variable).ok();
    value.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    config
}

/// Runs `test` on CPU 0 of a machine with so many, in many orders; it starts threads with [`spawn`]. Ends when all have.
pub fn model(cpus: usize, test: impl Fn() + Send + Sync + 'static) {
    let _turn = lock(&TURN);
    let test = Arc::new(test);
    let run = move || execute(cpus, &test);
    if let Ok(schedule) = std::env::var("MODEL_SCHEDULE") {
        return shuttle::replay(run, &schedule);
    }
    let runs = number("MODEL_RUNS", 200);
    let run = Arc::new(run);
    let with = |scheduler: Box<dyn Scheduler + Send>| {
        let run = run.clone();
        Runner::new(scheduler, config()).run(move || run());
    };
    with(Box::new(RandomScheduler::new(runs)));
    with(Box::new(PctScheduler::new(3, runs)));
}
