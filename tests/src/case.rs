//! The shape of a case: a program, how it is run, and what may differ.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::compare::{Normalise, difference};
use crate::execute::{Outcome, run};
use crate::go;
use crate::machine::{self, Engine, ringo};
use crate::trial::{Attempt, trial};
use crate::wire::NAMESPACES;

/// Where a case's executable comes from.
#[derive(Clone, Debug)]
pub enum Program {
    /// go/programs/NAME.
    Ours(&'static str),
    /// go/programs/NAME, built with these flags; the first string names the variant.
    Variant(&'static str, &'static str, &'static [&'static str]),
    /// A package of the module go/third.
    Third(&'static str),
    /// A file of the Go distribution.
    Tool(&'static str),
}

/// What standard input holds.
#[derive(Clone, Copy, Debug)]
pub enum Stdin {
    Text(&'static str),
    /// That many bytes of a fixed pattern.
    Bytes(usize),
}

impl Stdin {
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Stdin::Text(text) => text.as_bytes().to_vec(),
            Stdin::Bytes(n) => (0..n).map(|i| (i * 131 + (i >> 8)) as u8).collect(),
        }
    }
}

/// One program run on Linux and in ring 0. Built with the functions below, each of which changes one default.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    program: Program,
    args: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
    stdin: Stdin,
    cpus: &'static [u32],
    engines: &'static [Engine],
    memory: u32,
    limit: Duration,
    normalise: Normalise,
    every_version: bool,
    alone: bool,
    exec: bool,
    confined: bool,
    code: Option<i32>,
    files: Option<fn(&Path) -> std::io::Result<()>>,
}

/// A case called `name` that runs `program`.
pub fn case(name: &str, program: Program, args: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        program,
        args: args.iter().map(|&a| a.to_owned()).collect(),
        env: Vec::new(),
        stdin: Stdin::Text(""),
        cpus: &[1, 2],
        engines: &Engine::ALL,
        memory: 512,
        limit: Duration::from_secs(20),
        normalise: Normalise::Nothing,
        every_version: false,
        alone: false,
        exec: false,
        confined: false,
        code: None,
        files: None,
    }
}

impl Case {
    pub fn env(mut self, key: &'static str, value: &'static str) -> Case {
        self.env.push((key, value));
        self
    }

    pub fn stdin(mut self, stdin: Stdin) -> Case {
        self.stdin = stdin;
        self
    }

    pub fn cpus(mut self, cpus: &'static [u32]) -> Case {
        self.cpus = cpus;
        self
    }

    pub fn engines(mut self, engines: &'static [Engine]) -> Case {
        self.engines = engines;
        self
    }

    /// MiB of the VM. A machine without that much free skips the trial.
    pub fn memory(mut self, mib: u32) -> Case {
        self.memory = mib;
        self
    }

    pub fn limit(mut self, seconds: u64) -> Case {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub fn normalise(mut self, normalise: Normalise) -> Case {
        self.normalise = normalise;
        self
    }

    /// Built and run with every Go version, not just the newest.
    pub fn every_version(mut self) -> Case {
        self.every_version = true;
        self
    }

    /// Measures time: no other trial runs beside it.
    pub fn alone(mut self) -> Case {
        self.alone = true;
        self
    }

    /// Run by `ringo exec`, in a folder of the host, rather than by `ringo run`.
    pub fn exec(mut self) -> Case {
        self.exec = true;
        self
    }

    /// On Linux the program makes namespaces of its own to run in: a machine that does not let it skips the trial. So does one
    /// with an older Linux, which refuses some bad arguments in another order than the one that Ringo follows.
    pub fn confined(mut self) -> Case {
        self.confined = true;
        self
    }

    /// What Linux must have answered too: guards against a test that fails alike on both sides.
    pub fn code(mut self, code: i32) -> Case {
        self.code = Some(code);
        self
    }

    /// Fills the folder the program starts in: the working directory on Linux and with exec, the root with run.
    pub fn files(mut self, files: fn(&Path) -> std::io::Result<()>) -> Case {
        self.files = Some(files);
        self
    }

    fn executable(&self, version: &str) -> Result<PathBuf> {
        match &self.program {
            Program::Ours(name) => go::program(version, name),
            Program::Variant(name, suffix, flags) => go::variant(version, name, suffix, flags),
            Program::Third(package) => go::third(package),
            Program::Tool(path) => go::tool(path),
        }
    }

    fn folder(&self) -> Result<tempfile::TempDir> {
        // Files of RAM on both sides: sizes of directories and blocks then agree with Linux's own.
        // `ringo exec` shows /dev of its own.
        let parent = if !self.exec && Path::new("/dev/shm").is_dir() {
            "/dev/shm"
        } else {
            "/tmp"
        };
        let folder = tempfile::Builder::new()
            .prefix("ringo-e2e-")
            .tempdir_in(parent)?;
        if let Some(files) = self.files {
            files(folder.path())?;
        }
        Ok(folder)
    }

    fn on_linux(&self, version: &str) -> Result<Outcome> {
        let folder = self.folder()?;
        let scratch = self.folder()?;
        let mut command = Command::new(self.executable(version)?);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().copied());
        command
            .env("TMPDIR", scratch.path())
            .current_dir(folder.path());
        let outcome = run(command, &self.stdin.bytes(), self.limit)?;
        ensure!(
            !outcome.late,
            "the program is too slow on Linux itself: {:?}",
            outcome.took
        );
        if let Some(code) = self.code {
            let stderr = String::from_utf8_lossy(&outcome.stderr);
            ensure!(
                outcome.code == code,
                "on Linux the program ended with {}, not {code}: {stderr}",
                outcome.code
            );
        }
        Ok(outcome)
    }

