//! The Linux system calls: table.rs dispatches, a file a family decodes its arguments and calls the subsystem.
//!
//! A handler is `fn name(arguments) -> SysResult`; nothing here has state of its own. Calls that are not in the table
//! (crates/abi) return ENOSYS, and are named once in the log.
pub mod attributes;
pub mod capability;
pub mod descriptor;
pub mod dir;
pub mod event;
pub mod file;
pub mod futex;
pub mod identity;
pub mod inotify;
pub mod memory;
pub mod numa;
pub mod open;
pub mod path;
pub mod peer;
pub mod pidfd;
pub mod poll;
pub mod prctl;
pub mod process;
pub mod random;
pub mod schedule;
pub mod signal;
pub mod socket;
pub mod splice;
pub mod stat;
pub mod system;
pub mod table;
pub mod thread;
pub mod time;
pub mod timer;
pub mod transfer;
pub mod xattr;

pub use ringo_abi::SysResult;

use crate::cpu::trap::TrapFrame;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::Errno;

/// A handler as the entry path calls it: arguments in C order, the result or a negated error in RAX.
pub type Handler = extern "C" fn(usize, usize, usize, usize, usize, usize) -> usize;

/// What RAX shall hold.
#[inline]
pub fn encode(result: SysResult) -> usize {
    match result {
        Ok(value) => value,
        Err(errno) => errno.to_register(),
    }
}

/// A number that no handler stands for. Logged once each.
pub extern "C" fn unknown_syscall(number: usize) -> usize {
    crate::crash_test::on_unknown_call(number);
    static SEEN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
    let first = match SEEN.get(number / 64) {
        Some(word) => {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed) & 1 << (number % 64) == 0
        }
        None => false,
    };
    if first {
        crate::klog!("system call {number} is not provided (ENOSYS)");
    }
    Errno::ENOSYS.to_register()
}

/// A call that came with a whole trap frame (an unpatched `syscall`).
pub fn dispatch_slow(frame: &mut TrapFrame) -> usize {
    let number = frame.rax as u32 as usize;
    if let Some(special) = table::dispatch_frame(number, frame) {
        return special;
    }
    match table::DISPATCH.get(number) {
        Some(handler) => handler(
            frame.rdi as usize,
            frame.rsi as usize,
            frame.rdx as usize,
            frame.r10 as usize,
            frame.r8 as usize,
            frame.r9 as usize,
        ),
        None => unknown_syscall(number),
    }
}
