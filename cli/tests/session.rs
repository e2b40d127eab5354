//! A session's promises, with examples/fake_qemu.rs in the place of VM and kernel.

mod common;

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{program, ringo, run, text};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn streams_are_separate_and_the_exit_code_is_the_programs() {
    let output = run(&[], &["out:hello\n", "err:oops\n", "exit:42"]);
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("hello\n".into(), "oops\n".into())
    );
}

#[test]
fn death_by_a_signal_is_128_and_more() {
    assert_eq!(run(&[], &["killed:15"]).status.code(), Some(143));
}

#[test]
fn nothing_is_lost_at_exit() {
    let output = run(&[], &["spew:20", "exit:0"]);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(0), 20 << 20)
    );
}

/// Starts a session with pipes on all streams.
fn start(script: &[&str]) -> (Child, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = ringo()
        .args(["run", "--engine", "tcg"])
        .arg(program(directory.path()))
        .args(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ringo starts");
    (child, directory)
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("kill");
}

fn read_line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let out = child.stdout.as_mut().expect("piped");
    let mut byte = [0];
    while out.read(&mut byte).expect("stdout") == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    text(&line)
}

#[test]
fn input_arrives_whole_with_its_end() {
    let (mut child, _dir) = start(&["credit:4294967295", "cat", "exit:0"]);
    let mut input = child.stdin.take().expect("piped");
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || input.write_all(&copy).expect("stdin"));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    assert_eq!(output.stdout.len(), sent.len() + 5);
    assert!(output.stdout.starts_with(&sent) && output.stdout.ends_with(b"<end>"));
}

#[test]
fn input_nobody_asks_for_stays_for_the_next_reader() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("input");
    std::fs::write(&script, "0123456789").expect("a temporary file");
    let mut input = std::fs::File::open(script).expect("it was written");
    let output = ringo()
        .args(["run", "--engine", "tcg"])
        .arg(program(directory.path()))
        .args(["credit:4", "take:4", "exit:0"])
        .stdin(input.try_clone().expect("a descriptor"))
        .output()
        .expect("ringo starts");
    assert_eq!(text(&output.stdout), "0123");
    let mut rest = String::new();
    input.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "456789");
}

#[test]
fn a_closed_reader_closes_the_programs_stdout() {
    let (mut child, _dir) = start(&["out:first\n", "spew:1000"]);
    assert_eq!(read_line(&mut child), "first");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(128 + 13), "<gone>".into())
    );
}

#[test]
fn a_slow_reader_slows_the_program() {
    let (mut child, _dir) = start(&["spew:64", "exit:0"]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        child.try_wait().expect("wait").is_none(),
        "64 MiB can't be anywhere but unwritten"
    );
    assert_eq!(
        child.wait_with_output().expect("it ends").stdout.len(),
        64 << 20
    );
}

#[test]
fn a_stream_the_program_closes_ends_for_its_reader() {
    let (mut child, _dir) = start(&["out:all\n", "close", "signals"]);
    let mut all = String::new();
    child
        .stdout
        .as_mut()
        .expect("piped")
        .read_to_string(&mut all)
        .expect("stdout");
    assert_eq!(all, "all\n");
    assert!(
        child.try_wait().expect("wait").is_none(),
        "the program goes on"
    );
    child.kill().expect("kill");
}

#[test]
fn signals_reach_the_program() {
    let (mut child, _dir) = start(&["out:up\n", "signals", "exit:7"]);
    assert_eq!(read_line(&mut child), "up");
    for (name, number) in [
        (Signal::INT, "2"),
        (Signal::TERM, "15"),
        (Signal::HUP, "1"),
        (Signal::QUIT, "3"),
        (Signal::USR1, "10"),
        (Signal::WINCH, "28"),
        (Signal::USR2, "12"),
    ] {
        signal(&child, name);
        assert_eq!(read_line(&mut child), number);
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

#[test]
fn three_interrupts_end_a_vm_that_does_not_react() {
    let (mut child, _dir) = start(&["out:up\n", "deaf"]);
    assert_eq!(read_line(&mut child), "up");
    for _ in 0..3 {
        signal(&child, Signal::INT);
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stderr).contains("did not react"));
}

#[test]
fn three_interrupts_do_not_end_a_program_that_takes_them() {
    let (mut child, _dir) = start(&["out:up\n", "signals", "exit:7"]);
    assert_eq!(read_line(&mut child), "up");
    for _ in 0..5 {
        signal(&child, Signal::INT);
        assert_eq!(read_line(&mut child), "2");
    }
    signal(&child, Signal::USR2);
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in parentheses; a zombie is dead.
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn qemu_dies_with_a_killed_command() {
    let (mut child, _dir) = start(&["show:pid", "out:\n", "deaf"]);
    let pid = read_line(&mut child);
    assert!(is_alive(&pid));
    child.kill().expect("kill");
    child.wait().expect("it ends");
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_alive(&pid) {
        assert!(Instant::now() < deadline, "QEMU outlived the command");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn qemu_is_gone_when_the_command_returns() {
    let output = run(&[], &["show:pid", "exit:0"]);
    assert!(!is_alive(&text(&output.stdout)));
}

#[test]
fn qemus_own_failure_is_one_line() {
    let output = run(&[], &["die"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        said.contains("the disk is on fire") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_refusal_is_one_line() {
    let output = run(&[], &["refuse:the program's segments overlap"]);
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(
        text(&output.stderr),
        "ringo: the program's segments overlap\n"
    );
}

#[test]
fn a_crash_is_explained() {
    let output = run(&[], &["out:before\n", "crash"]);
    let said = text(&output.stderr);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(125), "before\n".into())
    );
    assert!(
        said.contains("panicked on CPU 1: assertion failed: sane"),
        "{said}"
    );
    assert!(
        said.contains("0xffffffffc0001000") && said.contains("bug in Ringo"),
        "{said}"
    );
}

#[test]
fn statistics_are_the_last_line() {
    let output = run(
        &["--stats", "--memory", "16M"],
        &[r#"stats:{"sites":"40/40"}"#, "err:words\n", "exit:3"],
    );
    let said = text(&output.stderr);
    let (first, last) = said.split_once('\n').expect("two lines");
    assert_eq!(first, "words");
    let stats: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(stats["sites"], "40/40");
    assert_eq!(
        (&stats["exit_code"], &stats["memory_bytes"]),
        (&3.into(), &(16 << 20).into())
    );
    assert_eq!(stats["boot_ms"], 1.0);
}

#[test]
fn the_log_goes_to_stderr_when_asked_for() {
    let output = run(&["-v"], &["log:all is well", "exit:0"]);
    assert_eq!(text(&output.stderr), "kernel: all is well\n");
}

#[test]
fn the_clock_is_the_hosts() {
    let output = run(&[], &["clock", "exit:0"]);
    let told: u128 = text(&output.stdout).parse().expect("a number");
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_nanos();
    assert!(now - told < 5_000_000_000, "{told} {now}");
}

#[test]
fn nobody_at_standard_error_is_no_failure() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for (options, script, code) in [
        (&["-v"][..], &["log:words", "out:done", "exit:3"][..], 3),
        (&["--stats"], &["out:done", "exit:4"], 4),
        (&[], &["out:done", "crash"], 125),
    ] {
        let output = ringo()
            .args(["run", "--engine", "tcg"])
            .args(options)
            .arg(program(directory.path()))
            .args(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(writer.try_clone().expect("a descriptor"))
            .spawn()
            .expect("ringo starts")
            .wait_with_output()
            .expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{script:?}");
        assert_eq!(text(&output.stdout), "done");
    }
}
