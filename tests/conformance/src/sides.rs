//! Runs a package's tests: as a Linux process, or in ring 0 by `ringo exec`. Either side finds the same environment, the
//! package's source directory as working directory, and the flags that `go test` gives.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::CpuSet;

use crate::events::{self, Status, Tests, top_level};
use crate::exclusions::pattern;
use crate::execute;
use crate::packages::{Go, file_name, top, work};

/// How QEMU runs the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    Kvm,
    Tcg,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Kvm => "kvm",
            Engine::Tcg => "tcg",
        }
    }

    /// Time limits are written for native speed; emulation gets more.
    fn patience(self) -> u32 {
        match self {
            Engine::Kvm => 1,
            Engine::Tcg => 5,
        }
    }
}

/// Where tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A process that may use so many CPUs.
    Linux { cpus: u32 },
    /// A process that cannot fork.
    WithoutFork,
    /// A VM.
    Ring0 { engine: Engine, cpus: u32 },
}

impl Side {
    pub fn name(self) -> String {
        match self {
            Side::Linux { cpus } => format!("linux-{cpus}"),
            Side::WithoutFork => "linux-without-fork".to_owned(),
            Side::Ring0 { engine, cpus } => format!("{}-{cpus}", engine.name()),
        }
    }
}

/// What is the same for all runs.
pub struct Bench {
    pub go: Go,
    pub ringo: PathBuf,
    /// Without `-test.short`.
    pub long: bool,
    /// For a package, at native speed.
    pub limit: Duration,
    /// Of a VM, as ringo has it: `2G`.
    pub memory: String,
}

/// What a run said.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub tests: Tests,
    pub code: i32,
    pub late: bool,
    pub took: Duration,
    /// Files with both streams.
    pub log: PathBuf,
}

/// Which tests: none of `skip`, and only those of `only` if there are any.
#[derive(Clone, Copy, Default)]
pub struct Selection<'a> {
    pub only: &'a [String],
    pub skip: &'a [String],
}

impl Bench {
    /// Runs a package's tests once.
    ///
    /// # Errors
    /// If the binary cannot be built or started; never because of what the tests do.
    pub fn run(&self, package: &str, side: Side, selection: Selection) -> Result<Run> {
        let binary = self.go.test_binary(package)?;
        let limit = match side {
            Side::Ring0 { engine, .. } => self.limit * engine.patience(),
            Side::Linux { .. } | Side::WithoutFork => self.limit,
        };
        let mut command = self.program(&binary, side)?;
        command
            .args(["-test.v=test2json", "-test.paniconexit0"])
            .arg(format!("-test.timeout={}s", limit.as_secs()));
        if !self.long {
            command.arg("-test.short");
        }
        if let Some(only) = pattern(selection.only.iter().map(String::as_str)) {
            command.arg("-test.run").arg(only);
        }
        if let Some(skip) = pattern(selection.skip.iter().map(String::as_str)) {
            command.arg("-test.skip").arg(skip);
        }
        self.surroundings(&mut command, package);
        if let Side::Linux { cpus } = side {
            restrict(cpus)?;
        }
        // testing's own limit comes first, and names the test that hangs; SIGQUIT is for a runtime that hangs as a whole.
        let outcome = execute::run(command, b"", limit + Duration::from_secs(15))?;
        if let Side::Linux { .. } = side {
            restrict(CpuSet::MAX_CPU as u32)?;
        }
        let log = self.keep(package, side, &outcome)?;
        Ok(Run {
            tests: events::parse(&outcome.stdout),
            code: outcome.code,
            late: outcome.late,
            took: outcome.took,
            log,
        })
    }

    fn program(&self, binary: &Path, side: Side) -> Result<Command> {
        let mut command = match side {
            Side::Linux { .. } => Command::new(binary),
            Side::WithoutFork => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(crate::WITHOUT_FORK).arg(binary);
                command
            }
            Side::Ring0 { engine, cpus } => {
                let mut command = Command::new(&self.ringo);
                command.args([
                    "exec",
                    "--engine",
                    engine.name(),
                    "--cpus",
                    &cpus.to_string(),
                ]);
                command.args(["--memory", &self.memory]).arg(binary);
                command
            }
        };
        command.env_clear();
        Ok(command)
    }

    /// As `go test` has them: its own `go` first in PATH, PWD, the package's directory.
    fn surroundings(&self, command: &mut Command, package: &str) {
        let source = self.go.source(package);
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.go.root.join("bin").display()
        );
        command
            .env("PATH", path)
            .env("PWD", &source)
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .current_dir(source);
        for key in ["HOME", "USER", "LOGNAME", "LANG", "RINGO_QEMU"] {
            if let Some(value) = std::env::var_os(key) {
                command.env(key, value);
            }
        }
    }

    /// Keeps what was printed, for whoever looks for the reason of a failure. A later run of the same kind replaces it.
    fn keep(&self, package: &str, side: Side, outcome: &execute::Outcome) -> Result<PathBuf> {
        let folder = work().join("logs").join(side.name());
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{}.txt", file_name(package)));
        let mut text = outcome.stdout.clone();
        if !outcome.stderr.is_empty() {
            text.extend_from_slice(b"\n---- standard error ----\n");
            text.extend_from_slice(&outcome.stderr);
        }
        text.extend_from_slice(
            format!("\n---- code {}, {:.1?} ----\n", outcome.code, outcome.took).as_bytes(),
        );
        std::fs::write(&log, text).with_context(|| log.display().to_string())?;
        Ok(log)
    }

    /// Runs a package's tests until each that can end has ended: a binary that crashes or hangs takes with it the tests behind,
    /// so those that `expected` knows and that did not begin are run again without the ones that were under way.
    pub fn run_all(
        &self,
        package: &str,
        side: Side,
        skip: &[String],
        expected: &Tests,
    ) -> Result<Run> {
        const ROUNDS: usize = 12;
        let mut whole = self.run(package, side, Selection { only: &[], skip })?;
        for round in 1..ROUNDS {
            let missing = top_levels(
                expected
                    .keys()
                    .filter(|name| !whole.tests.contains_key(top_level(name))),
            );
            if missing.is_empty() {
                break;
            }
            let kept = whole.log.with_extension(format!("{round}.txt"));
            std::fs::rename(&whole.log, kept)?;
            let next = self.run(
                package,
                side,
                Selection {
                    only: &missing,
                    skip,
                },
            )?;
            let progress = next
                .tests
                .values()
                .any(|test| test.status != Status::Unfinished)
                || next.tests.len() > 1;
            whole.tests.extend(next.tests);
            whole.took += next.took;
            whole.late |= next.late;
            if !progress {
                break;
            }
        }
        Ok(whole)
    }
}

/// The top-level tests of these names, each once.
pub fn top_levels<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let top = top_level(name);
        if all.last().is_none_or(|last| last != top) {
            all.push(top.to_owned());
        }
    }
    all.dedup();
    all
}

/// Restricts this thread, and so what it starts, to the first `cpus` of the machine.
fn restrict(cpus: u32) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in 0..(cpus as usize).min(CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set).context("restricting the CPUs of a run")
}

/// The command under test.
pub fn ringo() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from);
    target.join("release/ringo")
}
