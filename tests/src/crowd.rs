//! Very many clients, most of whom are connected and say nothing (go/programs/crowd): the others are served all the same,
//! memory is enough, and comes back. `make soak` does it with ten thousand.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo};
use crate::trial::trial;
use crate::wire::NAMESPACES;

/// How many say nothing.
const SILENT: &str = "2000";
const LIMIT: Duration = Duration::from_secs(90);

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let each = |(engine, cpus): (Engine, usize)| {
        let name = format!("{}-{cpus}/crowd/silent", engine.name());
        let skip = engine
            .skip(&name)
            .or_else(|| (!*NAMESPACES).then(|| "no networks can be made here".to_owned()));
        trial(name, skip, false, move |_| silent(engine, cpus))
    };
    [(Engine::Kvm, 2), (Engine::Tcg, 1)].map(each).into()
}

fn silent(engine: Engine, cpus: usize) -> Result<()> {
    let program = go::program(go::newest(), "crowd")?;
    let mut command = Command::new(&program);
    command
        .args(["run", "-silent", SILENT, "-time", "1s"])
        .arg(ringo())
        .args(["run", "--engine", engine.name(), "--net", "tap:vm0"])
        .args(["--cpus", &cpus.to_string(), "--memory", "512M"])
        .args(["--ip", "192.0.2.2/24"])
        .arg(program)
        .arg("serve");
    let outcome = run(command, b"", LIMIT * engine.patience())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        !outcome.late && outcome.code == 0 && outcome.stdout == b"everybody was served\n",
        "exit code {}{}\n{}{}",
        outcome.code,
        if outcome.late { ", late" } else { "" },
        text(&outcome.stdout),
        text(&outcome.stderr)
    );
    Ok(())
}
