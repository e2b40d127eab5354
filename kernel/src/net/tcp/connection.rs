//! A connection: two streams, joined back to back.
//!
//! Inside this machine a socket is at either end. Of a connection to another one the far end is a [`Wire`], which moves
//! bytes between the streams and the network; it is run by hand ([`End::moved`]) when this end did something it must know.
//!
//! What TCP's state machine would tell the program is derived from a few flags: each direction's end (FIN), whether its
//! reader is gone, and the reset of the whole. `first_end` remembers who closed first, for that side keeps its port for a
//! minute (TIME_WAIT). Nothing here takes a lock but the streams' own.
use super::Wire;
use crate::fs::PollEvents;
use crate::net::events::{Events, READABLE, WRITABLE};
use crate::net::stream::Stream;
use crate::net::table;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use ringo_abi::Errno;
use spin::Once;

/// The side that connected, and the side that accepted.
pub const CLIENT: usize = 0;
/// See [`CLIENT`].
pub const SERVER: usize = 1;

/// Room of each direction unless SO_SNDBUF says otherwise: what Linux grants over loopback, where the sender's buffer
/// grows with the interface's packet size. Memory is only taken for what is unread.
pub const DEFAULT_ROOM: usize = 3_939_840;

/// Both ends' common part.
pub struct Joined {
    /// What each side sends.
    streams: [Stream<()>; 2],
    /// Each side's address.
    addresses: [SocketAddr; 2],
    /// Whether each side's port may be shared (SO_REUSEADDR); none for another machine's.
    reuse: [Option<bool>; 2],
    /// What is between the sides, if they are not in the same machine.
    wire: Once<Weak<Wire>>,
    /// The listener has taken it; until then it is being connected.
    established: AtomicBool,
    reset: AtomicBool,
    /// 1 + the side that ended first; 0 while none did.
    first_end: AtomicU8,
}

/// One end of a connection: what a socket holds.
#[derive(Clone)]
pub struct End {
    joined: Arc<Joined>,
    side: usize,
}

impl Joined {
    /// A connection that is not established yet, entered in the tables: (the client's end, the server's end).
    pub fn open(
        addresses: [SocketAddr; 2],
        reuse: [Option<bool>; 2],
        events: [Arc<Events>; 2],
        room: usize,
    ) -> (End, End) {
        let [client, server] = events;
        let joined = Arc::new(Self {
            streams: [
                Stream::new(client.clone(), server.clone(), room),
                Stream::new(server, client, room),
            ],
            addresses,
            reuse,
            wire: Once::new(),
            established: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            first_end: AtomicU8::new(0),
        });
        if let Some(reuse) = reuse[SERVER] {
            table::TCP.add_user(addresses[SERVER], reuse);
        }
        let end = |side| End {
            joined: joined.clone(),
            side,
        };
        (end(CLIENT), end(SERVER))
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let [from, to] = self.addresses;
        table::TCP.disconnect(from, to);
        let first = self.first_end.load(Ordering::Relaxed);
        for (side, address) in self.addresses.into_iter().enumerate() {
            let Some(reuse) = self.reuse[side] else {
                continue;
            };
            let waits = usize::from(first) == side + 1 && !self.reset.load(Ordering::Relaxed);
            table::TCP.remove_user(address, reuse, waits);
        }
    }
}

impl End {
    /// What is between this end and the other, if they are not in the same machine.
    #[inline]
    pub fn wire(&self) -> Option<Arc<Wire>> {
        self.joined.wire.get().and_then(Weak::upgrade)
    }

    /// Whether the other end is another machine's.
    #[inline]
    pub fn is_outside(&self) -> bool {
        self.joined.wire.is_completed()
    }

    /// This is between the ends.
    pub fn set_wire(&self, wire: &Arc<Wire>) {
        self.joined.wire.call_once(|| Arc::downgrade(wire));
    }

    /// This end wrote something, or ended: whoever carries it should know.
    #[inline]
    pub fn moved(&self) {
        if self.is_outside()
            && let Some(wire) = self.wire()
        {
            wire.run_now();
        }
    }

    /// This end read something: whoever found no room for more should know.
    #[inline]
    pub fn took(&self) {
        if self.is_outside()
            && let Some(wire) = self.wire()
        {
            wire.took(self.incoming());
        }
    }

    /// What this end sends.
    #[inline]
    pub fn outgoing(&self) -> &Stream<()> {
        &self.joined.streams[self.side]
    }

    /// What it receives.
    #[inline]
    pub fn incoming(&self) -> &Stream<()> {
        &self.joined.streams[1 - self.side]
    }

    /// This end's socket.
    pub fn events(&self) -> &Arc<Events> {
        self.outgoing().writer()
    }

    /// The other one's.
    fn peer(&self) -> &Arc<Events> {
        self.outgoing().reader()
    }

