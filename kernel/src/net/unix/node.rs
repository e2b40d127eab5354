//! What a name or a connection of Unix sockets leads to: the part of a socket that others reach.
//!
//! A node lives as long as somebody refers to it; `dead` says that its socket is closed. Listening sockets have their
//! queue here, datagram sockets their mailbox.
//! Locks: `backlog`, `blocked`; leaves but for events.rs's.
use super::connection::End;
use super::parcel::Parcel;
use crate::net::buffer::Buffer;
use crate::net::events::{Events, WRITABLE};
use crate::net::mailbox::{self, Mailbox};
use crate::net::message::Credentials;
use crate::sync::{SpinLock, WaitQueue};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ringo_abi::Errno;
use ringo_net::UnixName;

/// net.unix.max_dgram_qlen: one more message may wait for a socket that is not connected to its sender.
pub const QUEUE_MAX: usize = 10;

/// What a message counts against its sender's SO_SNDBUF: the packet's memory with its descriptor.
pub const fn charge(length: usize) -> usize {
    const DESCRIPTOR: usize = 256;
    const TRAILER: usize = 320;
    const SMALL: usize = 512;
    let data = (length + TRAILER).next_power_of_two();
    DESCRIPTOR + if data < SMALL { SMALL } else { data }
}

/// How much of what a socket has sent was not read.
pub struct Quota {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// A sender found it used up and waits to hear of room.
    full: AtomicBool,
    events: Arc<Events>,
}

impl Quota {
    /// Nothing used.
    pub fn new(events: Arc<Events>, limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            full: AtomicBool::new(false),
            events,
        }
    }

    /// SO_SNDBUF.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// SO_SNDBUF.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Bytes that count now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// Whether another message may be sent. Asked in vain, the sender will be told.
    pub fn has_room(&self) -> bool {
        if self.used() < self.limit() {
            return true;
        }
        self.full.store(true, Ordering::SeqCst);
        self.used() < self.limit()
    }

    /// What poll(2) calls writable: three quarters are free.
    pub fn writable(&self) -> bool {
        if self.used() * 4 <= self.limit() {
            return true;
        }
        self.full.store(true, Ordering::SeqCst);
        self.used() * 4 <= self.limit()
    }

    /// Counts a message of `length` bytes as long as the guard lives.
    pub fn count(self: &Arc<Self>, length: usize) -> Counted {
        let amount = charge(length);
        self.used.fetch_add(amount, Ordering::SeqCst);
        Counted {
            quota: self.clone(),
            amount,
        }
    }
}

/// See [`Quota::count`].
pub struct Counted {
    quota: Arc<Quota>,
    amount: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let quota = &self.quota;
        quota.used.fetch_sub(self.amount, Ordering::SeqCst);
        if quota.full.load(Ordering::SeqCst) && quota.used() * 4 <= quota.limit() {
            quota.full.store(false, Ordering::SeqCst);
            quota.events.writers.wake_all();
            quota.events.poll.notify(WRITABLE);
        }
    }
}

/// A message with its boundaries.
pub struct Message {
    /// The bytes.
    pub data: Buffer,
    /// How many of the buffer's they are.
    pub length: usize,
    /// Who sent it.
    pub from: UnixName,
    /// What came along.
    pub parcel: Parcel,
    /// Counts against the sender until the message is gone.
    pub _counted: Counted,
}

impl mailbox::Message for Message {
    // It counts against the sender, not here.
    fn charge(&self) -> usize {
        0
    }
}

struct Backlog {
    ends: VecDeque<End>,
    limit: usize,
}

/// See the module's head.
pub struct Node {
    /// SOCK_*.
    pub kind: u32,
    /// The socket's.
    pub events: Arc<Events>,
    /// What a datagram socket receives.
    pub mailbox: Mailbox<Message>,
    /// Where a datagram socket sends to.
    pub peer: SpinLock<Option<Arc<Node>>>,
    name: SpinLock<UnixName>,
    backlog: SpinLock<Option<Backlog>>,
    waiting: AtomicUsize,
    /// Threads that wait for room in the backlog.
    pub room: WaitQueue,
    /// Senders that found the mailbox full.
    blocked: SpinLock<Vec<Weak<Events>>>,
    /// Who called listen(2) or connect(2).
    pub credentials: SpinLock<Option<Credentials>>,
    dead: AtomicBool,
}

