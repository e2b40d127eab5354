//! Trials at the level of packets: a Go program with a script at the other end of its network (go/programs/wire).
//!
//! The program and its script run twice: with Linux in a network namespace of their own, where the script is behind a tap
//! device, and with ringo, where it is behind QEMU's network card. What both say must be the same.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::execute::{Outcome, run};
use crate::go;
use crate::machine::{Engine, ringo};
use crate::trial::{Attempt, trial};

/// The scenes.
const SCENES: &str = "connect-silence connect-refused connect-errors connect-forged connect-nobody connect-later udp-errors \
                      linger-none linger-wait keep-alive user-timeout resets half-closed closed time-wait lost flood pieces sizes narrow names \
                      six-addresses six-taken six-talk six-nobody six-connect-errors six-udp-errors six-sizes six-narrow six-pieces groups groups6 link ports \
                      storm closed-ports six-closed-ports broadcast";

/// How long a scene may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    // TCG runs with both numbers of CPUs what differs there: who handles interrupts.
    let machines = [(Engine::Kvm, 1), (Engine::Kvm, 2), (Engine::Tcg, 2)];
    let mut all = Vec::new();
    for (engine, cpus) in machines {
        for scene in SCENES.split_whitespace() {
            let name = format!("{}-{cpus}/wire/{scene}", engine.name());
            let skip = engine.skip(&name).or_else(no_networks);
            all.push(trial(name, skip, false, move |attempt| {
                compare(engine, cpus, scene, attempt)
            }));
        }
    }
    all
}

/// Whether this machine lets us make networks of our own.
pub static NAMESPACES: LazyLock<bool> = LazyLock::new(|| {
    let make = "ip tuntap add dev t mode tap";
    let made = Command::new("unshare")
        .args(["-Urn", "sh", "-c", make])
        .output();
    made.is_ok_and(|output| output.status.success())
});

/// Why trials with networks of their own are skipped here, if they are.
pub fn no_networks() -> Option<String> {
    (!*NAMESPACES).then(|| "no networks can be made here".to_owned())
}

/// What a scene says on Linux.
type Said = Arc<OnceLock<std::result::Result<Outcome, String>>>;
static ON_LINUX: LazyLock<Mutex<HashMap<&str, Said>>> = LazyLock::new(Mutex::default);

fn peer(scene: &str, place: &str) -> Result<Command> {
    let program = go::program(go::newest(), "wire")?;
    let mut command = Command::new(&program);
    command.args(["peer", place, scene]);
    Ok(command)
}

fn on_linux(scene: &'static str, attempt: Attempt) -> Result<Outcome> {
    let measure = || -> Result<Outcome> {
        let outcome = run(peer(scene, "linux")?, b"", LIMIT)?;
        ensure!(
            !outcome.late && outcome.code == 0,
            "on Linux: exit code {}, {}",
            outcome.code,
            String::from_utf8_lossy(&outcome.stderr)
        );
        Ok(outcome)
    };
    if attempt == Attempt::Second {
        return measure();
    }
    let slot = ON_LINUX
        .lock()
        .expect("nobody panics holding it")
        .entry(scene)
        .or_default()
        .clone();
    slot.get_or_init(|| measure().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn compare(engine: Engine, cpus: usize, scene: &'static str, attempt: Attempt) -> Result<()> {
    let expected = on_linux(scene, attempt)?;
    let program = go::program(go::newest(), "wire")?;
    let mut command = peer(scene, "ringo")?;
    command
        .arg(ringo())
        .args(["run", "--engine", engine.name(), "--net", "user"])
        .args(["--cpus", &cpus.to_string()])
        .arg(program);
    let outcome = run(command, b"", LIMIT * engine.patience())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (linux, ringo) = (text(&expected.stdout), text(&outcome.stdout));
    ensure!(
        !outcome.late,
        "it does not end: {ringo}{}",
        text(&outcome.stderr)
    );
    ensure!(
        linux == ringo && outcome.code == expected.code,
        "exit code {} instead of {}\n{}{}",
        outcome.code,
        expected.code,
        similar::TextDiff::from_lines(&linux, &ringo)
            .unified_diff()
            .header("linux", "ringo"),
        text(&outcome.stderr)
    );
    Ok(())
}
