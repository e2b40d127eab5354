//! /proc/PID and /proc/PID/task/TID: what they hold, and the files of a line or two.
use super::thread_of;
use super::{
    descriptors, directory, file, limits, link, maps, mounts, namespaces, net, private, status,
    writable,
};
use crate::cpu::percpu::{self, Transfers};
use crate::fs::inode::Link;
use crate::fs::text::Text;
use crate::fs::tree;
use crate::fs::virtual_tree::{Item, Kind, Listing, Numbered, Numbers};
use crate::memory::user;
use crate::program;
use crate::task::attributes::Attributes;
use crate::task::{process, thread};
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::{Errno, SysResult};

/// The entries that a process and each of its threads have, behind what only one of them has.
macro_rules! entries {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            directory("fd", 0o500, &descriptors::LINKS),
            directory("fdinfo", 0o555, &descriptors::INFOS),
            directory("net", 0o555, &net::NET),
            directory("ns", 0o511, &namespaces::NAMESPACES),
            private("auxv", auxiliary_vector),
            file("cgroup", control_group),
            file("cmdline", command_line),
            writable("comm", name, set_name),
            file("cpuset", |out, _| writeln!(out, "/")),
            link("cwd", |_| Ok(Link::File(tree::working()))),
            private("environ", environment),
            link("exe", executable),
            file("gid_map", id_map),
            file("limits", limits::limits),
            file("loginuid", no_id),
            file("maps", maps::maps),
            file("mountinfo", mounts::mountinfo),
            file("mounts", mounts::mounts),
            writable("oom_adj", old_oom_adjust, set_old_oom_adjust),
            file("oom_score", oom_score),
            writable("oom_score_adj", oom_score_adjust, set_oom_score_adjust),
            private("personality", |out, _| writeln!(out, "00000000")),
            link("root", |_| Ok(Link::File(tree::root()))),
            file("schedstat", scheduler_statistics),
            file("sessionid", no_id),
            file("setgroups", |out, _| writeln!(out, "allow")),
            file("smaps", maps::smaps),
            file("smaps_rollup", maps::smaps_rollup),
            file("statm", status::statm),
            file("status", status::status),
            Item {
                name: "timerslack_ns",
                mode: 0o666,
                kind: Kind::Writable(timer_slack, set_timer_slack),
            },
            file("uid_map", id_map),
            file("wchan", |out, _| write!(out, "0")),
        ]
    };
}

/// /proc/PID.
pub(super) static PROCESS: Listing = Listing {
    items: entries![
        directory("task", 0o555, &TASKS),
        private("io", transfers),
        private("mountstats", mounts::mountstats),
        file("stat", status::process_stat),
    ],
    numbered: None,
};

/// /proc/PID/task/TID.
static TASK: Listing = Listing {
    items: entries![
        // No thread has children.
        file("children", |_, _| Ok(())),
        file("stat", status::thread_stat),
    ],
    numbered: None,
};

/// /proc/PID/task.
static TASKS: Listing = Listing {
    items: &[],
    numbered: Some(&Numbered {
        prefix: "",
        place: 0,
        next: |_, from| {
            let tid = thread::next_from(i32::try_from(from).ok()?)?;
            u32::try_from(tid).ok()
        },
        exists: |_, number| i32::try_from(number).is_ok_and(|tid| thread::by_tid(tid).is_some()),
        size: None,
        mode: |_| 0o555,
        kind: Kind::Directory(&TASK),
    }),
};

fn executable(_: Numbers) -> Result<Link, Errno> {
    let program = tree::program().ok_or(Errno::ENOENT)?;
    Ok(Link::File(program.clone()))
}

/// The bytes of the program's memory in [start, end), as far as they are readable.
fn memory(out: &mut Text, (start, end): (usize, usize)) -> Result<(), Errno> {
    let mut chunk = [0; 512];
    let mut at = start;
    while at < end {
        let length = chunk.len().min(end - at);
        let got = user::copy_in_partial(&mut chunk[..length], at);
        out.put(&chunk[..got])?;
        if got < length {
            break;
        }
        at += got;
    }
    Ok(())
}

/// What stands in memory now, so that a program that writes over its arguments is seen to.
fn command_line(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    program::layout().map_or(Ok(()), |layout| memory(out, layout.args))
}

fn environment(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    program::layout().map_or(Ok(()), |layout| memory(out, layout.env))
}

fn auxiliary_vector(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    program::layout().map_or(Ok(()), |layout| out.put(&layout.auxiliary))
}

/// There is one user namespace: every id is itself.
fn id_map(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out, "{:10} {:10} {:10}", 0, 0, u32::MAX)
}

/// Nobody logged in.
fn no_id(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    write!(out, "{}", u32::MAX)
}