impl Node {
    /// A nameless one.
    pub fn new(kind: u32, events: Arc<Events>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            events,
            mailbox: Mailbox::new(usize::MAX),
            peer: SpinLock::new(None),
            name: SpinLock::new(UnixName::Unnamed),
            backlog: SpinLock::new(None),
            waiting: AtomicUsize::new(0),
            room: WaitQueue::new(),
            blocked: SpinLock::new(Vec::new()),
            credentials: SpinLock::new(None),
            dead: AtomicBool::new(false),
        })
    }

    /// Its socket is closed.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Its name.
    pub fn name(&self) -> UnixName {
        self.name.lock().clone()
    }

    /// bind(2) gave it a name.
    pub fn set_name(&self, name: UnixName) {
        *self.name.lock() = name;
    }

    /// Whether it listens.
    pub fn listens(&self) -> bool {
        self.backlog.lock().is_some()
    }

    /// listen(2).
    pub fn listen(&self, limit: usize) {
        let mut backlog = self.backlog.lock();
        match &mut *backlog {
            Some(backlog) => backlog.limit = limit,
            None => {
                *backlog = Some(Backlog {
                    ends: VecDeque::new(),
                    limit,
                });
            }
        }
        drop(backlog);
        self.room.wake_all();
    }

    /// Connections that can be accepted.
    pub fn ready(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Whether a connection would find room, or an error.
    pub fn may_offer(&self) -> bool {
        let backlog = self.backlog.lock();
        self.is_dead()
            || backlog
                .as_ref()
                .is_none_or(|backlog| backlog.ends.len() <= backlog.limit)
    }

    /// Takes in a connection.
    ///
    /// # Errors
    /// ECONNREFUSED when it does not listen, EAGAIN when there is no room; the connection comes back.
    pub fn offer(&self, end: End) -> Result<(), (Errno, End)> {
        let mut backlog = self.backlog.lock();
        let Some(queue) = backlog.as_mut().filter(|_| !self.is_dead()) else {
            return Err((Errno::ECONNREFUSED, end));
        };
        if queue.ends.len() > queue.limit {
            return Err((Errno::EAGAIN, end));
        }
        queue.ends.push_back(end);
        self.waiting.store(queue.ends.len(), Ordering::SeqCst);
        drop(backlog);
        self.events.readable();
        Ok(())
    }

    /// Gives the connection that has waited longest.
    pub fn take(&self) -> Option<End> {
        if self.ready() == 0 {
            return None;
        }
        let mut backlog = self.backlog.lock();
        let queue = backlog.as_mut()?;
        let end = queue.ends.pop_front();
        self.waiting.store(queue.ends.len(), Ordering::SeqCst);
        drop(backlog);
        self.room.wake_one();
        end
    }

    /// Whether a message from a sender that is not our peer must wait.
    pub fn is_crowded(&self) -> bool {
        self.mailbox.len() > QUEUE_MAX
    }

    /// Tells `sender` when there is room again.
    pub fn block(&self, sender: &Arc<Events>) {
        let mut blocked = self.blocked.lock();
        let known = |other: &Weak<Events>| core::ptr::eq(other.as_ptr(), Arc::as_ptr(sender));
        if !blocked.iter().any(known) {
            blocked.push(Arc::downgrade(sender));
        }
    }

    /// Takes the first message.
    pub fn receive(&self) -> Option<Message> {
        let message = self.mailbox.pop()?;
        if !self.is_crowded() {
            self.unblock();
        }
        Some(message)
    }

    fn unblock(&self) {
        let mut blocked = self.blocked.lock();
        if blocked.is_empty() {
            return;
        }
        let senders = core::mem::take(&mut *blocked);
        drop(blocked);
        for sender in senders {
            if let Some(sender) = sender.upgrade() {
                sender.writers.wake_all();
                sender.poll.notify(WRITABLE);
            }
        }
    }

    /// The socket is closed.
    pub fn close(&self) {
        self.dead.store(true, Ordering::SeqCst);
        super::names::release(self.kind, &self.name());
        let backlog = self.backlog.lock().take();
        self.waiting.store(0, Ordering::SeqCst);
        for end in backlog.into_iter().flat_map(|backlog| backlog.ends) {
            end.refuse();
        }
        self.room.wake_all();
        self.mailbox.abandon();
        *self.peer.lock() = None;
        self.unblock();
    }
}
