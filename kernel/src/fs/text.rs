//! Text of generated files, which may be long (a program with 60,000 mappings reads its maps), so it is kept in pieces;
//! memory that is short is ENOMEM for the reader.
use crate::memory::user::UserIo;
use alloc::vec::Vec;
use core::fmt;
use ringo_abi::{Errno, SysResult};

/// Bytes of a piece: what the heap gives at ease.
const PIECE: usize = 32 << 10;

/// Bytes under construction. `write!(text, ...)` appends and gives ENOMEM instead of a formatter's error.
#[derive(Default)]
pub struct Text {
    /// All full but the last.
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Text {
    /// Appends bytes.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let used = self.length % PIECE;
            if used == 0 {
                self.pieces.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.pieces.push(Vec::new());
            }
            let Some(piece) = self.pieces.last_mut() else {
                return Err(Errno::ENOMEM);
            };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - used));
            piece.try_reserve(now.len()).map_err(|_| Errno::ENOMEM)?;
            piece.extend_from_slice(now);
            self.length += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Appends what is formatted: `write!` and `writeln!` call this.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::write(self, arguments).map_err(|_| Errno::ENOMEM)
    }

    /// Appends a line of a key, a number in a column, and " kB": what smaps has by the million, so not by way of format
    /// strings, which pad byte by byte.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn kilobytes(&mut self, key: &str, value: u64) -> Result<(), Errno> {
        const KEY: usize = 16;
        const COLUMN: usize = 24;
        const UNIT: &[u8] = b" kB\n";
        let mut line = [b' '; COLUMN + UNIT.len()];
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut left = value;
        while left > 0 || first == digits.len() {
            first -= 1;
            digits[first] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let digits = &digits[first..];
        if key.len() > KEY || digits.len() > COLUMN - KEY {
            return writeln!(self, "{key:15} {value:8} kB");
        }
        line[..key.len()].copy_from_slice(key.as_bytes());
        line[COLUMN - digits.len()..COLUMN].copy_from_slice(digits);
        line[COLUMN..].copy_from_slice(UNIT);
        self.put(&line)
    }

    /// Appends spaces up to `width` bytes (128 at most) since `start`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn pad(&mut self, start: usize, width: usize) -> Result<(), Errno> {
        const SPACES: &[u8] = &[b' '; 128];
        let missing = (start + width).saturating_sub(self.length);
        self.put(&SPACES[..missing.min(SPACES.len())])
    }

    /// Appends a path with `special` characters and backslashes as octal escapes, as Linux's seq_path.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn path(&mut self, path: &[u8], special: &[u8]) -> Result<(), Errno> {
        for byte in path {
            if special.contains(byte) || *byte == b'\\' && special.contains(&b' ') {
                write!(self, "\\{byte:03o}")?;
            } else {
                self.put(core::slice::from_ref(byte))?;
            }
        }
        Ok(())
    }

    /// Appends numbers in ascending order as Linux's lists of CPUs: "0-3,6".
    ///
    /// # Errors
    /// ENOMEM.
    pub fn list(&mut self, numbers: impl Iterator<Item = usize>) -> Result<(), Errno> {
        let mut numbers = numbers.peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if(|&next| next == last + 1) {
                last = next;
            }
            write!(self, "{separator}{first}")?;
            if last > first {
                write!(self, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Appends another text.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn append(&mut self, other: &Self) -> Result<(), Errno> {
        other.pieces.iter().try_for_each(|piece| self.put(piece))
    }

    /// Copies bytes from `offset` on to the program, as many as it wants.
    ///
    /// # Errors
    /// EFAULT.
    pub fn copy_out(&self, offset: u64, io: &mut UserIo) -> SysResult {
        let mut done = 0;
        while let Some(at) = usize::try_from(offset)
            .ok()
            .and_then(|at| at.checked_add(done))
            && at < self.length
            && io.remaining() > 0
        {
            let piece = &self.pieces[at / PIECE][at % PIECE..];
            let wanted = piece.len().min(io.remaining());
            match io.copy_out(&piece[..wanted]) {
                Ok(got) => done += got,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
