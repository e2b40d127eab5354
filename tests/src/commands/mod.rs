//! Trials that drive the `ringo` command itself: signals, closed streams, terminals, what it leaves behind.
//!
//! * `talk.rs` holds a conversation with a program at pipes or at a terminal, alike on Linux and with ringo between.
//! * `bench.rs`, `signals.rs`, `streams.rs`, `host_files.rs`, `terminal.rs`, `options.rs`, `large.rs`, `kept.rs`,
//!   `leftovers.rs`, `locks.rs`, `network.rs`, `profile.rs`, `tap.rs`: the trials.

mod bench;
mod host_files;
mod kept;
mod large;
mod leftovers;
mod locks;
mod namespace;
mod network;
mod options;
mod profile;
mod signals;
mod streams;
pub mod talk;
mod tap;
mod terminal;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::execute::{Outcome, run};
use crate::machine::{Engine, ringo};
use crate::trial::trial;
use crate::{go, machine};

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    [
        bench::trials(),
        signals::trials(),
        streams::trials(),
        host_files::trials(),
        terminal::trials(),
        options::trials(),
        large::trials(),
        kept::trials(),
        leftovers::trials(),
        locks::trials(),
        network::trials(),
        profile::trials(),
        tap::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A trial a given engine, with two CPUs.
fn on(
    engines: &[Engine],
    name: &str,
    work: impl Fn(Engine) -> Result<()> + Clone + Send + 'static,
) -> Vec<Trial> {
    let one = |&engine: &Engine| {
        let work = work.clone();
        let name = format!("{}-2/command/{name}", engine.name());
        let skip = engine.skip(&name);
        trial(name, skip, false, move |_| work(engine))
    };
    engines.iter().map(one).collect()
}

/// A trial that starts no VM.
fn host(name: &str, work: impl Fn() -> Result<()> + Send + 'static) -> Trial {
    let name = format!("host/command/{name}");
    let skip = machine::pending(&name);
    trial(name, skip, false, move |_| work())
}

/// `ringo run --engine ENGINE OPTIONS`, to be completed with a program; none of the caller's variables but PATH.
pub fn ringo_run(engine: Engine, options: &[&str]) -> Command {
    let mut command = Command::new(ringo());
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .args(["run", "--engine", engine.name()])
        .args(options);
    command
}

/// A program of go/programs built with the newest Go.
fn ours(name: &str) -> Result<PathBuf> {
    go::program(go::newest(), name)
}

/// Runs `ringo run OPTIONS PROGRAM ARGS` to its end.
fn outcome<A: AsRef<OsStr>>(
    engine: Engine,
    options: &[&str],
    program: &str,
    args: &[A],
) -> Result<Outcome> {
    let mut command = ringo_run(engine, &["--cpus", "2"]);
    command.args(options).arg(ours(program)?).args(args);
    finish(command, engine)
}

/// Runs a command to its end, which must come in time.
fn finish(command: Command, engine: Engine) -> Result<Outcome> {
    let shown = format!("{command:?}");
    let outcome = run(command, b"", Duration::from_secs(20) * engine.patience())?;
    ensure!(
        !outcome.late,
        "{shown} does not end; it said {}",
        text(&outcome.stderr)
    );
    Ok(outcome)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails unless the command ended with `code` and exactly one line on standard error, which contains `words`.
fn one_line(outcome: &Outcome, code: i32, words: &[&str]) -> Result<()> {
    let said = text(&outcome.stderr);
    ensure!(outcome.code == code, "exit code {}: {said}", outcome.code);
    ensure!(
        said.starts_with("ringo: ") && said.lines().count() == 1,
        "not one line of ringo's: {said}"
    );
    for word in words {
        ensure!(said.contains(word), "nothing about {word:?} in: {said}");
    }
    ensure!(
        outcome.stdout.is_empty(),
        "something on standard output: {}",
        text(&outcome.stdout)
    );
    Ok(())
}

/// Waits until `condition` holds.
fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() > end {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The QEMU that a `ringo` has started.
fn qemu_of(ringo: u32) -> Option<u32> {
    let entries = Path::new("/proc").read_dir().ok()?;
    entries.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let (parent, _) = parent_and_state(pid)?;
        (parent == ringo).then_some(pid)
    })
}

fn parent_and_state(pid: u32) -> Option<(u32, char)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: state, parent.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// A zombie is dead.
fn is_alive(pid: u32) -> bool {
    parent_and_state(pid).is_some_and(|(_, state)| state != 'Z')
}

/// Waits for a child's end.
fn end_of(child: &mut Child, limit: Duration) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    use wait_timeout::ChildExt;
    let Some(status) = child.wait_timeout(limit)? else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("it does not end within {limit:?}");
    };
    status
        .code()
        .or_else(|| status.signal().map(|n| 128 + n))
        .context("an end without a code")
}
