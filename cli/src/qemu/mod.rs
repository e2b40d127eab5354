//! The virtual machine as a child process.
//!
//! Promises: no file is left behind (kernel and bundle are memfds, the streams socket pairs), and QEMU dies with this process,
//! whatever kills it (the parent's death signal); it runs confined, has no descriptors but those it is given, and its own
//! process group, so that a terminal's Ctrl-C reaches the program only.

mod backlog;
mod command;
pub mod engine;
pub mod linux;
pub mod published;
pub mod tap;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal};

use crate::args::{Machine, Publish};
use crate::network::Mac;
use crate::{host, image};
use engine::Engine;

/// What kind of machine.
pub struct Config {
    pub engine: Engine,
    pub machine: Machine,
    pub cpus: u32,
    pub memory: u64,
    /// The VM's clock counts instructions.
    pub icount: bool,
    /// Offer the host's files by 9p.
    pub host_files: bool,
    /// The network card.
    pub card: Option<Card>,
    /// A port for what is typed at the controlling terminal.
    pub tty: bool,
    /// Where to write the card's frames.
    pub capture: Option<File>,
}

/// A network card.
pub struct Card {
    pub link: Link,
    /// Its address, if it is not QEMU's.
    pub mac: Option<Mac>,
}

/// What a network card is connected to.
pub enum Link {
    /// QEMU's user network, with these ports of it led to from the host.
    User(Vec<Publish>),
    /// A tap interface of the host.
    Tap(OwnedFd),
}

impl Config {
    /// Whether ports of the host lead to the VM.
    pub fn publishes(&self) -> bool {
        let link = self.card.as_ref().map(|card| &card.link);
        matches!(link, Some(Link::User(ports)) if !ports.is_empty())
    }
}

/// A VM that was started.
pub struct Vm {
    child: Child,
    pub started: Instant,
    pub stdin: UnixStream,
    pub stdout: UnixStream,
    pub stderr: UnixStream,
    pub control: UnixStream,
    pub tty: Option<UnixStream>,
    /// What QEMU itself has to say.
    pub log: ChildStderr,
}

/// Our end and QEMU's.
struct Ports {
    ours: [UnixStream; 4],
    theirs: [UnixStream; 4],
}

/// An anonymous file that QEMU may open as /proc/self/fd/N.
pub fn anonymous_file(name: &str) -> Result<File> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
        .context("the host has no memory files (memfd_create)")?;
    Ok(File::from(fd))
}

/// Starts QEMU with our kernel and this bundle.
pub fn start(config: &Config, bundle: File) -> Result<Vm> {
    let program = command::program()?;
    let mut kernel = anonymous_file("ringo-kernel")?;
    kernel.write_all(image::KERNEL)?;
    let ports = ports()?;
    let mut inherited: Vec<OwnedFd> = vec![kernel.into(), bundle.into()];
    let (kernel, bundle) = (inherited[0].as_raw_fd(), inherited[1].as_raw_fd());
    let theirs = ports.theirs.each_ref().map(|socket| socket.as_raw_fd());
    inherited.extend(ports.theirs.map(OwnedFd::from));
    let (tty, their_tty) = match config.tty.then(UnixStream::pair).transpose() {
        Ok(pair) => pair.unzip(),
        Err(error) => bail!("no sockets from the host: {error}"),
    };
    let tty_fd = their_tty.as_ref().map(AsRawFd::as_raw_fd);
    inherited.extend(their_tty.map(OwnedFd::from));
    let capture = config.capture.as_ref().map(File::try_clone).transpose()?;
    let capture_fd = capture.as_ref().map(AsRawFd::as_raw_fd);
    inherited.extend(capture.map(OwnedFd::from));
    let mut command = std::process::Command::new(&program);
    command
        .args(command::arguments(
            config,
            &command::Files {
                kernel,
                bundle,
                ports: theirs,
                tty: tty_fd,
                capture: capture_fd,
            },
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut keep: Vec<_> = inherited.iter().map(AsRawFd::as_raw_fd).collect();
    if let Some(Card {
        link: Link::Tap(tap),
        ..
    }) = &config.card
    {
        keep.push(tap.as_raw_fd());
    }
    prepare_child(&mut command, keep);
    let started = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => bail!("{} doesn't start: {error}", program.display()),
    };
    let log = child.stderr.take().expect("it is piped");
    let [stdin, stdout, stderr, control] = ports.ours;
    Ok(Vm {
        child,
        started,
        stdin,
        stdout,
        stderr,
        control,
        tty,
        log,
    })
}

fn ports() -> Result<Ports> {
    // Large enough that a burst costs few wake-ups; the system may grant less.
    const BUFFER: usize = 1 << 20;
    let mut pairs = Vec::new();
    for _ in 0..4 {
        let pair = UnixStream::pair().context("no sockets from the host")?;
        host::enlarge(pair.0.as_fd(), BUFFER);
        host::enlarge(pair.1.as_fd(), BUFFER);
        pairs.push(pair);
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let four = |v: Vec<UnixStream>| <[UnixStream; 4]>::try_from(v).expect("there are four");
    Ok(Ports {
        ours: four(ours),
        theirs: four(theirs),
    })
}

/// The child gets SIGKILL when this thread, the main one, ends; and of our descriptors only `keep`: not those that whoever
/// started us left open, which would stay open as long as the VM, within its reach.
#[allow(unsafe_code)]
fn prepare_child(command: &mut std::process::Command, keep: Vec<RawFd>) {
    let parent = rustix::process::getpid();
    let set = move || {
        close_at_exec();
        for &fd in &keep {
            // SAFETY: it is open, in `inherited` of the caller.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have died before that took effect.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::other("ringo has ended"));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls; it neither allocates on success nor takes locks.
    unsafe { command.pre_exec(set) };
}

/// Marks all descriptors behind the standard ones. Linux before 5.11 does not know the flag: then one by one, as far as the
/// limit for new ones, or a large number, goes.
#[allow(unsafe_code)]
fn close_at_exec() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: touches flags of descriptors only, in a child that is about to call exec.
    let done =
        unsafe { libc::close_range(FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    if done == 0 {
        return;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    for fd in FIRST..limit.unwrap_or(u64::MAX).min(1 << 16) as libc::c_uint {
        // SAFETY: as above; one that is not open gives EBADF.
        unsafe { libc::fcntl(fd as i32, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

impl Vm {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Lets more connections wait at its ports until they are taken.
    pub fn enlarge_backlogs(&self) {
        backlog::enlarge(self.pid());
    }

    /// Sends a signal to QEMU itself.
    pub fn signal(&self, signal: Signal) {
        // It is our child and not waited for yet, so the number is still its own.
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits until it is gone.
    pub fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait()
    }

    /// Resident part of the guest's memory.
    pub fn resident(&self, memory: u64) -> Option<u64> {
        let path = format!("/proc/{}/smaps", self.child.id());
        crate::stats::resident(&std::fs::read_to_string(path).ok()?, memory)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.kill();
        let _ = self.wait();
    }
}
