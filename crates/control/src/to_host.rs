//! Messages from the guest kernel to the `ringo` command.

use crate::codec::{In, Out};
use crate::{
    DecodeError, FileRequest, Kept, Message, NoSpace, Stream, Termios, WhenToSet, WinSize,
};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// exit_group's status, its low eight bits.
    Code(u8),
    /// Killed by this signal: the command exits with 128 + n.
    Signal(u8),
}

/// What brought the kernel down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CrashKind {
    /// A Rust panic in the kernel.
    Panic = 0,
    /// An exception in kernel code.
    Fault = 1,
    /// A double fault, an exhausted kernel stack among them.
    DoubleFault = 2,
    /// A machine check or an NMI nobody asked for.
    Hardware = 3,
    /// Not a bug: the program can't be started (bad file, too little memory). `reason` is shown as it is.
    Refused = 4,
}

/// A list of code addresses, most recent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses<'a> {
    /// As the kernel collects them.
    Words(&'a [u64]),
    /// As they arrive: little-endian, eight bytes each.
    Bytes(&'a [u8]),
}

impl<'a> Addresses<'a> {
    /// The addresses, most recent first.
    pub fn iter(self) -> impl Iterator<Item = u64> + 'a {
        let (words, bytes): (&[u64], &[u8]) = match self {
            Addresses::Words(w) => (w, &[]),
            Addresses::Bytes(b) => (&[], b),
        };
        let decoded = bytes
            .chunks_exact(8)
            .map(|c| u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]));
        words.iter().copied().chain(decoded)
    }

    fn count(self) -> usize {
        match self {
            Addresses::Words(w) => w.len(),
            Addresses::Bytes(b) => b.len() / 8,
        }
    }
}

/// The kernel's last words; nothing follows but the end of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash<'a> {
    /// What happened.
    pub kind: CrashKind,
    /// On which CPU.
    pub cpu: u32,
    /// The panic message, or the exception with its registers; may have several lines.
    pub reason: &'a [u8],
    /// How far a position-independent program was moved from its link addresses (0 otherwise).
    pub program_bias: u64,
    /// Return addresses in the kernel.
    pub kernel: Addresses<'a>,
    /// Then those in the program that called it.
    pub program: Addresses<'a>,
}

/// Bytes that went through the ports of standard output and standard error since the start. The ports and this one are
/// passed on independently, so a message that must not overtake the output says how much of it came before.
pub type Written = [u64; 2];

