//! The program's circumstances: what execve, the parent process and the terminal would have told it.
//!
//! ```text
//! u64 start time · 32 bytes entropy · u32 uid · u32 gid · u32 umask · u64 nofile soft · u64 nofile hard ·
//! u64 ignored signals ·
//! 3 × stream (u8 kind · u32 open flags · for a terminal: u8 device, 36 bytes termios, 4 × u16 size) · the
//! controlling terminal as a stream, closed if there is none ·
//! bytes program path · u64 data offset · u64 data length · bytes cwd · bytes hostname ·
//! u32 argument count · that many bytes · u32 variable count · that many bytes · bytes supplementary groups, a u32 each ·
//! u32 count of places to keep · that many bytes · u32 samples a second ·
//! u32 count of lines about the network · that many bytes
//! ```

use ringo_control::{Stream, Termios, WinSize};

use crate::cursor::Cursor;
use crate::entry::{Data, DataSpace};

/// Of the entropy, from the record's start: the start time precedes it.
pub(crate) const ENTROPY_OFFSET: u64 = 8;

/// Switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub(crate) u32);

impl Flags {
    /// Send `Log` messages (`-v`).
    pub const VERBOSE: Flags = Flags(1);
    /// Send `Stats` before `Exit`.
    pub const STATS: Flags = Flags(2);
    /// The host's files are offered by 9p under the mount tag `host`: they are the root, read-only, below a layer of RAM and
    /// this archive's entries.
    pub const HOST_ROOT: Flags = Flags(4);
    /// The host's stdout and stderr are one file (`2>&1`, a terminal): the kernel sends descriptor 2 through stdout's port,
    /// which keeps the order of what the program writes.
    pub const ONE_OUTPUT: Flags = Flags(8);
    /// Tell of files that were written where nothing is kept.
    pub const TELL_DISCARDED: Flags = Flags(16);

    /// The host's stdout and stderr are one regular file that was opened twice: what is written to descriptor 2 waits for its
    /// answer, which keeps the order.
    pub const TWO_PLACES: Flags = Flags(32);

    /// Standard input is a regular file that is none of the outputs: it may be read ahead.
    pub const READ_AHEAD: Flags = Flags(64);

    /// Are all of `other`'s set?
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        *self = *self | other;
    }
}

/// What a standard stream is on the host: decides fstat, isatty and whether bytes need to travel at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamKind {
    /// Not open: the program finds the descriptor closed.
    Closed,
    /// /dev/null: the kernel can serve it alone.
    Null,
    /// A pipe, a fifo or anything of no other kind.
    #[default]
    Pipe,
    /// A regular file: what is written at the position flows as in a pipe, everything else is asked of the command.
    File,
    /// A socket; bytes flow as in a pipe.
    Socket,
    /// A terminal.
    Terminal(Terminal),
    /// Another character device (/dev/full): each write waits for what the host says to it.
    Device,
}

/// A terminal as it was at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// The lowest stream with the same terminal: streams with equal `device` share settings, size and input.
    pub device: Stream,
    /// Its settings.
    pub termios: Termios,
    /// Its size.
    pub size: WinSize,
}

/// The executable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program<'a> {
    /// Absolute; what /proc/self/exe shows. An entry of the tree with this path (less the slash) shares the data.
    pub path: &'a [u8],
    /// The file's bytes.
    pub data: Data,
}

