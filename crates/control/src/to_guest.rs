//! Messages from the `ringo` command to the guest kernel. All are short: a decoder of 64 bytes holds any of them.

use crate::codec::{In, Out};
use crate::to_host::{read_size, write_size};
use crate::{DecodeError, Message, NoSpace, Stream, Termios, WinSize};

/// A message from the host to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToGuest {
    /// Deliver this signal to the program, as kill(2) from outside would. Never sent before `Booted`.
    Signal(u8),
    /// A terminal has another size; SIGWINCH comes as its own message after it.
    WinSize {
        /// Which descriptor's terminal.
        stream: Stream,
        /// Its size now.
        size: WinSize,
    },
    /// The answer to `TermiosSet`, `TermiosFlush` and `WinSizeSet`, in their order: 0 or the host's errno.
    TermiosAck {
        /// As in the request.
        stream: Stream,
        /// 0 or an errno.
        errno: u16,
    },
    /// A terminal's settings changed behind the program's back (the shell did it while the program was stopped).
    TermiosState {
        /// Which descriptor's terminal.
        stream: Stream,
        /// Its settings now.
        termios: Termios,
    },
    /// The answer to `ClockQuery`.
    Clock {
        /// As in the question.
        id: u32,
        /// CLOCK_REALTIME when the answer was written.
        realtime_ns: u64,
    },
    /// Something that was written to stdout or stderr did not arrive. EPIPE: the reader went away, and writes give that and
    /// SIGPIPE from now on (the port is closed, too). Anything else: a disk is full or broken; the next write tells.
    StreamFailed {
        /// Which.
        stream: Stream,
        /// Why: the host's errno.
        errno: u16,
    },
    /// Standard input has given end of file after this many bytes in all. From anything but a terminal that is
    /// final (and the port is closed behind it); a terminal's Ctrl-D ends one read, and more may follow.
    StdinEof {
        /// Bytes sent through the stdin port before it.
        after: u64,
        /// What read(2) says on the host; 0 if it says that this is the end.
        errno: u16,
    },
    /// As `StdinEof`, of the controlling terminal, where that is not standard input.
    TtyEof {
        /// Bytes sent through its port before it.
        after: u64,
        /// What read(2) says on the host.
        errno: u16,
    },
    /// The answer to [`crate::ToHost::File`]; this many bytes follow the frame.
    FileAnswer {
        /// What the system call returned, or an errno's negative.
        result: i64,
        /// Bytes behind the frame.
        length: u32,
    },
    /// The answer to [`crate::ToHost::Settle`].
    Settled,
    /// End: send `Stats` and `Exit(Signal(SIGKILL))`, then halt.
    Shutdown,
}

mod kind {
    pub const SIGNAL: u8 = 0x81;
    pub const WIN_SIZE: u8 = 0x82;
    pub const TERMIOS_ACK: u8 = 0x83;
    pub const TERMIOS_STATE: u8 = 0x84;
    pub const CLOCK: u8 = 0x85;
    pub const STREAM_FAILED: u8 = 0x86;
    pub const STDIN_EOF: u8 = 0x87;
    pub const SHUTDOWN: u8 = 0x88;
    pub const SETTLED: u8 = 0x89;
    pub const FILE_ANSWER: u8 = 0x8a;
    pub const TTY_EOF: u8 = 0x8b;
}

impl<'a> Message<'a> for ToGuest {
    fn kind(&self) -> u8 {
        match self {
            ToGuest::Signal(_) => kind::SIGNAL,
            ToGuest::WinSize { .. } => kind::WIN_SIZE,
            ToGuest::TermiosAck { .. } => kind::TERMIOS_ACK,
            ToGuest::TermiosState { .. } => kind::TERMIOS_STATE,
            ToGuest::Clock { .. } => kind::CLOCK,
            ToGuest::StreamFailed { .. } => kind::STREAM_FAILED,
            ToGuest::StdinEof { .. } => kind::STDIN_EOF,
            ToGuest::Shutdown => kind::SHUTDOWN,
            ToGuest::Settled => kind::SETTLED,
            ToGuest::FileAnswer { .. } => kind::FILE_ANSWER,
            ToGuest::TtyEof { .. } => kind::TTY_EOF,
        }
    }

    fn write_payload(&self, out: &mut Out<'_>) -> Result<(), NoSpace> {
        match *self {
            ToGuest::Signal(signal) => out.u8(signal),
            ToGuest::WinSize { stream, size } => {
                out.u8(stream as u8)?;
                write_size(size, out)
            }
            ToGuest::TermiosAck { stream, errno } => {
                out.u8(stream as u8)?;
                out.u16(errno)
            }
            ToGuest::TermiosState { stream, termios } => {
                out.u8(stream as u8)?;
                out.bytes(&termios.0)
            }
            ToGuest::Clock { id, realtime_ns } => {
                out.u32(id)?;
                out.u64(realtime_ns)
            }
            ToGuest::StreamFailed { stream, errno } => {
                out.u8(stream as u8)?;
                out.u16(errno)
            }
            ToGuest::StdinEof { after, errno } | ToGuest::TtyEof { after, errno } => {
                out.u64(after)?;
                out.u16(errno)
            }
            ToGuest::FileAnswer { result, length } => {
                out.u64(result.cast_unsigned())?;
                out.u32(length)
            }
            ToGuest::Shutdown | ToGuest::Settled => Ok(()),
        }
    }

    fn read_payload(kind: u8, payload: &'a [u8]) -> Result<Self, DecodeError> {
        if !(kind::SIGNAL..=kind::TTY_EOF).contains(&kind) {
            return Err(DecodeError::UnknownKind(kind));
        }
        read(kind, &mut In(payload)).ok_or(DecodeError::Malformed(kind))
    }
}

fn read(kind: u8, input: &mut In<'_>) -> Option<ToGuest> {
    let message = match kind {
        kind::SIGNAL => ToGuest::Signal(input.u8()?),
        kind::WIN_SIZE => ToGuest::WinSize {
            stream: Stream::from_u8(input.u8()?)?,
            size: read_size(input)?,
        },
        kind::TERMIOS_ACK => ToGuest::TermiosAck {
            stream: Stream::from_u8(input.u8()?)?,
            errno: input.u16()?,
        },
        kind::TERMIOS_STATE => ToGuest::TermiosState {
            stream: Stream::from_u8(input.u8()?)?,
            termios: Termios(input.array()?),
        },
        kind::CLOCK => ToGuest::Clock {
            id: input.u32()?,
            realtime_ns: input.u64()?,
        },
        kind::STREAM_FAILED => ToGuest::StreamFailed {
            stream: Stream::from_u8(input.u8()?)?,
            errno: input.u16()?,
        },
        kind::STDIN_EOF => ToGuest::StdinEof {
            after: input.u64()?,
            errno: input.u16()?,
        },
        kind::TTY_EOF => ToGuest::TtyEof {
            after: input.u64()?,
            errno: input.u16()?,
        },
        kind::SHUTDOWN => ToGuest::Shutdown,
        kind::SETTLED => ToGuest::Settled,
        kind::FILE_ANSWER => ToGuest::FileAnswer {
            result: input.u64()?.cast_signed(),
            length: input.u32()?,
        },
        _ => return None,
    };
    input.end()?;
    Some(message)
}
