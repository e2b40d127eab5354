//! Trials with broken executables, made by changing a good one: each gets one clear line and exit code 125.
//!
//! `broken()` is the list of damages by hand, each with what the line must speak of. `random` damages headers and code by
//! chance: there the program may do anything, but the kernel neither falls nor hangs. RINGO_E2E_SEED picks another chance.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use wait_timeout::ChildExt;

use crate::commands::talk::Heard;
use crate::commands::{ringo_run, text};
use crate::execute::{Outcome, pid, run};
use crate::machine::{Engine, ringo};
use crate::{go, machine};

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    let mut all: Vec<Trial> = broken().into_iter().map(Broken::trial).collect();
    all.push(trial("malformed/cut-anywhere", None, cut_anywhere));
    all.push(trial("malformed/no-regular-file", None, no_regular_file));
    all.push(trial("malformed/cgo", None, cgo));
    for part in 0..3 {
        let random = move |engine| random(engine, part);
        all.push(trial(
            &format!("malformed/random-headers-{part}"),
            Some(Engine::Kvm),
            random,
        ));
    }
    all.push(trial(
        "malformed/random-headers",
        Some(Engine::Tcg),
        |engine| random(engine, 0),
    ));
    all.push(trial(
        "malformed/random-code",
        Some(Engine::Kvm),
        random_code,
    ));
    all
}

/// A trial on an engine; with none, where the command refuses before it needs one, or on tcg.
fn trial(
    name: &str,
    engine: Option<Engine>,
    work: impl Fn(Engine) -> Result<()> + Send + 'static,
) -> Trial {
    let name = match engine {
        Some(engine) => format!("{}-1/{name}", engine.name()),
        None => format!("tcg-1/{name}"),
    };
    let skip = match engine {
        Some(engine) => engine.skip(&name),
        None => machine::pending(&name),
    };
    crate::trial::trial(name, skip, false, move |_| {
        work(engine.unwrap_or(Engine::Tcg))
    })
}

/// Runs a file with these bytes.
fn attempt(engine: Engine, options: &[&str], bytes: &[u8]) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("program");
    fs::write(&file, bytes)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    attempt_file(engine, options, &file)
}

fn attempt_file(engine: Engine, options: &[&str], file: &Path) -> Result<Outcome> {
    let mut command = Command::new(ringo());
    command
        .args([
            "run",
            "--engine",
            engine.name(),
            "--cpus",
            "1",
            "--memory",
            "64M",
        ])
        .args(options)
        .arg(file);
    run(command, b"", Duration::from_secs(15) * engine.patience())
}

/// One line from ringo, 125, nothing else.
fn refused(outcome: &Outcome, words: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&outcome.stderr);
    ensure!(!outcome.late, "it hangs: {said}");
    ensure!(
        outcome.code == 125 && outcome.stdout.is_empty(),
        "exit code {}, standard output {:?}, standard error {said}",
        outcome.code,
        String::from_utf8_lossy(&outcome.stdout)
    );
    ensure!(
        said.starts_with("ringo: ") && said.lines().count() == 1,
        "not one clear line: {said}"
    );
    ensure!(said.contains(words), "nothing about {words:?}: {said}");
    Ok(())
}

/// A damage by hand.
struct Broken {
    name: &'static str,
    damage: fn(&mut Elf),
    words: &'static str,
}

impl Broken {
    fn trial(self) -> Trial {
        // Both engines load with the same code: the one that is quicker is enough.
        let engine = if Engine::Kvm.missing().is_none() {
            Engine::Kvm
        } else {
            Engine::Tcg
        };
        trial(
            &format!("malformed/{}", self.name),
            Some(engine),
            move |engine| {
                let mut elf = Elf::good()?;
                (self.damage)(&mut elf);
                refused(&attempt(engine, &[], &elf.0)?, self.words)
            },
        )
    }
}

/// The bytes of a 64-bit ELF file.
struct Elf(Vec<u8>);

/// Fields of a program header: offset and bytes.
const TYPE: (usize, usize) = (0, 4);
const FLAGS: (usize, usize) = (4, 4);
const OFFSET: (usize, usize) = (8, 8);
const ADDRESS: (usize, usize) = (16, 8);
const FILE_SIZE: (usize, usize) = (32, 8);
const MEMORY_SIZE: (usize, usize) = (40, 8);
const HEADERS: usize = 64;
const HEADER: usize = 56;
/// Fields of the file's header.
const ENTRY: usize = 24;
const HEADERS_AT: usize = 32;
const HEADER_SIZE: usize = 54;
const HEADER_COUNT: usize = 56;
const PT_LOAD: u64 = 1;

