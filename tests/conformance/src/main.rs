//! The conformance runner: the tests of Go's standard library on Linux and in ring 0, compared test by test.
//!
//! * `packages.rs` has the list and builds the test binaries, `sides.rs` runs one of them on either side, `events.rs` reads
//!   what it says.
//! * `compare.rs` finds what differs and looks a second time, `kept.rs` keeps that, `report.rs` writes docs/conformance.md
//!   and results.json.
//! * `exclusions.rs` reads the file of tests that cannot run in ring 0; `filter.rs` and `derive.rs` find out which those are.

mod compare;
mod derive;
mod events;
mod exclusions;
#[path = "../../src/execute.rs"]
mod execute;
mod filter;
mod kept;
mod packages;
mod report;
mod sides;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use events::Tests;
use exclusions::Exclusion;
use kept::{Kept, Pass};
use packages::{Go, PATTERNS, SHORT, top};
use report::{Report, Row};
use sides::{Bench, Engine, Side, ringo};

/// The first argument that makes this program one that gives up fork and becomes another (see filter.rs).
const WITHOUT_FORK: &str = "without-fork";

/// Run the tests of Go's standard library in ring 0 and compare them with Linux.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// Engines to run with [default: both]
    #[arg(long, value_enum, value_delimiter = ',')]
    engine: Vec<Engine>,

    /// Numbers of CPUs
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    cpus: Vec<u32>,

    /// A few quick packages only
    #[arg(long)]
    short: bool,

    /// Without -test.short: every test at full length
    #[arg(long)]
    long: bool,

    /// How many packages at a time [default: half as many as the machine has CPUs]
    #[arg(long)]
    jobs: Option<usize>,

    /// Time limit for a package at native speed, in seconds; emulation gets five times as much
    #[arg(long, default_value_t = 300)]
    limit: u64,

    /// Memory of a VM
    #[arg(long, default_value = "4G")]
    memory: String,

    /// The command under test [default: the one in target/release]
    #[arg(long)]
    ringo: Option<PathBuf>,

    /// Go on with a pass that was interrupted: keep what it found
    #[arg(long)]
    resume: bool,

    /// Run nothing: write the page of what the pass has found so far
    #[arg(long)]
    report: bool,

    /// Run excluded tests, too
    #[arg(long)]
    all_tests: bool,

    /// Write the page for readers here [default: docs/conformance.md if all packages are run in all configurations]
    #[arg(long)]
    page: Option<PathBuf>,

    /// Find out on Linux which tests need fork, and print what the file of exclusions lacks
    #[arg(long)]
    derive: bool,

    /// Packages, or patterns as `go list` has them [default: all of the list]
    packages: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|first| first == WITHOUT_FORK).is_some() {
        filter::exec_without_fork(args)?;
    }
    default_signals()?;
    let options = Options::parse();
    let go = Go::newest()?;
    let patterns: Vec<String> = match (&options.packages[..], options.short) {
        ([], false) => PATTERNS.iter().map(|&p| p.to_owned()).collect(),
        ([], true) => SHORT.iter().map(|&p| p.to_owned()).collect(),
        (given, _) => given.to_vec(),
    };
    let packages = go.packages(&patterns)?;
    let exclusions = exclusions::read(&top().join("tests/conformance/exclusions.txt"))?;
    let bench = Bench {
        go,
        ringo: options.ringo.clone().unwrap_or_else(ringo),
        long: options.long,
        limit: Duration::from_secs(options.limit),
        memory: options.memory.clone(),
    };
    if options.derive {
        let cpus = options.cpus.iter().copied().max().unwrap_or(1);
        for package in &packages {
            derive::derive(&bench, package, cpus, &exclusions).with_context(|| package.clone())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        bench.ringo.is_file(),
        "{} is missing: run `make build`",
        bench.ringo.display()
    );
    run(&options, &bench, &packages, &exclusions)
}

/// A shell starts what it runs in the background with SIGINT and SIGQUIT ignored, which is inherited: tests that wait for one
/// of them to end a child would wait for ever. Becomes itself again without that.
fn default_signals() -> Result<()> {
    const INT_AND_QUIT: u64 = 1 << 1 | 1 << 2;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(Ok(0), |mask| u64::from_str_radix(mask.trim(), 16))?;
    if ignored & INT_AND_QUIT == 0 {
        return Ok(());
    }
    let error = Command::new("env")
        .arg("--default-signal=INT,QUIT")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("starting env")
}

