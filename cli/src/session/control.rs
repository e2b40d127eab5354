//! Our end of the control port.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use ringo_control::{Decoder, HEADER, MAX_PAYLOAD, ToGuest, encode};
use rustix::event::{PollFd, PollFlags, poll};

/// Holds any message of the kernel's.
pub type MessageDecoder = Box<Decoder<{ HEADER + MAX_PAYLOAD }>>;

/// Holds any message to the kernel.
const FRAME: usize = 64;
/// More than this many that nobody takes are not kept.
const WAITING_MAX: usize = 1024;

/// The kernel, as seen from here. Any thread may send; the main one receives.
pub struct Guest {
    socket: UnixStream,
    sending: Mutex<()>,
    /// Messages that came while somebody was sending.
    waiting: Mutex<VecDeque<Vec<u8>>>,
}

impl Guest {
    pub fn new(socket: UnixStream) -> Result<Guest> {
        socket.set_nonblocking(true)?;
        Ok(Guest {
            socket,
            sending: Mutex::new(()),
            waiting: Mutex::default(),
        })
    }

    /// For poll(2).
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Sends a message. A guest that has left a whole buffer of them unread doesn't get more: we would wait for it here.
    /// While an answer is being sent the message waits, not we.
    pub fn send(&self, message: &ToGuest) {
        let mut frame = vec![0; FRAME];
        let Ok(length) = encode(message, &mut frame) else {
            return;
        };
        frame.truncate(length);
        let mut waiting = self.waiting();
        if waiting.len() < WAITING_MAX {
            waiting.push_back(frame);
        }
        drop(waiting);
        self.send_waiting();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever is sending meanwhile comes here when it is done, and finds what we leave.
    fn send_waiting(&self) {
        while !self.waiting().is_empty() {
            let Ok(_sending) = self.sending.try_lock() else {
                return;
            };
            let next = self.waiting().pop_front();
            if let Some(frame) = next {
                let _ = (&self.socket).write(&frame);
            }
        }
    }

    /// Answers a [`ringo_control::ToHost::File`]. The guest waits for all of it, so we wait for the guest, but not for one
    /// that is gone.
    pub fn answer(&self, result: i64, data: &[u8]) {
        let mut bytes = vec![0; FRAME];
        let message = ToGuest::FileAnswer {
            result,
            length: data.len() as u32,
        };
        let Ok(length) = encode(&message, &mut bytes) else {
            return;
        };
        bytes.truncate(length);
        bytes.extend_from_slice(data);
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        self.send_all(&bytes);
        drop(sending);
        self.send_waiting();
    }

    fn send_all(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match (&self.socket).write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], None);
                    }
                    _ => return,
                },
            }
        }
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
