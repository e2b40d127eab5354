//! Text of generated files, which may be long (a program with 60,000 mappings reads its maps): memory that is short is
//! ENOMEM for the reader.
use alloc::vec::Vec;
use core::fmt;
use ringo_abi::Errno;

/// Bytes under construction. `write!(text, ...)` appends and gives ENOMEM instead of a formatter's error.
#[derive(Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Appends bytes.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends what is formatted: `write!` and `writeln!` call this.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::write(self, arguments).map_err(|_| Errno::ENOMEM)
    }

    /// Appends spaces up to `width` bytes since `start`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn pad(&mut self, start: usize, width: usize) -> Result<(), Errno> {
        while self.0.len() < start + width {
            self.put(b" ")?;
        }
        Ok(())
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
        self.0.len()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
