//! The line discipline of pseudo-terminals (termios(3), as Linux's N_TTY): what is typed becomes lines or bytes to read, and
//! echo; what is written is adapted for a screen.
//!
//! Nothing here waits, locks or allocates after [`Line::new`]: who calls holds the pair's spin lock. What finds no room is
//! not taken (the caller waits for [`Line::typing_room`] and the like), but for echo, which is dropped.
use crate::memory::spare::Spare;
use alloc::collections::VecDeque;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use ringo_control::Termios;

/// As much as waits in each direction before the writer does.
const ROOM: usize = 64 << 10;
/// The longest line that is edited (MAX_CANON of Linux, without the end).
const LINE_MAX: usize = 4095;
const LINES: usize = 4096;
/// The most that one byte becomes: a tab.
const WIDEST: usize = 8;
const TAB: usize = 8;
/// Where struct termios has its flags and characters.
const IFLAG: usize = 0;
const OFLAG: usize = 4;
const LFLAG: usize = 12;
const CC: usize = 17;

/// What Linux gives a new pseudo-terminal: a sane terminal of 38,400 bits a second.
pub const SANE: Termios = {
    let flags = [
        abi::ICRNL | abi::IXON,
        abi::OPOST | abi::ONLCR,
        abi::B38400 | abi::CS8 | abi::CREAD,
        abi::ISIG
            | abi::ICANON
            | abi::ECHO
            | abi::ECHOE
            | abi::ECHOK
            | abi::ECHOCTL
            | abi::ECHOKE
            | abi::IEXTEN,
    ];
    let characters = *b"\x03\x1c\x7f\x15\x04\x00\x01\x00\x11\x13\x1a\x00\x12\x0f\x17\x16\x00";
    let mut bytes = [0; Termios::LEN];
    let mut at = 0;
    while at < CC - 1 {
        bytes[at] = flags[at / 4].to_ne_bytes()[at % 4];
        at += 1;
    }
    at = 0;
    while at < characters.len() {
        bytes[CC + at] = characters[at];
        at += 1;
    }
    Termios(bytes)
};

/// See the module's head.
pub struct Line {
    termios: Termios,
    /// To be read: bytes, and how long the lines among them are.
    input: VecDeque<u8>,
    lines: VecDeque<usize>,
    /// The line that is typed.
    edited: VecDeque<u8>,
    /// The next byte is itself (VLNEXT).
    literal: bool,
    /// Output waits (VSTOP).
    stopped: bool,
    /// To be shown, and where on the screen that ends and the edited line began.
    output: VecDeque<u8>,
    column: usize,
    start: usize,
}

fn room<T>(count: usize) -> Result<VecDeque<T>, Errno> {
    let mut queue = VecDeque::new();
    queue.spare(count)?;
    Ok(queue)
}

