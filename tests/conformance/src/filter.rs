//! Takes fork away from a program on Linux, by a seccomp filter: what a test says then is what it must say in ring 0, so the
//! exclusions are derived, not guessed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Becomes the program that the first argument names, whose fork and vfork are ENOSYS, and clone but for threads. Returns only
/// if that fails.
///
/// # Errors
/// If no program is named, or filter or program could not be started.
pub fn exec_without_fork(mut args: impl Iterator<Item = OsString>) -> Result<()> {
    const ENOSYS: u32 = 38;
    let Some(program) = args.next() else {
        bail!("write {} PROGRAM [ARGS]...", crate::WITHOUT_FORK);
    };
    let filter = SeccompFilter::new(
        rules()?,
        SeccompAction::Allow,
        SeccompAction::Errno(ENOSYS),
        TargetArch::x86_64,
    )?;
    let program_of_filter: BpfProgram = filter.try_into()?;
    apply_filter(&program_of_filter).context("installing the filter")?;
    Err(Command::new(program).args(args).exec()).context("starting the program")
}

/// System calls of x86-64, and whether only those that make no thread are meant. execve stays: it is how the program itself
/// starts, and without a process to do it in no test uses it.
fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>> {
    const CLONE: i64 = 56;
    const FORK: i64 = 57;
    const VFORK: i64 = 58;
    const CLONE3: i64 = 435;
    const CLONE_THREAD: u64 = 0x1_0000;
    let no_thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(CLONE_THREAD),
        0,
    )?;
    let clone = SeccompRule::new(vec![no_thread])?;
    Ok([
        (CLONE, vec![clone]),
        (FORK, Vec::new()),
        (VFORK, Vec::new()),
        (CLONE3, Vec::new()),
    ]
    .into())
}
