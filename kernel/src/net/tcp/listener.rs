//! A listening socket's queues: connections that wait to be accepted, and those that wait for room among these.
//!
//! A connection is established when it enters the first queue, as on Linux, whose client would send its SYN again and
//! again while that queue is full: here it waits in the second one and enters as soon as there is room.
//! One spin lock; O(1) a connection.
use super::connection::End;
use crate::net::events::Events;
use crate::sync::SpinLock;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

struct Queues {
    ready: VecDeque<End>,
    waiting: VecDeque<End>,
    /// listen(2)'s number: one more may be ready.
    limit: usize,
    closed: bool,
}

/// See the module's head.
pub struct Listener {
    queues: SpinLock<Queues>,
    /// How many are ready.
    length: AtomicUsize,
    events: Arc<Events>,
    /// SO_REUSEADDR: connections inherit it.
    pub reuse: bool,
}

impl Listener {
    /// Takes `limit` + 1 connections before others must wait.
    pub fn new(events: Arc<Events>, limit: usize, reuse: bool) -> Self {
        Self {
            queues: SpinLock::new(Queues {
                ready: VecDeque::new(),
                waiting: VecDeque::new(),
                limit,
                closed: false,
            }),
            length: AtomicUsize::new(0),
            events,
            reuse,
        }
    }

    /// listen(2) again.
    pub fn set_limit(&self, limit: usize) {
        self.queues.lock().limit = limit;
    }

    /// Connections that can be accepted.
    #[inline]
    pub fn ready(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Whether a connection from outside would have to wait: then it is not even answered.
    pub fn is_full(&self) -> bool {
        let queues = self.queues.lock();
        queues.closed || queues.ready.len() > queues.limit
    }

    /// listen(2)'s number.
    pub fn limit(&self) -> usize {
        self.queues.lock().limit
    }

    /// Takes in a new connection: the server's end.
    ///
    /// # Errors
    /// ECONNREFUSED when it is closed.
    pub fn offer(&self, end: End) -> Result<(), Errno> {
        let mut queues = self.queues.lock();
        if queues.closed {
            return Err(Errno::ECONNREFUSED);
        }
        if queues.ready.len() > queues.limit {
            queues.waiting.push_back(end);
            return Ok(());
        }
        end.establish();
        queues.ready.push_back(end);
        self.length.store(queues.ready.len(), Ordering::SeqCst);
        drop(queues);
        self.events.readable();
        Ok(())
    }

    /// Gives the connection that has waited longest.
    pub fn take(&self) -> Option<End> {
        if self.ready() == 0 {
            return None;
        }
        let mut queues = self.queues.lock();
        let end = queues.ready.pop_front();
        let mut given_up = VecDeque::new();
        let mut entered = None;
        while entered.is_none()
            && queues.ready.len() <= queues.limit
            && let Some(next) = queues.waiting.pop_front()
        {
            if next.peer_is_gone() || next.is_reset() {
                given_up.push_back(next);
                continue;
            }
            next.establish();
            queues.ready.push_back(next.clone());
            entered = Some(next);
        }
        self.length.store(queues.ready.len(), Ordering::SeqCst);
        drop(queues);
        drop(given_up);
        if let Some(entered) = entered {
            entered.tell_peer();
        }
        end
    }

    /// No more connections: those that wait get an error.
    pub fn close(&self) {
        let mut queues = self.queues.lock();
        queues.closed = true;
        let ready = core::mem::take(&mut queues.ready);
        let waiting = core::mem::take(&mut queues.waiting);
        self.length.store(0, Ordering::SeqCst);
        drop(queues);
        for end in ready {
            end.close(true);
        }
        for end in waiting {
            end.refuse();
            end.close(true);
        }
        self.events.changed();
    }

    /// Whether it takes no more connections.
    pub fn is_closed(&self) -> bool {
        self.queues.lock().closed
    }
}
