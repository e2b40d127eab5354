//! `ringo bench`: one executable as a Linux process and in ring 0, alternating, so that a machine that grows slower or
//! faster does so for both.
//!
//! - limit.rs: the same source with system calls that return at once: what is left is Go's own work.
//! - linux_guest.rs: a Linux kernel in a VM as Ringo's is, the program as its first process.
//! - results.rs: what was measured; medians, and how sure their ratio is. report.rs: as a table, as JSON, as a page.
//! - tap.rs: a server for another machine. circumstances.rs: on what. plot.rs: pictures.
//! - outside.rs: how long a start takes, and what idling costs.

mod circumstances;
mod limit;
mod linux_guest;
mod outside;
mod plot;
mod report;
mod results;
mod tap;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::args::BenchOptions;
use crate::host;
use crate::qemu::engine::{self, Engine};
use circumstances::Circumstances;
use linux_guest::{LinuxGuest, Machine};
use results::{Results, Side, Unit};

/// How much of the guest's time a case takes when instructions are counted: there is nothing to average.
const COUNTED: [&str; 3] = ["-difference", "-time", "20ms"];

/// Measures, prints, and returns the exit code.
pub fn run(options: &BenchOptions) -> Result<u8> {
    let (results, circumstances) = if options.from.is_empty() {
        measure(options)?
    } else {
        kept(&options.from)?
    };
    if let Some(folder) = &options.plots {
        plot::write(&results, folder)?;
    }
    if options.json {
        crate::print(&format!("{:#}\n", report::json(&results, &circumstances)))?;
    } else if options.markdown {
        crate::print(&report::markdown(&results, &circumstances))?;
    } else {
        crate::print(&report::table(&results, &circumstances))?;
    }
    Ok(0)
}

/// What files hold that --json printed: all their runs, and the circumstances of the first.
fn kept(files: &[PathBuf]) -> Result<(Results, Circumstances)> {
    let mut all: Option<(Results, Circumstances)> = None;
    for file in files {
        let name = || file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(name)?;
        let (results, circumstances) = report::from_json(&text).with_context(name)?;
        match &mut all {
            None => all = Some((results, circumstances)),
            Some((all, first)) => {
                first.join(&circumstances).with_context(name)?;
                all.join(results);
            }
        }
    }
    all.context("no file")
}

fn measure(options: &BenchOptions) -> Result<(Results, Circumstances)> {
    ensure!(
        options.runs > 0 || options.icount,
        "--runs 0 measures nothing; with --icount it counts instructions only"
    );
    let engine = engine::choose(options.engine)?;
    if options.tap {
        tap::enter_namespace()?;
    }
    let cpus = options.cpus.unwrap_or_else(host::cpus);
    let bench = Bench {
        program: program(options.program.as_deref())?,
        // A program of somebody else's has no such build.
        limit: options.program.is_none().then(limit::build).transpose()?,
        guest: options.linux_guest.then(LinuxGuest::find).transpose()?,
        cases: &options.cases,
        tap: options.tap,
        machine: Machine {
            engine,
            cpus,
            memory: options.memory.0.next_multiple_of(1 << 20),
            icount: false,
        },
    };
    let mut sides = bench.sides();
    let counted = if options.icount {
        bench.counted()
    } else {
        Vec::new()
    };

    let progress =
        ProgressBar::new(u64::from(options.runs) * sides.len() as u64 + counted.len() as u64);
    progress.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    progress.enable_steady_tick(Duration::from_millis(200));
    let mut results = Results::default();
    let mut exits = String::new();
    for _ in 0..options.runs {
        for side in sides.clone() {
            progress.set_message(side.doing());
            for measured in bench.over_tap(side)? {
                results.add(&measured.lines, side, Unit::Nanoseconds)?;
                exits = measured.exits.unwrap_or(exits);
            }
            if !bench.program_wanted() {
                progress.inc(1);
                continue;
            }
            match bench.time(side) {
                Ok(output) => results.add(&output, side, Unit::Nanoseconds)?,
                // Not every KVM runs a kernel that was not made for it.
                Err(error) if side == Side::LinuxGuest && engine == Engine::Kvm => {
                    progress.suspend(|| eprintln!("ringo: no times of a Linux guest: {error:#}"));
                    sides.retain(|&other| other != side);
                }
                Err(error) => return Err(error),
            }
            if let Some(output) = bench.outside(side)? {
                results.add(&output, side, Unit::Nanoseconds)?;
            }
            progress.inc(1);
        }
        // Another side goes first in turn: what one leaves in the host's caches helps nobody always.
        sides.rotate_left(1);
    }
    for side in counted {
        progress.set_message(format!("{}, counting", side.doing()));
        results.add(&bench.count(side)?, side, Unit::Instructions)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    ensure!(
        !results.is_empty(),
        "no case has a name beginning with {}",
        options.cases.join(" or ")
    );
    let mut circumstances = Circumstances::here(engine, cpus, options.runs);
    circumstances.exits = exits;
    circumstances.linux_guest = bench
        .guest
        .as_ref()
        .map(LinuxGuest::describe)
        .unwrap_or_default();
    Ok((results, circumstances))
}

/// What is measured, and how each side is run.
struct Bench<'a> {
    program: PathBuf,
    limit: Option<PathBuf>,
    guest: Option<LinuxGuest>,
    /// Beginnings of the wanted cases' names; none is all.
    cases: &'a [String],
    /// Over a tap interface as well.
    tap: bool,
    machine: Machine,
}