    fn in_ring_0(&self, version: &str, engine: Engine, cpus: u32) -> Result<Outcome> {
        if machine::self_check() {
            return self.on_linux(version);
        }
        let folder = self.folder()?;
        let mut command = Command::new(ringo());
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.arg(if self.exec { "exec" } else { "run" });
        command.args([
            "--engine",
            engine.name(),
            "--cpus",
            &cpus.to_string(),
            "--memory",
            &format!("{}M", self.memory),
        ]);
        for (key, value) in &self.env {
            command.arg("--env").arg(format!("{key}={value}"));
        }
        if self.files.is_some() && !self.exec {
            command.arg("--root").arg(folder.path());
        }
        command
            .arg(self.executable(version)?)
            .args(&self.args)
            .current_dir(folder.path());
        run(command, &self.stdin.bytes(), self.limit * engine.patience())
    }

    fn judge(&self, linux: &Outcome, ringo: &Outcome) -> Result<()> {
        if ringo.late {
            let stdout = String::from_utf8_lossy(&ringo.stdout);
            let stderr = String::from_utf8_lossy(&ringo.stderr);
            bail!(
                "no end after {:?}\nstandard output so far:\n{stdout}\nstandard error so far:\n{stderr}",
                ringo.took
            );
        }
        match difference(self.normalise, linux, ringo) {
            None => Ok(()),
            Some(report) => bail!(report),
        }
    }

    /// One trial per Go version, engine and number of CPUs.
    pub fn trials(self) -> Vec<Trial> {
        let mut trials = Vec::new();
        let versions = if self.every_version {
            &go::VERSIONS[..]
        } else {
            &go::VERSIONS[..1]
        };
        for version in versions {
            let linux: Arc<OnceLock<Result<Outcome, String>>> = Arc::default();
            for &engine in self.engines {
                for &cpus in self.cpus {
                    // Older versions differ in the runtime, not in the kernel's scheduling: one CPU count is enough.
                    if version != go::newest() && cpus != self.cpus[self.cpus.len() - 1] {
                        continue;
                    }
                    let version_part = if version == go::newest() {
                        String::new()
                    } else {
                        format!("go{version}/")
                    };
                    let name = format!("{}-{cpus}/{version_part}{}", engine.name(), self.name);
                    let too_large = || {
                        (u64::from(self.memory) * 5 / 4 > machine::free_memory())
                            .then(|| format!("it takes {} MiB of memory", self.memory))
                    };
                    let open = || {
                        (self.confined && !*NAMESPACES)
                            .then(|| "no namespaces can be made here".to_owned())
                    };
                    let old = || {
                        (self.confined && !machine::linux_is_recent())
                            .then(|| "this Linux is older than 6.12".to_owned())
                    };
                    let skip = engine
                        .skip(&name)
                        .or_else(too_large)
                        .or_else(open)
                        .or_else(old);
                    let (case, linux) = (self.clone(), linux.clone());
                    let work = move |attempt: Attempt| -> Result<()> {
                        let run = || case.on_linux(version).map_err(|e| format!("{e:#}"));
                        let linux = match attempt {
                            Attempt::First => linux.get_or_init(run).clone(),
                            // Linux itself may be what differed.
                            Attempt::Second => run(),
                        };
                        let linux = linux.map_err(|e| anyhow::anyhow!(e))?;
                        let ringo = case
                            .in_ring_0(version, engine, cpus)
                            .context("starting ringo")?;
                        case.judge(&linux, &ringo)
                    };
                    trials.push(trial(name, skip, self.alone, work));
                }
            }
        }
        trials
    }
}
