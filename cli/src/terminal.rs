//! The command's terminals: their settings for the guest, its changes to them, and their restoration.
//!
//! Promise: what the program changed is put back when the command ends, by whatever way but SIGKILL.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, OnceLock};

use ringo_control::{Stream, Termios, WhenToSet, WinSize};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex, Winsize,
};

use crate::host::descriptor;

/// The terminal that we are at, where standard input is another thing: it goes by that name here, for which no terminal can
/// be meant then.
static CONTROLLING: OnceLock<OwnedFd> = OnceLock::new();

/// The controlling terminal, where standard input is none: its device number, settings and size.
pub fn open_controlling() -> Option<(u64, Termios, WinSize)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
    let number = controlling_number()?;
    CONTROLLING.set(fd).ok()?;
    let (termios, size) = settings(Stream::Stdin)?;
    Some((number, termios, size))
}

/// /dev/tty's own number says nothing; the seventh field of /proc/self/stat does, counted behind the name's parenthesis.
fn controlling_number() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let number = fields
        .split(' ')
        .nth(4)?
        .parse::<i32>()
        .ok()?
        .cast_unsigned();
    // The kernel's own encoding.
    let (major, minor) = (
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xfff00),
    );
    Some(rustix::fs::makedev(major, minor))
}

/// The controlling terminal, if it was opened.
pub fn controlling() -> Option<BorrowedFd<'static>> {
    CONTROLLING.get().map(AsFd::as_fd)
}

/// What is meant by a stream's terminal.
fn of(stream: Stream) -> BorrowedFd<'static> {
    match (stream, controlling()) {
        (Stream::Stdin, Some(fd)) => fd,
        _ => descriptor(stream),
    }
}

/// Settings as they were before the program's first change, by stream.
static BEFORE: Mutex<[Option<rustix::termios::Termios>; 3]> = Mutex::new([const { None }; 3]);

/// The control characters in the order of the kernel's c_cc; two of its 19 places have no name.
const CODES: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];
/// Offsets in struct termios: four words, the line discipline, the control characters.
const LINE: usize = 16;
const CC: usize = 17;

/// Settings and size of a stream's terminal; `None` if it is none.
pub fn settings(stream: Stream) -> Option<(Termios, WinSize)> {
    let termios = rustix::termios::tcgetattr(of(stream)).ok()?;
    Some((to_wire(&termios), size(stream).unwrap_or_default()))
}

/// The size of a stream's terminal.
pub fn size(stream: Stream) -> Option<WinSize> {
    let size = rustix::termios::tcgetwinsize(of(stream)).ok()?;
    Some(WinSize {
        rows: size.ws_row,
        cols: size.ws_col,
        xpixel: size.ws_xpixel,
        ypixel: size.ws_ypixel,
    })
}

/// Sets a terminal for the program. The answer is what its ioctl returns: 0 or an errno.
pub fn set(stream: Stream, when: WhenToSet, wanted: &Termios) -> u16 {
    let change = || {
        let fd = of(stream);
        let mut termios = rustix::termios::tcgetattr(fd)?;
        let mut before = BEFORE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        before[stream as usize].get_or_insert_with(|| termios.clone());
        from_wire(wanted, &mut termios);
        let when = match when {
            WhenToSet::Now => OptionalActions::Now,
            WhenToSet::Drain => OptionalActions::Drain,
            WhenToSet::Flush => OptionalActions::Flush,
        };
        rustix::termios::tcsetattr(fd, when, &termios)
    };
    errno(change())
}

/// TCFLSH with queue 0, 1 or 2.
pub fn flush(stream: Stream, queue: u8) -> u16 {
    let queue = match queue {
        0 => QueueSelector::IFlush,
        1 => QueueSelector::OFlush,
        2 => QueueSelector::IOFlush,
        _ => return Errno::INVAL.raw_os_error() as u16,
    };
    errno(rustix::termios::tcflush(of(stream), queue))
}

/// TIOCSWINSZ.
pub fn resize(stream: Stream, size: WinSize) -> u16 {
    let WinSize {
        rows,
        cols,
        xpixel,
        ypixel,
    } = size;
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: xpixel,
        ws_ypixel: ypixel,
    };
    errno(rustix::termios::tcsetwinsize(of(stream), size))
}

/// May we set this stream's terminal without being stopped for it? Also true where there is no job control.
pub fn in_foreground(stream: Stream) -> bool {
    let Ok(group) = rustix::termios::tcgetpgrp(of(stream)) else {
        return true;
    };
    group == rustix::process::getpgrp()
}

/// Puts back what the program changed. Safe to call at any time, any number of times.
pub fn restore() {
    let Ok(mut before) = BEFORE.try_lock() else {
        return;
    };
    for stream in Stream::ALL {
        if let Some(termios) = before[stream as usize].take()
            && in_foreground(stream)
        {
            let _ = rustix::termios::tcsetattr(of(stream), OptionalActions::Now, &termios);
        }
    }
}

/// Hands the terminal back to the shell for a while; [`resume`] gives the program its settings again.
pub struct Suspended([Option<rustix::termios::Termios>; 3]);

/// Before the command stops itself.
pub fn suspend() -> Suspended {
    let before = BEFORE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    Suspended(Stream::ALL.map(|stream| {
        let original = before[stream as usize].as_ref()?;
        let current = rustix::termios::tcgetattr(of(stream)).ok()?;
        if in_foreground(stream) {
            let _ = rustix::termios::tcsetattr(of(stream), OptionalActions::Now, original);
        }
        Some(current)
    }))
}

/// After it was continued.
pub fn resume(suspended: Suspended) {
    for (stream, termios) in Stream::ALL.into_iter().zip(suspended.0) {
        if let Some(termios) = termios
            && in_foreground(stream)
        {
            let _ = rustix::termios::tcsetattr(of(stream), OptionalActions::Now, &termios);
        }
    }
}

fn errno(result: rustix::io::Result<()>) -> u16 {
    result.map_or_else(|error| error.raw_os_error() as u16, |()| 0)
}

fn to_wire(termios: &rustix::termios::Termios) -> Termios {
    let mut wire = [0; Termios::LEN];
    let words = [
        termios.input_modes.bits(),
        termios.output_modes.bits(),
        termios.control_modes.bits(),
        termios.local_modes.bits(),
    ];
    for (bytes, word) in wire.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    wire[LINE] = termios.line_discipline;
    for (byte, &code) in wire[CC..].iter_mut().zip(&CODES) {
        *byte = termios.special_codes[code];
    }
    Termios(wire)
}

fn from_wire(wire: &Termios, termios: &mut rustix::termios::Termios) {
    termios.input_modes = InputModes::from_bits_retain(wire.iflag());
    termios.output_modes = OutputModes::from_bits_retain(wire.oflag());
    termios.local_modes = LocalModes::from_bits_retain(wire.lflag());
    // The speed is the host line's affair: a program that copies what it read keeps it anyway.
    let speed = ControlModes::from_bits_retain(CBAUD | CBAUD << IBSHIFT);
    let control = ControlModes::from_bits_retain(wire.cflag());
    termios.control_modes = (control - speed) | (termios.control_modes & speed);
    termios.line_discipline = wire.0[LINE];
    for (&byte, &code) in wire.0[CC..].iter().zip(&CODES) {
        termios.special_codes[code] = byte;
    }
}

/// The output speed's bits in c_cflag, and how far above them the input speed's are (asm-generic/termbits.h).
const CBAUD: u32 = 0o010017;
const IBSHIFT: u32 = 16;
