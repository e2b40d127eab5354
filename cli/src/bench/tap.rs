//! What a server does for clients on another machine: `net-tap*`, in a network namespace of their own.
//!
//! The server (`go/bench -serve`) runs in each of the systems behind a network of its own with one other machine, the host:
//! over a tap interface in ring 0 and in the Linux guest, over a pair of virtual Ethernet interfaces as a Linux process. On
//! the host are the clients: wrk with 64 connections, then `go/bench -load`.
//!
//! - `net-tap/*`: under KVM, beside a Linux process. `net-tap-tcg/*`: emulated, beside a Linux guest in the same kind of VM.
//! - The server has all CPUs but one, which is for the clients (and QEMU's devices), if there is more than one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::linux_guest::{Ends, LinuxGuest, Machine};
use super::{Limit, ring0};
use crate::qemu::engine::Engine;
use crate::qemu::tap::{self, Work};

/// Beginnings of the cases' names.
pub const NATIVE: &str = "net-tap/";
pub const EMULATED: &str = "net-tap-tcg/";

const HOST: &str = "192.0.2.1/24";
const GUEST: &str = "192.0.2.2/24";
const SERVER: &str = "192.0.2.2";
const TAP: &str = "tap0";
/// Set for the command in the namespace.
const INSIDE: &str = "RINGO_BENCH_INSIDE";
const VETH: &str = "veth0";
/// What the server prints when it serves (go/bench/tap.go).
const SERVED: &str = "bench: serving";
const BOOT: Duration = Duration::from_secs(120);
const SECONDS: u32 = 5;

/// Counts of `--stats` that stand for something that left the VM, each with what it is called.
const EXITS: [(&str, &str); 5] = [
    ("net_notifications", "notifications of the card"),
    ("interrupts", "interrupts"),
    ("halts", "halts"),
    ("timer_arms", "timers armed"),
    ("interrupts_sent", "interrupts to other CPUs"),
];

/// Where the server runs.
#[derive(Clone, Copy)]
pub enum System<'a> {
    Process,
    Ring0(Engine),
    Guest(&'a LinuxGuest),
}

/// What was measured: lines as the program itself prints them, and what left the VM for each request, in words.
pub struct Measured {
    pub lines: String,
    pub exits: Option<String>,
}

/// Starts this command again in a network namespace of its own with nothing but loopback, unless it is that already.
pub fn enter_namespace() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return ip("link set lo up");
    }
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let error = command
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(error).context("unshare doesn't start: --tap makes a network namespace with it")
}

/// The way to the server: this interface of the host's, and no other.
fn connect(interface: &str, make: &str) -> Result<()> {
    for other in [TAP, VETH] {
        let delete = ["link", "delete", other];
        let mut command = Command::new("ip");
        // There may be none.
        command.args(delete).stderr(Stdio::null()).status()?;
    }
    ip(make)?;
    ip(&format!("address add {HOST} dev {interface}"))?;
    ip(&format!("link set {interface} up"))
}

/// Measures a server.
pub fn measure(system: System<'_>, program: &Path, machine: Machine) -> Result<Measured> {
    let machine = Machine {
        cpus: (machine.cpus - 1).max(1),
        ..machine
    };
    let names = match system {
        System::Process | System::Ring0(Engine::Kvm) => NATIVE,
        System::Ring0(Engine::Tcg) | System::Guest(_) => EMULATED,
    };
    let mut lines = String::new();
    let server = Server::start(system, program, machine)?;
    let requests = wrk(&mut lines)?;
    let exits = server.stop()?.map(|stats| per_request(&stats, requests));
    let server = Server::start(system, program, machine)?;
    lines += &said(Command::new(program).args(["-load", SERVER]))?;
    server.stop()?;
    let lines = lines.lines().fold(String::new(), |mut all, line| {
        // A String takes everything.
        let _ = writeln!(all, "{names}{line}");
        all
    });
    Ok(Measured { lines, exits })
}

/// `ip` with these words.
fn ip(words: &str) -> Result<()> {
    said(Command::new("ip").args(words.split(' '))).map(drop)
}

/// What a command prints.
fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{name} doesn't start: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Has wrk ask for pages; gives how many came.
fn wrk(lines: &mut String) -> Result<f64> {
    let time = format!("-d{SECONDS}s");
    let page = format!("http://{SERVER}/");
    let said = said(Command::new("wrk").args(["-t1", "-c64", &time, "--latency", &page]))?;
    let report = Report::parse(&said).with_context(|| format!("not wrk's report: {said}"))?;
    ensure!(!report.errors, "not every request was answered: {said}");
    let name = "http-1k-64";
    *lines += &format!(
        "{name}\t{:.2}\n{name}/p50\t{:.2}\n{name}/p99\t{:.2}\n",
        1e9 / report.rate,
        report.p50,
        report.p99
    );
    Ok(report.rate * f64::from(SECONDS))
}

/// What wrk says: requests a second, nanoseconds.
#[derive(Debug, PartialEq)]
struct Report {
    rate: f64,
    p50: f64,
    p99: f64,
    errors: bool,
}