    /// This end's address.
    pub fn local(&self) -> SocketAddr {
        self.joined.addresses[self.side]
    }

    /// The other one's.
    pub fn remote(&self) -> SocketAddr {
        self.joined.addresses[1 - self.side]
    }

    /// The listener has taken it.
    #[inline]
    pub fn established(&self) -> bool {
        self.joined.established.load(Ordering::Acquire)
    }

    /// The listener takes it.
    pub fn establish(&self) {
        self.joined.established.store(true, Ordering::Release);
    }

    /// Tells the other side that something changed.
    pub fn tell_peer(&self) {
        self.peer().changed();
    }

    /// Ended by force.
    #[inline]
    pub fn is_reset(&self) -> bool {
        self.joined.reset.load(Ordering::Acquire)
    }

    /// Both sides have ended, or it was reset: TCP's state CLOSE.
    pub fn is_closed(&self) -> bool {
        self.is_reset() || (self.outgoing().ended() && self.incoming().ended())
    }

    /// Nothing more will come: whoever waits for data should look.
    #[inline]
    pub fn no_more_input(&self) -> bool {
        self.incoming().ended() || self.incoming().declined() || self.is_reset()
    }

    /// Ends what this side sends: a FIN. What was sent can still be read.
    pub fn end_output(&self) {
        self.finish();
        self.moved();
    }

    /// As [`End::end_output`], by who is between the sides.
    pub fn finish(&self) {
        if self.outgoing().end() {
            let side = self.side as u8 + 1;
            let _ = self.joined.first_end.compare_exchange(
                0,
                side,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            self.peer().changed();
        }
    }

    /// shutdown(2) of the receiving half.
    pub fn decline_input(&self) {
        self.incoming().decline();
    }

    /// Whether what is sent now only comes back as a reset: the other side is gone, or has shut both halves.
    #[inline]
    pub fn sends_into_void(&self) -> bool {
        self.outgoing().abandoned() || (self.outgoing().declined() && self.incoming().ended())
    }

    /// Something was sent into the void: the other side's system answers with a reset.
    pub fn bounce(&self) {
        if !self.joined.reset.swap(true, Ordering::AcqRel) {
            if !self.outgoing().abandoned() {
                self.peer().fail(Errno::ECONNRESET);
            }
            self.events().fail(Errno::EPIPE);
        }
    }

    /// Ends the connection by force: the other side gets an error. False if it had ended already.
    pub fn reset(&self) -> bool {
        let first = self.broken();
        self.moved();
        first
    }

    /// As [`End::reset`], by who is between the sides.
    pub fn broken(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        // It knows of our end already and is about to close: Linux then says EPIPE.
        let error = if self.outgoing().ended() {
            Errno::EPIPE
        } else {
            Errno::ECONNRESET
        };
        // The error before the mark: whoever sees the one finds the other.
        self.break_off(error)
    }

    /// The connection is over, of which the other side gets this error. False if it was already.
    pub fn break_off(&self, error: Errno) -> bool {
        self.peer().set_error(error);
        let first = !self.joined.reset.swap(true, Ordering::AcqRel);
        self.peer().changed();
        first
    }

    /// The listener went before it took the connection.
    pub fn refuse(&self) {
        self.break_off(Errno::ECONNREFUSED);
    }

    /// The socket is closed. With unread data, or with `abort` (SO_LINGER of 0 seconds), the other side gets an error.
    pub fn close(&self, abort: bool) {
        // The mark before the reader is seen to be gone: a writer would take it for an ordinary end.
        if (self.incoming().unread() > 0 || abort) && self.reset() {
            self.incoming().abandon();
            return;
        }
        if self.incoming().abandon() > 0 && self.reset() {
            return;
        }
        self.end_output();
        // Also if it had ended before: nobody reads any more.
        self.moved();
    }

    /// Whether the side that connected has given up: for connections that wait to be taken.
    pub fn peer_is_gone(&self) -> bool {
        self.outgoing().abandoned()
    }

    /// Readiness, as tcp_poll() tells it.
    pub fn poll(&self, low_water: usize) -> PollEvents {
        let mut events = PollEvents::empty();
        let no_input = self.no_more_input();
        let no_output = self.outgoing().ended() || self.is_reset();
        if no_input {
            events |= READABLE | PollEvents::RDHUP;
        }
        if self.is_closed() || (no_input && no_output) {
            events |= PollEvents::HUP;
        }
        if self.established() && self.incoming().unread() >= low_water {
            events |= READABLE;
        }
        // Who may not write hears so at once; who does not know yet whether there is a connection waits.
        if no_output || (self.established() && self.outgoing().writable()) {
            events |= WRITABLE;
        }
        if self.events().error().is_some() {
            events |= PollEvents::ERR;
        }
        events
    }
}
