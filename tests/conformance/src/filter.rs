//! Takes fork or sockets away from a program on Linux, by a seccomp filter: what a test says then is what it must say in ring
//! 0, so the exclusions are derived, not guessed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    Fork,
    Sockets,
}

impl Lack {
    pub const ALL: [Lack; 2] = [Lack::Fork, Lack::Sockets];

    pub fn name(self) -> &'static str {
        match self {
            Lack::Fork => "fork",
            Lack::Sockets => "sockets",
        }
    }

    /// System calls of x86-64, and whether only those that make no thread are meant.
    fn rules(self) -> Result<BTreeMap<i64, Vec<SeccompRule>>> {
        const CLONE: i64 = 56;
        const FORK: i64 = 57;
        const VFORK: i64 = 58;
        const CLONE3: i64 = 435;
        const SOCKET: i64 = 41;
        const SOCKETPAIR: i64 = 53;
        const CLONE_THREAD: u64 = 0x1_0000;
        let none = Vec::new;
        Ok(match self {
            Lack::Fork => {
                let no_thread = SeccompCondition::new(
                    0,
                    SeccompCmpArgLen::Qword,
                    SeccompCmpOp::MaskedEq(CLONE_THREAD),
                    0,
                )?;
                let clone = SeccompRule::new(vec![no_thread])?;
                // execve stays: it is how the program itself starts, and without a process to do it in no test uses it.
                [
                    (CLONE, vec![clone]),
                    (FORK, none()),
                    (VFORK, none()),
                    (CLONE3, none()),
                ]
                .into()
            }
            Lack::Sockets => [(SOCKET, none()), (SOCKETPAIR, none())].into(),
        })
    }
}

/// Becomes the program, without what its first argument names. Returns only if that fails.
pub fn exec(mut args: impl Iterator<Item = OsString>) -> Result<()> {
    const ENOSYS: u32 = 38;
    let (Some(name), Some(program)) = (args.next(), args.next()) else {
        bail!("write {} fork|sockets PROGRAM [ARGS]...", crate::WITHOUT);
    };
    let lack = Lack::ALL
        .into_iter()
        .find(|lack| name == lack.name())
        .context("fork or sockets can be taken away")?;
    let filter = SeccompFilter::new(
        lack.rules()?,
        SeccompAction::Allow,
        SeccompAction::Errno(ENOSYS),
        TargetArch::x86_64,
    )?;
    let program_of_filter: BpfProgram = filter.try_into()?;
    apply_filter(&program_of_filter).context("installing the filter")?;
    Err(Command::new(program).args(args).exec()).context("starting the program")
}
