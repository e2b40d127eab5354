//! Signals from outside.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::talk::{
    Heard,
    Step::{Expect, Pause, Say, Signal as Kill},
    Talk,
};
use super::{end_of, eventually, on, ours, qemu_of, ringo_run, text};
use crate::compare::Normalise;
use crate::execute::pid;
use crate::machine::Engine;

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    macro_rules! unhandled {
        ($name:literal, $signal:expr, $code:expr) => {
            all.extend(
                Talk::new(
                    concat!("unhandled-", $name),
                    "signals",
                    &["wait-for", "default"],
                    &[Expect("ready\n"), Kill($signal)],
                    $code,
                )
                .trials(),
            );
        };
    }
    unhandled!("int", Signal::INT, 130);
    unhandled!("term", Signal::TERM, 143);
    unhandled!("hup", Signal::HUP, 129);
    // Go's runtime takes these and, without a Notify, does nothing about them.
    all.extend(
        Talk::new(
            "unhandled-others",
            "signals",
            &["wait-for", "default"],
            &[
                Expect("ready\n"),
                Kill(Signal::USR1),
                Kill(Signal::USR2),
                Kill(Signal::ALARM),
                Kill(Signal::WINCH),
                Kill(Signal::URG),
                Pause(100),
                Kill(Signal::TERM),
            ],
            143,
        )
        .trials(),
    );
    for (name, signal) in [
        ("unhandled-quit", &[Expect("ready\n"), Kill(Signal::QUIT)]),
        ("unhandled-abrt", &[Expect("ready\n"), Kill(Signal::ABORT)]),
    ] {
        let mut dump = Talk::new(name, "signals", &["wait-for", "default"], signal, 2);
        dump.normalise = Normalise::Dump;
        all.extend(dump.trials());
    }
    all.extend(
        Talk::new(
            "handled",
            "signals",
            &["wait-for"],
            &[
                Expect("ready\n"),
                Kill(Signal::INT),
                Expect("got interrupt\n"),
                Kill(Signal::HUP),
                Expect("got hangup\n"),
                Say("a line\n"),
                Expect("line a line\n"),
                Kill(Signal::QUIT),
                Expect("got quit\n"),
                Kill(Signal::USR1),
                Expect("got user defined signal 1\n"),
                Kill(Signal::USR2),
                Expect("got user defined signal 2\n"),
                Kill(Signal::INT),
                Expect("got interrupt\n"),
                Kill(Signal::INT),
                Expect("got interrupt\n"),
                Kill(Signal::INT),
                Expect("got interrupt\n"),
                Kill(Signal::TERM),
            ],
            3,
        )
        .trials(),
    );
    all.extend(on(&Engine::ALL, "before-the-program", before_the_program));
    all.extend(on(&[Engine::Kvm], "three-interrupts", three_interrupts));
    all
}

/// A signal that comes while the VM still boots ends the program as soon as it is there.
fn before_the_program(engine: Engine) -> Result<()> {
    let mut command = ringo_run(engine, &["--cpus", "2"]);
    command.arg(ours("signals")?).args(["wait-for", "default"]);
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = command.spawn()?;
    // From here on its handlers are set, but the kernel has not said anything.
    eventually("QEMU's start", Duration::from_secs(20), || {
        qemu_of(child.id()).is_some()
    })?;
    std::thread::sleep(Duration::from_millis(5));
    kill_process(pid(&child), Signal::TERM)?;
    let code = end_of(&mut child, Duration::from_secs(20) * engine.patience())?;
    ensure!(code == 143, "exit code {code}");
    Ok(())
}

/// A VM that does not react, here because its QEMU is stopped, is ended by the third Ctrl-C.
fn three_interrupts(engine: Engine) -> Result<()> {
    let mut command = ringo_run(engine, &["--cpus", "2"]);
    command.arg(ours("console")?).arg("hold");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let heard = Heard::listen(child.stdout.take().context("a pipe")?);
    heard.wait_for("ready\n", 0, Duration::from_secs(20))?;
    let qemu = qemu_of(child.id()).context("there is no QEMU")?;
    let qemu = Pid::from_raw(qemu as i32).context("a process")?;
    kill_process(qemu, Signal::STOP)?;
    // On a busy machine two of them may become one.
    let mut sent = 0;
    while child.try_wait()?.is_none() && sent < 20 {
        kill_process(pid(&child), Signal::INT)?;
        sent += 1;
        std::thread::sleep(Duration::from_millis(300));
    }
    ensure!(sent >= 3, "it has given up after {sent}");
    let errors = Heard::listen(child.stderr.take().context("a pipe")?);
    let code = end_of(&mut child, Duration::from_secs(10))?;
    errors.wait_for("did not react", 0, Duration::from_secs(5))?;
    ensure!(code == 130, "exit code {code}: {}", text(&errors.lock()));
    ensure!(
        !super::is_alive(qemu.as_raw_nonzero().get() as u32),
        "QEMU still lives"
    );
    Ok(())
}
