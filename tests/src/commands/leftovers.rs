//! What the command leaves behind: nothing. And many starts in a row.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::talk::Heard;
use super::{eventually, finish, is_alive, on, ours, qemu_of, ringo_run, text};
use crate::machine::Engine;

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    all.extend(on(&Engine::ALL, "killed", killed));
    all.extend(on(&[Engine::Kvm], "no-files", no_files));
    all.extend(on(&[Engine::Kvm], "qemu-killed", qemu_killed));
    all.extend(on(&[Engine::Kvm], "boots", |engine| boots(engine, 50, 200)));
    all.extend(on(&[Engine::Tcg], "boots", |engine| boots(engine, 5, 200)));
    all
}

/// A program that is up and stays, its command and its QEMU.
fn held(engine: Engine, temporary: &Path) -> Result<(Child, u32)> {
    let mut command = ringo_run(engine, &["--cpus", "2"]);
    command
        .env("TMPDIR", temporary)
        .arg(ours("console")?)
        .arg("hold");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let heard = Heard::listen(child.stdout.take().context("a pipe")?);
    heard.wait_for("ready\n", 0, Duration::from_secs(20) * engine.patience())?;
    let qemu = qemu_of(child.id()).context("there is no QEMU")?;
    Ok((child, qemu))
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(folder.read_dir()?.next().is_none())
}

/// kill -9: QEMU goes as well, and no file stays.
fn killed(engine: Engine) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let (mut child, qemu) = held(engine, temporary.path())?;
    child.kill()?;
    child.wait()?;
    eventually("QEMU's end", Duration::from_secs(10), || !is_alive(qemu))?;
    ensure!(is_empty(temporary.path())?, "files are left");
    Ok(())
}

/// Neither the command nor QEMU has a file open, while it runs, that could be left behind.
fn no_files(engine: Engine) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let (mut child, qemu) = held(engine, temporary.path())?;
    let mut found = Vec::new();
    for pid in [child.id(), qemu] {
        for entry in Path::new(&format!("/proc/{pid}/fd")).read_dir()? {
            let target = std::fs::read_link(entry?.path()).unwrap_or_default();
            found.push(target.to_string_lossy().into_owned());
        }
    }
    child.kill()?;
    child.wait()?;
    for folder in ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/"] {
        let bad = found
            .iter()
            .find(|name| name.starts_with(folder) && !name.contains("(deleted)"));
        ensure!(bad.is_none(), "an open file: {bad:?}");
    }
    ensure!(
        found.iter().any(|name| name.contains("memfd:")),
        "{found:?}"
    );
    ensure!(is_empty(temporary.path())?, "files in TMPDIR");
    Ok(())
}

/// A QEMU that is killed is Ringo's failure: one line, 125.
fn qemu_killed(engine: Engine) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let (mut child, qemu) = held(engine, temporary.path())?;
    let errors = Heard::listen(child.stderr.take().context("a pipe")?);
    let qemu = rustix::process::Pid::from_raw(qemu as i32).context("a process")?;
    rustix::process::kill_process(qemu, rustix::process::Signal::KILL)?;
    let code = super::end_of(&mut child, Duration::from_secs(10))?;
    errors.wait_for("QEMU ended", 0, Duration::from_secs(5))?;
    let said = text(&errors.lock());
    ensure!(code == 125 && said.lines().count() == 1, "{code} {said}");
    Ok(())
}

/// Many starts in a row, each right. RINGO_E2E_BOOTS=long does more.
fn boots(engine: Engine, few: usize, many: usize) -> Result<()> {
    let long = std::env::var_os("RINGO_E2E_BOOTS").is_some_and(|value| value == "long");
    let hello = ours("hello")?;
    for number in 0..if long { many } else { few } {
        let mut command: Command = ringo_run(engine, &["--cpus", "2"]);
        command.arg(&hello);
        let outcome = finish(command, engine).with_context(|| format!("boot {number}"))?;
        ensure!(
            outcome.code == 0 && outcome.stdout == b"hello, world\n" && outcome.stderr.is_empty(),
            "boot {number}: exit code {}, {:?}, {}",
            outcome.code,
            text(&outcome.stdout),
            text(&outcome.stderr)
        );
    }
    Ok(())
}
