//! Very many clients, most of whom are connected and say nothing (go/programs/crowd): the others are served all the same,
//! memory is enough, and comes back. `make soak` does it with ten thousand.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use libtest_mimic::Trial;

use crate::go;
use crate::lossy::ends_with;
use crate::machine::{Engine, ringo};
use crate::trial::trial;
use crate::wire::no_networks;

/// How many say nothing.
const SILENT: &str = "2000";
const LIMIT: Duration = Duration::from_secs(90);

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let each = |(engine, cpus): (Engine, usize)| {
        let name = format!("{}-{cpus}/crowd/silent", engine.name());
        let skip = engine.skip(&name).or_else(no_networks);
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
    ends_with(command, "everybody was served\n", LIMIT * engine.patience())
}
