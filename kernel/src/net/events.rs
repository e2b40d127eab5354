//! What others may do to a socket: wake its threads, tell its observers, leave it an error.
//!
//! The other end of a connection holds a reference to this part and not to the socket, so neither keeps the other open.
//! Everything here is called with no lock of a stream or queue held, or with one that is above these in the order:
//! stream or queue -> PollQueue -> epoll's ready list -> WaitQueue.
use crate::fs::{PollEvents, PollQueue};
use crate::sync::WaitQueue;
use core::sync::atomic::{AtomicI32, Ordering};
use ringo_abi::Errno;

/// Ready to be read.
pub const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
/// Ready to be written.
pub const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

/// See the module's head.
#[derive(Default)]
pub struct Events {
    /// Threads that wait for data, or for a connection to accept.
    pub readers: WaitQueue,
    /// Threads that wait for room, or for their connection.
    pub writers: WaitQueue,
    /// poll(2) and epoll(7).
    pub poll: PollQueue,
    /// SO_ERROR: told once.
    error: AtomicI32,
}

impl Events {
    /// Something arrived.
    #[inline]
    pub fn readable(&self) {
        self.readers.wake_one();
        self.poll.notify(READABLE);
    }

    /// There is room again.
    #[inline]
    pub fn writable(&self) {
        self.writers.wake_one();
        self.poll.notify(WRITABLE);
    }

    /// Something else changed: an end, a connection, an error.
    pub fn changed(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
        self.poll.notify(PollEvents::empty());
    }

    /// Leaves an error.
    pub fn set_error(&self, errno: Errno) {
        self.error.store(errno.number(), Ordering::Release);
    }

    /// Leaves an error and tells of it.
    pub fn fail(&self, errno: Errno) {
        self.set_error(errno);
        self.changed();
    }

    /// The error, if there is one; it stays.
    #[inline]
    pub fn error(&self) -> Option<Errno> {
        Errno::from_number(self.error.load(Ordering::Acquire))
    }

    /// The error, which is told with that.
    pub fn take_error(&self) -> Option<Errno> {
        self.error()?;
        Errno::from_number(self.error.swap(0, Ordering::AcqRel))
    }
}
