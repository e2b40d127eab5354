//! Starts with more of something than a program usually has: relocations, names in the root, arguments; and roots that
//! cannot be had.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{finish, on, one_line, ours, ringo_run, text};
use crate::go;
use crate::machine::Engine;

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    all.extend(on(&Engine::ALL, "many-relocations", relocations));
    all.extend(on(&Engine::ALL, "many-names", names));
    all.extend(on(&Engine::ALL, "many-arguments", arguments));
    all.extend(on(&Engine::ALL, "root-in-the-way", in_the_way));
    all
}

/// A position-independent program whose data hold this many pointers, each of which is moved at the start.
const POINTERS: usize = 150_000;

fn pointers() -> Result<PathBuf> {
    go::program(go::newest(), "hello")?;
    let folder = crate::machine::top().join("target/e2e/pointers");
    let file = folder.join("pointers");
    if file.exists() {
        return Ok(file);
    }
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("go.mod"),
        "module example.com/pointers\n\ngo 1.21\n",
    )?;
    let mut data = String::from("#include \"textflag.h\"\n");
    for index in 0..POINTERS {
        writeln!(data, "DATA ·table+{}(SB)/8, $·target(SB)", index * 8)?;
    }
    writeln!(data, "GLOBL ·table(SB), NOPTR, ${}", POINTERS * 8)?;
    fs::write(folder.join("table_amd64.s"), data)?;
    let main = "package main\n\nvar table [POINTERS]*int\nvar target = 7\n\nfunc main() {\n\tsum := 0\n\
                \tfor _, p := range table {\n\t\tsum += *p\n\t}\n\tprintln(len(table), sum)\n}\n";
    fs::write(
        folder.join("main.go"),
        main.replace("POINTERS", &POINTERS.to_string()),
    )?;
    let mut build = go::command(go::newest());
    build
        .current_dir(&folder)
        .args(["build", "-buildmode=pie", "-o", "building", "."]);
    let output = build.output().context("starting go")?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    fs::rename(folder.join("building"), &file)?;
    Ok(file)
}

fn relocations(engine: Engine) -> Result<()> {
    let mut command = ringo_run(engine, &["--cpus", "2"]);
    command.arg(pointers()?);
    let outcome = finish(command, engine)?;
    let (said, wanted) = (
        text(&outcome.stderr),
        format!("{POINTERS} {}\n", POINTERS * 7),
    );
    ensure!(
        outcome.code == 0 && said == wanted,
        "{} {said}",
        outcome.code
    );
    Ok(())
}

/// A tar of empty files in one directory.
fn tar_of_names(path: &Path, count: usize) -> Result<()> {
    let mut archive = Vec::with_capacity((count + 2) * 512);
    for index in 0..count {
        let mut header = [0; 512];
        let mut put =
            |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, &format!("many/name-{index}"));
        put(100, "0000644\x000000000\x000000000\x00");
        put(124, "00000000000\x0014000000000\x00        0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let sum = format!("{sum:06o}\x00 ");
        header[148..156].copy_from_slice(sum.as_bytes());
        archive.extend(header);
    }
    archive.extend([0; 1024]);
    fs::write(path, archive)?;
    Ok(())
}

fn names(engine: Engine) -> Result<()> {
    const COUNT: usize = 140_000;
    let folder = tempfile::tempdir()?;
    let tar = folder.path().join("many.tar");
    tar_of_names(&tar, COUNT)?;
    let mut command = ringo_run(engine, &["--cpus", "2", "--root"]);
    command
        .arg(&tar)
        .arg(ours("circumstances")?)
        .args(["count-names", "/many"]);
    let outcome = finish(command, engine)?;
    let (said, wanted) = (text(&outcome.stdout), format!("{COUNT}\n"));
    ensure!(
        outcome.code == 0 && said == wanted,
        "{} {said} {}",
        outcome.code,
        text(&outcome.stderr)
    );
    Ok(())
}

/// Few long arguments and many short ones: what Linux takes, and what is more than it would.
fn arguments(engine: Engine) -> Result<()> {
    let program = ours("circumstances")?;
    let long: Vec<String> = (0..12)
        .map(|index| format!("{index}-{}", "x".repeat(128_000)))
        .collect();
    let short: Vec<String> = (0..140_000).map(|index| (index % 10).to_string()).collect();
    for args in [&long, &short] {
        let mut linux = std::process::Command::new(&program);
        linux.arg("digest-args").args(args);
        let linux = text(&finish(linux, engine)?.stdout);
        let mut command = ringo_run(engine, &["--cpus", "1"]);
        command.arg(&program).arg("digest-args").args(args);
        let outcome = finish(command, engine)?;
        let said = text(&outcome.stdout);
        ensure!(
            outcome.code == 0 && said == linux,
            "{} {said} {}",
            outcome.code,
            text(&outcome.stderr)
        );
    }
    Ok(())
}

/// A file where the kernel needs a directory.
fn in_the_way(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("dev"), "no directory")?;
    let mut command = ringo_run(engine, &["--cpus", "1", "--root"]);
    command.arg(folder.path()).arg(ours("hello")?);
    one_line(&finish(command, engine)?, 125, &["/dev", "root"])
}
