//! The command line. values.rs: what some options take.
//!
//! Options end at PROGRAM: everything behind it is the program's, as with env(1) and docker run. An option that is given again
//! replaces what it said before, unless it is repeatable.

mod bench;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use ringo_abi::MAX_CPUS;

use crate::FAILED;
use crate::network::{self, Domain, Mac, Net, Prefix};
pub use bench::BenchOptions;
pub use values::{Publish, Size};

/// Run a Go program in ring 0 of a virtual machine.
#[derive(Parser)]
#[command(name = "ringo", version, max_term_width = 100, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  CGO_ENABLED=0 go build -o hello .    build any Go program, with any Go from 1.21 on
  ringo run ./hello --its-own-flag     run it: stdin, stdout, stderr and exit code are yours
  go test -exec 'ringo exec' ./...     run a package's tests in ring 0
  ringo doctor ./hello                 say whether a program will run, without running it

Exit code: the program's own; 128+n if signal n killed it; 125 if Ringo itself failed.";

#[derive(Subcommand)]
pub enum Command {
    /// Boot a VM with PROGRAM in ring 0
    #[command(after_long_help = RUN_HELP, args_override_self = true)]
    Run(RunOptions),
    /// The same as `run`, in the host's environment: its variables, working directory and files
    #[command(after_long_help = EXEC_HELP, args_override_self = true)]
    Exec(RunOptions),
    /// Say what a program is and whether it will run
    #[command(after_long_help = DOCTOR_HELP, args_override_self = true)]
    Doctor(DoctorOptions),
    /// Measure a benchmark program on Linux and in ring 0, and compare
    #[command(after_long_help = BENCH_HELP, args_override_self = true)]
    Bench(BenchOptions),
}

const RUN_HELP: &str = "\
PROGRAM is a static linux/amd64 executable on the host; a name without a slash is looked for in the
current directory, then in PATH. It sees a file system of RAM: what --root gave, else an almost
empty one with CA certificates, zone data, /etc/passwd and /tmp. What it writes is gone when it ends,
but for what it makes or changes below the directories of --write: that is written to the host then,
whatever the exit code. Nothing is removed there. --write DIR is the same place on both sides,
--write DIR:AT has the program's AT written to DIR.
It sees no variables of yours but those given by --env, and TERM at a terminal.

Signals (Ctrl-C, Ctrl-\\, kill) go to the program. A third Ctrl-C within two seconds ends a VM that
does not react.

