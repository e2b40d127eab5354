//! A connection of Unix sockets: two streams, or two mailboxes where boundaries are kept (SOCK_SEQPACKET).
//!
//! Each direction has one end mark, which the writer sets with SHUT_WR, the reader with SHUT_RD, and either by closing:
//! the reader then finds the end behind what was written, the writer EPIPE.
use super::node::Message;
use super::parcel::Parcel;
use crate::net::events::Events;
use crate::net::mailbox::Mailbox;
use crate::net::message::Credentials;
use crate::net::stream::Stream;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;
use ringo_net::UnixName;

/// What one side sends.
pub struct Half {
    /// Bytes.
    pub stream: Stream<Parcel>,
    /// Messages, for SOCK_SEQPACKET.
    pub mailbox: Mailbox<Message>,
}

struct Joined {
    halves: [Half; 2],
    names: [UnixName; 2],
    credentials: [Credentials; 2],
    packets: bool,
    /// Each side's socket is closed.
    closed: [AtomicBool; 2],
}

/// One end: what a socket holds.
#[derive(Clone)]
pub struct End {
    joined: Arc<Joined>,
    side: usize,
}

/// What one side brings into a connection.
pub struct Party {
    /// The socket's events.
    pub events: Arc<Events>,
    /// Its name.
    pub name: UnixName,
    /// Whose it is.
    pub credentials: Credentials,
    /// SO_SNDBUF.
    pub room: usize,
}

/// A connection: both its ends.
pub fn open(parties: [Party; 2], packets: bool) -> (End, End) {
    let [a, b] = parties;
    let half = |from: &Party, to: &Party| Half {
        stream: Stream::new(from.events.clone(), to.events.clone(), from.room),
        mailbox: Mailbox::new(usize::MAX),
    };
    let joined = Arc::new(Joined {
        halves: [half(&a, &b), half(&b, &a)],
        names: [a.name, b.name],
        credentials: [a.credentials, b.credentials],
        packets,
        closed: [const { AtomicBool::new(false) }; 2],
    });
    let end = |side| End {
        joined: joined.clone(),
        side,
    };
    (end(0), end(1))
}

impl End {
    /// What this end sends.
    #[inline]
    pub fn outgoing(&self) -> &Half {
        &self.joined.halves[self.side]
    }

    /// What it receives.
    #[inline]
    pub fn incoming(&self) -> &Half {
        &self.joined.halves[1 - self.side]
    }

    /// SOCK_SEQPACKET.
    pub fn packets(&self) -> bool {
        self.joined.packets
    }

    /// This end's socket.
    pub fn events(&self) -> &Arc<Events> {
        self.outgoing().stream.writer()
    }

    /// The other one's.
    pub fn peer_events(&self) -> &Arc<Events> {
        self.outgoing().stream.reader()
    }

    /// This end's name.
    pub fn local(&self) -> UnixName {
        self.joined.names[self.side].clone()
    }

    /// The other one's.
    pub fn remote(&self) -> UnixName {
        self.joined.names[1 - self.side].clone()
    }

    /// Whose the other one is.
    pub fn peer_credentials(&self) -> Credentials {
        self.joined.credentials[1 - self.side]
    }

    /// Whether there is something to read.
    pub fn has_input(&self) -> bool {
        self.incoming().stream.unread() > 0 || self.incoming().mailbox.len() > 0
    }

    /// shutdown(2).
    pub fn shut(&self, reading: bool, writing: bool) {
        if reading {
            self.incoming().stream.end();
        }
        if writing {
            self.outgoing().stream.end();
        }
        self.events().changed();
        self.peer_events().changed();
    }

    /// The socket is closed: unread bytes are an error for the other side.
    pub fn close(&self) {
        let unread = self.has_input();
        if unread {
            self.peer_events().set_error(Errno::ECONNRESET);
        }
        self.joined.closed[self.side].store(true, Ordering::SeqCst);
        self.incoming().stream.end();
        self.outgoing().stream.end();
        self.incoming().stream.abandon();
        self.incoming().mailbox.abandon();
        self.peer_events().changed();
    }

    /// Nobody accepted it before the listening socket was closed.
    pub fn refuse(&self) {
        self.peer_events().set_error(Errno::ECONNRESET);
        self.close();
    }
}
