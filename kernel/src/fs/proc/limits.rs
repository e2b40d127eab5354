//! /proc/PID/limits (Linux fs/proc/base.c, proc_pid_limits).
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::task::limits::{self, INFINITY};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// In the order of their numbers: name and unit.
const NAMES: [(u32, &str, &str); abi::RLIM_NLIMITS as usize] = [
    (abi::RLIMIT_CPU, "Max cpu time", "seconds"),
    (abi::RLIMIT_FSIZE, "Max file size", "bytes"),
    (abi::RLIMIT_DATA, "Max data size", "bytes"),
    (abi::RLIMIT_STACK, "Max stack size", "bytes"),
    (abi::RLIMIT_CORE, "Max core file size", "bytes"),
    (abi::RLIMIT_RSS, "Max resident set", "bytes"),
    (abi::RLIMIT_NPROC, "Max processes", "processes"),
    (abi::RLIMIT_NOFILE, "Max open files", "files"),
    (abi::RLIMIT_MEMLOCK, "Max locked memory", "bytes"),
    (abi::RLIMIT_AS, "Max address space", "bytes"),
    (abi::RLIMIT_LOCKS, "Max file locks", "locks"),
    (abi::RLIMIT_SIGPENDING, "Max pending signals", "signals"),
    (abi::RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"),
    (abi::RLIMIT_NICE, "Max nice priority", ""),
    (abi::RLIMIT_RTPRIO, "Max realtime priority", ""),
    (abi::RLIMIT_RTTIME, "Max realtime timeout", "us"),
];

pub(super) fn limits(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(
        out,
        "{:25} {:20} {:20} {:10}",
        "Limit", "Soft Limit", "Hard Limit", "Units"
    )?;
    for (resource, name, unit) in NAMES {
        write!(out, "{name:25} ")?;
        for value in limits::get(resource)? {
            match value {
                INFINITY => write!(out, "{:20} ", "unlimited")?,
                value => write!(out, "{value:<20} ")?,
            }
        }
        match unit {
            "" => writeln!(out)?,
            unit => writeln!(out, "{unit:10}")?,
        }
    }
    Ok(())
}
