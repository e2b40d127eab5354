//! Bytes between smoltcp's rings and the program's streams, and their numbers.
use crate::net::ip::COUNTS;
use crate::net::stream::Stream;
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_net::packet::Segment;
use ringo_net::progress::Progress;
use smoltcp::socket::tcp::{Socket, State};

/// Numbers of bytes, as segments count them; they wrap.
#[derive(Clone, Copy, Default)]
pub struct Course {
    /// Of the first byte that the program has not been given.
    pub given: u32,
    /// Of the first byte that smoltcp has not been given.
    pub queued: u32,
}

impl Course {
    /// Nothing is known of a connection but the segments that open it.
    pub fn begin(&mut self, segment: &Segment) {
        if segment.synchronizes {
            self.given = segment.sequence.wrapping_add(1);
        }
        self.queued = segment.acknowledges.unwrap_or(self.queued);
    }

    /// The number of the first byte that is not acknowledged.
    pub fn unacknowledged(&self, socket: &Socket) -> u32 {
        let confirmed = matches!(socket.state(), State::FinWait2 | State::TimeWait);
        self.queued
            .wrapping_sub(socket.send_queue() as u32)
            .wrapping_add(u32::from(confirmed))
    }

    /// How far the connection is.
    pub fn progress(&self, socket: &Socket) -> Progress {
        let came = matches!(
            socket.state(),
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        let received = socket.recv_queue() as u32;
        let ring = socket.recv_capacity() as u32;
        Progress {
            expected: self.given.wrapping_add(received + u32::from(came)),
            ring,
            free: ring - received,
            unacknowledged: self.unacknowledged(socket),
        }
    }
}

/// Moves what came to the program, and gives how many bytes that were. Behind the other side's FIN nothing more comes, so
/// that all of it is moved, whatever the room: the ring may be gone before the program has read.
pub fn drain(socket: &mut Socket, incoming: &Stream<()>, stalled: &AtomicBool) -> u32 {
    let mut given = 0;
    let ended = [
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];
    let all = ended.contains(&socket.state());
    while socket.can_recv() {
        if incoming.room() == 0 && !all {
            stalled.store(true, Ordering::SeqCst);
            // The program may have read before it could see the mark.
            if incoming.room() == 0 || !stalled.swap(false, Ordering::SeqCst) {
                break;
            }
        }
        let moved = socket.recv(|bytes| {
            let count = incoming.push_bytes(bytes, (), all);
            (count, count)
        });
        match moved {
            Ok(count) if count > 0 => given += count as u32,
            _ => {
                // No memory now: it is looked at again when more comes or the program has read.
                stalled.store(true, Ordering::SeqCst);
                COUNTS.full.add();
                break;
            }
        }
    }
    given
}
