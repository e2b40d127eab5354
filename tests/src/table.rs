//! The cases: what is run, with what, and what may differ. A line or two each.

use std::fs;
use std::path::Path;

use crate::case::Program::{Ours, Variant};
use crate::case::{Case, Stdin, case};
use crate::compare::Normalise;
use crate::machine::{Engine, top};

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
    [
        hello(),
        circumstances(),
        crash(),
        signals(),
        registers(),
        scheduling(),
        timing(),
        memory(),
        stress(),
        procfs(),
        files(),
        crate::overlay::cases(),
        kinds(),
        long(),
        calls(),
        acts(
            "pointers",
            "files paths events time signals process memory numbers zeros",
        ),
        network(),
        objects(),
        acts("ptys", "pair lines echo raw ends waiting"),
    ]
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
        case("hello/17M", Ours("hello"), &[])
            .cpus(&[1])
            .memory(17)
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

/// Each act of a program, on both engines with one and two CPUs, ending with 0.
/// Calls that move hundreds of megabytes.
fn long() -> Vec<Case> {
    let mut all = acts("long", "others zeros file sendfile copy write allocate");
    all.push(ours("long", "exit").code(3));
    all
}

fn acts(program: &'static str, names: &'static str) -> Vec<Case> {
    names
        .split_whitespace()
        .map(|act| ours(program, act).code(0))
        .collect()
}

fn signals() -> Vec<Case> {
    let act = |act| ours("signals", act);
    let death = |n: i32| {
        with("signals", "default", &format!("-{n}"), &[&n.to_string()])
            .normalise(Normalise::Dump)
            .cpus(&[1])
    };
    let mut all = acts(
        "signals",
        "ignore context realtime thread mask wait itimer posix-timer pipe-error errors altstack restart self-interrupt queue pause \
         handlers sleepers proc-status numbers",
    );
    all.extend(
        (1..=31)
            .filter(|n| ![19, 20, 21, 22].contains(n))
            .map(death),
    );
    all.push(death(35));
    all.push(death(64));
    all.push(act("notify").every_version().code(0));
    all.push(act("storm").cpus(&[1, 2, 4]).every_version().code(0));
    all.push(act("concurrent").cpus(&[1, 2, 4]).code(0));
    all.push(act("own-end").cpus(&[1, 2, 4]).code(137));
    all.push(act("reset").code(143));
    all.push(act("stop-notify").code(143));
    all.push(act("pipe-stdout").code(141));
    all
}

fn registers() -> Vec<Case> {
    let every = |act| ours("registers", act).cpus(&[1, 2]).limit(30).code(0);
    let names = [
        "general",
        "flags",
        "vectors128",
        "vectors256",
        "vectors512",
        "x87",
        "calls",
        "modes",
        "fresh",
        "pending",
        "stepping",
        "flag-calls",
        "x87-held",
    ];
    let mut all: Vec<Case> = names.into_iter().map(every).collect();
    // QEMU's emulation raises no exceptions of this kind.
    for act in ["simd", "float"] {
        all.push(every(act).engines(&[Engine::Kvm]));
    }
    all.push(every("mixed").cpus(&[1, 2, 4]).every_version());
    all
}

fn scheduling() -> Vec<Case> {
    let mut all = acts(
        "scheduling",
        "locked-threads mutexes conditions select affinity execution-trace thread-exit futex syscall-handoff goroutines yield \
         thread-ids priorities rwmutex once pools stacks names futex-requeue futex-errors",
    );
    all.push(
        ours("scheduling", "contend")
            .cpus(&[1, 2, 8])
            .limit(60)
            .code(0),
    );
    all.push(ours("scheduling", "confine").cpus(&[1, 2, 4]).code(0));
    for act in ["spin-many", "ping-pong", "turns"] {
        all.push(ours("scheduling", act).cpus(&[1, 2, 4]).limit(60).code(0));
    }
    all.push(ours("scheduling", "spin").every_version().code(0));
    all.push(
        ours("scheduling", "channels")
            .cpus(&[1, 2, 4])
            .every_version()
            .code(0),
    );
    all.push(
        ours("scheduling", "parallel")
            .cpus(&[2])
            .alone()
            .limit(60)
            .code(0),
    );
    all.push(
        ours("scheduling", "profile")
            .alone()
            .every_version()
            .code(0),
    );
    all.push(ours("scheduling", "profile-threads").alone().code(0));
    all.push(ours("scheduling", "usage").alone().code(0));
    all
}

fn timing() -> Vec<Case> {
    let mut all = acts(
        "timing",
        "clocks timers timerfd many-timers nanosleep wall reset errors deadline timerfd-clocks cpu-timers timer-signals sender",
    );
    all.push(
        ours("timing", "monotonic")
            .cpus(&[1, 2, 4])
            .every_version()
            .code(0),
    );
    all.push(
        ours("timing", "zones")
            .cpus(&[1])
            .env("ZONEINFO", "")
            .code(0),
    );
    for act in ["sleep", "ticker", "idle"] {
        all.push(ours("timing", act).alone().code(0));
    }
    all.push(
        ours("timing", "precision")
            .normalise(Normalise::StdoutOnly)
            .alone()
            .code(0),
    );
    all
}

