//! `ringo bench` from its sources to its table and pictures, on a few cases; what they take is nobody's business here.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::on;
use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo, top};

/// A call, one that also looks at each operation, two sizes of one kind, and one that is seen from outside.
const CASES: &[&str] = &[
    "syscall/getpid",
    "timer/ticker-1ms-error",
    "scale/timers-10",
    "start/main",
];

pub fn trials() -> Vec<Trial> {
    on(&Engine::ALL, "bench", bench)
}

fn bench(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("figures.json");
    let mut measure = ringo_bench()?;
    measure.args(["--engine", engine.name(), "--runs", "1", "--cpus", "1"]);
    measure.args(["--memory", "64M", "--json"]);
    measure.args(CASES.iter().flat_map(|case| ["--case", case]));
    let text = output(measure)?;
    std::fs::write(&file, &text)?;
    let all: Value = serde_json::from_str(&text)?;
    let cases = all["cases"].as_array().context("no cases")?;
    let has = |name: &str, keys: &[&str]| {
        let case = cases.iter().find(|case| case["case"] == name);
        case.is_some_and(|case| keys.iter().all(|key| case[key].as_f64() > Some(0.0)))
    };
    ensure!(
        has(
            "syscall/getpid",
            &["linux_ns", "ring0_ns", "limit_ns", "ratio"]
        ),
        "{text}"
    );
    ensure!(
        has("timer/ticker-1ms-error/p99", &["linux_ns", "ring0_ns"]),
        "{text}"
    );
    ensure!(
        has("scale/timers-1000", &["linux_ns", "ring0_ns"]),
        "{text}"
    );
    ensure!(has("start/main", &["linux_ns", "ring0_ns"]), "{text}");

    let mut show = ringo_bench()?;
    show.arg("--from").arg(&file).arg("--markdown");
    show.arg("--plots").arg(folder.path());
    let page = output(show)?;
    ensure!(page.contains("| timer/ticker-1ms-error/p50 |"), "{page}");
    for picture in ["ratios.svg", "scale.svg"] {
        let text = std::fs::read_to_string(folder.path().join(picture))?;
        ensure!(
            text.starts_with("<svg") && text.contains("time"),
            "{picture}: {text}"
        );
    }
    Ok(())
}

/// In the source tree, with our Go.
fn ringo_bench() -> Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = vec![go::goroot(go::newest()).join("bin")];
    all.extend(std::env::split_paths(&path));
    let mut command = Command::new(ringo());
    command
        .current_dir(top())
        .env("PATH", std::env::join_paths(all)?)
        .env("GOTOOLCHAIN", "local")
        .arg("bench");
    Ok(command)
}

fn output(command: Command) -> Result<String> {
    let outcome = run(command, b"", Duration::from_secs(180))?;
    let error = String::from_utf8_lossy(&outcome.stderr);
    ensure!(outcome.code == 0, "{}: {error}", outcome.code);
    Ok(String::from_utf8(outcome.stdout)?)
}
