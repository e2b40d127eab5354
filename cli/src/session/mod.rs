//! The life of a VM: moves its streams, passes signals in and messages out, until the program has ended.
//!
//! The main thread sleeps in poll(2) on the control port, the signal pipe and QEMU's stderr. Each stream has a thread with
//! blocking calls (`streams`), so that a slow reader holds up only the program that writes to it.

mod control;
mod files;
mod qemu_log;
mod signals;
mod streams;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ringo_control::{CrashKind, DecodeError, ExitStatus, Note, Stream, ToGuest, ToHost};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use signal_hook::consts::{
    SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH,
};

use crate::crash::Report;
use crate::host::{self, Streams};
use crate::keep::Keeper;
use crate::profile::Collector;
use crate::qemu::{self, Vm};
use crate::{FAILED, stats, terminal};
use control::{Guest, MessageDecoder};
use signals::Signals;

/// What the session has to know about the VM's purpose.
pub struct Task {
    pub config: qemu::Config,
    pub streams: Streams,
    /// The executable, for a crash's backtrace.
    pub program: Vec<u8>,
    pub stats: bool,
    pub verbose: bool,
}

/// How it ended.
enum Ending {
    Exit(ExitStatus),
    Crash(Report),
    /// Ctrl-C three times, and nobody there.
    Unresponsive,
}

/// Runs the VM to its end and returns the exit code.
pub fn run<'t>(
    vm: Vm,
    task: &'t Task,
    keeper: Keeper,
    profile: Option<Collector<'t>>,
) -> Result<u8> {
    let signals = Signals::catch()?;
    let guest = Arc::new(Guest::new(vm.control.try_clone()?)?);
    let streams = streams::Threads::start(&vm, &guest, &task.streams)?;
    let mut session = Session {
        files: files::Files::start(task.streams.kinds, streams.outputs(), guest.clone())?,
        streams,
        vm,
        task,
        guest,
        decoder: Box::default(),
        signals,
        booted: None,
        guest_boot: Duration::ZERO,
        continued: None,
        waiting: Vec::new(),
        interrupts: Vec::new(),
        guest_stats: None,
        qemu_said: Vec::new(),
        keeper,
        profile: profile.map(|profile| profile.of(&task.program)),
        out_of_memory: false,
        wanted_another: false,
        nonsense: false,
        asked_to_end: false,
        dying: None,
    };
    let ending = session.until_end();
    let profile = session.profile.take();
    let code = ending.and_then(|ending| session.finish(ending));
    // Whatever the end was: what has come is worth having.
    let written = profile.map_or(Ok(()), |profile| profile.finish());
    let code = code?;
    written.map(|()| code)
}

struct Session<'t> {
    vm: Vm,
    task: &'t Task,
    guest: Arc<Guest>,
    decoder: MessageDecoder,
    signals: Signals,
    streams: streams::Threads,
    files: files::Files,
    booted: Option<Instant>,
    guest_boot: Duration,
    /// When the shell last continued us.
    continued: Option<Instant>,
    /// Signals that came before the program was there to take them.
    waiting: Vec<u8>,
    /// Times of the Ctrl-Cs that the guest hasn't acknowledged.
    interrupts: Vec<Instant>,
    guest_stats: Option<Vec<u8>>,
    /// Lines on QEMU's stderr, for the case that they explain its end.
    qemu_said: Vec<u8>,
    /// Writes what the program leaves to the host.
    keeper: Keeper,
    /// Takes samples.
    profile: Option<Collector<'t>>,
    /// The program was refused memory.
    out_of_memory: bool,
    /// It asked for another one to be started.
    wanted_another: bool,
    /// The kernel sends what no kernel in its senses sends.
    nonsense: bool,
    /// Somebody asked the program to end.
    asked_to_end: bool,
    /// The program has ended, and its output is on its way: how, and how far that was when it was looked at last.
    dying: Option<(ExitStatus, [u64; 2])>,
}

/// How long a reader that takes nothing holds up the end of a program that was asked to end. On Linux not at all: what fits
/// into a pipe is there, and the rest was never written.
const PATIENCE: Duration = Duration::from_secs(1);

