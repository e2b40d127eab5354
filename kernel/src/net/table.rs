//! The tables of ports: TCP's and UDP's sockets by port, and TCP's connections by both ends.
//!
//! Both are in shards by a hash, each with a spin lock, so that sockets of different ports do not meet. The rules are
//! those of [`ringo_net::ports`]. Locks: a port's shard, then a connection's shard; both leaves for everybody else.
use super::tcp::Listener;
use super::udp::Endpoint;
use crate::fs::dev::random;
use crate::sync::SpinLock;
use crate::time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash};
use core::net::{IpAddr, SocketAddr};
use hashbrown::{DefaultHashBuilder, HashSet};
use ringo_abi::Errno;
use ringo_net::ports::{Bound, Entry, Ports, Rule};
use spin::Lazy;

/// net.ipv4.ip_local_port_range: first and one past the last.
pub const EPHEMERAL: (u16, u16) = (32768, 61000);
/// Ports below are root's.
pub const PRIVILEGED: u16 = 1024;
const SHARDS: usize = 256;

/// One protocol's sockets by port.
pub struct Table<T> {
    shards: Box<[SpinLock<Ports<T>>]>,
    rule: Rule,
}

/// TCP's listeners and bound sockets.
pub static TCP: Lazy<Table<Option<Arc<Listener>>>> = Lazy::new(|| Table::new(Rule::Stream));
/// UDP's sockets.
pub static UDP: Lazy<Table<Arc<Endpoint>>> = Lazy::new(|| Table::new(Rule::Datagram));

type Ends = (SocketAddr, SocketAddr);

/// Both ends of TCP's connections, as seen from the one that connected.
struct Connections {
    shards: Box<[SpinLock<HashSet<Ends>>]>,
    hasher: DefaultHashBuilder,
}

static CONNECTIONS: Lazy<Connections> = Lazy::new(|| Connections {
    shards: (0..SHARDS).map(|_| SpinLock::default()).collect(),
    hasher: DefaultHashBuilder::default(),
});

impl Connections {
    fn shard(&self, ends: &Ends) -> &SpinLock<HashSet<Ends>> {
        &self.shards[self.hasher.hash_one(ends) as usize % SHARDS]
    }
}

/// A number that spreads equal sockets over what comes from different ends.
pub fn hash(value: impl Hash) -> u64 {
    CONNECTIONS.hasher.hash_one(value)
}

/// A socket's place in a table.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The port.
    pub port: u16,
    id: u64,
}

/// The ports to try, in order, from one that nobody can guess: who knows the next one could answer in another's place
/// (RFC 6056, 3.3.1).
fn candidates() -> impl Iterator<Item = u16> {
    let (low, high) = EPHEMERAL;
    let count = u32::from(high - low);
    let start = (random::word() % u64::from(count)) as u32;
    (0..count).map(move |step| low + ((start + step) % count) as u16)
}