/// The one control group, which is the root of what the process sees.
fn control_group(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out, "0::/")
}

/// A thread's name, without the zeros behind it.
pub(super) fn name_of(thread: &crate::task::Thread) -> ([u8; 16], usize) {
    let name = *thread.name.lock();
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(16);
    (name, length)
}

fn name(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let (name, length) = name_of(thread_of(numbers)?);
    out.put(&name[..length])?;
    writeln!(out)
}

fn set_name(numbers: Numbers, text: &[u8]) -> SysResult {
    let length = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    thread_of(numbers)?.set_name(&text[..length]);
    Ok(text.len())
}

/// Time on a CPU (ns), time it waited for one (which nobody measures), times it was switched in.
fn scheduler_statistics(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let thread = thread_of(numbers)?;
    let switches: u32 = thread
        .switches
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum();
    writeln!(out, "{} 0 {switches}", thread.cpu_time_now())
}

/// /proc/PID/io: bytes and calls; nothing comes from or goes to a disk.
fn transfers(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let sum = |counter: fn(&Transfers) -> &AtomicU64, way: usize| -> u64 {
        (0..percpu::cpu_count())
            .map(|id| counter(&percpu::cpu(id).transfers[way]).load(Ordering::Relaxed))
            .sum()
    };
    let [read, written] = [0, 1].map(|way| sum(|of| &of.bytes, way));
    let [reads, writes] = [0, 1].map(|way| sum(|of| &of.calls, way));
    writeln!(
        out,
        "rchar: {read}\nwchar: {written}\nsyscr: {reads}\nsyscw: {writes}"
    )?;
    writeln!(
        out,
        "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0"
    )
}

fn timer_slack(out: &mut Text, numbers: Numbers) -> Result<(), Errno> {
    let slack = &thread_of(numbers)?.attributes.timer_slack;
    writeln!(out, "{}", slack.load(Ordering::Relaxed))
}

/// As prctl(PR_SET_TIMERSLACK): kept, and of no consequence; 0 is the default.
fn set_timer_slack(numbers: Numbers, text: &[u8]) -> SysResult {
    let slack = match u64::try_from(number(text)?).map_err(|_| Errno::EINVAL)? {
        0 => Attributes::new().timer_slack.into_inner(),
        slack => slack,
    };
    let attributes = &thread_of(numbers)?.attributes;
    attributes.timer_slack.store(slack, Ordering::Relaxed);
    Ok(text.len())
}

/// What is written to a file that holds one decimal number.
fn number(text: &[u8]) -> Result<i32, Errno> {
    let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    text.trim().parse().map_err(|_| Errno::EINVAL)
}

const OOM_ADJUST_MAX: i32 = 1000;

fn oom_score_adjust(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let value = process().oom_score_adjust.load(Ordering::Relaxed);
    writeln!(out, "{value}")
}

/// Lowering it takes a privilege, as on Linux.
fn set_oom_score_adjust(_: Numbers, text: &[u8]) -> SysResult {
    let value = number(text)?;
    if !(-OOM_ADJUST_MAX..=OOM_ADJUST_MAX).contains(&value) {
        return Err(Errno::EINVAL);
    }
    let old = process().oom_score_adjust.load(Ordering::Relaxed);
    if value < old && !crate::task::credentials().privileged() {
        return Err(Errno::EACCES);
    }
    process().oom_score_adjust.store(value, Ordering::Relaxed);
    Ok(text.len())
}

/// The older scale: -17 to 15.
fn old_oom_adjust(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let value = process().oom_score_adjust.load(Ordering::Relaxed);
    let old = if value == OOM_ADJUST_MAX {
        15
    } else {
        value * 17 / OOM_ADJUST_MAX
    };
    writeln!(out, "{old}")
}

fn set_old_oom_adjust(numbers: Numbers, text: &[u8]) -> SysResult {
    let value = match number(text)? {
        15 => OOM_ADJUST_MAX,
        value @ -17..15 => value * OOM_ADJUST_MAX / 17,
        _ => return Err(Errno::EINVAL),
    };
    set_oom_score_adjust(numbers, alloc::format!("{value}").as_bytes())?;
    Ok(text.len())
}

/// Its share of memory in thousandths, as Linux's killer would see it.
fn oom_score(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let resident = crate::memory::space().lock().resident;
    let total = crate::memory::frames::counts().1.max(1);
    let adjust = process().oom_score_adjust.load(Ordering::Relaxed);
    // (points + adjustment) scaled to 0..2000, then by 2/3 (fs/proc/base.c, proc_oom_score).
    let points = (resident * 1000 / total) as i64 + i64::from(adjust);
    writeln!(out, "{}", ((1000 + points).max(0) * 2 / 3))
}