fn run(
    options: &Options,
    bench: &Bench,
    packages: &[String],
    exclusions: &[Exclusion],
) -> Result<ExitCode> {
    let mut left_out = Vec::new();
    let sides = sides(options, &mut left_out);
    for line in &left_out {
        println!("{line}");
    }
    let jobs = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() / 2))
        .max(1);
    let own: Vec<Exclusion> = exclusions
        .iter()
        .filter(|e| packages.contains(&e.package))
        .cloned()
        .collect();
    let used: &[Exclusion] = if options.all_tests { &[] } else { &own };
    let runner = Runner {
        bench,
        pass: Pass::begin(options.resume || options.report)?,
        report_only: options.report,
        sides: &sides,
        exclusions: used,
    };
    let rows = runner.packages(packages, jobs);
    let everything = options.packages.is_empty()
        && !options.short
        && options.engine.is_empty()
        && !options.all_tests;
    let report = Report {
        bench,
        sides: &sides,
        rows: &rows,
        exclusions: &own,
        left_out: &left_out,
    };
    report.write_json()?;
    let default_page = everything.then(|| top().join("docs/conformance.md"));
    if let Some(page) = options.page.clone().or(default_page) {
        report.write_page(&page)?;
        println!("{}", page.display());
    }
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let agree = cells()
        .filter(|(_, cell)| cell.as_ref().is_ok_and(|kept| kept.verdict.agrees()))
        .count();
    let once: usize = cells()
        .filter_map(|(_, cell)| cell.as_ref().ok())
        .map(|kept| kept.verdict.flaky.len())
        .sum();
    println!(
        "{agree} of {} runs agree with Linux; {once} tests differed once",
        cells().count()
    );
    Ok(if agree == cells().count() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The configurations that this machine can run.
fn sides(options: &Options, left_out: &mut Vec<String>) -> Vec<Side> {
    let engines = if options.engine.is_empty() {
        vec![Engine::Kvm, Engine::Tcg]
    } else {
        options.engine.clone()
    };
    for engine in [Engine::Kvm, Engine::Tcg] {
        if !engines.contains(&engine) {
            left_out.push(format!("Not run in this pass: {}.", engine.name()));
        }
    }
    let mut all = Vec::new();
    for engine in engines {
        let kvm = || {
            std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/kvm")
        };
        if engine == Engine::Kvm
            && let Err(error) = kvm()
        {
            left_out.push(format!("Not run with KVM: /dev/kvm: {error}."));
            continue;
        }
        all.extend(
            options
                .cpus
                .iter()
                .map(|&cpus| Side::Ring0 { engine, cpus }),
        );
    }
    all
}

/// Runs packages in the configurations.
struct Runner<'a> {
    bench: &'a Bench,
    pass: Pass,
    sides: &'a [Side],
    exclusions: &'a [Exclusion],
    /// What was not run stays so.
    report_only: bool,
}

impl Runner<'_> {
    /// All packages, so many at a time.
    fn packages(&self, packages: &[String], jobs: usize) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let rows: Mutex<Vec<(usize, Row)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(package) = packages.get(index) else {
                            break;
                        };
                        let row = self.package(package);
                        rows.lock()
                            .expect("no worker panics holding it")
                            .push((index, row));
                    }
                });
            }
        });
        let mut rows = rows.into_inner().expect("the workers have ended");
        rows.sort_by_key(|(index, _)| *index);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// One package in all configurations; each number of CPUs has its own run on Linux to compare with.
    fn package(&self, package: &str) -> Row {
        let exclusions: Vec<&Exclusion> = self
            .exclusions
            .iter()
            .filter(|e| e.package == package)
            .collect();
        let mut linux: Vec<(u32, sides::Run)> = Vec::new();
        let mut cells = Vec::new();
        for &side in self.sides {
            let Side::Ring0 { cpus, .. } = side else {
                continue;
            };
            if let Some(kept) = self.pass.find(package, side) {
                cells.push((side, Ok(kept)));
                continue;
            }
            if self.report_only {
                cells.push((side, Err(report::NOT_RUN.to_owned())));
                continue;
            }
            let own = Side::Linux { cpus };
            let mut attempt = || -> Result<Kept> {
                let skip = skipped(&exclusions, own);
                if !linux.iter().any(|(n, _)| *n == cpus) {
                    let run = self.bench.run_all(package, own, &skip, &Tests::new())?;
                    ensure!(!run.late, "no end on Linux itself: {}", run.log.display());
                    linux.push((cpus, run));
                }
                let (_, expected) = linux
                    .iter()
                    .find(|(n, _)| *n == cpus)
                    .context("it was just run")?;
                let skip = skipped(&exclusions, side);
                let verdict = compare::judge(self.bench, package, (own, expected), side, &skip)?;
                self.pass.keep(package, side, verdict)
            };
            let cell = attempt().map_err(|error| format!("{error:#}"));
            show(package, side, &cell);
            cells.push((side, cell));
        }
        Row {
            package: package.to_owned(),
            cells,
        }
    }
}

/// The tests of a package that are not run on this side.
fn skipped(exclusions: &[&Exclusion], side: Side) -> Vec<String> {
    let emulated = matches!(
        side,
        Side::Ring0 {
            engine: Engine::Tcg,
            ..
        }
    );
    let of = exclusions.iter().filter(|e| emulated || !e.emulated_only());
    of.map(|e| e.test.clone()).collect()
}

/// A line per run on the terminal, and one per difference.
fn show(package: &str, side: Side, cell: &Result<Kept, String>) {
    let verdict = match cell {
        Ok(kept) => &kept.verdict,
        Err(why) => return println!("{package} {}: {why}", side.name()),
    };
    println!(
        "{package} {}: {} pass, {} skip, {} fail alike, {} differ, {} differed once ({:.1} s; Linux {:.1} s)",
        side.name(),
        verdict.passed,
        verdict.skipped,
        verdict.failed,
        verdict.differing.len(),
        verdict.flaky.len(),
        verdict.seconds.1,
        verdict.seconds.0,
    );
    if let Some((linux, ring0)) = verdict.codes {
        println!("    exit code {ring0}, on Linux {linux}");
    }
    for difference in compare::roots(&verdict.differing) {
        println!(
            "    {}: {}, on Linux {}",
            difference.test,
            difference.ring0.name(),
            difference.linux.name()
        );
    }
    for difference in &verdict.flaky {
        println!(
            "    once: {}: {}, on Linux {}",
            difference.test,
            difference.ring0.name(),
            difference.linux.name()
        );
    }
}
