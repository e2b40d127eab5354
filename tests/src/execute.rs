//! Starts a command under a time limit and collects what it says.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use wait_timeout::ChildExt;

/// What a finished command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; 128 + n for a command killed by signal n, as a shell has it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The time limit ran out.
    pub late: bool,
    pub took: Duration,
}

/// The process id in rustix's terms.
pub fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn drain(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut from) = from {
            // A read that fails ends the stream; what came before it is what there is to compare.
            let _ = from.read_to_end(&mut all);
        }
        all
    })
}

/// Runs `command` with `stdin` as its standard input. When `limit` runs out the command gets SIGQUIT, so that a Go program
/// shows where it hangs, and then SIGKILL.
pub fn run(mut command: Command, stdin: &[u8], limit: Duration) -> Result<Outcome> {
    let begin = Instant::now();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {:?}", command.get_program()))?;
    let mut input = child.stdin.take().expect("stdin is a pipe");
    let bytes = stdin.to_vec();
    // A program that ends without reading closes the pipe: that is its right.
    let writer = thread::spawn(move || input.write_all(&bytes).unwrap_or(()));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let mut status = child.wait_timeout(limit)?;
    let late = status.is_none();
    if late {
        let _ = kill_process(pid(&child), Signal::QUIT);
        status = child.wait_timeout(Duration::from_secs(2))?;
    }
    let status = match status {
        Some(status) => status,
        None => {
            let _ = child.kill();
            child.wait()?
        }
    };
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let outcome = Outcome {
        code,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        late,
        took: begin.elapsed(),
    };
    if !late {
        let _ = writer.join();
    }
    Ok(outcome)
}
