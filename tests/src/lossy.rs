//! Trials with a bad line: a server in a VM, its clients on the host, and a relay between them that drops, repeats and
//! reorders packets (go/programs/lossy). Every byte must arrive, and memory must not grow. `make soak` is ten minutes of it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo};
use crate::trial::trial;
use crate::wire::no_networks;

/// For how long streams are exchanged.
const TIME: &str = "5s";
/// A stream may wait for a retransmission for minutes if luck is bad.
const LIMIT: Duration = Duration::from_secs(120);

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let machines = [
        (Engine::Kvm, 1, "microvm"),
        (Engine::Kvm, 2, "q35"),
        (Engine::Tcg, 1, "microvm"),
        (Engine::Tcg, 2, "q35"),
    ];
    let each = |(engine, cpus, machine): (Engine, usize, &'static str)| {
        let name = format!("{}-{cpus}/lossy/streams", engine.name());
        let skip = engine.skip(&name).or_else(no_networks);
        trial(name, skip, false, move |_| streams(engine, cpus, machine))
    };
    machines.into_iter().map(each).collect()
}

fn streams(engine: Engine, cpus: usize, machine: &str) -> Result<()> {
    let program = go::program(go::newest(), "lossy")?;
    let mut command = Command::new(&program);
    command
        .args(["run", "-time", TIME])
        .arg(ringo())
        .args(["run", "--engine", engine.name(), "--machine", machine])
        .args(["--cpus", &cpus.to_string(), "--net", "tap:vm0"])
        .args(["--ip", "192.0.2.2/24"])
        .arg(program)
        .arg("serve");
    ends_with(command, "every byte was right\n", LIMIT * engine.patience())
}

/// Runs clients with their server; they say that all was well, and nothing else.
pub fn ends_with(command: Command, said: &str, limit: Duration) -> Result<()> {
    let outcome = run(command, b"", limit)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        !outcome.late && outcome.code == 0 && outcome.stdout == said.as_bytes(),
        "exit code {}{}\n{}{}",
        outcome.code,
        if outcome.late { ", late" } else { "" },
        text(&outcome.stdout),
        text(&outcome.stderr)
    );
    Ok(())
}