impl Report {
    fn parse(text: &str) -> Option<Report> {
        let after = |start: &str| {
            let found = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(start));
            found.map(str::trim)
        };
        Some(Report {
            rate: after("Requests/sec:")?.parse().ok()?,
            p50: nanoseconds(after("50%")?)?,
            p99: nanoseconds(after("99%")?)?,
            errors: after("Socket errors").is_some() || after("Non-2xx").is_some(),
        })
    }
}

/// A time as wrk writes it.
fn nanoseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
}

fn per_request(stats: &Value, requests: f64) -> String {
    let words = EXITS.iter().filter_map(|(key, name)| {
        let count = stats[key].as_f64()?;
        Some(format!("{:.3} {name}", count / requests))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A server that runs.
struct Server {
    child: Ends,
    /// It is `ringo`, which says what happened when it is ended.
    ring0: bool,
}

impl Server {
    fn start(system: System<'_>, program: &Path, machine: Machine) -> Result<Server> {
        if !matches!(system, System::Process) {
            connect(TAP, &format!("tuntap add {TAP} mode tap"))?;
        }
        let (mut child, serial) = match system {
            System::Process => (process(program, machine.cpus)?, None),
            System::Ring0(engine) => (in_ring0(program, Machine { engine, ..machine })?, None),
            System::Guest(guest) => {
                let machine = Machine {
                    engine: Engine::Tcg,
                    ..machine
                };
                let card = tap::tap(TAP, Work::Shared)?.descriptor;
                let address = format!("-address={GUEST}");
                let arguments = [address, "-serve".to_owned()];
                let (child, serial) = guest.start(&machine, program, &arguments, Some(card))?;
                (child, Some(serial))
            }
        };
        let output: Box<dyn Read + Send> = match serial {
            Some(serial) => Box::new(serial),
            None => Box::new(child.0.stdout.take().context("no standard output")?),
        };
        let server = Server {
            child,
            ring0: matches!(system, System::Ring0(_)),
        };
        await_line(output)?;
        Ok(server)
    }

    /// Ends it; gives what `--stats` says.
    fn stop(mut self) -> Result<Option<Value>> {
        if !self.ring0 {
            return Ok(None);
        }
        let child = &mut self.child.0;
        kill_process(Pid::from_child(child), Signal::TERM)?;
        let mut text = String::new();
        let mut stderr = child.stderr.take().context("no standard error")?;
        stderr.read_to_string(&mut text)?;
        child.wait()?;
        let stats = text
            .lines()
            .find_map(|line| serde_json::from_str(line).ok());
        Ok(Some(stats.with_context(|| format!("no --stats: {text}"))?))
    }
}

/// Waits until the server says that it serves; what it says later goes nowhere.
fn await_line(output: Box<dyn Read + Send>) -> Result<()> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|count| count > 0) {
            // Nobody listens any more, but the pipe must not fill.
            let _ = sender.send(std::mem::take(&mut line));
        }
    });
    let mut all = String::new();
    while let Ok(line) = lines.recv_timeout(BOOT) {
        if line.trim() == SERVED {
            return Ok(());
        }
        all += &line;
    }
    bail!("the server doesn't come up: {all}")
}

fn in_ring0(program: &Path, machine: Machine) -> Result<Ends> {
    let mut line = ring0(program, machine)?;
    let mut options = vec!["--net", "tap:tap0", "--ip", GUEST, "--stats"];
    if machine.engine == Engine::Tcg {
        // As the Linux guest's.
        options.extend(["--machine", "q35"]);
    }
    line.splice(2..2, options.into_iter().map(OsString::from));
    let child = Command::new(&line[0])
        .args(&line[1..])
        .arg("-serve")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(Ends(child))
}

/// A Linux process in a namespace of its own, at the other end of a pair of interfaces in place of the tap interface.
fn process(program: &Path, cpus: u32) -> Result<Ends> {
    let limit = Limit::to(cpus)?;
    // It looks for its end of the pair before it becomes the program.
    let script = "until ip link set veth1 up 2>/dev/null; do sleep 0.05; done; \
                  ip link set lo up && ip address add \"$0\" dev veth1 && exec \"$1\" -serve";
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", script, GUEST])
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let child = Ends(command.spawn()?);
    drop(limit);
    let id = child.0.id();
    // Before it has entered its namespace it is in ours.
    let namespace = |id: &str| std::fs::read_link(format!("/proc/{id}/ns/net"));
    while namespace("self")? == namespace(&id.to_string())? {
        thread::sleep(Duration::from_millis(10));
    }
    connect(
        VETH,
        &format!("link add {VETH} type veth peer name veth1 netns {id}"),
    )?;
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_report_is_understood() {
        let said = "  Latency Distribution\n     50%  840.00us\n     75%    1.2ms\n     99%    8.68ms\n\
                    Requests/sec:  31079.66\nTransfer/sec: 3MB\n";
        let report = Report {
            rate: 31079.66,
            p50: 840e3,
            p99: 8.68e6,
            errors: false,
        };
        assert_eq!(Report::parse(said), Some(report));
        let bad = format!("{said}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        assert!(Report::parse(&bad).is_some_and(|report| report.errors));
        assert_eq!(Report::parse("unable to connect"), None);
    }
}