Examples:
  ringo run ./hello
  ringo run --env DEBUG=1 --env HOME ./server --listen :8080
  ringo run --publish 8080:80 ./server         (curl http://localhost:8080 on the host)
  ringo run --net user ./client http://10.0.2.2:8000        (a server on the host)
  ringo run --net tap:tap0 --ip 192.168.7.2/24 --gateway 192.168.7.1 --dns 192.168.7.1 ./server
  ringo run --net bridge:br0 ./server          (a machine of your network, by DHCP)
  ringo run --root site --write out:/public --memory 2G ./hugo build
  echo hello | ringo run ./upper | sort
  ringo run --stats ./bench 2>stats.json
  ringo run --profile cpu.pb.gz ./bench        (go tool pprof -http=: cpu.pb.gz)

Exit code: the program's own; 128+n if signal n killed it; 125 if Ringo itself failed.";

const EXEC_HELP: &str = "\
The program finds the environment and the working directory of this command, and all of the host's files at
their own paths. It can change them, but only for itself: the host's files are shared read-only, and what the
program writes goes to RAM and is gone when it ends, but for what is below the directories of --write: that is
written to the host then, whatever the exit code. Nothing is removed there. The profiles, traces and coverage that
`go test` and GOCOVERDIR ask for are kept as well. What it has read of the host it remembers: files that others
change meanwhile may look as they were. /dev, /proc and /sys are Ringo's.

Examples:
  go test -exec 'ringo exec' ./...
  go test -exec 'ringo exec --write .' . -update
  go run -exec 'ringo exec --engine tcg' .
  ringo exec ./import data.csv

Exit code: the program's own; 128+n if signal n killed it; 125 if Ringo itself failed.";

const DOCTOR_HELP: &str = "\
Exit code: 0 if PROGRAM will run, 1 if it may miss something, 2 if it can't run, 125 if it can't be read.

Examples:
  ringo doctor ./server
  ringo doctor --json ./server | jq .go.version";

#[derive(Args)]
pub struct RunOptions {
    /// How QEMU runs the VM; auto takes kvm if it works, else tcg, and says so
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,

    /// Number of CPUs [default: as many as the host has, up to 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_CPUS as i64))]
    pub cpus: Option<u32>,

    /// Memory of the VM, with suffix k, M, G or T
    #[arg(short, long, value_name = "SIZE", default_value = "512M")]
    pub memory: Size,

    /// Set a variable; without =VALUE it takes the host's (repeatable)
    #[arg(short, long = "env", value_name = "KEY[=VALUE]")]
    pub env: Vec<OsString>,

    /// What the program sees at /: a directory, a .tar or a .tar.gz, copied in at the start
    #[arg(long, value_name = "DIR|FILE.tar")]
    pub root: Option<PathBuf>,

    /// What the program changes below DIR is written there when it ends; with `run`, DIR may be AT to the program (repeatable)
    #[arg(long, value_name = "DIR[:AT]")]
    pub write: Vec<OsString>,

    /// Working directory of the program [default: / for run, the current one for exec]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,

    /// Make a port of the program reachable on the host (repeatable)
    #[arg(long, value_name = "[IP:]HOST:GUEST[/udp]")]
    pub publish: Vec<Publish>,

    /// The network beyond loopback [default: user with --publish, else none]
    #[arg(long, value_name = "none|user|tap:NAME|bridge:NAME")]
    pub net: Option<Net>,

    /// Address of the VM on a tap or bridge, and the length of its network's prefix; one of IPv4 and one of IPv6
    /// [default: by DHCP, and from a router]
    #[arg(long, value_name = "ADDR/LEN")]
    pub ip: Vec<Prefix>,

    /// The router, where --ip of the same family is given
    #[arg(long, value_name = "ADDR")]
    pub gateway: Vec<IpAddr>,

    /// A name server, of up to three (repeatable) [default: what DHCP says]
    #[arg(long, value_name = "ADDR")]
    pub dns: Vec<IpAddr>,

    /// A domain in which short names are looked for, `.` for none (repeatable) [default: what DHCP says, or the host's]
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<Domain>,

    /// Ethernet address of the network card [default: made from the host's and the interface's name]
    #[arg(long, value_name = "ADDR")]
    pub mac: Option<Mac>,

    /// Write what the network card sends and receives to a file, for tcpdump and Wireshark
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// Print one line of JSON on stderr at exit: times, memory, system calls, waits for locks
    #[arg(long)]
    pub stats: bool,

    /// Sample what the program and the kernel under it do, and write a profile for `go tool pprof`
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,

    /// Samples a second of CPU time for --profile
    #[arg(long, value_name = "N", default_value_t = 499, requires = "profile",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub profile_rate: u32,

    /// Show the kernel's log on stderr
    #[arg(short, long)]
    pub verbose: bool,

    /// Count instructions: a nanosecond of the VM's time is one instruction, whatever else the host does (needs
    /// the engine tcg and one CPU; time in which nothing runs is skipped)
    #[arg(long)]
    pub icount: bool,

    /// QEMU's machine type: microvm boots fastest, q35 has PCI
    #[arg(short = 'M', long, value_enum, default_value_t = Machine::Microvm)]
    pub machine: Machine,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true,
          value_names = ["PROGRAM", "ARGS"], num_args = 1..)]
    pub command: Vec<OsString>,
}

impl RunOptions {
    /// Whether the VM has a network card.
    pub fn has_network(&self) -> bool {
        self.network() != Net::None
    }

    /// Which network the VM is in.
    pub fn network(&self) -> Net {
        match &self.net {
            Some(net) => net.clone(),
            None if self.publish.is_empty() => Net::None,
            None => Net::User,
        }
    }
}

const BENCH_HELP: &str = "\
The same executable runs alternately as a Linux process and in ring 0, with as many CPUs on either side. The
table has the medians; a ratio above 1 means that ring 0 took less time. The limit is the same source built so that
system calls return at once: what is left is Go's own work.

With --icount the table has instructions for each operation, too: counted by QEMU on one CPU, they are within about 2 % the same on any
machine at any load. --linux-guest adds a Linux kernel in a VM, Debian's for clouds, with the program as its first
process, under the same QEMU: `tools/setup.sh linux-guest` fetches the kernel, and RINGO_LINUX_KERNEL names another.

PROGRAM prints lines `NAME<tab>NANOSECONDS` and understands `-case PREFIX` and, for --icount, `-difference`. Ringo's own is
go/bench in its source tree; without PROGRAM it is built from there.

Examples:
  ringo bench
  ringo bench --case syscall/ --case threads/ --runs 9
  ringo bench --icount --runs 0 --linux-guest          instructions only
  ringo bench --engine tcg --linux-guest --json > results.json
  ringo bench --from results.json --markdown           what was measured, again

Exit code: 0, or 125 if a run failed.";

