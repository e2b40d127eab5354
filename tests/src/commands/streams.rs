//! The three standard streams when they are not terminals.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::talk::{
    Step::{CloseInput, CloseOutput, Expect, Say},
    Talk,
};
use super::{end_of, eventually, finish, on, ours, ringo_run, text};
use crate::case::Stdin;
use crate::execute::run;
use crate::machine::{Engine, self_check};

pub fn trials() -> Vec<Trial> {
    const KVM: &[Engine] = &[Engine::Kvm];
    let mut all = Vec::new();
    let flood = &[Expect("flood\n"), CloseOutput];
    all.extend(
        closed(Talk::new(
            "closed-stdout",
            "console",
            &["flood"],
            flood,
            141,
        ))
        .trials(),
    );
    all.extend(
        closed(Talk::new(
            "closed-stdout-kept",
            "console",
            &["flood", "keep"],
            flood,
            4,
        ))
        .trials(),
    );
    all.extend(
        Talk::new(
            "conversation",
            "console",
            &["echo"],
            &[
                Expect("ready\n"),
                Say("one\n"),
                Expect("heard ONE\n"),
                Say("two\nthr"),
                Expect("heard TWO\n"),
                Say("ee\n"),
                Expect("heard THREE\n"),
                Say("last"),
                CloseInput,
                Expect("heard LAST\n"),
                Expect("end <nil>\n"),
            ],
            0,
        )
        .trials(),
    );
    all.extend(on(&Engine::ALL, "closed-stdin", closed_stdin));
    all.extend(on(&Engine::ALL, "merged-order", merged_order));
    all.extend(on(&Engine::ALL, "input-left", input_left));
    all.extend(on(KVM, "output-100M", |engine| large_output(engine, 100)));
    all.extend(on(&[Engine::Tcg], "output-10M", |engine| {
        large_output(engine, 10)
    }));
    all.extend(on(KVM, "input-100M", |engine| large_input(engine, 100)));
    all.extend(on(&[Engine::Tcg], "input-10M", |engine| {
        large_input(engine, 10)
    }));
    all.extend(on(KVM, "slow-reader", slow_reader));
    all.extend(on(&Engine::ALL, "stuck-reader", stuck_reader));
    all.extend(on(KVM, "output-to-file", output_to_file));
    all.extend(on(KVM, "full-disk", full_disk));
    all.extend(on(KVM, "stdout-closed-by-program", closed_by_program));
    all
}

/// How much came out before the reader went is chance.
fn closed(mut talk: Talk) -> Talk {
    talk.compare = super::talk::Compare::Steps;
    talk
}

/// `ringo run` with the program, or the program itself.
fn start(engine: Engine, program: &str, args: &[&str]) -> Result<Command> {
    let program = ours(program)?;
    let mut command = if self_check() {
        Command::new(program)
    } else {
        let mut command = ringo_run(engine, &["--cpus", "2"]);
        command.arg(program);
        command
    };
    command.args(args);
    Ok(command)
}

/// A shell's `<&-`: reading fails as on Linux, and nothing else takes the descriptor's place.
fn closed_stdin(engine: Engine) -> Result<()> {
    let shell = |command: &Command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&-"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell
    };
    let mut linux = Command::new(ours("console")?);
    linux.args(["take", "5"]);
    let linux = finish(shell(&linux), engine)?;
    let ringo = finish(shell(&start(engine, "console", &["take", "5"])?), engine)?;
    ensure!(
        (ringo.code, &ringo.stdout) == (linux.code, &linux.stdout),
        "linux {} {}, ringo {} {}",
        linux.code,
        text(&linux.stdout),
        ringo.code,
        text(&ringo.stdout)
    );
    Ok(())
}

/// `2>&1`: one file, in the order of the writes.
fn merged_order(engine: Engine) -> Result<()> {
    let mut command = start(engine, "console", &["alternate"])?;
    let (mut reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command);
    let mut all = String::new();
    reader.read_to_string(&mut all)?;
    let code = end_of(&mut child, Duration::from_secs(20) * engine.patience())?;
    ensure!(code == 0, "exit code {code}: {all}");
    let expected: String = (0..500).map(|i| format!("out {i}\nerr {i}\n")).collect();
    ensure!(
        all == expected,
        "the order is not that of the writes:\n{all}"
    );
    Ok(())
}

/// What the program did not read is there for whoever reads next.
fn input_left(engine: Engine) -> Result<()> {
    let mut file = tempfile::tempfile()?;
    let input = Stdin::Bytes(300_000).bytes();
    file.write_all(&input)?;
    file.rewind()?;
    let mut command = start(engine, "console", &["take", "1000"])?;
    command.stdin(file.try_clone()?).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    ensure!(output.stdout.starts_with(b"1000 ok\n"), "{output:?}");
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    ensure!(
        rest == input[1000..],
        "{} bytes are left, not {}",
        rest.len(),
        input.len() - 1000
    );
    Ok(())
}

