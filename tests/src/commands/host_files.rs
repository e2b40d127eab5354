//! Standard streams that are regular files: a shell's redirections, with the program as a Linux process and in ring 0. What
//! the files hold afterwards, and what the program said, must be the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{finish, on, ours, ringo_run, text};
use crate::machine::{Engine, self_check};

/// Shell lines, run in a folder with the files `in` and `old`; `"$@"` starts the program.
const LINES: &[(&str, &str)] = &[
    ("input", r#""$@" input <in 2>said; "$@" sum <in >all"#),
    // The next program goes on where the one before stopped reading, and what was skipped stays skipped.
    (
        "shared-position",
        r#"{ "$@" head 1000 2>>said; "$@" head 70000 2>>said; "$@" input 2>>said; "$@" head 5 2>>said; cat; } <in >out"#,
    ),
    ("lines", r#"{ "$@" lines >out; cat >rest; } <old"#),
    ("output", r#""$@" output >out 2>said"#),
    (
        "shared-output",
        r#"{ "$@" head 10; echo between; "$@" output; echo last; } <in >out 2>said"#,
    ),
    ("append", r#""$@" append >>old 2>said"#),
    (
        "both",
        r#""$@" both 1<>old 2>said; "$@" head 5 0<>old >out 2>>said"#,
    ),
    ("by-name", r#""$@" by-name >out 2>said"#),
    ("one-file", r#""$@" mix >out 2>&1; "$@" mix >>old 2>&1"#),
    ("two-places", r#""$@" mix >out 2>out"#),
    ("two-ends", r#""$@" mix >>old 2>>old"#),
    ("same-file", r#""$@" head 10 <old >>old 2>said"#),
    ("bad", r#""$@" bad >out 2>said"#),
    ("copy", r#""$@" copy <in >out 2>said"#),
];

pub fn trials() -> Vec<Trial> {
    let of = |&(name, line): &(&str, &'static str)| {
        on(&Engine::ALL, &format!("host-file/{name}"), move |engine| {
            alike(engine, line)
        })
    };
    LINES.iter().flat_map(of).collect()
}

type Files = BTreeMap<String, Vec<u8>>;

fn alike(engine: Engine, line: &str) -> Result<()> {
    let program = ours("streams")?;
    let linux = effects(Command::new(&program), line, engine)?;
    let ringo = if self_check() {
        effects(Command::new(&program), line, engine)?
    } else {
        let mut command = ringo_run(engine, &["--cpus", "2", "--memory", "128M"]);
        command.arg(&program);
        effects(command, line, engine)?
    };
    for (name, expected) in &linux {
        let found = ringo
            .get(name)
            .with_context(|| format!("there is no {name}"))?;
        let at = expected.iter().zip(found).position(|(a, b)| a != b);
        ensure!(
            found == expected,
            "{name}: {} bytes on Linux, {} in ring 0, which differ at {at:?}:\n{}\n---\n{}",
            expected.len(),
            found.len(),
            shown(expected),
            shown(found)
        );
    }
    ensure!(
        linux.len() == ringo.len(),
        "other files: {:?}",
        ringo.keys()
    );
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    text(&bytes[..bytes.len().min(4000)])
}

/// Runs the line with the command for `"$@"`, and gives all files that are there then.
fn effects(command: Command, line: &str, engine: Engine) -> Result<Files> {
    let folder = tempfile::tempdir()?;
    let input: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(i) / 7) as u8)
        .collect();
    std::fs::write(folder.path().join("in"), input)?;
    std::fs::write(folder.path().join("old"), "one\ntwo\nthree\nfour\nfive\n")?;
    let mut shell = Command::new("sh");
    shell
        .current_dir(folder.path())
        .args(["-c", line, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    let outcome = finish(shell, engine)?;
    let mut files = read(folder.path())?;
    files.insert("(exit code)".into(), outcome.code.to_string().into_bytes());
    files.insert("(standard output)".into(), outcome.stdout);
    files.insert("(standard error)".into(), outcome.stderr);
    Ok(files)
}

fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, std::fs::read(entry.path())?);
    }
    Ok(files)
}