impl Elf {
    fn good() -> Result<Elf> {
        Ok(Elf(fs::read(go::program(go::newest(), "hello")?)?))
    }

    fn put(&mut self, at: usize, bytes: usize, value: u64) {
        self.0[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }

    fn get(&self, at: usize, bytes: usize) -> u64 {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.0[at..at + bytes]);
        u64::from_le_bytes(word)
    }

    /// Where the header of the nth segment to load is.
    fn segment(&self, n: usize) -> usize {
        let count = self.get(HEADER_COUNT, 2) as usize;
        let headers = (0..count).map(|i| HEADERS + i * HEADER);
        let mut loaded = headers.filter(|&at| self.get(at, 4) == PT_LOAD);
        loaded
            .nth(n)
            .expect("a Go program has text, rodata and data")
    }

    fn set(&mut self, segment: usize, (at, bytes): (usize, usize), value: u64) {
        let header = self.segment(segment);
        self.put(header + at, bytes, value);
    }

    fn field(&self, segment: usize, (at, bytes): (usize, usize)) -> u64 {
        self.get(self.segment(segment) + at, bytes)
    }

    /// The end of what is loaded from the file.
    fn loaded_end(&self) -> usize {
        (0..3)
            .map(|n| (self.field(n, OFFSET) + self.field(n, FILE_SIZE)) as usize)
            .max()
            .expect("three segments")
    }
}

fn broken() -> Vec<Broken> {
    const KERNEL: u64 = 0xffff_ffff_c000_0000;
    let one = |name, words, damage: fn(&mut Elf)| Broken {
        name,
        damage,
        words,
    };
    vec![
        one("empty", "empty", |elf| elf.0.clear()),
        one("one-byte", "not an executable", |elf| elf.0.truncate(1)),
        one("text", "not an executable", |elf| {
            elf.0 = b"hello\n".to_vec()
        }),
        one("script", "script", |elf| {
            elf.0 = b"#!/bin/sh\necho hello\n".to_vec()
        }),
        one("magic-only", "truncated", |elf| elf.0.truncate(4)),
        one("32-bit", "32-bit", |elf| elf.put(4, 1, 1)),
        one("odd-class", "32-bit", |elf| elf.put(4, 1, 9)),
        one("big-endian", "big-endian", |elf| elf.put(5, 1, 2)),
        one("freebsd", "FreeBSD", |elf| elf.put(7, 1, 9)),
        one("arm64", "arm64", |elf| elf.put(18, 2, 183)),
        one("machine-0", "machine 0", |elf| elf.put(18, 2, 0)),
        one("object", "object file", |elf| elf.put(16, 2, 1)),
        one("core", "core dump", |elf| elf.put(16, 2, 4)),
        one("type-77", "not an executable", |elf| elf.put(16, 2, 77)),
        one("no-headers", "anything to load", |elf| {
            elf.put(HEADER_COUNT, 2, 0)
        }),
        one("many-headers", "damaged", |elf| {
            elf.put(HEADER_COUNT, 2, 65_000)
        }),
        one("headers-elsewhere", "damaged", |elf| {
            elf.put(HEADERS_AT, 8, 1 << 40)
        }),
        one("headers-wrap", "damaged", |elf| {
            elf.put(HEADERS_AT, 8, u64::MAX - 20)
        }),
        one("header-size", "damaged", |elf| elf.put(HEADER_SIZE, 2, 55)),
        one("nothing-to-load", "anything to load", |elf| {
            for n in [2, 1, 0] {
                elf.set(n, TYPE, 0x6474_e551);
            }
        }),
        one("entry-0", "entry", |elf| elf.put(ENTRY, 8, 0)),
        one("entry-in-data", "entry", |elf| {
            let data = elf.field(2, ADDRESS);
            elf.put(ENTRY, 8, data);
        }),
        one("entry-behind-text", "entry", |elf| {
            let end = elf.field(0, ADDRESS) + elf.field(0, MEMORY_SIZE);
            elf.put(ENTRY, 8, end);
        }),
        one("entry-in-kernel", "entry", |elf| elf.put(ENTRY, 8, KERNEL)),
        one("entry-non-canonical", "entry", |elf| {
            elf.put(ENTRY, 8, 1 << 62)
        }),
        one("no-text", "entry", |elf| elf.set(0, FLAGS, 4)),
        one("overlap", "overlap", |elf| {
            let text = elf.field(0, ADDRESS);
            elf.set(1, ADDRESS, text);
        }),
        one("overlap-by-a-page", "overlap", |elf| {
            let size = elf.field(1, ADDRESS) - elf.field(0, ADDRESS) + 4096;
            elf.set(0, MEMORY_SIZE, size);
        }),
        one("out-of-order", "out of order", |elf| {
            let (one, two) = (elf.segment(1), elf.segment(2));
            let copy = elf.0[one..one + HEADER].to_vec();
            elf.0.copy_within(two..two + HEADER, one);
            elf.0[two..two + HEADER].copy_from_slice(&copy);
        }),
        one("at-0", "segment", |elf| elf.set(0, ADDRESS, 0)),
        one("at-kernel", "segment", |elf| elf.set(2, ADDRESS, KERNEL)),
        one("at-top", "segment", |elf| {
            elf.set(2, ADDRESS, 0x7fff_ffff_f000)
        }),
        one("non-canonical", "segment", |elf| {
            elf.set(2, ADDRESS, 1 << 55)
        }),
        one("wraps", "segment", |elf| {
            elf.set(2, ADDRESS, 0xffff_ffff_ffff_f000)
        }),
        one("misaligned", "do not match", |elf| {
            let address = elf.field(2, ADDRESS) + 8;
            elf.set(2, ADDRESS, address);
        }),
        one("memory-size-huge", "", |elf| {
            elf.set(2, MEMORY_SIZE, u64::MAX)
        }),
        one("memory-size-1T", "memory", |elf| {
            elf.set(2, MEMORY_SIZE, 1 << 40)
        }),
        one("larger-than-memory", "memory", |elf| {
            elf.set(2, MEMORY_SIZE, 4 << 30)
        }),
        one("file-size-above-memory", "segment", |elf| {
            elf.set(2, MEMORY_SIZE, 16)
        }),
        one("file-size-huge", "truncated", |elf| {
            elf.set(0, FILE_SIZE, 1 << 40)
        }),
        one("file-size-wraps", "truncated", |elf| {
            elf.set(0, FILE_SIZE, u64::MAX - 10)
        }),
        one("offset-huge", "truncated", |elf| {
            elf.set(1, OFFSET, 1 << 50)
        }),
        one("cut-in-data", "truncated", |elf| {
            let end = elf.loaded_end();
            elf.0.truncate(end - 1);
        }),
    ]
}