fn large_output(engine: Engine, mib: usize) -> Result<()> {
    let mib = mib.to_string();
    let mut linux = Command::new(ours("console")?);
    linux.args(["give", &mib]);
    let limit = Duration::from_secs(30) * engine.patience();
    let linux = run(linux, b"", limit)?;
    let ringo = run(start(engine, "console", &["give", &mib])?, b"", limit)?;
    ensure!(!ringo.late, "it does not end");
    ensure!(
        ringo.stderr == linux.stderr && ringo.code == 0,
        "{} {}",
        ringo.code,
        text(&ringo.stderr)
    );
    ensure!(
        ringo.stdout.len() == linux.stdout.len(),
        "{} bytes arrived of {}",
        ringo.stdout.len(),
        linux.stdout.len()
    );
    ensure!(
        ringo.stdout == linux.stdout,
        "what arrived is not what was written"
    );
    Ok(())
}

fn large_input(engine: Engine, mib: usize) -> Result<()> {
    let input = Stdin::Bytes(mib << 20).bytes();
    let limit = Duration::from_secs(30) * engine.patience();
    let mut linux = Command::new(ours("circumstances")?);
    linux.arg("digest");
    let linux = run(linux, &input, limit)?;
    let ringo = run(start(engine, "circumstances", &["digest"])?, &input, limit)?;
    ensure!(!ringo.late, "it does not end");
    ensure!(
        ringo.stdout == linux.stdout && ringo.code == 0,
        "linux {}, ringo {} {}",
        text(&linux.stdout),
        text(&ringo.stdout),
        text(&ringo.stderr)
    );
    Ok(())
}

/// A reader that does not read holds the program up, and nobody stores what it writes.
fn slow_reader(engine: Engine) -> Result<()> {
    let mut command = start(engine, "console", &["give", "200"])?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = child.stdout.take().context("a pipe")?;
    let mut first = [0; 4096];
    output.read_exact(&mut first)?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(
        child.try_wait()?.is_none(),
        "200 MiB are written, but nobody has read them"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let resident: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .context("VmRSS")?;
    ensure!(resident < 40 << 10, "ringo holds {resident} KiB");
    let mut total = first.len() as u64;
    total += std::io::copy(&mut output, &mut std::io::sink())?;
    ensure!(total == 200 << 20, "{total} bytes arrived");
    let code = end_of(&mut child, Duration::from_secs(10))?;
    ensure!(code == 0, "exit code {code}");
    Ok(())
}

/// A reader that takes nothing does not keep a program that was told to end, nor the command.
fn stuck_reader(engine: Engine) -> Result<()> {
    let mut command = start(engine, "console", &["give", "200"])?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = child.stdout.take().context("a pipe")?;
    output.read_exact(&mut [0; 4096])?;
    // Until all buffers on the way are full.
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let code = end_of(&mut child, Duration::from_secs(20))?;
    ensure!(code == 143, "exit code {code}");
    // What was there is still to be read.
    let read = std::io::copy(&mut output, &mut std::io::sink())?;
    ensure!(read >= 4096, "{read} bytes were left");
    Ok(())
}

/// Standard output may be a regular file, also one that is appended to.
fn output_to_file(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("output");
    std::fs::write(&path, "before\n")?;
    let file = File::options().append(true).open(&path)?;
    let mut command = start(engine, "console", &["alternate"])?;
    command.stdout(file).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let code = end_of(&mut child, Duration::from_secs(20))?;
    ensure!(code == 0, "exit code {code}");
    let expected: String = (0..500).map(|i| format!("out {i}\n")).collect();
    let found = std::fs::read_to_string(&path)?;
    ensure!(
        found == format!("before\n{expected}"),
        "the file holds:\n{found}"
    );
    Ok(())
}

/// A full disk behind standard output is said once, and ends a program that does not care.
fn full_disk(engine: Engine) -> Result<()> {
    let mut command = start(engine, "console", &["flood"])?;
    command
        .stdout(File::options().write(true).open("/dev/full")?)
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut errors = String::new();
    let mut pipe = child.stderr.take().context("a pipe")?;
    let reader = std::thread::spawn(move || pipe.read_to_string(&mut errors).map(|_| errors));
    let code = end_of(&mut child, Duration::from_secs(20))?;
    let errors = reader.join().map_err(|_| anyhow::anyhow!("the reader"))??;
    if self_check() {
        return Ok(());
    }
    ensure!(
        errors.contains("No space left on device") || errors.contains("ENOSPC"),
        "{errors}"
    );
    ensure!(code == 141 || code == 4, "exit code {code}: {errors}");
    Ok(())
}

/// The program closes its output: its reader finds the end while the program lives on.
fn closed_by_program(engine: Engine) -> Result<()> {
    let mut command = start(engine, "console", &["close"])?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = child.stdout.take().context("a pipe")?;
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        output.read_to_string(&mut all).map(|_| all)
    });
    let found = eventually("the end of its output", Duration::from_secs(10), || {
        reader.is_finished()
    });
    let alive = child.try_wait()?.is_none();
    child.kill()?;
    child.wait()?;
    found?;
    let all = reader.join().map_err(|_| anyhow::anyhow!("the reader"))??;
    ensure!(all == "last words\n", "its output was {all:?}");
    ensure!(alive, "it did not live on");
    Ok(())
}
