//! Our end of the control port.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use ringo_control::{Decoder, HEADER, MAX_PAYLOAD, ToGuest, encode};

/// Holds any message of the kernel's.
pub type MessageDecoder = Box<Decoder<{ HEADER + MAX_PAYLOAD }>>;

/// The kernel, as seen from here. Any thread may send; the main one receives.
pub struct Guest {
    socket: UnixStream,
    sending: Mutex<()>,
}

impl Guest {
    pub fn new(socket: UnixStream) -> Result<Guest> {
        socket.set_nonblocking(true)?;
        Ok(Guest {
            socket,
            sending: Mutex::new(()),
        })
    }

    /// For poll(2).
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Sends a message. A guest that has left a whole buffer of them unread doesn't get more: we would wait for it here.
    pub fn send(&self, message: &ToGuest) {
        let mut frame = [0; 64];
        let Ok(length) = encode(message, &mut frame) else {
            return;
        };
        let _guard = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = (&self.socket).write(&frame[..length]);
    }

    /// Feeds the decoder with what is there; false at the port's end.
    pub fn receive(&self, decoder: &mut MessageDecoder) -> Result<bool> {
        match (&self.socket).read(decoder.spare()) {
            Ok(0) => Ok(false),
            Ok(n) => {
                decoder.advance(n);
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(true),
                ErrorKind::ConnectionReset => Ok(false),
                _ => Err(error.into()),
            },
        }
    }
}
