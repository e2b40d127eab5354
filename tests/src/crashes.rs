//! Trials of the kernel's own fall: made on purpose by `ringo.crash=...` on its command line and system call 511, each ends
//! the VM with 125 and the backtrace of kernel and program.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo, self_check};
use crate::trial::trial;

/// What is asked for, and what the report must say beside the program's frames.
const KINDS: [(&str, &[&str]); 6] = [
    (
        "panic",
        &[
            "ringo: the kernel panicked on CPU",
            "a test asked for this panic",
            "on_unknown_call at",
        ],
    ),
    (
        "fault",
        &[
            "ringo: the kernel faulted on CPU",
            "page fault",
            "0xfffff000dead0000",
            "read_nowhere at",
        ],
    ),
    ("stack", &["its stack is exhausted", "exhaust at"]),
    // What must not be written is not: error 3 says that it is there, 2 that it is not.
    (
        "text",
        &["page fault (vector 14, error 0x3)", "write_text at"],
    ),
    (
        "block",
        &["page fault (vector 14, error 0x2)", "write_behind at"],
    ),
    (LOST, &["invalid opcode (vector 6", "lose_frames at"]),
];
/// The kind whose frame pointer leads nowhere: there is no more to tell than where it crashed.
const LOST: &str = "frames";
const CALLERS: [&str; 3] = ["program:\n", "main.call511 at", "main.main at"];

fn crash(kind: &str, wanted: &[&str], engine: Engine) -> Result<()> {
    let program = go::program(go::newest(), "crash")?;
    let mut command = Command::new(ringo());
    command
        .env("RINGO_KERNEL_ARGS", format!("ringo.crash={kind}"))
        .args(["run", "--engine", engine.name()])
        .arg(program)
        .arg("call-511");
    let limit = Duration::from_secs(20) * engine.patience();
    let outcome = run(command, b"", limit).context("starting ringo")?;
    let said = String::from_utf8_lossy(&outcome.stderr);
    ensure!(
        outcome.code == 125,
        "exit code {}, not 125: {said}",
        outcome.code
    );
    ensure!(
        outcome.stdout == b"before\n",
        "standard output is {:?}",
        outcome.stdout
    );
    let callers: &[&str] = if kind == LOST { &[] } else { &CALLERS };
    for text in wanted.iter().chain(&["kernel:\n"]).chain(callers) {
        ensure!(said.contains(text), "no {text:?} in:\n{said}");
    }
    Ok(())
}

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in Engine::ALL {
        for (kind, wanted) in KINDS {
            let name = format!("{}/kernel-crash/{kind}", engine.name());
            let skip = engine
                .skip(&name)
                .or_else(|| self_check().then(|| "Linux is not to crash".to_owned()));
            trials.push(trial(name, skip, false, move |_| {
                crash(kind, wanted, engine)
            }));
        }
    }
    trials
}
