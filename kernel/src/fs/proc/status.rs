//! /proc/PID/status, stat and statm (Linux fs/proc/array.c). There is no swap and no
//! library; time in the kernel is the program's own.
use super::maps::{self, Usage};
use super::process::name_of;
use super::thread_of;
use crate::cpu::percpu;
use crate::fs::fd;
use crate::fs::terminal;
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::memory::paging::PAGE;
use crate::program;
use crate::task::signal::{self, MAX_SIGNAL, SIG_DFL, SIG_IGN, SignalSet, bit};
use crate::task::{self, PARENT_PID, PID, State, Thread, limits, process, thread};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// Nanoseconds a clock tick, of which sysconf(_SC_CLK_TCK) promises 100 a second.
pub(super) const TICK: u64 = 10_000_000;

/// Its letter, and the word behind it in status.
fn state(thread: &Thread) -> (&'static str, &'static str) {
    match thread.state() {
        _ if core::ptr::eq(thread, task::current()) => ("R", "running"),
        State::Running | State::Blocking | State::Runnable => ("R", "running"),
        State::Blocked => ("S", "sleeping"),
        State::Dead => ("X", "dead"),
    }
}

/// Signals that are ignored, and those that have a handler.
fn dispositions() -> (SignalSet, SignalSet) {
    let mut sets = (0, 0);
    for signo in 1..=MAX_SIGNAL {
        match process().signals.action(signo).handler {
            SIG_DFL => {}
            SIG_IGN => sets.0 |= bit(signo),
            _ => sets.1 |= bit(signo),
        }
    }
    sets
}

/// A bit a CPU, in groups of 32 from the highest down.
pub(crate) fn cpu_mask(out: &mut Text, mask: u64) -> Result<(), Errno> {
    let count = percpu::cpu_count();
    let digits = |bits: usize| bits.div_ceil(4);
    if count > 32 {
        let (high, low) = ((mask >> 32) as u32, mask as u32);
        write!(out, "{high:00$x},{low:08x}", digits(count - 32))
    } else {
        write!(out, "{mask:00$x}", digits(count))
    }
}

/// The CPUs of a mask as a list.
pub(crate) fn cpu_list(out: &mut Text, mask: u64) -> Result<(), Errno> {
    out.list((0..64).filter(|cpu| mask >> cpu & 1 != 0))
}

/// /proc/PID/status.
pub(super) fn status(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let thread = thread_of(numbers)?;
    let (name, length) = name_of(thread);
    out.put(b"Name:\t")?;
    for &byte in &name[..length] {
        match byte {
            b'\n' => out.put(b"\\n")?,
            b'\\' => out.put(b"\\\\")?,
            _ => out.put(&[byte])?,
        }
    }
    let (letter, word) = state(thread);
    let tid = thread.tid();
    writeln!(
        out,
        "\nUmask:\t{:04o}",
        process().umask.load(Ordering::Relaxed)
    )?;
    writeln!(out, "State:\t{letter} ({word})")?;
    writeln!(
        out,
        "Tgid:\t{PID}\nNgid:\t0\nPid:\t{tid}\nPPid:\t{PARENT_PID}\nTracerPid:\t0"
    )?;
    let (uid, gid) = (
        thread.credentials.user.all(),
        thread.credentials.group.all(),
    );
    writeln!(
        out,
        "Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}",
        uid[0], uid[1], uid[2], uid[3], gid[0], gid[1], gid[2], gid[3]
    )?;
    write!(
        out,
        "FDSize:\t{}\nGroups:\t",
        fd::table().capacity().max(64)
    )?;
    for group in thread.credentials.groups().iter() {
        write!(out, "{group} ")?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "NStgid:\t{PID}\nNSpid:\t{tid}\nNSpgid:\t{PID}\nNSsid:\t{PID}\nKthread:\t0"
    )?;
    memory(out, &maps::usage())?;
    writeln!(
        out,
        "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff"
    )?;
    writeln!(out, "Threads:\t{}", thread::count())?;
    signals(out, thread)?;
    // No capabilities: see capget(2).
    for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
        writeln!(out, "Cap{set}:\t{:016x}", 0)?;
    }
    let no_new = process().no_new_privileges.load(Ordering::Relaxed);
    writeln!(
        out,
        "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0",
        u8::from(no_new)
    )?;
    let online = u64::MAX >> (64 - percpu::cpu_count());
    let affinity = thread.affinity.load(Ordering::Relaxed) & online;
    out.put(b"Cpus_allowed:\t")?;
    cpu_mask(out, affinity)?;
    out.put(b"\nCpus_allowed_list:\t")?;
    cpu_list(out, affinity)?;
    writeln!(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0")?;
    let [voluntary, other] = &thread.switches;
    writeln!(
        out,
        "voluntary_ctxt_switches:\t{}",
        voluntary.load(Ordering::Relaxed)
    )?;
    writeln!(
        out,
        "nonvoluntary_ctxt_switches:\t{}",
        other.load(Ordering::Relaxed)
    )
}