/// Cut off at many places: in the headers, and anywhere before the end of what is loaded.
fn cut_anywhere(engine: Engine) -> Result<()> {
    let good = Elf::good()?;
    let end = good.loaded_end();
    let places = (0..200)
        .step_by(7)
        .chain((200..4096).step_by(331))
        .chain((4096..end).step_by(end / 25));
    for place in places.chain([63, 64, 65, end - 4096, end - 1]) {
        let outcome = attempt(engine, &[], &good.0[..place])?;
        refused(&outcome, "").with_context(|| format!("cut at {place}"))?;
    }
    // What lies behind is for debuggers: Linux runs it without, too.
    let outcome = attempt(engine, &[], &good.0[..end])?;
    ensure!(
        outcome.code == 0 && outcome.stdout == b"hello, world\n",
        "cut behind what is loaded: {}",
        String::from_utf8_lossy(&outcome.stderr)
    );
    Ok(())
}

fn no_regular_file(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("program");
    fs::create_dir(&path)?;
    refused(&attempt_file(engine, &[], &path)?, "directory")?;
    fs::remove_dir(&path)?;
    refused(&attempt_file(engine, &[], &path)?, "no such file")?;
    std::os::unix::fs::symlink("program", &path)?;
    refused(&attempt_file(engine, &[], &path)?, "")?;
    fs::remove_file(&path)?;
    // Opening a pipe would wait for its writer.
    let status = Command::new("mkfifo").arg(&path).status()?;
    ensure!(status.success(), "mkfifo");
    refused(&attempt_file(engine, &[], &path)?, "not a regular file")?;
    fs::remove_file(&path)?;
    std::os::unix::fs::symlink("/dev/zero", &path)?;
    refused(&attempt_file(engine, &[], &path)?, "not a regular file")
}

