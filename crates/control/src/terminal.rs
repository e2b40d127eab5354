//! What both sides say about terminals: which stream, its settings, its size.

/// One of the program's three standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Descriptor 0.
    Stdin = 0,
    /// Descriptor 1.
    Stdout = 1,
    /// Descriptor 2.
    Stderr = 2,
}

impl Stream {
    /// All three, in descriptor order.
    pub const ALL: [Stream; 3] = [Stream::Stdin, Stream::Stdout, Stream::Stderr];

    /// The stream with this descriptor number.
    pub const fn from_u8(n: u8) -> Option<Stream> {
        match n {
            0 => Some(Stream::Stdin),
            1 => Some(Stream::Stdout),
            2 => Some(Stream::Stderr),
            _ => None,
        }
    }
}

/// The kernel's `struct termios` as TCGETS gives it: four u32 flag words (iflag, oflag, cflag, lflag), the line
/// discipline, 19 control characters. Carried as bytes: only the two kernels interpret them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios(pub [u8; Termios::LEN]);

impl Termios {
    /// sizeof(struct termios) in asm-generic/termbits.h.
    pub const LEN: usize = 36;

    fn word(&self, index: usize) -> u32 {
        let b = &self.0[index * 4..index * 4 + 4];
        u32::from_le_bytes([b[0], b[1], b[2], b[3]])
    }

    /// Input modes.
    pub fn iflag(&self) -> u32 {
        self.word(0)
    }

    /// Output modes.
    pub fn oflag(&self) -> u32 {
        self.word(1)
    }

    /// Control modes.
    pub fn cflag(&self) -> u32 {
        self.word(2)
    }

    /// Local modes (ICANON, ECHO, ISIG, ...).
    pub fn lflag(&self) -> u32 {
        self.word(3)
    }
}

/// `struct winsize` (TIOCGWINSZ).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WinSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub cols: u16,
    /// Width in pixels, mostly 0.
    pub xpixel: u16,
    /// Height in pixels, mostly 0.
    pub ypixel: u16,
}

/// When new settings take effect: TCSETS, TCSETSW, TCSETSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WhenToSet {
    /// At once (TCSANOW).
    Now = 0,
    /// After all output has been written (TCSADRAIN).
    Drain = 1,
    /// After all output, and unread input is thrown away (TCSAFLUSH).
    Flush = 2,
}

impl WhenToSet {
    pub(crate) const fn from_u8(n: u8) -> Option<WhenToSet> {
        match n {
            0 => Some(WhenToSet::Now),
            1 => Some(WhenToSet::Drain),
            2 => Some(WhenToSet::Flush),
            _ => None,
        }
    }
}