/// Everything but the tree.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// Switches.
    pub flags: Flags,
    /// The host's CLOCK_REALTIME when the archive was finished, ns. The guest boots some 60 ms later.
    pub started_ns: u64,
    /// Fresh randomness from the host.
    pub entropy: [u8; 32],
    /// The program's user.
    pub uid: u32,
    /// The program's group.
    pub gid: u32,
    /// File mode creation mask.
    pub umask: u32,
    /// RLIMIT_NOFILE, soft and hard.
    pub nofile: (u64, u64),
    /// Signals whose disposition starts as ignored (nohup): bit n-1 for signal n.
    pub ignored_signals: u64,
    /// Descriptors 0, 1, 2.
    pub streams: [StreamKind; 3],
    /// The terminal that /dev/tty is, where standard input is another thing; its input has a port of its own.
    pub controlling: Option<Terminal>,
    /// Their open flags as F_GETFL gives them on the host (access mode, O_APPEND; O_NONBLOCK is left out).
    pub stream_flags: [u32; 3],
    /// The executable.
    pub program: Program<'a>,
    /// Working directory, absolute.
    pub cwd: &'a [u8],
    /// For uname and /etc/hostname.
    pub hostname: &'a [u8],
    /// argv, the program's name as typed first.
    pub args: Strings<'a>,
    /// KEY=VALUE each.
    pub env: Strings<'a>,
    /// The program's supplementary groups.
    pub groups: Groups<'a>,
    /// Absolute paths below which what the program changed is sent at its end (`--write`).
    pub kept: Strings<'a>,
    /// Samples a second of CPU time for a profile; 0: none.
    pub profile_hertz: u32,
    /// What the command says about the network, a line each (`ringo_net::settings`); none without a card.
    pub network: Strings<'a>,
}

impl<'a> Config<'a> {
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        flags: Flags,
        space: &DataSpace,
    ) -> Option<Config<'a>> {
        let started_ns = cursor.u64()?;
        let entropy = cursor.array()?;
        let (uid, gid, umask) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let nofile = (cursor.u64()?, cursor.u64()?);
        let ignored_signals = cursor.u64()?;
        let mut streams = [StreamKind::Closed; 3];
        let mut stream_flags = [0; 3];
        for (kind, flags) in streams.iter_mut().zip(&mut stream_flags) {
            (*kind, *flags) = read_stream(cursor)?;
        }
        let controlling = match read_stream(cursor)? {
            (StreamKind::Terminal(terminal), _) => Some(terminal),
            _ => None,
        };
        let path = cursor.c_bytes().filter(|p| p.starts_with(b"/"))?;
        let data = space.check(Data {
            offset: cursor.u64()?,
            len: cursor.u64()?,
        })?;
        Some(Config {
            flags,
            started_ns,
            entropy,
            uid,
            gid,
            umask,
            nofile,
            ignored_signals,
            streams,
            controlling,
            stream_flags,
            program: Program { path, data },
            cwd: cursor.c_bytes().filter(|p| p.starts_with(b"/"))?,
            hostname: cursor.c_bytes()?,
            args: Strings::read(cursor)?,
            env: Strings::read(cursor)?,
            groups: Groups::read(cursor)?,
            kept: Strings::read(cursor)?,
            profile_hertz: cursor.u32()?,
            network: Strings::read(cursor)?,
        })
    }
}

fn read_stream(cursor: &mut Cursor<'_>) -> Option<(StreamKind, u32)> {
    let kind = cursor.u8()?;
    let flags = cursor.u32()?;
    let kind = match kind {
        0 => StreamKind::Closed,
        1 => StreamKind::Null,
        2 => StreamKind::Pipe,
        3 => StreamKind::File,
        4 => StreamKind::Socket,
        5 => StreamKind::Terminal(Terminal {
            device: Stream::from_u8(cursor.u8()?)?,
            termios: Termios(cursor.array()?),
            size: WinSize {
                rows: cursor.u16()?,
                cols: cursor.u16()?,
                xpixel: cursor.u16()?,
                ypixel: cursor.u16()?,
            },
        }),
        6 => StreamKind::Device,
        _ => return None,
    };
    Some((kind, flags))
}

/// Numbers of groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a>(&'a [[u8; 4]]);

impl<'a> Groups<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        match cursor.bytes()?.as_chunks() {
            (groups, []) => Some(Self(groups)),
            _ => None,
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|&bytes| u32::from_le_bytes(bytes))
    }
}

/// A checked list of byte strings without NULs.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Strings<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Strings<'a>> {
        let left = cursor.u32()?;
        let list = Strings {
            cursor: *cursor,
            left,
        };
        for _ in 0..left {
            cursor.c_bytes()?;
        }
        Some(list)
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.cursor.c_bytes()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Strings<'_> {}