/// Where there is a C compiler: a program with C in it.
fn cgo(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(
        folder.path().join("go.mod"),
        "module example.com/program\n\ngo 1.21\n",
    )?;
    let source = "package main\n\n// int one(void) { return 1; }\nimport \"C\"\n\nfunc main() { println(C.one()) }\n";
    fs::write(folder.path().join("main.go"), source)?;
    go::program(go::newest(), "hello")?;
    let mut build = go::command(go::newest());
    build
        .env("CGO_ENABLED", "1")
        .current_dir(folder.path())
        .args(["build", "-o", "program", "."]);
    if !build.output()?.status.success() {
        return Ok(());
    }
    refused(
        &attempt_file(engine, &[], &folder.path().join("program"))?,
        "CGO_ENABLED=0",
    )
}

/// xorshift64*: the same damage for the same seed.
struct Chance(u64);

impl Chance {
    fn new(part: u64) -> Chance {
        let seed = std::env::var("RINGO_E2E_SEED")
            .ok()
            .and_then(|s| s.parse::<u64>().ok());
        Chance((seed.unwrap_or(1) << 8 | part | 0x80).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    /// A value that is likely to hurt.
    fn value(&mut self) -> u64 {
        let any = (self.below(1 << 31) as u64) << 32 | self.below(1 << 31) as u64;
        match self.below(6) {
            0 => 0,
            1 => u64::MAX - self.below(5000) as u64,
            2 => 1 << self.below(64),
            3 => 0xffff_8000_0000_0000 + self.below(1 << 30) as u64,
            4 => self.below(1 << 24) as u64,
            _ => any,
        }
    }
}

/// Runs damaged bytes. Whatever becomes of the program, Ringo stands: no kernel bug, no hang, and 125 only with one line.
fn survives(engine: Engine, bytes: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("program");
    fs::write(&file, bytes)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    let mut command = ringo_run(engine, &["--cpus", "1", "--memory", "64M"]);
    command
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let errors = Heard::listen(child.stderr.take().context("a pipe")?);
    let code = match child.wait_timeout(Duration::from_secs(4) * engine.patience())? {
        Some(status) => status.code().context("the command was killed")?,
        None => {
            // A damaged program may run for ever and heed no signal. A kernel that still lives says that it has taken
            // each; only one that does not makes the third interrupt end the VM.
            for _ in 0..6 {
                kill_process(pid(&child), Signal::INT)?;
                std::thread::sleep(Duration::from_millis(300));
            }
            child.kill()?;
            child.wait()?;
            0
        }
    };
    let said = text(&errors.wait_for_end());
    for fall in [
        "bug in Ringo",
        "internal error",
        "without a word",
        "QEMU ended",
        "did not react",
    ] {
        ensure!(!said.contains(fall), "{said}");
    }
    if code == 125 {
        ensure!(
            said.lines()
                .filter(|line| line.starts_with("ringo: "))
                .count()
                == 1,
            "{said}"
        );
    }
    Ok(())
}

fn random(engine: Engine, part: u64) -> Result<()> {
    let mut chance = Chance::new(part);
    for round in 0..if engine == Engine::Kvm { 25 } else { 10 } {
        let mut elf = Elf::good()?;
        let mut damage = Vec::new();
        for _ in 0..1 + chance.below(3) {
            let (at, bytes) = if chance.below(3) == 0 {
                [
                    (16, 2),
                    (ENTRY, 8),
                    (HEADERS_AT, 8),
                    (HEADER_SIZE, 2),
                    (HEADER_COUNT, 2),
                ][chance.below(5)]
            } else {
                let (at, bytes) =
                    [TYPE, FLAGS, OFFSET, ADDRESS, FILE_SIZE, MEMORY_SIZE][chance.below(6)];
                (HEADERS + HEADER * chance.below(7) + at, bytes)
            };
            let value = chance.value();
            elf.put(at, bytes, value);
            damage.push(format!("{value:#x} at {at}"));
        }
        survives(engine, &elf.0)
            .with_context(|| format!("round {round}: {}", damage.join(", ")))?;
    }
    Ok(())
}

/// Damaged code, data and tables: the program crashes in its own ways, or does not.
fn random_code(engine: Engine) -> Result<()> {
    let mut chance = Chance::new(99);
    for round in 0..25 {
        let mut elf = Elf::good()?;
        let end = elf.loaded_end();
        let places: Vec<usize> = (0..1 + chance.below(2000))
            .map(|_| 4096 + chance.below(end - 4096))
            .collect();
        for &place in &places {
            elf.0[place] = chance.below(256) as u8;
        }
        survives(engine, &elf.0)
            .with_context(|| format!("round {round}, {} bytes", places.len()))?;
    }
    Ok(())
}