#[derive(Args)]
pub struct DoctorOptions {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// The executable
    pub program: OsString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// kvm if it works, else tcg
    Auto,
    /// The processor's virtualisation: native speed
    Kvm,
    /// QEMU's emulation: works everywhere, slowly
    Tcg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Machine {
    /// virtio over MMIO, no firmware to speak of
    Microvm,
    /// A PC with PCI Express
    Q35,
}

/// Reads the command line; an error is printed already and is the exit code.
pub fn parse() -> Result<Command, u8> {
    parse_from(std::env::args_os()).map_err(|error| {
        let _ = error.print();
        if error.use_stderr() { FAILED } else { 0 }
    })
}

fn parse_from(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let args = detach_values(args.into_iter().collect());
    let first = args.get(1).cloned().unwrap_or_default();
    let cli = Cli::try_parse_from(args).map_err(|error| with_tip(error, &first))?;
    if let Command::Run(options) | Command::Exec(options) = &cli.command {
        let name = if matches!(cli.command, Command::Run(_)) {
            "run"
        } else {
            "exec"
        };
        check(options, name)?;
    }
    Ok(cli.command)
}

/// What to type instead where a program or an option of `run` stands at the place of the subcommand.
fn with_tip(mut error: clap::Error, first: &OsStr) -> clap::Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let name = first.to_string_lossy();
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand if name.contains('/') || PathBuf::from(first).is_file() => {
            format!("to run it: `ringo run {name}`")
        }
        ErrorKind::UnknownArgument if name.starts_with('-') => {
            "options follow the subcommand: `ringo run [OPTIONS] PROGRAM [ARGS]...`".to_owned()
        }
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    error
}

/// Separates `-m1G` and `-m=1G` into `-m 1G`, as far as the options of `run` and `exec` go. Behind them everything is the
/// program's; since that may begin with a hyphen, clap takes a cluster of letters with a value in it for the program.
fn detach_values(args: Vec<OsString>) -> Vec<OsString> {
    let definition = Cli::command();
    let name = args.get(1).and_then(|name| name.to_str());
    let Some(command) = name
        .filter(|&name| name == "run" || name == "exec")
        .and_then(|name| definition.find_subcommand(name))
    else {
        return args;
    };
    let takes_value = |is: &dyn Fn(&clap::Arg) -> bool| {
        let mut all = command.get_arguments();
        all.find(|arg| is(arg))
            .map(|arg| arg.get_action().takes_values())
    };
    let mut done = Vec::with_capacity(args.len());
    let mut rest = args.into_iter();
    done.extend(rest.by_ref().take(2));
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy().into_owned();
        let mut value_follows = false;
        if let Some(name) = text.strip_prefix("--").filter(|name| !name.is_empty()) {
            value_follows = takes_value(&|arg| arg.get_long() == Some(name)) == Some(true);
            done.push(arg);
        } else if text.starts_with('-') && text != "-" && text != "--" {
            let mut letters = &arg.as_bytes()[1..];
            while let [letter, behind @ ..] = letters {
                let option = OsString::from_vec(vec![b'-', *letter]);
                match takes_value(&|arg| arg.get_short() == Some(char::from(*letter))) {
                    // Unknown: clap says so.
                    None => {
                        done.push(OsString::from_vec([b"-", letters].concat()));
                        break;
                    }
                    Some(false) => done.push(option),
                    Some(true) if behind.is_empty() => {
                        done.push(option);
                        value_follows = true;
                    }
                    Some(true) => {
                        let value = behind.strip_prefix(b"=").unwrap_or(behind);
                        done.extend([option, OsString::from_vec(value.to_vec())]);
                        break;
                    }
                }
                letters = behind;
            }
        } else {
            // PROGRAM, or `--` in front of it.
            done.push(arg);
            break;
        }
        if value_follows {
            done.extend(rest.next());
        }
    }
    done.extend(rest);
    done
}

fn check(options: &RunOptions, name: &str) -> Result<(), clap::Error> {
    let complain = |kind, text: String| {
        let mut command = Cli::command();
        command.build();
        let sub = command
            .find_subcommand_mut(name)
            .expect("it was parsed as one");
        Err(sub.error(kind, text))
    };
    // Hyphens are allowed for the program's arguments, so clap takes a mistyped option for PROGRAM.
    let program: &OsStr = &options.command[0];
    if program.as_encoded_bytes().starts_with(b"-") {
        let text = format!("unknown option '{}'", program.to_string_lossy());
        return complain(clap::error::ErrorKind::UnknownArgument, text);
    }
    if let Some(text) = network::contradiction(options) {
        return complain(clap::error::ErrorKind::ArgumentConflict, text);
    }
    let is_v6 = |publish: &&Publish| publish.address.is_some_and(|address| address.is_ipv6());
    if let Some(publish) = options.publish.iter().find(is_v6) {
        let text = format!(
            "--publish {}:{}: QEMU publishes at IPv4 addresses only",
            publish.host, publish.guest
        );
        return complain(clap::error::ErrorKind::ValueValidation, text);
    }
    if name == "exec" && options.root.is_some() {
        let text =
            "exec shows the host's files; use `ringo run --root` for another root".to_owned();
        return complain(clap::error::ErrorKind::ArgumentConflict, text);
    }
    Ok(())
}
