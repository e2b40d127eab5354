//! The three standard streams, a thread each, with blocking calls: the shared descriptors of a shell must not be made
//! non-blocking.
//!
//! stdin: the guest grants credit when its program wants input; only that much is read, so that what the program never asks for
//! stays there for the next reader. stdout, stderr: from the socket to our descriptor; a reader that has gone closes the
//! socket, which the guest sees as EPIPE. A terminal's settings change only when what was written before has been passed on
//! ([`Threads::settle`]).

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ringo_bundle::StreamKind;
use ringo_control::{Stream, ToGuest, Written};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::control::Guest;
use super::signals::Signals;
use crate::host::{self, Streams, descriptor};
use crate::qemu::Vm;
use crate::terminal;

/// As much as one call moves.
const CHUNK: usize = 1 << 18;

/// The streams' threads, from the session's side.
pub struct Threads {
    credit: Arc<Credit>,
    /// The controlling terminal's, where that is not stdin.
    tty: Option<Arc<Credit>>,
    sockets: [UnixStream; 3],
    outputs: Arc<[Progress; 2]>,
    /// Ends when both output threads have.
    finished: UnixStream,
}

impl Threads {
    /// Starts all three.
    pub fn start(vm: &Vm, guest: &Arc<Guest>, streams: &Streams) -> Result<Threads> {
        let sockets = [
            vm.stdin.try_clone()?,
            vm.stdout.try_clone()?,
            vm.stderr.try_clone()?,
        ];
        let credit = Arc::new(Credit::default());
        let outputs: Arc<[Progress; 2]> = Arc::default();
        let input = Input {
            credit: credit.clone(),
            outputs: outputs.clone(),
            socket: sockets[0].try_clone()?,
            guest: guest.clone(),
            descriptor: descriptor(Stream::Stdin),
            is_stdin: true,
            is_terminal: matches!(streams.kinds[0], StreamKind::Terminal(_)),
        };
        spawn("stdin", move || input.run())?;
        let tty = match (&vm.tty, terminal::controlling()) {
            (Some(socket), Some(descriptor)) => {
                let credit = Arc::new(Credit::default());
                let input = Input {
                    credit: credit.clone(),
                    outputs: outputs.clone(),
                    socket: socket.try_clone()?,
                    guest: guest.clone(),
                    descriptor,
                    is_stdin: false,
                    is_terminal: true,
                };
                spawn("tty", move || input.run())?;
                Some(credit)
            }
            _ => None,
        };
        let (finished, running) = UnixStream::pair()?;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let kind = streams.kinds[stream as usize];
            let output = Output {
                stream,
                may_recover: matches!(kind, StreamKind::File | StreamKind::Device),
                is_file: kind == StreamKind::File,
                socket: sockets[stream as usize].try_clone()?,
                outputs: outputs.clone(),
                guest: guest.clone(),
            };
            let running = running.try_clone()?;
            spawn(
                if stream == Stream::Stdout {
                    "stdout"
                } else {
                    "stderr"
                },
                move || {
                    output.run();
                    drop(running);
                },
            )?;
        }
        Ok(Threads {
            credit,
            tty,
            sockets,
            outputs,
            finished,
        })
    }

    /// The program wants input, having written so much.
    pub fn grant(&self, bytes: u32, written: Written) {
        self.credit.grant(bytes, written);
    }

    /// How far the outputs have come.
    pub fn outputs(&self) -> Arc<[Progress; 2]> {
        self.outputs.clone()
    }

    /// As [`Threads::grant`], of the controlling terminal.
    pub fn grant_tty(&self, bytes: u32, written: Written) {
        if let Some(credit) = &self.tty {
            credit.grant(bytes, written);
        }
    }

    /// Waits until so much has been passed on, but not long for a reader that takes nothing (Ctrl-S).
    pub fn pass_on(&self, written: Written) {
        wait_until_passed(&self.outputs, written);
    }

    /// The program has closed a stream: what it wrote is passed on, then our own is closed.
    pub fn close(&self, stream: Stream) {
        let how = if stream == Stream::Stdin {
            Shutdown::Both
        } else {
            Shutdown::Read
        };
        let _ = self.sockets[stream as usize].shutdown(how);
    }

    /// What could not be written, if anything: a program that did not write again never heard of it.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, Errno)> {
        let names = ["stdout", "stderr"];
        let failed = self
            .outputs
            .iter()
            .map(|output| output.failed.load(Ordering::Acquire));
        names
            .into_iter()
            .zip(failed)
            .filter(|(_, errno)| *errno != 0)
            .map(|(name, errno)| (name, Errno::from_raw_os_error(errno)))
    }

    /// Waits until both outputs have passed on what has arrived, but not long for one that takes nothing (Ctrl-S).
    pub fn settle(&self) {
        let limit = Instant::now() + Duration::from_secs(1);
        for (socket, output) in self.sockets[1..].iter().zip(&self.outputs[..]) {
            let idle = || {
                output.moving.try_lock().is_ok()
                    && rustix::io::ioctl_fionread(socket).is_ok_and(|waiting| waiting == 0)
            };
            while !idle() && Instant::now() < limit {
                thread::sleep(Duration::from_micros(100));
            }
        }
    }

    /// How many bytes have been passed on to both outputs.
    pub fn passed(&self) -> [u64; 2] {
        [0, 1].map(|at| self.outputs[at].passed.load(Ordering::Acquire))
    }

    /// Passes on all that has arrived. A signal on the way (the reader may never read) ends the wait and is returned; so does,
    /// with `patience`, a reader that takes nothing for so long.
    pub fn drain(&self, signals: &mut Signals, patience: Option<Duration>) -> Result<Option<i32>> {
        // A socket shut down for reading still gives what it holds, then end of file.
        self.close(Stream::Stdout);
        self.close(Stream::Stderr);
        let limit = patience.map(Timespec::try_from).transpose()?;
        let mut passed = self.passed();
        loop {
            let mut fds = [
                PollFd::new(&self.finished, PollFlags::IN),
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, limit.as_ref()) {
                Ok(0) if self.passed() == passed => return Ok(None),
                Ok(0) => passed = self.passed(),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[0].revents().is_empty() {
                return Ok(None);
            }
            use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
            let fatal = |signal: &i32| [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(signal);
            if let Some(signal) = signals.pending().into_iter().find(fatal) {
                return Ok(Some(signal));
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Nobody joins: the process ends without them, and output threads report through `finished`.
    thread::Builder::new()
        .name(name.into())
        .stack_size(64 << 10)
        .spawn(work)
        .map(drop)
}

/// How far an output stream has come.
#[derive(Default)]
pub struct Progress {
    /// Held while a piece is between socket and descriptor.
    moving: Mutex<()>,
    /// Bytes passed on so far; the maximum when there will be no more.
    passed: AtomicU64,
    /// The first failure to write what is no pipe: an errno.
    failed: AtomicI32,
}

/// Waits until so much has been passed on to an output, or it takes no more.
pub fn until_passed(output: &Progress, bytes: u64) {
    while output.passed.load(Ordering::Acquire) < bytes {
        thread::sleep(Duration::from_micros(100));
    }
}

fn wait_until_passed(outputs: &[Progress; 2], written: Written) {
    let limit = Instant::now() + Duration::from_secs(1);
    for (output, bytes) in outputs.iter().zip(written) {
        while output.passed.load(Ordering::Acquire) < bytes && Instant::now() < limit {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// How many bytes of input the guest has asked for.
#[derive(Default)]
struct Credit {
    asked: Mutex<Asked>,
    more: Condvar,
}

#[derive(Default)]
struct Asked {
    bytes: u64,
    /// What the program had written when it asked last.
    written: Written,
}

impl Credit {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(&self, bytes: u32, written: Written) {
        let mut asked = self.asked();
        let unlimited = bytes == u32::MAX;
        asked.bytes = if unlimited {
            u64::MAX
        } else {
            asked.bytes.saturating_add(bytes.into())
        };
        asked.written = written;
        self.more.notify_one();
    }

    /// Waits for some; gives what the program had written before it asked, too.
    fn available(&self) -> (usize, Written) {
        let mut asked = self.asked();
        while asked.bytes == 0 {
            asked = self
                .more
                .wait(asked)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let bytes = usize::try_from(asked.bytes).unwrap_or(usize::MAX);
        (bytes, asked.written)
    }

    fn reset(&self) {
        self.asked().bytes = 0;
    }

    fn spend(&self, bytes: usize) {
        let mut asked = self.asked();
        if asked.bytes != u64::MAX {
            asked.bytes = asked.bytes.saturating_sub(bytes as u64);
        }
    }
}

struct Input {
    credit: Arc<Credit>,
    outputs: Arc<[Progress; 2]>,
    socket: UnixStream,
    guest: Arc<Guest>,
    descriptor: BorrowedFd<'static>,
    /// Else it is the controlling terminal.
    is_stdin: bool,
    is_terminal: bool,
}

impl Input {
    fn run(mut self) {
        let input = self.descriptor;
        let mut buffer = vec![0; CHUNK];
        let mut sent = 0;
        loop {
            let (room, written) = self.credit.available();
            let room = room.min(CHUNK);
            if self.is_terminal && !terminal::in_foreground(Stream::Stdin) {
                // The read stops us: what the program wrote before it must be seen by then.
                wait_until_passed(&self.outputs, written);
            }
            match rustix::io::read(input, &mut buffer[..room]) {
                Ok(0) => {
                    // The guest forgets what it had asked for, too: a terminal that never waits (VMIN 0) is read when
                    // the program reads. Ours goes first, for the guest may ask again as soon as it has the message.
                    self.credit.reset();
                    self.tell_end(sent, 0);
                    // After Ctrl-D a terminal may give more; one that was hung up never will.
                    if !self.is_terminal || hung_up(input) {
                        break;
                    }
                }
                Ok(n) => {
                    self.credit.spend(n);
                    if self.socket.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                    sent += n as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for(input, PollFlags::IN),
                // EIO from a lost terminal, EISDIR: there is no more input, and that is why.
                Err(error) => {
                    self.tell_end(sent, error.raw_os_error() as u16);
                    break;
                }
            }
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    fn tell_end(&self, after: u64, errno: u16) {
        self.guest.send(&if self.is_stdin {
            ToGuest::StdinEof { after, errno }
        } else {
            ToGuest::TtyEof { after, errno }
        });
    }
}

fn hung_up(terminal: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(terminal, PollFlags::IN)];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

/// Somebody else made a shared descriptor non-blocking.
fn wait_for(descriptor: BorrowedFd<'_>, what: PollFlags) {
    let _ = poll(&mut [PollFd::from_borrowed_fd(descriptor, what)], None);
}

struct Output {
    stream: Stream,
    /// A write that fails may be followed by one that does not: a disk has room again.
    may_recover: bool,
    is_file: bool,
    socket: UnixStream,
    outputs: Arc<[Progress; 2]>,
    guest: Arc<Guest>,
}

impl Output {
    fn run(mut self) {
        let mut buffer = vec![0; CHUNK];
        let outputs = self.outputs.clone();
        let progress = &outputs[usize::from(self.stream == Stream::Stderr)];
        loop {
            // So that no piece is taken off the socket without the lock, which would not be seen as being under way.
            let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None);
            let _moving = progress
                .moving
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    if let Err(error) = write_all(self.stream, &buffer[..n]) {
                        if !self.may_recover || error == Errno::PIPE {
                            self.reader_gone(error);
                            break;
                        }
                        // A device's answer is waited for; of a file's the program hears at its next write.
                        let errno = if self.is_file {
                            error.raw_os_error()
                        } else {
                            0
                        };
                        let _ = progress.failed.compare_exchange(
                            0,
                            errno,
                            Ordering::AcqRel,
                            Ordering::Relaxed,
                        );
                        self.tell(error);
                    }
                    progress.passed.fetch_add(n as u64, Ordering::Release);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        progress.passed.store(u64::MAX, Ordering::Release);
        // The program closed it, or has ended: our reader finds end of file.
        host::close(self.stream);
    }

    fn reader_gone(&self, error: Errno) {
        // EPIPE is the reader's right; anything else deserves a word.
        if error != Errno::PIPE && self.stream == Stream::Stdout {
            say!("ringo: stdout: {error}");
        }
        let _ = self.socket.shutdown(Shutdown::Both);
        self.tell(Errno::PIPE);
    }

    fn tell(&self, error: Errno) {
        self.guest.send(&ToGuest::StreamFailed {
            stream: self.stream,
            errno: error.raw_os_error() as u16,
        });
    }
}

fn write_all(stream: Stream, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor(stream), bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(descriptor(stream), PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
