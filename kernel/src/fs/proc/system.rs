//! The system as a whole: version, uptime, load, CPU time (Linux fs/proc/stat.c and its neighbours).
use super::status::TICK;
use crate::cpu::percpu;
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::task::{State, load, thread};
use crate::time;
use crate::time::convert::SECOND;
use ringo_abi::Errno;

/// The Linux whose calls these are.
pub const RELEASE: &str = "6.12.0-ringo";
/// uname -v.
pub const VERSION: &str = "#1 SMP Ringo";

pub(super) fn version(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    const BUILDER: &str = concat!("(ringo@ringo) (Ringo ", env!("CARGO_PKG_VERSION"), ")");
    writeln!(out, "Linux version {RELEASE} {BUILDER} {VERSION}")
}

/// The kernel's own command line is not the program's business: what a machine without one shows.
pub(super) fn command_line(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out)
}

/// What can be mounted or opened; nothing lies on a block device.
pub(super) fn filesystems(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for kind in ["sysfs", "tmpfs", "proc", "cgroup2", "pipefs"] {
        writeln!(out, "nodev\t{kind}")?;
    }
    Ok(())
}

/// Controllers, all in the one hierarchy.
pub(super) fn control_groups(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n")?;
    for controller in ["cpuset", "cpu", "memory", "pids"] {
        writeln!(out, "{controller}\t0\t1\t1")?;
    }
    Ok(())
}

pub(super) fn devices(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n")
}

pub(super) fn swaps(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
}

/// Nanoseconds that a CPU ran threads, and that it did not.
fn cpu_times(id: usize) -> (u64, u64) {
    let busy = percpu::cpu(id).threads_time_now();
    (busy, time::now().saturating_sub(busy))
}

/// Seconds with two digits behind the point.
fn hundredths(ns: u64) -> (u64, u64) {
    (ns / SECOND, ns % SECOND / TICK)
}

/// Time since boot, and the idle time of all CPUs.
pub(super) fn uptime(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let idle = (0..percpu::cpu_count()).map(|id| cpu_times(id).1).sum();
    let ((up, up_part), (idle, idle_part)) = (hundredths(time::now()), hundredths(idle));
    writeln!(out, "{up}.{up_part:02} {idle}.{idle_part:02}")
}

/// Threads that run or could.
fn running() -> usize {
    let mut running = 0;
    thread::find(|thread| {
        running += usize::from(!matches!(thread.state(), State::Blocked | State::Dead));
        false
    });
    running
}

/// Three averages, running and all threads, the number of the newest.
pub(super) fn load_average(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for (whole, part) in load::averages().map(load::hundredths) {
        write!(out, "{whole}.{part:02} ")?;
    }
    let newest = thread::newest();
    writeln!(out, "{}/{} {newest}", running(), thread::count())
}

/// /proc/stat: ticks by CPU, then counters since boot. Time of the kernel is the program's, so that user, nice, system
/// and the rest are user and idle.
pub(super) fn stat(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let count = percpu::cpu_count();
    let line = |out: &mut Text, (busy, idle): (u64, u64)| {
        writeln!(out, " {} 0 0 {} 0 0 0 0 0 0", busy / TICK, idle / TICK)
    };
    let all = (0..count)
        .map(cpu_times)
        .fold((0, 0), |sum, cpu| (sum.0 + cpu.0, sum.1 + cpu.1));
    write!(out, "cpu ")?;
    line(out, all)?;
    for id in 0..count {
        write!(out, "cpu{id}")?;
        line(out, cpu_times(id))?;
    }
    let sum = |counter: fn(&percpu::PerCpu) -> u64| -> u64 {
        (0..count).map(|id| counter(percpu::cpu(id))).sum()
    };
    use core::sync::atomic::Ordering::Relaxed;
    writeln!(out, "intr {}", sum(|cpu| cpu.interrupts.load(Relaxed)))?;
    writeln!(out, "ctxt {}", sum(|cpu| cpu.switches.load(Relaxed)))?;
    let boot = time::realtime().saturating_sub(time::now()) / SECOND;
    writeln!(out, "btime {boot}\nprocesses {}", thread::created())?;
    writeln!(out, "procs_running {}\nprocs_blocked 0", running())?;
    writeln!(out, "softirq 0 0 0 0 0 0 0 0 0 0 0")
}