impl Line {
    /// With the settings of a new terminal.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            termios: SANE,
            input: room(ROOM + LINE_MAX + 1)?,
            lines: room(LINES)?,
            edited: room(LINE_MAX)?,
            literal: false,
            stopped: false,
            output: room(ROOM)?,
            column: 0,
            start: 0,
        })
    }

    /// Its settings.
    pub const fn termios(&self) -> Termios {
        self.termios
    }

    /// Other settings. Between lines and bytes nothing that was typed is lost.
    pub fn set(&mut self, termios: Termios) {
        let before = self.is_canonical();
        self.termios = termios;
        if before == self.is_canonical() {
            return;
        }
        self.input.append(&mut self.edited);
        self.lines.clear();
        if !before && !self.input.is_empty() {
            self.lines.push_back(self.input.len());
        }
        if self.flag(IFLAG, abi::IXON) {
            return;
        }
        self.stopped = false;
    }

    fn flag(&self, word: usize, mask: u32) -> bool {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.termios.0[word..word + 4]);
        u32::from_ne_bytes(bytes) & mask != 0
    }

    fn local(&self, mask: u32) -> bool {
        self.flag(LFLAG, mask)
    }

    fn is_canonical(&self) -> bool {
        self.local(abi::ICANON)
    }

    /// A number among the characters: VMIN and VTIME.
    fn number(&self, which: u32) -> usize {
        usize::from(self.termios.0[CC + which as usize])
    }

    /// Whether a byte is one of the special ones; those that are 0 are none.
    fn is(&self, byte: u8, which: u32) -> bool {
        byte != 0 && self.termios.0[CC + which as usize] == byte
    }

    /// How many bytes a read waits for, of `wanted`, and for how many tenths of a second (0: for ever). None: for a line.
    pub fn patience(&self, wanted: usize) -> Option<(usize, usize)> {
        match self.is_canonical() {
            true => None,
            false => Some((self.number(abi::VMIN).min(wanted), self.number(abi::VTIME))),
        }
    }

    /// How many bytes may be typed.
    pub fn typing_room(&self) -> usize {
        match self.lines.len() < LINES {
            true => ROOM.saturating_sub(self.input.len()),
            false => 0,
        }
    }

    /// Whether something may be written.
    pub fn writing_room(&self) -> bool {
        !self.stopped && self.output.len() + WIDEST <= ROOM
    }

    /// How many bytes a read gets at most.
    pub fn readable(&self) -> usize {
        match self.is_canonical() {
            true => self.lines.iter().sum(),
            false => self.input.len(),
        }
    }

    /// Whether a read gets anything: an end of the file, too.
    pub fn is_readable(&self) -> bool {
        match self.is_canonical() {
            true => !self.lines.is_empty(),
            false => self.input.len() >= self.number(abi::VMIN).max(1),
        }
    }

    /// How many bytes wait to be shown.
    pub fn shown(&self) -> usize {
        self.output.len()
    }

    /// Takes what is to be shown.
    pub fn show(&mut self, into: &mut [u8]) -> usize {
        take(&mut self.output, into)
    }

    /// Takes what was typed; whether more of it belongs to the same line.
    pub fn read(&mut self, into: &mut [u8]) -> (usize, bool) {
        if !self.is_canonical() {
            return (take(&mut self.input, into), true);
        }
        let Some(line) = self.lines.front_mut() else {
            return (0, false);
        };
        let count = (*line).min(into.len());
        *line -= count;
        let more = *line > 0;
        if !more {
            self.lines.pop_front();
        }
        (take(&mut self.input, &mut into[..count]), more)
    }

    /// Throws away what was typed, or is to be shown.
    pub fn flush(&mut self, typed: bool, shown: bool) {
        if typed {
            self.input.clear();
            self.lines.clear();
            self.edited.clear();
        }
        if shown {
            self.output.clear();
        }
    }

    /// Stops or starts output (tcflow(3)).
    pub fn stop(&mut self, stop: bool) {
        self.stopped = stop;
    }

    /// Writes as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while let Some(&byte) = bytes.get(done)
            && self.writing_room()
        {
            self.put(byte);
            done += 1;
        }
        done
    }

    /// A byte for the screen.
    fn put(&mut self, byte: u8) {
        if self.output.len() + WIDEST > ROOM {
            return;
        }
        if !self.flag(OFLAG, abi::OPOST) {
            self.output.push_back(byte);
            return;
        }
        match byte {
            b'\n' if self.flag(OFLAG, abi::ONLCR) => {
                self.column = 0;
                self.output.extend(b"\r\n");
            }
            b'\r' if self.flag(OFLAG, abi::ONOCR) && self.column == 0 => {}
            b'\r' if self.flag(OFLAG, abi::OCRNL) => {
                if self.flag(OFLAG, abi::ONLRET) {
                    self.column = 0;
                }
                self.output.push_back(b'\n');
            }
            b'\t' => {
                let width = TAB - self.column % TAB;
                self.column += width;
                if self.flag(OFLAG, abi::XTABS) {
                    self.output.extend(core::iter::repeat_n(b' ', width));
                } else {
                    self.output.push_back(byte);
                }
            }
            _ => {
                match byte {
                    b'\r' => self.column = 0,
                    b'\n' if self.flag(OFLAG, abi::ONLRET) => self.column = 0,
                    b'\x08' => self.column = self.column.saturating_sub(1),
                    // Not what goes on with a character of UTF-8.
                    0x20..=0x7e | 0xa0.. => self.column += 1,
                    _ => {}
                }
                let upper = self.flag(OFLAG, abi::OLCUC);
                let byte = if upper {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                };
                self.output.push_back(byte);
            }
        }
    }

    fn echo(&mut self, byte: u8) {
        if self.local(abi::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            self.put(b'^');
            self.put(byte ^ 0x40);
        } else {
            self.put(byte);
        }
    }

    /// A byte was typed.
    pub fn typed(&mut self, byte: u8) {
        let mut byte = byte;
        if self.flag(IFLAG, abi::ISTRIP) {
            byte &= 0x7f;
        }
        let extended = self.local(abi::IEXTEN);
        if extended && self.flag(IFLAG, abi::IUCLC) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            return self.keep(byte);
        }
        if self.flag(IFLAG, abi::IXON) {
            if self.is(byte, abi::VSTART) || self.is(byte, abi::VSTOP) {
                self.stopped = !self.is(byte, abi::VSTART);
                return;
            }
            if self.flag(IFLAG, abi::IXANY) {
                self.stopped = false;
            }
        }
        let signals = [abi::VINTR, abi::VQUIT, abi::VSUSP];
        if self.local(abi::ISIG) && signals.iter().any(|&which| self.is(byte, which)) {
            return self.interrupt(byte);
        }
        match byte {
            b'\r' if self.flag(IFLAG, abi::IGNCR) => return,
            b'\r' if self.flag(IFLAG, abi::ICRNL) => byte = b'\n',
            b'\n' if self.flag(IFLAG, abi::INLCR) => byte = b'\r',
            _ => {}
        }
        if !self.is_canonical() || !self.edit(byte, extended) {
            self.keep(byte);
        }
    }

    /// What stands for a signal: no process group of these terminals has anybody in it, so that nobody gets one.
    fn interrupt(&mut self, byte: u8) {
        if !self.local(abi::NOFLSH) {
            self.flush(true, true);
        }
        self.stopped = false;
        if self.local(abi::ECHO) {
            self.echo(byte);
        }
    }

    /// What edits or ends the line. False: it is part of it.
    fn edit(&mut self, byte: u8, extended: bool) -> bool {
        let echoes = self.local(abi::ECHO);
        if self.is(byte, abi::VERASE) {
            self.erase(1, byte);
        } else if self.is(byte, abi::VKILL) {
            self.kill(byte);
        } else if extended && self.is(byte, abi::VWERASE) {
            self.erase(self.word(), byte);
        } else if extended && self.is(byte, abi::VLNEXT) {
            self.literal = true;
            if echoes && self.local(abi::ECHOCTL) {
                self.put(b'^');
                self.put(b'\x08');
            }
        } else if extended && echoes && self.is(byte, abi::VREPRINT) {
            self.echo(byte);
            self.put(b'\n');
            for at in 0..self.edited.len() {
                self.echo(self.edited[at]);
            }
        } else if byte == b'\n' {
            if echoes || self.local(abi::ECHONL) {
                self.put(byte);
            }
            self.finish(Some(byte));
        } else if self.is(byte, abi::VEOF) {
            self.finish(None);
        } else if self.is(byte, abi::VEOL) || extended && self.is(byte, abi::VEOL2) {
            if echoes {
                self.echo(byte);
            }
            self.finish(Some(byte));
        } else {
            return false;
        }
        true
    }

    /// A byte of the line, or of no line.
    fn keep(&mut self, byte: u8) {
        if self.is_canonical() {
            if self.edited.len() >= LINE_MAX {
                return;
            }
            if self.edited.is_empty() {
                self.start = self.column;
            }
            self.edited.push_back(byte);
        } else if self.input.len() < ROOM {
            self.input.push_back(byte);
        }
        if self.local(abi::ECHO) {
            self.echo(byte);
        }
    }

    /// The line can be read.
    fn finish(&mut self, end: Option<u8>) {
        if self.lines.len() >= LINES {
            return;
        }
        let length = self.edited.len() + usize::from(end.is_some());
        self.input.append(&mut self.edited);
        self.input.extend(end);
        self.lines.push_back(length);
    }

    /// How many bytes the last word and what is behind it are.
    fn word(&self) -> usize {
        let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let behind = self.edited.iter().rev().take_while(|byte| !letter(byte));
        let behind = behind.count();
        let word = self.edited.iter().rev().skip(behind).take_while(letter);
        behind + word.count()
    }

    /// Takes so many bytes off the line; the last of a character of UTF-8 takes the others along.
    fn erase(&mut self, count: usize, by: u8) {
        let (echoes, visibly) = (self.local(abi::ECHO), self.local(abi::ECHOE));
        let mut left = count;
        while left > 0
            && let Some(byte) = self.edited.pop_back()
        {
            left -= 1;
            if self.flag(IFLAG, abi::IUTF8) && byte & 0xc0 == 0x80 {
                left += 1;
                continue;
            }
            if !echoes {
                continue;
            }
            if !visibly && count == 1 {
                self.echo(by);
            } else {
                self.rub_out(byte);
            }
        }
    }

    fn rub_out(&mut self, byte: u8) {
        let (controls, is_control) = (self.local(abi::ECHOCTL), byte.is_ascii_control());
        if byte == b'\t' {
            let before = self
                .edited
                .iter()
                .fold(self.start, |column, &byte| match byte {
                    b'\t' => (column / TAB + 1) * TAB,
                    byte if byte.is_ascii_control() => column + if controls { 2 } else { 0 },
                    _ => column + 1,
                });
            for _ in 0..TAB - before % TAB {
                self.put(b'\x08');
            }
            return;
        }
        let columns = match (is_control, controls) {
            (true, true) => 2,
            (true, false) => 0,
            _ => 1,
        };
        for _ in 0..columns {
            for byte in *b"\x08 \x08" {
                self.put(byte);
            }
        }
    }

    fn kill(&mut self, by: u8) {
        if !self.local(abi::ECHO) {
            self.edited.clear();
        } else if self.local(abi::ECHOK) && self.local(abi::ECHOKE) && self.local(abi::ECHOE) {
            self.erase(self.edited.len().max(2), by);
        } else {
            self.edited.clear();
            self.echo(by);
            if self.local(abi::ECHOK) {
                self.put(b'\n');
            }
        }
    }
}

fn take(from: &mut VecDeque<u8>, into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    for (to, byte) in into.iter_mut().zip(from.drain(..count)) {
        *to = byte;
    }
    count
}
