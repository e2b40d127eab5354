//! The control port's protocol between the `ringo` command (host) and the kernel (guest).
//!
//! The port `org.ringo.control` carries frames in both directions; program data never passes here. A frame is
//!
//! ```text
//! +0  u8   kind       below 0x80 to the host, above to the guest
//! +1  u8   zero
//! +2  u16  zero
//! +4  u32  length of the payload, little-endian, at most MAX_PAYLOAD
//! +8  the payload; all integers little-endian
//! ```
//!
//! Promise: no allocation, no panic on any input, and `decode(encode(m)) == m` (property-tested). A peer that sends
//! an unknown kind or a malformed payload gets its frame reported as an error; the stream stays in step unless the
//! length itself is absurd ([`DecodeError::is_fatal`]).
//!
//! One message is followed by bytes outside of any frame, as many as it says: [`ToGuest::FileAnswer`]'s data, which may be
//! longer than a decoder ([`Decoder::raw`]).
//!
//! Types: [`ToHost`], [`ToGuest`], [`Decoder`] (bytes in, messages out), [`encode`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod codec;
mod file;
mod kept;
mod terminal;
mod to_guest;
mod to_host;

pub use codec::{DecodeError, Decoder, Message, NoSpace, encode};
pub use file::{FILE_READ_MAX, FILE_WRITE_MAX, FileRequest, FileStat, FileWork, TTY_HANDLE};
pub use kept::{Kept, PIECE, Place};
pub use terminal::{Stream, Termios, WhenToSet, WinSize};
pub use to_guest::ToGuest;
pub use to_host::{Addresses, Crash, CrashKind, ExitStatus, Note, ToHost, Written};

/// Bytes of a frame before its payload.
pub const HEADER: usize = 8;
/// The longest payload either side may send. Long logs and statistics are split or cut by the sender.
pub const MAX_PAYLOAD: usize = 32 * 1024;

/// The word of the kernel's command line that says that there is the controlling terminal's port.
pub const TTY_WORD: &str = "ringo.tty";

/// Names of the four virtio-serial ports, as QEMU announces them to the guest.
pub mod port {
    /// Host to guest: the program's standard input.
    pub const STDIN: &str = "org.ringo.stdin";
    /// Guest to host: the program's standard output.
    pub const STDOUT: &str = "org.ringo.stdout";
    /// Guest to host: the program's standard error.
    pub const STDERR: &str = "org.ringo.stderr";
    /// Host to guest: what is typed at the controlling terminal, where that is not standard input; there only then.
    pub const TTY: &str = "org.ringo.tty";
    /// Both ways: the frames of this crate.
    pub const CONTROL: &str = "org.ringo.control";

    /// Their numbers on the device, which the command fixes so that the kernel need not ask (0 is the console proper).
    pub const STDIN_NUMBER: u32 = 1;
    /// Standard output.
    pub const STDOUT_NUMBER: u32 = 2;
    /// Standard error.
    pub const STDERR_NUMBER: u32 = 3;
    /// Control.
    pub const CONTROL_NUMBER: u32 = 4;
    /// The controlling terminal.
    pub const TTY_NUMBER: u32 = 5;
    /// All that are always there, in this order.
    pub const NUMBERS: [u32; 4] = [STDIN_NUMBER, STDOUT_NUMBER, STDERR_NUMBER, CONTROL_NUMBER];
}