fn memory() -> Vec<Case> {
    let mut all = acts(
        "memory",
        "anonymous protect fixed remap advise incore lock private-file shared-file truncated-file errors maps sparse many-mappings \
         dontneed memory-limit populate grow-file brk two-views huge write-own-mapping exec msync zero-pages status \
         shared-status peak",
    );
    all.push(ours("memory", "given-back").memory(257).code(0));
    all.push(ours("memory", "fresh-addresses").memory(64).code(0));
    all.push(ours("memory", "far-pages").memory(64).limit(60).code(0));
    all.push(ours("memory", "shared-futex").cpus(&[1, 2]).code(0));
    all.push(ours("memory", "regrow").cpus(&[1, 2, 4]).limit(60).code(0));
    all.push(ours("memory", "collect").every_version().code(0));
    all.push(
        ours("memory", "trees")
            .cpus(&[1, 2, 4])
            .every_version()
            .code(0),
    );
    all.push(ours("memory", "threads").cpus(&[1, 2, 4]).code(0));
    all.push(ours("memory", "free").every_version().code(0));
    all.push(
        with("memory", "big", "-3G", &["3072"])
            .memory(4096)
            .cpus(&[2])
            .limit(60)
            .code(0),
    );
    all.push(with("memory", "big", "-256M", &["256"]).memory(400).code(0));
    let out = |case: Case| case.normalise(Normalise::FatalLine).every_version().code(2);
    all.push(out(ours("memory", "exhaust")));
    all.push(out(
        with("memory", "exhaust-gradually", "", &["256"]).memory(256)
    ));
    all
}

fn files() -> Vec<Case> {
    let mut all = acts(
        "files",
        "create rename links walk seek append truncate sparse modes readdir unnamed at loops errors times copy cwd unlinked flock records \
         devices vector dup statfs exchange paths temp fallocate owners fifo xattr self close-range removeall deep full-table replaced lock-files",
    );
    all.push(ours("files", "threads").cpus(&[1, 2, 4]).code(0));
    all.push(ours("files", "big").limit(60).code(0));
    let big = |at: &Path| fs::write(at.join("big"), Stdin::Bytes(5_000_123).bytes());
    all.push(ours("files", "holes").files(big).code(0));
    all
}

fn calls() -> Vec<Case> {
    let mut all = acts(
        "calls",
        "vm kcmp getdents pidfd nice policies robust seek advice remove core grows shared zero-map descriptor-flags prctl arguments \
         address-limit entropy parent",
    );
    all.push(ours("calls", "sites").every_version().code(0));
    all
}

fn kinds() -> Vec<Case> {
    let mut all = acts(
        "kinds",
        "poll poll-states poll-many poll-mask poll-interrupted select select-errors fifo fifo-nonblocking fifo-both fifo-poll memfd seals \
         read-only-mapping splice splice-errors tee vmsplice copies packets \
         inotify-directory inotify-file inotify-both inotify-flags inotify-reading inotify-overflow inotify-threads \
         epoll-nesting epoll-closed splice-wakes half-written",
    );
    all.push(ours("kinds", "short-memory").memory(64).code(0));
    all
}

fn procfs() -> Vec<Case> {
    let mut all = acts(
        "procfs",
        "links limits names strings adjust maps smaps threads thread-end descriptors infos many-descriptors directories errors modes \
         statfs parallel meminfo cpuinfo settings mounts cpus machine seek network",
    );
    for act in ["status", "io", "heap"] {
        all.push(ours("procfs", act).every_version().code(0));
    }
    for act in ["stat", "system"] {
        all.push(ours("procfs", act).alone().code(0));
    }
    all.push(
        ours("procfs", "reopen")
            .stdin(Stdin::Text("some input"))
            .code(0),
    );
    all
}

fn network() -> Vec<Case> {
    acts(
        "network",
        "echo families refused deadlines half-close resets listen backlog many close-unblocks port-reuse udp udp-connected udp-full \
         udp-control udp-origin udp-filters pipes http http-many tls rpc states edges accept-errors reuse messages interrupted timeouts shutdowns peek \
         broken-pipe sendfile calls options bad-arguments bulk \
         unix-streams unix-datagrams unix-pairs unix-calls unix-server rights rights-deep rights-circles quiet-pipes recvmmsg credentials interfaces generic-netlink storm",
    )
}

/// Calls on each kind of descriptor, with good and bad arguments: some thousand combinations a family.
fn objects() -> Vec<Case> {
    "files attributes events maps control sockets"
        .split_whitespace()
        .map(|family| ours("objects", family).confined().code(0))
        .collect()
}

/// Everything at once, for a while: RINGO_STRESS_SECONDS makes it longer.
fn stress() -> Vec<Case> {
    let seconds = std::env::var("RINGO_STRESS_SECONDS").unwrap_or_else(|_| "4".to_owned());
    let limit = 30 + 2 * seconds.parse::<u64>().unwrap_or(4);
    vec![
        case("stress", Ours("stress"), &[&seconds])
            .cpus(&[1, 2, 4])
            .limit(limit)
            .code(0),
    ]
}

/// Trials that the kernel cannot pass yet: tests/pending.txt has a pattern a line, `*` for any text. They are reported as
/// skipped.
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
