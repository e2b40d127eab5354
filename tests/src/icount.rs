//! The guard of what operations cost: guest instructions, counted by QEMU, against the figures in tests/icount.json.
//!
//! They do not depend on the machine or its load, so what grows by more than a tenth is the change's doing. The figures are
//! those of the release profile in Cargo.toml: a build that overrides it from the environment is not held to them.
//!
//! Who makes something dearer on purpose, or cheaper, renews the figures and commits them with the change:
//! `RINGO_ICOUNT=renew tools/test.sh icount`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use crate::execute::run;
use crate::go;
use crate::machine::{ringo, top};
use crate::trial::trial;

/// What is guarded: calls, a switch of threads, a signal, the first touch of memory.
const CASES: &[&str] = &[
    "syscall/getpid",
    "syscall/write-null",
    "syscall/time-now",
    "file/create-remove",
    "file/read-4k",
    "pipe/round-trip",
    "threads/token",
    "signal/nil-dereference",
    "memory/fresh-64m",
    "net/udp-round-trip",
];
/// How much more is accepted.
const GROWTH: f64 = 1.10;

/// The one trial.
pub fn trials() -> Vec<Trial> {
    let overridden = std::env::vars_os().any(|(name, _)| {
        name.to_str()
            .is_some_and(|name| name.starts_with("CARGO_PROFILE_RELEASE_"))
    });
    let skip = overridden.then(|| "the environment overrides the release profile".to_owned());
    vec![trial("tcg-1/icount".to_owned(), skip, false, |_| {
        let counted = count()?;
        if std::env::var_os("RINGO_ICOUNT").is_some_and(|value| value == "renew") {
            return write(&counted);
        }
        compare(&counted)
    })]
}

fn file() -> PathBuf {
    top().join("tests/icount.json")
}

/// Instructions by case.
fn count() -> Result<BTreeMap<String, f64>> {
    let program = go::benchmark()?;
    let mut command = Command::new(ringo());
    command
        .args(["run", "--icount", "--memory", "512M"])
        .arg(program)
        .args(["-difference", "-time", "5ms"]);
    for case in CASES {
        command.args(["-case", case]);
    }
    let outcome = run(command, b"", Duration::from_secs(180))?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    ensure!(
        outcome.code == 0,
        "the benchmark ended with {}: {text}{}",
        outcome.code,
        String::from_utf8_lossy(&outcome.stderr)
    );
    let counted: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect();
    ensure!(counted.len() == CASES.len(), "not every case came: {text}");
    Ok(counted)
}

fn write(counted: &BTreeMap<String, f64>) -> Result<()> {
    let cases: Map<String, Value> = counted
        .iter()
        .map(|(name, value)| (name.clone(), json!(value.round())))
        .collect();
    let all = json!({ "go": go::newest(), "instructions": cases });
    std::fs::write(file(), format!("{all:#}\n"))?;
    println!("wrote {}", file().display());
    Ok(())
}

fn compare(counted: &BTreeMap<String, f64>) -> Result<()> {
    let text = std::fs::read_to_string(file()).context("tests/icount.json")?;
    let kept: Value = serde_json::from_str(&text).context("tests/icount.json")?;
    if kept["go"] != go::newest() {
        bail!("tests/icount.json is of Go {}; {RENEW}", kept["go"]);
    }
    let grown: Vec<String> = counted
        .iter()
        .filter_map(|(name, &now)| match kept["instructions"][name].as_f64() {
            Some(then) if now <= then * GROWTH => None,
            Some(then) => Some(format!("{name}: {now:.0} instructions, {then:.0} before")),
            None => Some(format!("{name}: not in tests/icount.json")),
        })
        .collect();
    ensure!(grown.is_empty(), "{}\n{RENEW}", grown.join("\n"));
    Ok(())
}

const RENEW: &str =
    "if that is meant: RINGO_ICOUNT=renew tools/test.sh icount, and commit tests/icount.json";