fn memory(out: &mut Text, usage: &Usage) -> Result<(), Errno> {
    let file = usage.file.min(usage.resident);
    let shared = usage.shared.min(usage.resident - file);
    let lines = [
        ("VmPeak", usage.peak),
        ("VmSize", usage.total),
        ("VmLck", 0),
        ("VmPin", 0),
        ("VmHWM", usage.resident_peak),
        ("VmRSS", usage.resident),
        ("RssAnon", usage.resident - file - shared),
        ("RssFile", file),
        ("RssShmem", shared),
        ("VmData", usage.data),
        ("VmStk", usage.stack),
        ("VmExe", usage.text),
        ("VmLib", 0),
        ("VmPTE", usage.tables),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (key, pages) in lines {
        writeln!(out, "{key}:\t{:8} kB", pages * PAGE / 1024)?;
    }
    Ok(())
}

fn signals(out: &mut Text, thread: &Thread) -> Result<(), Errno> {
    let own = thread.signals.pending.set();
    let shared = process().signals.pending.set();
    let [most, _] = limits::get(abi::RLIMIT_SIGPENDING)?;
    let queued = signal::queued();
    let (ignored, caught) = dispositions();
    writeln!(
        out,
        "SigQ:\t{queued}/{most}\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}"
    )?;
    let blocked = thread.signals.mask();
    writeln!(
        out,
        "SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}"
    )
}

/// /proc/PID/stat.
pub(super) fn process_stat(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let thread = thread_of(numbers)?;
    stat(out, thread, process().cpu_time(), process().totals().faults)
}

/// /proc/PID/task/TID/stat: CPU time and faults are the thread's.
pub(super) fn thread_stat(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let thread = thread_of(numbers)?;
    let faults = thread.faults.load(Ordering::Relaxed);
    stat(out, thread, thread.cpu_time_now(), faults)
}

fn stat(out: &mut Text, thread: &Thread, cpu_time: u64, faults: u64) -> Result<(), Errno> {
    /// PF_RANDOMIZE, which Linux sets for programs in general.
    const FLAGS: u32 = 0x40_0000;
    let usage = maps::usage();
    let nice = thread.attributes.nice.load(Ordering::Relaxed);
    let (name, length) = name_of(thread);
    let (ignored, caught) = dispositions();
    let (pending, blocked) = (thread.signals.pending.set(), thread.signals.mask());
    // 31 bits of each set: the format is older than real-time signals.
    let [pending, blocked, ignored, caught] =
        [pending, blocked, ignored, caught].map(|set| set & 0x7fff_ffff);
    write!(out, "{} (", thread.tid())?;
    out.put(&name[..length])?;
    // To field 8: state, parent, group, session, terminal and its group.
    let (terminal, group) = terminal::session().unwrap_or((0, -1));
    write!(
        out,
        ") {} {PARENT_PID} {PID} {PID} {terminal} {group} {FLAGS} ",
        state(thread).0
    )?;
    write!(out, "{faults} 0 0 0 {} 0 0 0 ", cpu_time / TICK)?;
    write!(out, "{} {nice} {} 0 ", 20 + nice, thread::count())?;
    let started = thread.started.load(Ordering::Relaxed) / TICK;
    let [rss_limit, _] = limits::get(abi::RLIMIT_RSS)?;
    write!(
        out,
        "{started} {} {} {rss_limit} ",
        usage.total * PAGE,
        usage.resident
    )?;
    let (mut text, mut data) = ((0, 0), (0, 0));
    if let Some(loaded) = program::loaded() {
        (text, data) = (loaded.text, loaded.data);
    }
    let (mut args, mut env, mut stack) = ((0, 0), (0, 0), 0);
    if let Some(layout) = program::layout() {
        (args, env, stack) = (layout.args, layout.env, layout.pointer);
    }
    write!(out, "{} {} {stack} 0 0 ", text.0, text.1)?;
    // To field 37; the process ends with SIGCHLD to its parent.
    write!(out, "{pending} {blocked} {ignored} {caught} 0 0 0 17 ")?;
    let cpu = thread.last_cpu.load(Ordering::Relaxed);
    let policy = thread.attributes.policy.load(Ordering::Relaxed) & !abi::SCHED_RESET_ON_FORK;
    write!(
        out,
        "{cpu} 0 {policy} 0 0 0 {} {} {} ",
        data.0,
        data.1,
        program::first_break()
    )?;
    writeln!(out, "{} {} {} {} 0", args.0, args.1, env.0, env.1)
}

/// /proc/PID/statm: size, resident, shared, text, libraries, data and stack, dirty; in pages.
pub(super) fn statm(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let usage = maps::usage();
    let shared = (usage.file + usage.shared).min(usage.resident);
    writeln!(
        out,
        "{} {} {shared} {} 0 {} 0",
        usage.total,
        usage.resident,
        usage.text,
        usage.data + usage.stack
    )
}
