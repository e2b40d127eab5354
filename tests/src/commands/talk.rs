//! A conversation with a program: what it must say, what it is told, in order. Held with the program as a Linux process and
//! with `ringo run` in front of it; both must say and leave the same.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use rustix::termios::{LocalModes, Termios, tcgetattr};

use super::{end_of, on, ringo_run};
use crate::compare::{Normalise, difference};
use crate::execute::{Outcome, pid};
use crate::go;
use crate::machine::{Engine, self_check};

/// One thing said or done.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The program says this, after whatever else; it has 20 seconds.
    Expect(&'static str),
    /// It is told this.
    Say(&'static str),
    /// It gets a signal.
    Signal(Signal),
    /// Its terminal becomes so many rows high and columns wide.
    Resize(u16, u16),
    /// The program has turned its terminal's echo off, and reads lines.
    EchoOff,
    /// Nothing, for so many milliseconds.
    Pause(u64),
    /// Its reader goes.
    CloseOutput,
    /// Its writer goes.
    CloseInput,
}

/// What is at the other end of the three streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A pipe each.
    Pipes,
    /// One terminal, 24 rows and 80 columns.
    Terminal,
}

/// How much of what was said is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// All of it.
    Everything,
    /// Only that the steps were met: when a program draws is chance.
    Steps,
}

/// The program, and what is said.
#[derive(Clone, Debug)]
pub struct Talk {
    pub name: &'static str,
    pub program: Program,
    pub args: &'static [&'static str],
    pub at: At,
    pub steps: &'static [Step],
    pub code: i32,
    pub normalise: Normalise,
    pub compare: Compare,
}

/// Whose program.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    Ours(&'static str),
    Third(&'static str),
}

impl Talk {
    /// With our own program at pipes.
    pub const fn new(
        name: &'static str,
        program: &'static str,
        args: &'static [&'static str],
        steps: &'static [Step],
        code: i32,
    ) -> Talk {
        Talk {
            name,
            program: Program::Ours(program),
            args,
            at: At::Pipes,
            steps,
            code,
            normalise: Normalise::Nothing,
            compare: Compare::Everything,
        }
    }

    /// The trials on both engines.
    pub fn trials(self) -> Vec<Trial> {
        on(&Engine::ALL, self.name, move |engine| self.hold(engine))
    }

    fn hold(&self, engine: Engine) -> Result<()> {
        let program = match self.program {
            Program::Ours(name) => go::program(go::newest(), name)?,
            Program::Third(package) => go::third(package)?,
        };
        let mut command = Command::new(&program);
        command.env_clear().env("TERM", "xterm").args(self.args);
        let linux = hold(command, self.at, self.steps, 1).context("on Linux")?;
        ensure!(
            linux.code == self.code,
            "on Linux it ended with {}, not {}",
            linux.code,
            self.code
        );
        let mut command = if self_check() {
            Command::new(&program)
        } else {
            let mut command = ringo_run(engine, &["--cpus", "2", "--env", "TERM=xterm"]);
            command.arg(&program);
            command
        };
        command.args(self.args).env("TERM", "xterm");
        let ringo = hold(command, self.at, self.steps, engine.patience())?;
        if self.compare == Compare::Steps {
            ensure!(
                ringo.code == self.code,
                "exit code {}, not {}",
                ringo.code,
                self.code
            );
            return Ok(());
        }
        match difference(self.normalise, &linux, &ringo) {
            None => Ok(()),
            Some(report) => bail!(report),
        }
    }
}

/// Starts the command, goes through the steps, and waits for its end. At a terminal, whatever the program did to its settings
/// must be undone.
pub fn hold(command: Command, at: At, steps: &[Step], patience: u32) -> Result<Outcome> {
    let begin = Instant::now();
    let limit = Duration::from_secs(20) * patience;
    let (mut talk, before) = Held::start(command, at)?;
    for step in steps {
        if let Err(error) = talk.step(*step, limit) {
            // SIGQUIT shows what a Go program is doing.
            let _ = kill_process(pid(&talk.child), Signal::QUIT);
            std::thread::sleep(Duration::from_millis(500));
            let _ = talk.child.kill();
            let heard = String::from_utf8_lossy(&talk.heard.lock()).into_owned();
            let errors = String::from_utf8_lossy(&talk.errors.lock()).into_owned();
            bail!("{step:?}: {error:#}\nheard so far:\n{heard}\nstandard error:\n{errors}");
        }
    }
    let code = end_of(&mut talk.child, limit)?;
    ensure!(
        same_settings(before, talk.settings()?),
        "the terminal's settings are not what they were"
    );
    talk.hang_up();
    let stdout = talk.heard.wait_for_end();
    let stderr = talk.errors.wait_for_end();
    Ok(Outcome {
        code,
        stdout,
        stderr,
        late: false,
        took: begin.elapsed(),
    })
}

fn same_settings(before: Option<Termios>, after: Option<Termios>) -> bool {
    match (before, after) {
        (Some(a), Some(b)) => {
            (
                a.input_modes,
                a.output_modes,
                a.control_modes,
                a.local_modes,
            ) == (
                b.input_modes,
                b.output_modes,
                b.control_modes,
                b.local_modes,
            )
        }
        _ => true,
    }
}

struct Held {
    child: Child,
    input: Option<Box<dyn Write>>,
    heard: Arc<Heard>,
    errors: Arc<Heard>,
    terminal: Option<Terminal>,
    /// How far into what was heard the steps have come.
    at: usize,
}

struct Terminal {
    master: pty_process::blocking::Pty,
    /// The other end, held open so that its settings can be looked at after the program's end.
    slave: Option<OwnedFd>,
}

