//! `ringo bench`: one executable as a Linux process and in ring 0, alternating, so that a machine that grows slower or
//! faster does so for both.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;

use crate::args::{self, BenchOptions};
use crate::host;
use crate::qemu::engine::{self, Engine};

/// Nanoseconds per operation, a run each.
#[derive(Default)]
struct Case {
    linux: Vec<f64>,
    ring0: Vec<f64>,
}

/// Measures, prints, and returns the exit code.
pub fn run(options: &BenchOptions) -> Result<u8> {
    let program = program(options.program.as_deref())?;
    let engine = engine::choose(options.engine)?;
    let cpus = options.cpus.unwrap_or_else(host::cpus);
    let ring0 = ring0(&program, engine, cpus, options)?;
    let linux = vec![program.into_os_string()];

    let progress = ProgressBar::new(u64::from(options.runs) * 2);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?;
    progress.set_style(style);
    progress.enable_steady_tick(Duration::from_millis(200));
    let mut cases = Cases::default();
    for round in 0..options.runs {
        // Either side goes first in turn: what the first leaves in the host's caches helps nobody always.
        let mut sides = [true, false];
        if round % 2 == 1 {
            sides.reverse();
        }
        for in_ring0 in sides {
            progress.set_message(if in_ring0 { "in ring 0" } else { "on Linux" });
            let output = if in_ring0 {
                measure(&ring0, &options.cases)?
            } else {
                let _limit = Limit::to(cpus)?;
                measure(&linux, &options.cases)?
            };
            cases.add(&output, in_ring0)?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    ensure!(
        !cases.order.is_empty(),
        "no case has a name beginning with {}",
        options.cases.join(" or ")
    );
    if options.json {
        println!("{}", cases.json(engine, cpus, options.runs));
    } else {
        print!("{}", cases.table(engine, cpus, options.runs));
    }
    Ok(0)
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

#[derive(Default)]
struct Cases {
    order: Vec<String>,
    cases: HashMap<String, Case>,
}

impl Cases {
    fn add(&mut self, output: &str, in_ring0: bool) -> Result<()> {
        for line in output.lines() {
            let (name, value) = line
                .split_once('\t')
                .with_context(|| format!("not a result: {line}"))?;
            let value: f64 = value
                .trim()
                .parse()
                .with_context(|| format!("not a result: {line}"))?;
            if !self.cases.contains_key(name) {
                self.order.push(name.to_owned());
            }
            let case = self.cases.entry(name.to_owned()).or_default();
            let side = if in_ring0 {
                &mut case.ring0
            } else {
                &mut case.linux
            };
            side.push(value);
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = (&str, &Case, f64, f64)> {
        self.order.iter().map(|name| {
            let case = &self.cases[name];
            (
                name.as_str(),
                case,
                median(&case.linux),
                median(&case.ring0),
            )
        })
    }

    fn table(&self, engine: Engine, cpus: u32, runs: u32) -> String {
        let mut text = format!(
            "{:<28}{:>12}{:>12}{:>9}   {}\n",
            "case", "Linux", "ring 0", "ratio", "spread"
        );
        for (name, case, linux, ring0) in self.rows() {
            text += &format!(
                "{name:<28}{:>12}{:>12}{:>8.2}x   ±{:.0} % / ±{:.0} %\n",
                duration(linux),
                duration(ring0),
                linux / ring0,
                spread(&case.linux),
                spread(&case.ring0),
            );
        }
        text + &format!(
            "Medians of {runs} runs of either side, {} on {cpus} CPUs; a ratio above 1 means that ring 0 took less time.\n",
            engine.name()
        )
    }

    fn json(&self, engine: Engine, cpus: u32, runs: u32) -> serde_json::Value {
        let cases: Vec<_> = self
            .rows()
            .map(|(name, case, linux, ring0)| {
                json!({
                    "case": name, "linux_ns": linux, "ring0_ns": ring0, "ratio": linux / ring0,
                    "linux_runs": case.linux, "ring0_runs": case.ring0,
                })
            })
            .collect();
        json!({"engine": engine.name(), "cpus": cpus, "runs": runs, "cases": cases})
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(&upper), 0) => (sorted[sorted.len() / 2 - 1] + upper) / 2.0,
        (Some(&middle), _) => middle,
    }
}

/// The median distance from the median, in percent.
fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&distances) / middle * 100.0
}

fn duration(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.1} ns"),
        _ if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        _ if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[90.0, 100.0, 120.0]), 10.0);
    }

    #[test]
    fn results_are_collected_by_case_and_side() {
        let mut cases = Cases::default();
        cases.add("b\t200.5\na\t10\n", false).expect("results");
        cases.add("b\t100.25\na\t20\n", true).expect("results");
        let rows: Vec<_> = cases
            .rows()
            .map(|(name, _, l, r)| (name.to_owned(), l / r))
            .collect();
        assert_eq!(rows, [("b".to_owned(), 2.0), ("a".to_owned(), 0.5)]);
        assert!(cases.table(Engine::Kvm, 2, 1).contains("2.00x"));
        assert_eq!(cases.json(Engine::Tcg, 1, 1)["cases"][0]["ratio"], 2.0);
        assert!(cases.add("panic: oh\n", true).is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration(9.0), "9.0 ns");
        assert_eq!(duration(1234.0), "1.23 µs");
        assert_eq!(duration(2.5e9), "2.50 s");
    }
}
