//! `ringo bench`: one executable as a Linux process and in ring 0, alternating, so that a machine that grows slower or
//! faster does so for both.
//!
//! - limit.rs: the same source with system calls that return at once: what is left is Go's own work.
//! - results.rs: what was measured; medians, and how sure their ratio is. report.rs: as a table, as JSON, as a page.
//! - circumstances.rs: on what.

mod circumstances;
mod limit;
mod report;
mod results;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::args::{self, BenchOptions};
use crate::host;
use crate::qemu::engine::{self, Engine};
use circumstances::Circumstances;
use results::{Results, Side};

/// Measures, prints, and returns the exit code.
pub fn run(options: &BenchOptions) -> Result<u8> {
    let program = program(options.program.as_deref())?;
    let engine = engine::choose(options.engine)?;
    let cpus = options.cpus.unwrap_or_else(host::cpus);
    let mut sides = vec![
        (Side::Linux, vec![program.clone().into_os_string()]),
        (Side::Ring0, ring0(&program, engine, cpus, options)?),
    ];
    // A program of somebody else's has no such build.
    if options.program.is_none() {
        sides.push((Side::Limit, vec![limit::build()?.into_os_string()]));
    }

    let progress = ProgressBar::new(u64::from(options.runs) * sides.len() as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?;
    progress.set_style(style);
    progress.enable_steady_tick(Duration::from_millis(200));
    let mut results = Results::default();
    for _ in 0..options.runs {
        for (side, line) in &sides {
            progress.set_message(side.doing());
            let _limit = match side {
                Side::Ring0 => None,
                Side::Linux | Side::Limit => Some(Limit::to(cpus)?),
            };
            match side {
                Side::Limit => {
                    for case in limit::CASES
                        .iter()
                        .filter(|case| wanted(case, &options.cases))
                    {
                        results.add(&measure(line, &[(*case).to_owned()])?, *side)?;
                    }
                }
                _ => results.add(&measure(line, &options.cases)?, *side)?,
            }
            progress.inc(1);
        }
        // Another side goes first in turn: what one leaves in the host's caches helps nobody always.
        sides.rotate_left(1);
    }
    progress.finish_and_clear();
    ensure!(
        !results.is_empty(),
        "no case has a name beginning with {}",
        options.cases.join(" or ")
    );
    let circumstances = Circumstances::here(engine, cpus, options.runs);
    if options.json {
        crate::print(&format!("{}\n", report::json(&results, &circumstances)))?;
    } else if options.markdown {
        crate::print(&report::markdown(&results, &circumstances))?;
    } else {
        crate::print(&report::table(&results, &circumstances))?;
    }
    Ok(0)
}

fn wanted(case: &str, prefixes: &[String]) -> bool {
    prefixes.is_empty()
        || prefixes
            .iter()
            .any(|prefix| case.starts_with(prefix.as_str()))
}

/// The benchmark program: the one named, or Ringo's own, built where the sources are.
fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return path
            .canonicalize()
            .with_context(|| path.display().to_string());
    }
    ensure!(
        Path::new("go/bench/main.go").exists(),
        "there is no go/bench here: run this in Ringo's source tree, or name a benchmark program"
    );
    let target = std::env::current_dir()?.join("target/go/bench");
    let status = Command::new("go")
        .args(["-C", "go", "build", "-o"])
        .arg(&target)
        .arg("./bench")
        .env("CGO_ENABLED", "0")
        .status()
        .context("go doesn't start: is Go installed, and in PATH?")?;
    ensure!(status.success(), "go/bench doesn't build");
    Ok(target)
}

fn ring0(
    program: &Path,
    engine: Engine,
    cpus: u32,
    options: &BenchOptions,
) -> Result<Vec<std::ffi::OsString>> {
    let args::Size(memory) = options.memory;
    let mut line: Vec<std::ffi::OsString> = vec![std::env::current_exe()?.into(), "run".into()];
    line.extend(["--engine".into(), engine.name().into()]);
    line.extend(["--cpus".into(), cpus.to_string().into()]);
    line.extend(["--memory".into(), format!("{}k", memory >> 10).into()]);
    line.push(program.into());
    Ok(line)
}

fn measure(line: &[std::ffi::OsString], cases: &[String]) -> Result<String> {
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for case in cases {
        command.args([OsStr::new("-case"), OsStr::new(case)]);
    }
    let output = command
        .output()
        .with_context(|| line[0].to_string_lossy().into_owned())?;
    if !output.status.success() {
        bail!(
            "{} ended with {}",
            line.join(OsStr::new(" ")).to_string_lossy(),
            output.status
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Holds this process, and what it starts, on the first CPUs of those it has.
struct Limit(CpuSet);

impl Limit {
    fn to(cpus: u32) -> Result<Limit> {
        let all = sched_getaffinity(None)?;
        let mut few = CpuSet::new();
        (0..CpuSet::MAX_CPU)
            .filter(|&cpu| all.is_set(cpu))
            .take(cpus as usize)
            .for_each(|cpu| few.set(cpu));
        sched_setaffinity(None, &few)?;
        Ok(Limit(all))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}
