//! What `--stats` says of the kernel's locks.

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use super::{finish, on, ours, ringo_run, text};
use crate::machine::{Engine, top};

pub fn trials() -> Vec<Trial> {
    on(&Engine::ALL, "stats-of-locks", stats_of_locks)
}

/// Which locks were waited for, place by place.
fn stats_of_locks(engine: Engine) -> Result<()> {
    let waits = |cpus: &str| -> Result<serde_json::Map<String, serde_json::Value>> {
        let mut command = ringo_run(engine, &["--stats", "--cpus", cpus]);
        command.arg(ours("scheduling")?).arg("contend");
        let outcome = finish(command, engine)?;
        let line = text(&outcome.stderr);
        ensure!(outcome.code == 0, "{} {line}", outcome.code);
        let mut stats: serde_json::Value = serde_json::from_str(&line)?;
        match stats["lock_waits"].take() {
            serde_json::Value::Object(waits) => Ok(waits),
            other => bail!("lock_waits: {other}"),
        }
    };
    let of = |place: &serde_json::Value, key: &str| place[key].as_u64().context("no number");
    // Spin locks are not held across anything that lets others run: one CPU never waits for one.
    for (place, counts) in waits("1")? {
        ensure!(
            of(&counts, "waits")? == of(&counts, "sleeps")?,
            "one CPU spun for {place}: {counts}"
        );
    }
    // Eight threads want the position of one open file. With KVM a busy host may run them one after the other, each so fast
    // that none meets another.
    let waits = waits("8")?;
    let of_files = |place: &String| place.starts_with("fs/") || place.starts_with("syscall/file");
    ensure!(
        engine == Engine::Kvm || waits.keys().any(of_files),
        "nobody waited for the file's position: {waits:?}"
    );
    for (place, counts) in &waits {
        let (spins, sleeps) = (of(counts, "spins")?, of(counts, "sleeps")?);
        let enough = of(counts, "waits")? <= spins && sleeps <= spins;
        let known = top()
            .join("kernel/src")
            .join(place.rsplit_once(':').context("line")?.0);
        ensure!(enough && known.is_file(), "{place}: {counts}");
    }
    Ok(())
}