impl Held {
    fn start(mut command: Command, at: At) -> Result<(Held, Option<Termios>)> {
        if at == At::Pipes {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let held = Held {
                input: child.stdin.take().map(|pipe| Box::new(pipe) as _),
                heard: Heard::listen(child.stdout.take().context("a pipe")?),
                errors: Heard::listen(child.stderr.take().context("a pipe")?),
                terminal: None,
                child,
                at: 0,
            };
            return Ok((held, None));
        }
        let (master, pts) = pty_process::blocking::open()?;
        master.resize(pty_process::Size::new(24, 80))?;
        let slave = File::options()
            .read(true)
            .write(true)
            .custom_flags_noctty()
            .open(slave_name(&master)?)?;
        let before = tcgetattr(&slave)?;
        let child = pty_process::blocking::Command::from(command).spawn(pts)?;
        let reader = File::from(master.as_fd().try_clone_to_owned()?);
        let writer = File::from(master.as_fd().try_clone_to_owned()?);
        let held = Held {
            child,
            input: Some(Box::new(writer)),
            heard: Heard::listen(reader),
            errors: Heard::silence(),
            terminal: Some(Terminal {
                master,
                slave: Some(slave.into()),
            }),
            at: 0,
        };
        Ok((held, Some(before)))
    }

    fn settings(&self) -> Result<Option<Termios>> {
        let slave = self.terminal.as_ref().and_then(|t| t.slave.as_ref());
        Ok(slave.map(tcgetattr).transpose()?)
    }

    fn wait_for_echo_off(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let modes = self
                .settings()?
                .context("there is no terminal")?
                .local_modes;
            if modes.contains(LocalModes::ICANON) && !modes.contains(LocalModes::ECHO) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "not within {limit:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn hang_up(&mut self) {
        self.input = None;
        if let Some(terminal) = &mut self.terminal {
            terminal.slave = None;
        } else {
            self.errors.wait_for_end();
        }
    }

    fn step(&mut self, step: Step, limit: Duration) -> Result<()> {
        match step {
            Step::Expect(words) => self.at = self.heard.wait_for(words, self.at, limit)?,
            Step::Say(words) => {
                let input = self.input.as_mut().context("its input is closed")?;
                input.write_all(words.as_bytes())?;
                input.flush()?;
            }
            Step::Signal(signal) => kill_process(pid(&self.child), signal)?,
            Step::Resize(rows, columns) => {
                let terminal = self.terminal.as_ref().context("there is no terminal")?;
                terminal
                    .master
                    .resize(pty_process::Size::new(rows, columns))?;
            }
            Step::EchoOff => self.wait_for_echo_off(limit)?,
            Step::Pause(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Step::CloseOutput => self.heard.stop(),
            Step::CloseInput => self.input = None,
        }
        Ok(())
    }
}

trait NoControllingTerminal {
    fn custom_flags_noctty(&mut self) -> &mut Self;
}

impl NoControllingTerminal for std::fs::OpenOptions {
    fn custom_flags_noctty(&mut self) -> &mut Self {
        use std::os::unix::fs::OpenOptionsExt;
        self.custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32)
    }
}

fn slave_name(master: &pty_process::blocking::Pty) -> Result<String> {
    Ok(rustix::pty::ptsname(master.as_fd(), Vec::new())?.into_string()?)
}

/// What has been heard on a stream so far.
#[derive(Default)]
pub struct Heard {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
    stop: bool,
}

impl Heard {
    /// A stream that has ended.
    fn silence() -> Arc<Heard> {
        let heard = Arc::new(Heard::default());
        heard.with(|state| state.ended = true);
        heard
    }

    /// Listens in a thread of its own.
    pub fn listen(mut from: impl Read + Send + 'static) -> Arc<Heard> {
        let heard = Arc::new(Heard::default());
        let theirs = heard.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let n = match from.read(&mut buffer) {
                    // A terminal whose other end is closed says EIO.
                    Ok(0) | Err(_) => break,
                    Ok(n) => n,
                };
                let stop = theirs.with(|state| {
                    if !state.stop {
                        state.bytes.extend_from_slice(&buffer[..n]);
                    }
                    state.stop
                });
                if stop {
                    break;
                }
            }
            drop(from);
            theirs.with(|state| state.ended = true);
        });
        heard
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().expect("no listener panics");
        let result = act(&mut state);
        self.more.notify_all();
        result
    }

    /// All so far.
    pub fn lock(&self) -> Vec<u8> {
        self.with(|state| state.bytes.clone())
    }

    /// Listens no more: after the next piece the stream is closed.
    fn stop(&self) {
        self.with(|state| state.stop = true);
    }

    /// Waits for `words` behind position `from`; gives the position behind them.
    pub fn wait_for(&self, words: &str, from: usize, limit: Duration) -> Result<usize> {
        let end = Instant::now() + limit;
        let mut state = self.state.lock().expect("no listener panics");
        loop {
            let found = state.bytes[from..]
                .windows(words.len())
                .position(|window| window == words.as_bytes());
            if let Some(at) = found {
                return Ok(from + at + words.len());
            }
            ensure!(!state.ended, "the stream has ended");
            let left = end.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "not said within {limit:?}");
            state = self.more.wait_timeout(state, left).expect("no panic").0;
        }
    }

    /// Everything, when the stream has ended; at most ten seconds later.
    pub fn wait_for_end(&self) -> Vec<u8> {
        let state = self.state.lock().expect("no listener panics");
        let (state, _) = self
            .more
            .wait_timeout_while(state, Duration::from_secs(10), |state| !state.ended)
            .expect("no panic");
        state.bytes.clone()
    }
}
