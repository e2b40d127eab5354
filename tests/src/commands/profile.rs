//! `--profile`: what `go tool pprof` says of the file. Shares and names, never times.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{finish, on, one_line, ours, outcome, text};
use crate::go;
use crate::machine::Engine;

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    all.extend(on(&Engine::ALL, "profile", profile));
    all.extend(on(&Engine::ALL, "profile-killed", killed));
    all.extend(on(&Engine::ALL, "profile-no-base", no_base));
    all.extend(on(&Engine::ALL[..1], "profile-refused", refused));
    all
}

/// Function and its share of the samples with all it calls, in percent, by `go tool pprof -top -cum`.
fn shares(file: &Path) -> Result<Vec<(String, f64)>> {
    let mut command: Command = go::command(go::newest());
    command
        .args([
            "tool",
            "pprof",
            "-top",
            "-cum",
            "-nodefraction=0",
            "-nodecount=1000",
        ])
        .arg(file);
    let output = command.output().context("go tool pprof")?;
    let said = text(&output.stdout);
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let lines = said.lines().skip_while(|line| !line.contains("flat%"));
    let row = |line: &str| {
        let mut fields = line.split_whitespace().skip(4);
        let share = fields.next()?.strip_suffix('%')?.parse().ok()?;
        let name: Vec<_> = fields.filter(|&word| word != "(inline)").collect();
        Some((name.join(" "), share))
    };
    Ok(lines.skip(1).filter_map(row).collect())
}

fn share(of: &[(String, f64)], name: &str) -> f64 {
    let found = of.iter().find(|(function, _)| function == name);
    found.map_or(0.0, |&(_, share)| share)
}

/// Both CPUs are seen, and below the program's functions the kernel's.
fn profile(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cpu.pb.gz");
    let option = file.to_str().context("UTF-8")?;
    let done = outcome(engine, &["--profile", option], "profiled", &["work"])?;
    ensure!(
        done.code == 0 && done.stderr.is_empty() && done.stdout == b"worked\n",
        "{} {}",
        done.code,
        text(&done.stderr)
    );
    let shares = shares(&file)?;
    let (compute, write) = (
        share(&shares, "main.compute"),
        share(&shares, "main.writeNothing"),
    );
    ensure!(compute > 10.0 && write > 10.0, "{shares:?}");
    ensure!(compute + write > 60.0, "{shares:?}");
    ensure!(share(&shares, "main.main") >= write, "{shares:?}");
    ensure!(
        share(&shares, "os.(*File).Write") > write / 2.0,
        "{shares:?}"
    );
    let kernel = shares
        .iter()
        .any(|(name, _)| name.starts_with("[kernel] ") && name.contains("write"));
    ensure!(kernel, "nothing of the kernel: {shares:?}");
    Ok(())
}

/// A program that is killed has a profile, too; the exit code is its own.
fn killed(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cpu.pb.gz");
    let option = file.to_str().context("UTF-8")?;
    let options = ["--profile", option, "--profile-rate", "97"];
    let done = outcome(engine, &options, "profiled", &["killed"])?;
    ensure!(done.code == 137, "{} {}", done.code, text(&done.stderr));
    let shares = shares(&file)?;
    ensure!(share(&shares, "main.compute") > 10.0, "{shares:?}");
    Ok(())
}

/// What is in RBP need not be a frame pointer.
fn no_base(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cpu.pb.gz");
    let option = file.to_str().context("UTF-8")?;
    let options = ["--profile", option, "--profile-rate", "10000"];
    let done = outcome(engine, &options, "profiled", &["base"])?;
    ensure!(
        done.code == 0 && done.stdout == b"called\n",
        "{} {}",
        done.code,
        text(&done.stderr)
    );
    let shares = shares(&file)?;
    ensure!(share(&shares, "main.callsWithoutBase") > 50.0, "{shares:?}");
    Ok(())
}

/// A place that cannot be written is said before anything runs; so is a rate without a profile.
fn refused(engine: Engine) -> Result<()> {
    let done = outcome(
        engine,
        &["--profile", "/nowhere/cpu.pb.gz"],
        "hello",
        &[""; 0],
    )?;
    one_line(&done, 125, &["--profile /nowhere/cpu.pb.gz"])?;
    let mut command = super::ringo_run(engine, &["--profile-rate", "10"]);
    command.arg(ours("hello")?);
    let done = finish(command, engine)?;
    ensure!(
        done.code == 125 && text(&done.stderr).contains("--profile"),
        "{}",
        text(&done.stderr)
    );
    Ok(())
}
