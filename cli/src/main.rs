//! `ringo`: runs a stock Go program in ring 0 of a virtual machine.
//!
//! From the prompt and back: `args` reads the command line; `program` finds and checks the executable; `root` collects what
//! the program will see at /; `host` asks the process around us for its circumstances; all of it goes into a bundle
//! (`launch`). `qemu` starts the VM with that bundle, our kernel (`image`) and four sockets; `session` moves streams,
//! signals and terminal settings until the program has ended; `crash` explains a kernel that fell, `profile` what
//! ran how long. `doctor` looks at a program without running it; `bench` compares ring 0 with Linux.
//!
//! Exit code: the program's own, 128 + n when signal n killed it, 125 when Ringo itself failed (one line says why).

/// A line on stderr. Nobody may be reading there any more: that is no reason to fail, as it is with `eprintln!`.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// The same for text that has its newlines.
macro_rules! say_part {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stderr(), $($text)*);
    }};
}

mod args;
mod bench;
mod crash;
mod doctor;
mod golang;
mod host;
mod image;
mod keep;
mod launch;
mod network;
mod profile;
mod program;
mod qemu;
mod root;
mod session;
mod stats;
mod symbols;
mod terminal;

use std::process::ExitCode;

/// What Ringo's own failures end with, as `docker run` has it.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        terminal::restore();
        say!("ringo: internal error: {info}");
        // The VM goes with us: its parent's death is its own.
        std::process::exit(i32::from(FAILED));
    }));
    let code = match args::parse() {
        Ok(command) => run(command),
        Err(code) => code,
    };
    ExitCode::from(code)
}

fn run(command: args::Command) -> u8 {
    let result = match command {
        args::Command::Run(options) => launch::run(&options, launch::World::Own),
        args::Command::Exec(options) => launch::run(&options, launch::World::Host),
        args::Command::Doctor(options) => doctor::run(&options),
        args::Command::Bench(options) => bench::run(&options),
    };
    terminal::restore();
    result.unwrap_or_else(|error| {
        say!("ringo: {error:#}");
        FAILED
    })
}

/// Prints a result. A reader that has gone wanted no more of it.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