impl<T> Table<T> {
    fn new(rule: Rule) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| SpinLock::default()).collect(),
            rule,
        }
    }

    fn shard(&self, port: u16) -> &SpinLock<Ports<T>> {
        &self.shards[usize::from(port) % SHARDS]
    }

    /// Binds a socket to a port, or to a free one for 0.
    ///
    /// # Errors
    /// EADDRINUSE; EACCES for ports of root.
    pub fn bind(&self, port: u16, bound: Bound, value: T) -> Result<Claim, Errno>
    where
        T: Clone,
    {
        let now = time::now();
        if port != 0 {
            if port < PRIVILEGED && !crate::task::credentials().privileged() {
                return Err(Errno::EACCES);
            }
            let mut shard = self.shard(port).lock();
            let id = shard.claim(port, bound, self.rule, value, now)?;
            return Ok(Claim { port, id });
        }
        let mut free = candidates().filter_map(|port| {
            let mut shard = self.shard(port).lock();
            let id = shard
                .is_free(port)
                .then(|| shard.claim(port, bound, self.rule, value.clone(), now).ok())??;
            Some(Claim { port, id })
        });
        free.next().ok_or(Errno::EADDRINUSE)
    }

    /// Takes a socket out.
    pub fn release(&self, claim: Claim) -> Option<T> {
        self.shard(claim.port).lock().release(claim.port, claim.id)
    }

    /// Changes what is known of a socket.
    pub fn update<R>(&self, claim: Claim, change: impl FnOnce(&mut Entry<T>) -> R) -> Option<R> {
        let mut shard = self.shard(claim.port).lock();
        shard.entry(claim.port, claim.id).map(change)
    }

    /// Changes what is known of a socket, unless others at its port then forbid it.
    ///
    /// # Errors
    /// EADDRINUSE.
    pub fn update_if_allowed(
        &self,
        claim: Claim,
        change: impl FnOnce(&mut Entry<T>),
    ) -> Result<(), Errno> {
        let mut shard = self.shard(claim.port).lock();
        if !shard.still_allowed(claim.port, claim.id, self.rule) {
            return Err(Errno::EADDRINUSE);
        }
        if let Some(entry) = shard.entry(claim.port, claim.id) {
            change(entry);
        }
        Ok(())
    }

    /// The socket for something from `from` to `to`, if `wanted`.
    pub fn find<R>(
        &self,
        to: SocketAddr,
        from: SocketAddr,
        wanted: impl Fn(&Entry<T>) -> bool,
        found: impl FnOnce(&Entry<T>) -> R,
    ) -> Option<R> {
        let shard = self.shard(to.port()).lock();
        // Only sockets that share a port need the hash; it costs a few nanoseconds.
        let hash = hash((to, from));
        shard
            .best(to.port(), to.ip(), from, hash, wanted)
            .map(found)
    }

    /// Runs `f` on every socket that something from `from` to `to` is for.
    pub fn for_all(&self, to: SocketAddr, from: SocketAddr, f: impl FnMut(&Entry<T>)) {
        let shard = self.shard(to.port()).lock();
        shard.all(to.port(), to.ip(), from).for_each(f);
    }
}

impl Table<Option<Arc<Listener>>> {
    /// Enters a connection from `from` (port 0: finds one) to `to`; gives where it is from then.
    ///
    /// # Errors
    /// EADDRNOTAVAIL when there is one with these ends, or no port is left.
    pub fn connect(
        &self,
        mut from: SocketAddr,
        to: SocketAddr,
        reuse: bool,
    ) -> Result<SocketAddr, Errno> {
        if from.port() != 0 {
            return if self.enter(from, to, reuse) {
                Ok(from)
            } else {
                Err(Errno::EADDRNOTAVAIL)
            };
        }
        for port in candidates() {
            from.set_port(port);
            // Never to itself by accident.
            if from == to || !self.shard(port).lock().is_unbound(port) {
                continue;
            }
            if self.enter(from, to, reuse) {
                return Ok(from);
            }
        }
        Err(Errno::EADDRNOTAVAIL)
    }

    fn enter(&self, from: SocketAddr, to: SocketAddr, reuse: bool) -> bool {
        let ends = (from, to);
        let mut shard = self.shard(from.port()).lock();
        let new = CONNECTIONS.shard(&ends).lock().insert(ends);
        if new {
            shard.add_user(from.port(), from.ip(), reuse);
        }
        new
    }

    /// A connection was accepted at `local`.
    pub fn add_user(&self, local: SocketAddr, reuse: bool) {
        let mut shard = self.shard(local.port()).lock();
        shard.add_user(local.port(), local.ip(), reuse);
    }

    /// A connection has no more use for its local address.
    pub fn remove_user(&self, local: SocketAddr, reuse: bool, time_wait: bool) {
        let (ip, port): (IpAddr, u16) = (local.ip(), local.port());
        let mut shard = self.shard(port).lock();
        shard.remove_user(port, ip, reuse, time_wait, time::now());
    }

    /// Both ends may be used again.
    pub fn disconnect(&self, from: SocketAddr, to: SocketAddr) {
        let ends = (from, to);
        CONNECTIONS.shard(&ends).lock().remove(&ends);
    }
}