/// A message from the guest to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToHost<'a> {
    /// The program is about to run its first instruction: signals can be delivered from now on.
    Booted {
        /// Nanoseconds since the kernel's entry.
        since_entry_ns: u64,
    },
    /// The program ended. The guest sends this when the device has given back every output buffer: what it took
    /// lies in the host's sockets, which are drained before the VM is killed. Nothing may follow.
    Exit(ExitStatus),
    /// The program ended, and what it wrote is still on its way: `Exit` follows when it has arrived. Somebody who reads
    /// nothing more may keep that from happening.
    Ending(ExitStatus),
    /// The kernel's half of `--stats`: the members of a JSON object as text, braces included. Precedes `Exit`.
    Stats(&'a [u8]),
    /// A line for `-v` without its newline.
    Log(&'a [u8]),
    /// A kernel bug, or a refusal to start.
    Crash(Crash<'a>),
    /// tcsetattr on a terminal; answered by [`crate::ToGuest::TermiosAck`].
    TermiosSet {
        /// On which descriptor's terminal.
        stream: Stream,
        /// TCSANOW, TCSADRAIN or TCSAFLUSH.
        when: WhenToSet,
        /// The settings.
        termios: Termios,
    },
    /// TCFLSH: throw away unread input and unsent output; `queue` is TCIFLUSH (0), TCOFLUSH (1) or TCIOFLUSH (2).
    TermiosFlush {
        /// On which descriptor's terminal.
        stream: Stream,
        /// Which queues.
        queue: u8,
    },
    /// TIOCSWINSZ: the program sets the terminal's size.
    WinSizeSet {
        /// On which descriptor's terminal.
        stream: Stream,
        /// The size.
        size: WinSize,
    },
    /// What is the time? Answered by [`crate::ToGuest::Clock`] with the same id.
    ClockQuery {
        /// Any number.
        id: u32,
    },
    /// The program wants standard input: the host may send this many bytes more (they add up, saturating;
    /// `u32::MAX` is "no limit"). The host starts with none, so that input the program never asks for stays unread
    /// for the next reader, as with any process.
    StdinCredit {
        /// How many bytes more.
        bytes: u32,
        /// What the program wrote before: a host that is stopped for reading (SIGTTIN) has passed it on by then.
        written: Written,
    },
    /// As `StdinCredit`, for the controlling terminal, where that is not standard input.
    TtyCredit {
        /// How many bytes more.
        bytes: u32,
        /// What the program wrote before.
        written: Written,
    },
    /// The program closed its last descriptor of this stream while it goes on running: the host closes its own.
    Closed(Stream),
    /// A stop signal took its default action (`kill(0, SIGTSTP)` after Ctrl-Z in raw mode): the host stops itself
    /// the same way, and sends SIGCONT when it is continued.
    Stopped {
        /// SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU.
        signal: u8,
        /// What the program wrote before.
        written: Written,
    },
    /// A [`crate::ToGuest::Signal`] was taken: handled, ignored, or pending on a live program. A third Ctrl-C
    /// without this answer makes the host kill the VM.
    SignalTaken(u8),
    /// Has what was written been passed on? Answered by [`crate::ToGuest::Settled`] when it was, or failed; what failed is said
    /// before.
    Settle {
        /// So much was written.
        written: Written,
    },
    /// Something to do with a standard stream that is a regular file.
    File(FileRequest<'a>),
    /// A piece of what the program leaves to the host. Precedes `Exit`.
    Kept(Kept<'a>),
    /// Samples for `--profile`.
    Samples {
        /// How far a position-independent program was moved from its link addresses (0 otherwise).
        program_bias: u64,
        /// How many the CPU of these has lost so far, for want of room.
        lost: u64,
        /// Whole samples, as kernel/src/cpu/sampler.rs writes them; at least three words each.
        words: Addresses<'a>,
    },
    /// Something that explains the program's end, sent when it happens first.
    Noted(Note),
}

/// See [`ToHost::Noted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Note {
    /// The program was refused memory, because there is no more of it.
    OutOfMemory = 0,
    /// The program asked for another one to be started (fork(2), execve(2)), in vain.
    OneProgram = 1,
    /// There is not enough memory for a profile's samples.
    NoProfile = 2,
}

mod kind {
    pub const BOOTED: u8 = 0x01;
    pub const EXIT: u8 = 0x02;
    pub const STATS: u8 = 0x03;
    pub const LOG: u8 = 0x04;
    pub const CRASH: u8 = 0x05;
    pub const TERMIOS_SET: u8 = 0x06;
    pub const TERMIOS_FLUSH: u8 = 0x07;
    pub const WIN_SIZE_SET: u8 = 0x08;
    pub const CLOCK_QUERY: u8 = 0x09;
    pub const STDIN_CREDIT: u8 = 0x0a;
    pub const CLOSED: u8 = 0x0b;
    pub const STOPPED: u8 = 0x0c;
    pub const SIGNAL_TAKEN: u8 = 0x0d;
    pub const KEPT: u8 = 0x0e;
    pub const NOTED: u8 = 0x0f;
    pub const SETTLE: u8 = 0x10;
    pub const FILE: u8 = 0x11;
    pub const SAMPLES: u8 = 0x12;
    pub const TTY_CREDIT: u8 = 0x13;
    pub const ENDING: u8 = 0x14;
}

impl<'a> Message<'a> for ToHost<'a> {
    fn kind(&self) -> u8 {
        match self {
            ToHost::Booted { .. } => kind::BOOTED,
            ToHost::Exit(_) => kind::EXIT,
            ToHost::Ending(_) => kind::ENDING,
            ToHost::Stats(_) => kind::STATS,
            ToHost::Log(_) => kind::LOG,
            ToHost::Crash(_) => kind::CRASH,
            ToHost::TermiosSet { .. } => kind::TERMIOS_SET,
            ToHost::TermiosFlush { .. } => kind::TERMIOS_FLUSH,
            ToHost::WinSizeSet { .. } => kind::WIN_SIZE_SET,
            ToHost::ClockQuery { .. } => kind::CLOCK_QUERY,
            ToHost::StdinCredit { .. } => kind::STDIN_CREDIT,
            ToHost::Closed(_) => kind::CLOSED,
            ToHost::Stopped { .. } => kind::STOPPED,
            ToHost::SignalTaken(_) => kind::SIGNAL_TAKEN,
            ToHost::Kept(_) => kind::KEPT,
            ToHost::Noted(_) => kind::NOTED,
            ToHost::Settle { .. } => kind::SETTLE,
            ToHost::File(_) => kind::FILE,
            ToHost::TtyCredit { .. } => kind::TTY_CREDIT,
            ToHost::Samples { .. } => kind::SAMPLES,
        }
    }

    fn write_payload(&self, out: &mut Out<'_>) -> Result<(), NoSpace> {
        match *self {
            ToHost::Booted { since_entry_ns } => out.u64(since_entry_ns),
            ToHost::Exit(status) | ToHost::Ending(status) => {
                let (by_signal, number) = match status {
                    ExitStatus::Code(code) => (0, code),
                    ExitStatus::Signal(signal) => (1, signal),
                };
                out.bytes(&[by_signal, number])
            }
            ToHost::Stats(text) | ToHost::Log(text) => out.bytes(text),
            ToHost::Crash(crash) => write_crash(&crash, out),
            ToHost::TermiosSet {
                stream,
                when,
                termios,
            } => {
                out.bytes(&[stream as u8, when as u8])?;
                out.bytes(&termios.0)
            }
            ToHost::TermiosFlush { stream, queue } => out.bytes(&[stream as u8, queue]),
            ToHost::WinSizeSet { stream, size } => {
                out.u8(stream as u8)?;
                write_size(size, out)
            }
            ToHost::ClockQuery { id } => out.u32(id),
            ToHost::StdinCredit { bytes, written } | ToHost::TtyCredit { bytes, written } => {
                out.u32(bytes)?;
                write_written(written, out)
            }
            ToHost::Closed(stream) => out.u8(stream as u8),
            ToHost::Stopped { signal, written } => {
                out.u8(signal)?;
                write_written(written, out)
            }
            ToHost::SignalTaken(signal) => out.u8(signal),
            ToHost::Kept(ref kept) => crate::kept::write(kept, out),
            ToHost::Noted(note) => out.u8(note as u8),
            ToHost::Settle { written } => write_written(written, out),
            ToHost::File(request) => crate::file::write(&request, out),
            ToHost::Samples {
                program_bias,
                lost,
                words,
            } => {
                out.u64(program_bias)?;
                out.u64(lost)?;
                words.iter().try_for_each(|word| out.u64(word))
            }
        }
    }

    fn read_payload(kind: u8, payload: &'a [u8]) -> Result<Self, DecodeError> {
        if !(kind::BOOTED..=kind::ENDING).contains(&kind) {
            return Err(DecodeError::UnknownKind(kind));
        }
        read(kind, &mut In(payload)).ok_or(DecodeError::Malformed(kind))
    }
}

fn read_status(input: &mut In<'_>) -> Option<ExitStatus> {
    match (input.u8()?, input.u8()?) {
        (0, code) => Some(ExitStatus::Code(code)),
        (1, signal) => Some(ExitStatus::Signal(signal)),
        _ => None,
    }
}

fn read<'a>(kind: u8, input: &mut In<'a>) -> Option<ToHost<'a>> {
    let message = match kind {
        kind::BOOTED => ToHost::Booted {
            since_entry_ns: input.u64()?,
        },
        kind::EXIT => ToHost::Exit(read_status(input)?),
        kind::ENDING => ToHost::Ending(read_status(input)?),
        kind::STATS => ToHost::Stats(input.rest()),
        kind::LOG => ToHost::Log(input.rest()),
        kind::CRASH => ToHost::Crash(read_crash(input)?),
        kind::TERMIOS_SET => ToHost::TermiosSet {
            stream: Stream::from_u8(input.u8()?)?,
            when: WhenToSet::from_u8(input.u8()?)?,
            termios: Termios(input.array()?),
        },
        kind::TERMIOS_FLUSH => ToHost::TermiosFlush {
            stream: Stream::from_u8(input.u8()?)?,
            queue: input.u8()?,
        },
        kind::WIN_SIZE_SET => ToHost::WinSizeSet {
            stream: Stream::from_u8(input.u8()?)?,
            size: read_size(input)?,
        },
        kind::CLOCK_QUERY => ToHost::ClockQuery { id: input.u32()? },
        kind::STDIN_CREDIT => ToHost::StdinCredit {
            bytes: input.u32()?,
            written: read_written(input)?,
        },
        kind::TTY_CREDIT => ToHost::TtyCredit {
            bytes: input.u32()?,
            written: read_written(input)?,
        },
        kind::CLOSED => ToHost::Closed(Stream::from_u8(input.u8()?)?),
        kind::STOPPED => ToHost::Stopped {
            signal: input.u8()?,
            written: read_written(input)?,
        },
        kind::SIGNAL_TAKEN => ToHost::SignalTaken(input.u8()?),
        kind::KEPT => ToHost::Kept(crate::kept::read(input)?),
        kind::SETTLE => ToHost::Settle {
            written: read_written(input)?,
        },
        kind::FILE => ToHost::File(crate::file::read(input)?),
        kind::SAMPLES => ToHost::Samples {
            program_bias: input.u64()?,
            lost: input.u64()?,
            words: match input.rest() {
                bytes if bytes.len().is_multiple_of(8) => Addresses::Bytes(bytes),
                _ => return None,
            },
        },
        kind::NOTED => ToHost::Noted(match input.u8()? {
            0 => Note::OutOfMemory,
            1 => Note::OneProgram,
            2 => Note::NoProfile,
            _ => return None,
        }),
        _ => return None,
    };
    input.end()?;
    Some(message)
}

