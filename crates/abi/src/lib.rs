//! What the kernel and the command both know of the Linux ABI: error numbers and the system-call table.
//!
//! Constants and structures of the ABI come from `linux-raw-sys`; this crate only adds what it lacks: an [`Errno`]
//! type that cannot be confused with another integer, and [`for_each_syscall`], the one list of system calls from
//! which dispatch, tracing, `ringo doctor` and docs/syscalls.md are made.
#![no_std]
#![forbid(unsafe_code)]

mod errno;
mod linux;
mod table;

pub use errno::Errno;
pub use linux::{Absent, absent_syscalls};
pub use table::{SYSCALLS, Support, SyscallInfo, syscall_name};

/// The most CPUs the kernel uses, and the command gives it.
pub const MAX_CPUS: usize = 64;

/// What a system call returns: a value, or the error the program finds negated in RAX.
pub type SysResult = Result<usize, Errno>;
