//! The cases: what is run, with what, and what may differ. A line or two each.

use std::fs;

use crate::case::Program::{Ours, Variant};
use crate::case::{Case, Stdin, case};
use crate::compare::Normalise;
use crate::machine::top;

const MIB: usize = 1 << 20;

fn ours(program: &'static str, act: &'static str) -> Case {
    case(&format!("{program}/{act}"), Ours(program), &[act])
}

/// `ours`, with arguments behind the act; `name` tells the case from others of the same act.
fn with(program: &'static str, act: &'static str, name: &str, args: &[&str]) -> Case {
    let all: Vec<&str> = std::iter::once(act).chain(args.iter().copied()).collect();
    case(&format!("{program}/{act}{name}"), Ours(program), &all)
}

/// Every case, group by group.
pub fn cases() -> Vec<Case> {
    [hello(), circumstances(), crash()]
        .into_iter()
        .flatten()
        .collect()
}

fn hello() -> Vec<Case> {
    const PIE: &[&str] = &["-buildmode=pie"];
    const STRIPPED: &[&str] = &["-ldflags=-s -w"];
    const BOTH: &[&str] = &["-buildmode=pie", "-ldflags=-s -w"];
    let build = |name, flags| {
        case(&format!("hello/{name}"), Variant("hello", name, flags), &[])
            .cpus(&[1])
            .every_version()
    };
    vec![
        case("hello/plain", Ours("hello"), &[])
            .cpus(&[1, 2, 4])
            .every_version()
            .code(0),
        case("hello/16M", Ours("hello"), &[])
            .cpus(&[1])
            .memory(16)
            .every_version()
            .code(0),
        build("stripped", STRIPPED).code(0),
        build("pie", PIE).code(0),
        build("pie-stripped", BOTH).code(0),
    ]
}

fn circumstances() -> Vec<Case> {
    let act = |act| ours("circumstances", act).code(0);
    let exit = |code: i32| {
        with(
            "circumstances",
            "exit",
            &format!("-{code}"),
            &[&code.to_string()],
        )
        .cpus(&[1])
        .code(code)
    };
    vec![
        act("args").cpus(&[1]),
        with(
            "circumstances",
            "args",
            "-odd",
            &[
                "",
                "a b",
                "--flag=x",
                "-v",
                "--engine",
                "line\nbreak",
                "h\u{e9}llo",
                "$HOME",
            ],
        )
        .cpus(&[1]),
        act("env")
            .env("LONG", "a value of some length, with spaces = and more")
            .env("EMPTY", "")
            .env("LANG", "C")
            .cpus(&[1]),
        exit(0),
        exit(1),
        exit(125),
        exit(255),
        ours("circumstances", "exit-from-goroutine").code(7),
        ours("circumstances", "goexit")
            .normalise(Normalise::Traceback)
            .code(2),
        ours("circumstances", "deferred").code(9),
        act("lines").stdin(Stdin::Text("first\nsecond line\n\nlast without newline")),
        with("circumstances", "lines", "-none", &[]).code(0),
        act("digest").stdin(Stdin::Bytes(20 * MIB)),
        act("stdin-twice").stdin(Stdin::Bytes(100_000)),
        act("copy").stdin(Stdin::Bytes(5 * MIB)),
        with("circumstances", "output", "-8M", &["8"]).code(0),
        act("unbuffered"),
        act("cwd"),
        act("build-info").cpus(&[1]),
        act("executable").cpus(&[1]),
        act("closed-streams").cpus(&[1]),
    ]
}

fn crash() -> Vec<Case> {
    let act = |act| ours("crash", act).normalise(Normalise::Traceback);
    let first = |act| {
        ours("crash", act)
            .normalise(Normalise::FirstGoroutine)
            .code(2)
    };
    let mut all = vec![
        act("recovered").every_version().code(0),
        act("recovered-many").every_version().code(0),
        act("nested").code(0),
        act("on-fault").every_version().code(0),
        act("string-fault").code(0),
        act("exit-in-panic").code(11),
        act("bus").normalise(Normalise::FirstGoroutine).code(2),
        act("stack").normalise(Normalise::FirstGoroutine).code(2),
        first("threads"),
        first("nil").every_version(),
    ];
    for name in [
        "nil-write",
        "nil-func",
        "nil-map",
        "divide",
        "index",
        "error",
        "goroutine",
        "bad-pointer",
        "bad-write",
    ] {
        all.push(first(name));
    }
    for name in [
        "non-canonical",
        "write-text",
        "execute-data",
        "jump-nowhere",
        "misaligned",
        "breakpoint",
        "undefined",
    ] {
        all.push(first(name));
    }
    for name in [
        "overflow",
        "deadlock",
        "deadlock-mutex",
        "unlock",
        "closed-channel",
        "negative-wait",
        "throw-in-defer",
    ] {
        all.push(first(name));
    }
    for name in ["goexit-panic", "long-message", "too-large"] {
        all.push(first(name));
    }
    for level in ["none", "single", "all", "system", "1"] {
        all.push(
            with("crash", "bad-pointer", &format!("-traceback-{level}"), &[])
                .env("GOTRACEBACK", level)
                .normalise(Normalise::FirstGoroutine)
                .code(2),
        );
    }
    all.push(
        with("crash", "nil", "-traceback-crash", &[])
            .env("GOTRACEBACK", "crash")
            .normalise(Normalise::FirstGoroutine)
            .code(134),
    );
    all
}

/// Trials that the kernel cannot pass yet: tests/pending.txt has a pattern a line, `*` for any text. They are reported as skipped.
pub fn pending(name: &str) -> bool {
    let Ok(text) = fs::read_to_string(top().join("tests/pending.txt")) else {
        return false;
    };
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .any(|pattern| matches(pattern, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len()).any(|i| tail.is_char_boundary(i) && matches(rest, &tail[i..]))
        }),
    }
}