impl Bench<'_> {
    fn sides(&self) -> Vec<Side> {
        let has = |side: &Side| match side {
            Side::Linux | Side::Ring0 => true,
            Side::Limit => self.limit.is_some() && !self.limit_cases().is_empty(),
            Side::LinuxGuest => self.guest.is_some(),
        };
        Side::ALL.into_iter().filter(has).collect()
    }

    /// QEMU counts a guest's instructions only.
    fn counted(&self) -> Vec<Side> {
        let mut sides = self.sides();
        sides.retain(|&side| side != Side::Linux);
        sides
    }

    /// One run of a side.
    fn time(&self, side: Side) -> Result<String> {
        let _limit = match side {
            Side::Ring0 | Side::LinuxGuest => None,
            Side::Linux | Side::Limit => Some(Limit::to(self.machine.cpus)?),
        };
        match side {
            Side::Linux => execute(&[self.program.clone().into()], &self.arguments(self.cases)),
            Side::Ring0 => execute(
                &ring0(&self.program, self.machine)?,
                &self.arguments(self.cases),
            ),
            Side::Limit => execute(
                &[self.limit()?.into()],
                &self.arguments(&self.limit_cases()),
            ),
            Side::LinuxGuest => self.in_linux_guest(self.machine, &self.arguments(self.cases)),
        }
    }

    /// What is measured from outside of it; a program of somebody else's has no words for that.
    fn outside(&self, side: Side) -> Result<Option<String>> {
        let wanted = |case: &str| wanted(case, self.cases);
        if self.limit.is_none() || !outside::CASES.iter().any(|case| wanted(case)) {
            return Ok(None);
        }
        let line = match side {
            Side::Linux => vec![self.program.clone().into()],
            Side::Ring0 => ring0(&self.program, self.machine)?,
            Side::Limit | Side::LinuxGuest => return Ok(None),
        };
        outside::measure(&line, wanted).map(Some)
    }

    /// Whether the program itself has anything to measure.
    fn program_wanted(&self) -> bool {
        let beyond = |case: &String| !(self.tap && case.starts_with("net-tap"));
        self.cases.is_empty() || self.cases.iter().any(beyond)
    }

    /// What is measured over a tap interface.
    fn over_tap(&self, side: Side) -> Result<Vec<tap::Measured>> {
        let wanted = |names: &str| {
            let related =
                |case: &String| names.starts_with(case.as_str()) || case.starts_with(names);
            self.tap && (self.cases.is_empty() || self.cases.iter().any(related))
        };
        let native = self.machine.engine == Engine::Kvm && wanted(tap::NATIVE);
        let guest = self.guest.as_ref().filter(|_| wanted(tap::EMULATED));
        let mut systems = Vec::new();
        match side {
            Side::Linux if native => systems.push(tap::System::Process),
            Side::Ring0 => {
                systems.extend(native.then_some(tap::System::Ring0(Engine::Kvm)));
                systems.extend(guest.map(|_| tap::System::Ring0(Engine::Tcg)));
            }
            Side::LinuxGuest => systems.extend(guest.map(tap::System::Guest)),
            _ => {}
        }
        let measure = |system| tap::measure(system, &self.program, self.machine);
        systems.into_iter().map(measure).collect()
    }

    /// The same, counting.
    fn count(&self, side: Side) -> Result<String> {
        let machine = Machine {
            engine: Engine::Tcg,
            cpus: 1,
            icount: true,
            ..self.machine
        };
        let arguments = |cases: &[String]| {
            let mut all: Vec<String> = COUNTED.map(str::to_owned).into();
            all.extend(self.arguments(cases));
            all
        };
        match side {
            Side::Linux => bail!("a process's instructions are not counted"),
            Side::Ring0 => execute(&ring0(&self.program, machine)?, &arguments(self.cases)),
            Side::Limit => execute(
                &ring0(self.limit()?, machine)?,
                &arguments(&self.limit_cases()),
            ),
            Side::LinuxGuest => self.in_linux_guest(machine, &arguments(self.cases)),
        }
    }

    /// The program's, but for how it measures. All sides have the same cases: those for which the VM is large
    /// enough. Each is one word: Linux takes 32 for its first process.
    fn arguments(&self, cases: &[String]) -> Vec<String> {
        // A program of somebody else's has no such flag.
        let memory = self
            .limit
            .is_some()
            .then(|| format!("-memory={}", self.machine.memory));
        let cases = cases.iter().map(|case| format!("-case={case}"));
        memory.into_iter().chain(cases).collect()
    }

    fn in_linux_guest(&self, machine: Machine, arguments: &[String]) -> Result<String> {
        let guest = self.guest.as_ref().context("there is no Linux guest")?;
        guest.measure(&machine, &self.program, arguments)
    }

    fn limit(&self) -> Result<&Path> {
        self.limit
            .as_deref()
            .context("there is no build of the limit")
    }

    /// Those that are wanted of the cases for which the limit means something.
    fn limit_cases(&self) -> Vec<String> {
        let cases = limit::CASES.iter().map(|&case| case.to_owned());
        cases.filter(|case| wanted(case, self.cases)).collect()
    }
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

/// The command that runs it in ring 0, but for its own arguments.
fn ring0(program: &Path, machine: Machine) -> Result<Vec<OsString>> {
    let mut line: Vec<OsString> = vec![std::env::current_exe()?.into(), "run".into()];
    line.extend(["--engine".into(), machine.engine.name().into()]);
    line.extend(["--cpus".into(), machine.cpus.to_string().into()]);
    line.extend([
        "--memory".into(),
        format!("{}k", machine.memory >> 10).into(),
    ]);
    if machine.icount {
        line.push("--icount".into());
    }
    line.push(program.into());
    Ok(line)
}

/// What a command prints.
fn execute(line: &[OsString], arguments: &[String]) -> Result<String> {
    let output = Command::new(&line[0])
        .args(&line[1..])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
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
