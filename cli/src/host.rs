//! The process around us: what exec(2) would have handed down to the program.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use ringo_bundle::{StreamKind, Terminal};
use ringo_control::Stream;
use rustix::fs::{FileType, Stat};
use rustix::stdio;

use crate::terminal;

/// The command's own descriptor of a stream.
pub fn descriptor(stream: Stream) -> BorrowedFd<'static> {
    match stream {
        Stream::Stdin => stdio::stdin(),
        Stream::Stdout => stdio::stdout(),
        Stream::Stderr => stdio::stderr(),
    }
}

/// Our supplementary groups; none if they cannot be asked for.
pub fn groups() -> Vec<u32> {
    let groups = rustix::process::getgroups().unwrap_or_default();
    groups.into_iter().map(|group| group.as_raw()).collect()
}

/// What the three standard streams are.
pub struct Streams {
    pub kinds: [StreamKind; 3],
    pub flags: [u32; 3],
    /// stdout and stderr are one file.
    pub one_output: bool,
    /// The terminal that we are at, where stdin is another thing.
    pub controlling: Option<Terminal>,
    /// They are one regular file, opened twice.
    pub two_places: bool,
    /// stdin is a regular file, and none of the others.
    pub input_alone: bool,
}

/// Looks at descriptors 0 to 2.
pub fn streams() -> Streams {
    let stats = Stream::ALL.map(|stream| rustix::fs::fstat(descriptor(stream)).ok());
    let flags = Stream::ALL.map(|stream| {
        rustix::fs::fcntl_getfl(descriptor(stream))
            .map(|flags| (flags - rustix::fs::OFlags::NONBLOCK).bits())
            .unwrap_or(0)
    });
    let same =
        |a: &Stat, b: &Stat| (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev);
    let mut kinds = Stream::ALL.map(|stream| {
        let Some(stat) = &stats[stream as usize] else {
            return StreamKind::Closed;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => StreamKind::File,
            FileType::Socket => StreamKind::Socket,
            // makedev(1, 3) is /dev/null everywhere.
            FileType::CharacterDevice if stat.st_rdev == 0x103 => StreamKind::Null,
            FileType::CharacterDevice => match terminal::settings(stream) {
                Some((termios, size)) => {
                    let device = Stream::ALL
                        .into_iter()
                        .find(|&other| {
                            stats[other as usize]
                                .as_ref()
                                .is_some_and(|s| same(s, stat))
                        })
                        .unwrap_or(stream);
                    StreamKind::Terminal(Terminal {
                        device,
                        termios,
                        size,
                    })
                }
                None => StreamKind::Device,
            },
            _ => StreamKind::Pipe,
        }
    });
    let same_output = match &stats[1..] {
        [Some(out), Some(err)] => same(out, err) && kinds[1] != StreamKind::Null,
        _ => false,
    };
    // `>file 2>file` are two places in one file, each with its own position.
    let one_output = same_output
        && (kinds[1] != StreamKind::File || is_one_open_file(stdio::stdout(), stdio::stderr()));
    let is_input = |output: &Stat| stats[0].as_ref().is_some_and(|input| same(input, output));
    let controlling = if matches!(kinds[0], StreamKind::Terminal(_)) {
        None
    } else {
        terminal::open_controlling().map(|(number, termios, size)| {
            for (kind, stat) in kinds.iter_mut().zip(&stats) {
                if let (StreamKind::Terminal(terminal), Some(stat)) = (kind, stat)
                    && stat.st_rdev == number
                {
                    terminal.device = Stream::Stdin;
                }
            }
            Terminal {
                device: Stream::Stdin,
                termios,
                size,
            }
        })
    };
    Streams {
        controlling,
        kinds,
        flags,
        one_output,
        two_places: same_output && !one_output,
        input_alone: kinds[0] == StreamKind::File && !stats[1..].iter().flatten().any(is_input),
    }
}

/// Whether two descriptors are one open file: a flag that means nothing to regular files shows through the other.
fn is_one_open_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let flags = |fd| rustix::fs::fcntl_getfl(fd);
    let (Ok(before), Ok(other)) = (flags(a), flags(b)) else {
        return false;
    };
    if before != other || rustix::fs::fcntl_setfl(a, before ^ rustix::fs::OFlags::NONBLOCK).is_err()
    {
        return false;
    }
    let shows = flags(b).is_ok_and(|now| now != other);
    let _ = rustix::fs::fcntl_setfl(a, before);
    shows
}

/// What /proc/self/status says: the umask, and the signals that we were started with as ignored.
pub fn umask_and_ignored_signals() -> (u32, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str, radix| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), radix).ok()
    };
    // Rust's start-up ignores SIGPIPE itself, so nothing is known about the parent's choice.
    const SIGPIPE: u64 = 1 << (13 - 1);
    let ignored = field("SigIgn:", 16).unwrap_or(0) & !SIGPIPE;
    (field("Umask:", 8).unwrap_or(0o22) as u32, ignored)
}

/// Soft and hard limit of open files.
pub fn open_files() -> (u64, u64) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    )
}

/// 32 bytes for the guest's random numbers.
pub fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let n = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context("no randomness from the host")?;
    anyhow::ensure!(n == bytes.len(), "no randomness from the host");
    Ok(bytes)
}

/// CLOCK_REALTIME in nanoseconds.
pub fn realtime_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    (now.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(now.tv_nsec as u64)
}

/// How many CPUs this process may use, as far as the kernel can.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(ringo_abi::MAX_CPUS) as u32)
}

/// Largest pipe-like buffer the system grants: fewer, larger moves.
pub fn enlarge(socket: impl AsFd, bytes: usize) {
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, bytes);
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, bytes);
}

/// Closes one of our standard streams, so that its reader finds end of file. /dev/null takes its number: a closed one
/// could become anything else's.
pub fn close(stream: Stream) {
    let Ok(null) = std::fs::File::open("/dev/null") else {
        return;
    };
    let _ = match stream {
        Stream::Stdin => stdio::dup2_stdin(&null),
        Stream::Stdout => stdio::dup2_stdout(&null),
        // Our own words still go there.
        Stream::Stderr => Ok(()),
    };
}