fn write_crash(crash: &Crash<'_>, out: &mut Out<'_>) -> Result<(), NoSpace> {
    out.u8(crash.kind as u8)?;
    out.u32(crash.cpu)?;
    out.u64(crash.program_bias)?;
    for length in [
        crash.reason.len(),
        crash.kernel.count(),
        crash.program.count(),
    ] {
        out.u16(u16::try_from(length).map_err(|_| NoSpace)?)?;
    }
    out.bytes(crash.reason)?;
    for address in crash.kernel.iter().chain(crash.program.iter()) {
        out.u64(address)?;
    }
    Ok(())
}

fn read_crash<'a>(input: &mut In<'a>) -> Option<Crash<'a>> {
    let kind = match input.u8()? {
        0 => CrashKind::Panic,
        1 => CrashKind::Fault,
        2 => CrashKind::DoubleFault,
        3 => CrashKind::Hardware,
        4 => CrashKind::Refused,
        _ => return None,
    };
    let cpu = input.u32()?;
    let program_bias = input.u64()?;
    let (reason, kernel, program) = (input.u16()?, input.u16()?, input.u16()?);
    Some(Crash {
        kind,
        cpu,
        program_bias,
        reason: input.take(reason.into())?,
        kernel: Addresses::Bytes(input.take(usize::from(kernel) * 8)?),
        program: Addresses::Bytes(input.take(usize::from(program) * 8)?),
    })
}

fn write_written(written: Written, out: &mut Out<'_>) -> Result<(), NoSpace> {
    written.into_iter().try_for_each(|bytes| out.u64(bytes))
}

fn read_written(input: &mut In<'_>) -> Option<Written> {
    Some([input.u64()?, input.u64()?])
}

pub(crate) fn write_size(size: WinSize, out: &mut Out<'_>) -> Result<(), NoSpace> {
    for field in [size.rows, size.cols, size.xpixel, size.ypixel] {
        out.u16(field)?;
    }
    Ok(())
}

pub(crate) fn read_size(input: &mut In<'_>) -> Option<WinSize> {
    Some(WinSize {
        rows: input.u16()?,
        cols: input.u16()?,
        xpixel: input.u16()?,
        ypixel: input.u16()?,
    })
}
