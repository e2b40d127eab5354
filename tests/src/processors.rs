//! Machines with many more CPUs than the host has: every one of them comes, and comes soon enough.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo};
use crate::trial::trial;

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let each = |(engine, cpus): (Engine, usize)| {
        let name = format!("{}-{cpus}/processors/all-come", engine.name());
        let skip = engine.skip(&name);
        trial(name, skip, false, move |_| all_come(engine, cpus))
    };
    [(Engine::Kvm, 64), (Engine::Tcg, 16), (Engine::Tcg, 64)]
        .map(each)
        .into()
}

fn all_come(engine: Engine, cpus: usize) -> Result<()> {
    let program = go::program(go::newest(), "hello")?;
    let mut command = Command::new(ringo());
    command
        .args(["run", "--verbose", "--engine", engine.name()])
        .args(["--cpus", &cpus.to_string()])
        .arg(program);
    let outcome = run(command, b"", Duration::from_secs(60) * engine.patience())?;
    let log = String::from_utf8_lossy(&outcome.stderr);
    ensure!(outcome.code == 0, "it ended with {}: {log}", outcome.code);
    ensure!(
        log.contains(&format!("{cpus} CPUs, ")),
        "not every CPU came: {log}"
    );
    Ok(())
}