impl Session<'_> {
    fn until_end(&mut self) -> Result<Ending> {
        loop {
            let (late, control, signalled, qemu) = {
                let mut fds = [
                    PollFd::new(self.guest.socket(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                    PollFd::new(&self.vm.log, PollFlags::IN),
                ];
                let limit = self.patience().map(Timespec::try_from).transpose()?;
                let late = match poll(&mut fds, limit.as_ref()) {
                    Ok(ready) => ready == 0,
                    Err(rustix::io::Errno::INTR) => false,
                    Err(error) => bail!("poll: {error}"),
                };
                let [a, b, c] = fds.map(|fd| !fd.revents().is_empty());
                (late, a, b, c)
            };
            if late && let Some(ending) = self.look_at_reader() {
                return Ok(ending);
            }
            if signalled {
                for signal in self.signals.pending() {
                    if self.on_signal(signal) {
                        return Ok(Ending::Unresponsive);
                    }
                }
            }
            if control {
                let open = self.guest.receive(&mut self.decoder)?;
                if let Some(ending) = self.on_messages()? {
                    return Ok(ending);
                }
                if !open {
                    return Err(self.why_qemu_ended());
                }
            }
            if qemu {
                if !self.read_qemu_log() {
                    return Err(self.why_qemu_ended());
                }
                self.check_kvm()?;
            }
        }
    }

    /// How long the end may take without anything being read.
    fn patience(&self) -> Option<Duration> {
        let (status, _) = self.dying?;
        let asked = self.asked_to_end || matches!(status, ExitStatus::Signal(_));
        asked.then_some(PATIENCE)
    }

    /// Nothing happened for as long as there is patience: the end, unless something was read.
    fn look_at_reader(&mut self) -> Option<Ending> {
        let (status, before) = self.dying?;
        let passed = self.streams.passed();
        self.dying = Some((status, passed));
        (passed == before).then_some(Ending::Exit(status))
    }

    /// True when the VM is to be given up.
    fn on_signal(&mut self, signal: i32) -> bool {
        match signal {
            SIGTTIN | SIGTTOU if self.is_echo_of_stop() => {}
            SIGTTIN | SIGTTOU => self.stop(),
            SIGTSTP if self.booted.is_none() => self.stop(),
            SIGWINCH => {
                for stream in Stream::ALL {
                    if let Some(size) = terminal::size(stream) {
                        self.guest.send(&ToGuest::WinSize { stream, size });
                    }
                }
                self.deliver(signal as u8);
            }
            SIGINT => {
                let now = Instant::now();
                self.interrupts
                    .retain(|&at| now - at <= Duration::from_secs(2));
                self.interrupts.push(now);
                if self.interrupts.len() >= 3 {
                    return true;
                }
                self.deliver(signal as u8);
            }
            _ => self.deliver(signal as u8),
        }
        false
    }

    fn deliver(&mut self, signal: u8) {
        self.asked_to_end |= [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&i32::from(signal));
        if self.booted.is_some() {
            self.guest.send(&ToGuest::Signal(signal));
        } else {
            self.waiting.push(signal);
        }
    }

    /// Handles what has arrived; `Some` ends the session.
    fn on_messages(&mut self) -> Result<Option<Ending>> {
        // The decoder lends its messages, so the handling gets them with the decoder taken out.
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut ending = None;
        while let Some(message) = decoder.next::<ToHost<'_>>() {
            match message {
                Ok(message) => ending = self.on_message(message),
                Err(error @ DecodeError::TooLong(_)) => {
                    bail!("the kernel sends nonsense: {error:?}")
                }
                Err(error) if self.task.verbose => say!("ringo: from the kernel: {error:?}"),
                Err(_) => {}
            }
            ensure!(!self.nonsense, "the kernel asks for more than it waits for");
            if ending.is_some() {
                break;
            }
        }
        self.decoder = decoder;
        Ok(ending)
    }

    fn on_message(&mut self, message: ToHost<'_>) -> Option<Ending> {
        match message {
            ToHost::Booted { since_entry_ns } => {
                self.booted = Some(Instant::now());
                self.guest_boot = Duration::from_nanos(since_entry_ns);
                if self.task.config.publishes() {
                    self.vm.enlarge_backlogs();
                }
                for signal in std::mem::take(&mut self.waiting) {
                    self.guest.send(&ToGuest::Signal(signal));
                }
            }
            ToHost::Exit(status) => return Some(Ending::Exit(status)),
            ToHost::Ending(status) => self.dying = Some((status, self.streams.passed())),
            ToHost::Stats(json) => self.guest_stats = Some(json.to_vec()),
            ToHost::Log(line) => say!("kernel: {}", String::from_utf8_lossy(line)),
            ToHost::Crash(crash) => return Some(Ending::Crash(crash.into())),
            ToHost::TermiosSet {
                stream,
                when,
                termios,
            } => {
                self.wait_for_foreground(stream);
                self.streams.settle();
                let errno = terminal::set(stream, when, &termios);
                self.guest.send(&ToGuest::TermiosAck { stream, errno });
            }
            ToHost::TermiosFlush { stream, queue } => {
                self.wait_for_foreground(stream);
                let errno = terminal::flush(stream, queue);
                self.guest.send(&ToGuest::TermiosAck { stream, errno });
            }
            ToHost::WinSizeSet { stream, size } => {
                let errno = terminal::resize(stream, size);
                self.guest.send(&ToGuest::TermiosAck { stream, errno });
            }
            ToHost::ClockQuery { id } => {
                self.guest.send(&ToGuest::Clock {
                    id,
                    realtime_ns: host::realtime_ns(),
                });
            }
            ToHost::StdinCredit { bytes, written } => self.streams.grant(bytes, written),
            ToHost::TtyCredit { bytes, written } => self.streams.grant_tty(bytes, written),
            ToHost::Closed(stream) => self.streams.close(stream),
            ToHost::Stopped { written, .. } => {
                self.streams.pass_on(written);
                self.stop();
            }
            ToHost::SignalTaken(signal) if i32::from(signal) == SIGINT => self.interrupts.clear(),
            ToHost::SignalTaken(_) => {}
            ToHost::Settle { written } => {
                self.streams.pass_on(written);
                self.guest.send(&ToGuest::Settled);
            }
            ToHost::File(request) => self.nonsense |= !self.files.serve(request),
            ToHost::Kept(kept) => self.keeper.take(kept),
            ToHost::Samples {
                program_bias,
                lost,
                words,
            } => {
                if let Some(profile) = &mut self.profile {
                    profile.take(program_bias, lost, words.iter());
                }
            }
            ToHost::Noted(Note::OutOfMemory) => self.out_of_memory = true,
            ToHost::Noted(Note::OneProgram) => self.wanted_another = true,
            ToHost::Noted(Note::NoProfile) => {
                say!(
                    "ringo: the VM has not enough memory for a profile: give it more with --memory"
                );
            }
        }
        None
    }

    /// The thread that read in vain was on its way to say so when all of us were stopped, and said it when we were continued:
    /// in the foreground by now, there is no more reason for it.
    fn is_echo_of_stop(&self) -> bool {
        const SOON: Duration = Duration::from_secs(1);
        self.continued.is_some_and(|at| at.elapsed() < SOON)
            && Stream::ALL.into_iter().all(terminal::in_foreground)
    }

    /// Stops the VM and then ourselves, as the shell's job control expects; goes on when the shell continues us.
    fn stop(&mut self) {
        let suspended = terminal::suspend();
        self.vm.signal(Signal::STOP);
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
        self.continued = Some(Instant::now());
        // The thread that reads in vain asks for a stop again and again until it takes effect: once was enough. One that
        // still is in the background asks anew.
        for signal in self.signals.pending() {
            if ![SIGTTIN, SIGTTOU, SIGCONT].contains(&signal) {
                self.deliver(signal as u8);
            }
        }
        // Continued. In the background, touching the terminal would stop us again.
        terminal::resume(suspended);
        self.vm.signal(Signal::CONT);
        for stream in Stream::ALL {
            if let Some((termios, size)) = terminal::settings(stream) {
                self.guest.send(&ToGuest::TermiosState { stream, termios });
                self.guest.send(&ToGuest::WinSize { stream, size });
            }
        }
        if self.booted.is_some() {
            self.deliver(SIGCONT as u8);
        }
    }

    /// A background process that sets the terminal is stopped until it is in the foreground.
    fn wait_for_foreground(&mut self, stream: Stream) {
        while !terminal::in_foreground(stream) {
            self.stop();
        }
    }

    fn finish(mut self, ending: Ending) -> Result<u8> {
        let ended = Instant::now();
        let resident = if self.task.stats {
            self.vm.resident(self.task.config.memory)
        } else {
            None
        };
        // What the guest has sent lies in our sockets by now.
        self.vm.kill();
        if let Ending::Exit(status) = &ending {
            self.dying = Some((*status, self.streams.passed()));
        }
        let patience = self.patience();
        if let Some(signal) = self.streams.drain(&mut self.signals, patience)? {
            return Ok(128 + signal as u8);
        }
        self.files.finish();
        self.vm.wait()?;
        terminal::restore();
        let code = match ending {
            Ending::Exit(ExitStatus::Code(code)) => code,
            Ending::Exit(ExitStatus::Signal(signal)) => 128u8.wrapping_add(signal),
            Ending::Crash(report) if report.kind == CrashKind::Refused => {
                bail!("{}", report.reason())
            }
            Ending::Crash(report) => {
                say_part!("{}", report.render(&self.task.program));
                FAILED
            }
            Ending::Unresponsive => {
                say!("ringo: the VM did not react to Ctrl-C and was ended");
                128 + SIGINT as u8
            }
        };
        if code == 0 {
            for (name, error) in self.streams.failures() {
                say!("ringo: not all of {name} could be written: {error}");
            }
        }
        let code = if self.keeper.report() || code != 0 {
            code
        } else {
            FAILED
        };
        if self.out_of_memory && code != 0 {
            say!(
                "ringo: the program ran out of its {} MiB: give it more with --memory",
                self.task.config.memory >> 20
            );
        }
        if self.wanted_another && code != 0 {
            say!(
                "ringo: the program tried to start another program, which fails here (function not implemented): there is \
                 one program in a VM"
            );
        }
        if self.task.stats {
            let booted = self.booted.unwrap_or(ended);
            let host = stats::Host {
                engine: self.task.config.engine.name(),
                cpus: self.task.config.cpus,
                memory: self.task.config.memory,
                boot: booted - self.vm.started,
                guest_boot: self.guest_boot,
                run: ended - booted,
                end: ended.elapsed(),
                resident,
                exit_code: code,
            };
            say!("{}", stats::render(&host, self.guest_stats.as_deref()));
        }
        Ok(code)
    }
}
