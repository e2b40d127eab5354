//! Ports: which sockets may share one, and which of them a packet or connection is for.
//!
//! A [`Ports`] is one protocol's table or a shard of it (the caller locks). A port has *entries*, the sockets bound to it
//! by bind(2) or as UDP's, and *users*, TCP connections that have it as their local port, counted by address: ten
//! thousand connections of a server are one counter. A connection that was closed from this side first leaves its use
//! behind for a minute (TIME_WAIT), which only a later bind(2) without SO_REUSEADDR notices.
//!
//! Look-up and claim are O(1) in ports and O(n) in the sockets bound to one port. After net/ipv4/inet_connection_sock.c
//! (inet_csk_bind_conflict), inet_hashtables.c and udp.c (compute_score).
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use hashbrown::HashMap;
use ringo_abi::Errno;

/// How long a closed connection keeps its port, in ns.
pub const TIME_WAIT: u64 = 60_000_000_000;
/// The most closed connections that are remembered in one [`Ports`]; more push the oldest out.
const MAX_WAITING: usize = 1024;

/// What a socket is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The local address; IPv4 as itself, never mapped into IPv6.
    pub ip: IpAddr,
    /// The other end, if the socket is connected: then nobody else's packets reach it.
    pub remote: Option<SocketAddr>,
    /// IPV6_V6ONLY: does not cover IPv4 though it is bound to any address.
    pub v6_only: bool,
    /// SO_REUSEADDR.
    pub reuse: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// A TCP socket that listens.
    pub listening: bool,
}

impl Bound {
    /// Whether some packet could be for both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.ip, other.ip);
        if a.is_ipv4() == b.is_ipv4() {
            return a == b || a.is_unspecified() || b.is_unspecified();
        }
        // A socket of any IPv6 address has any IPv4 address, too, unless it is told not to.
        let (six, _) = if a.is_ipv6() { (self, b) } else { (other, a) };
        six.ip.is_unspecified() && !six.v6_only
    }

    /// How well a packet from `from` to the local address `to` matches; None if it is not for this socket.
    fn score(&self, to: IpAddr, from: SocketAddr) -> Option<u32> {
        let mut score = 0;
        if self.ip == to {
            score += 4;
        } else if !self.ip.is_unspecified()
            || (self.ip.is_ipv6() && to.is_ipv4() && self.v6_only)
            || (self.ip.is_ipv4() && to.is_ipv6())
        {
            return None;
        }
        score += u32::from(self.ip.is_ipv4() == to.is_ipv4());
        match self.remote {
            Some(remote) if remote.ip() == from.ip() && remote.port() == from.port() => {
                Some(score + 8)
            }
            Some(_) => None,
            None => Some(score),
        }
    }
}

/// Which sockets may be bound beside one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// TCP: SO_REUSEADDR on both, unless the other one listens; or SO_REUSEPORT on both.
    Stream,
    /// UDP: SO_REUSEADDR or SO_REUSEPORT on both.
    Datagram,
}

impl Rule {
    fn allows(self, existing: &Bound, new: &Bound) -> bool {
        let reuse = existing.reuse && new.reuse;
        let listens = self == Self::Stream && existing.listening;
        !existing.overlaps(new) || (reuse && !listens) || (existing.reuse_port && new.reuse_port)
    }
}

/// A socket at a port.
#[derive(Debug)]
pub struct Entry<T> {
    id: u64,
    /// What it is bound to.
    pub bound: Bound,
    /// The socket.
    pub value: T,
}

/// Connections with one local address.
#[derive(Debug)]
struct Users {
    ip: IpAddr,
    reuse: bool,
    open: u32,
    waiting: u32,
}

#[derive(Debug)]
struct Port<T> {
    entries: Vec<Entry<T>>,
    users: Vec<Users>,
}

impl<T> Port<T> {
    const fn new() -> Self {
        Self {
            entries: Vec::new(),
            users: Vec::new(),
        }
    }

    fn is_free(&self) -> bool {
        self.entries.is_empty() && self.users.is_empty()
    }

    fn allows(&self, new: &Bound, rule: Rule, but: u64) -> bool {
        let entries = self.entries.iter().filter(|entry| entry.id != but);
        entries
            .map(|entry| &entry.bound)
            .all(|bound| rule.allows(bound, new))
            && self.users.iter().all(|users| {
                let bound = Bound {
                    ip: users.ip,
                    remote: None,
                    v6_only: true,
                    reuse: users.reuse,
                    reuse_port: false,
                    listening: false,
                };
                rule.allows(&bound, new)
            })
    }

    fn users(&mut self, ip: IpAddr, reuse: bool) -> &mut Users {
        let at = self
            .users
            .iter()
            .position(|users| users.ip == ip && users.reuse == reuse);
        let at = at.unwrap_or_else(|| {
            self.users.push(Users {
                ip,
                reuse,
                open: 0,
                waiting: 0,
            });
            self.users.len() - 1
        });
        &mut self.users[at]
    }
}

/// See the module's head.
pub struct Ports<T> {
    ports: HashMap<u16, Port<T>>,
    /// Uses that end by themselves, in the order of their ends: when, port, address, SO_REUSEADDR.
    waiting: VecDeque<(u64, u16, IpAddr, bool)>,
    next_id: u64,
}

impl<T> Default for Ports<T> {
    fn default() -> Self {
        Self {
            ports: HashMap::new(),
            waiting: VecDeque::new(),
            next_id: 1,
        }
    }
}

impl<T> Ports<T> {
    /// Whether nobody is at this port.
    pub fn is_free(&self, port: u16) -> bool {
        self.ports.get(&port).is_none_or(Port::is_free)
    }

    /// Whether no socket is bound to this port, so that connections may take it.
    pub fn is_unbound(&self, port: u16) -> bool {
        self.ports
            .get(&port)
            .is_none_or(|port| port.entries.is_empty())
    }

    /// Whether a socket could be bound so.
    pub fn allows(&self, port: u16, bound: &Bound, rule: Rule) -> bool {
        self.ports
            .get(&port)
            .is_none_or(|port| port.allows(bound, rule, 0))
    }

    /// Binds a socket to a port; gives what the entry is known by. `now` in ns.
    ///
    /// # Errors
    /// EADDRINUSE.
    pub fn claim(
        &mut self,
        port: u16,
        bound: Bound,
        rule: Rule,
        value: T,
        now: u64,
    ) -> Result<u64, Errno> {
        self.expire(now);
        let at = self.ports.entry(port).or_insert_with(Port::new);
        if !at.allows(&bound, rule, 0) {
            return Err(Errno::EADDRINUSE);
        }
        let id = self.next_id;
        self.next_id += 1;
        at.entries.push(Entry { id, bound, value });
        Ok(id)
    }

    /// Takes an entry away.
    pub fn release(&mut self, port: u16, id: u64) -> Option<T> {
        let at = self.ports.get_mut(&port)?;
        let index = at.entries.iter().position(|entry| entry.id == id)?;
        // The order stays: the last one bound is preferred.
        let entry = at.entries.remove(index);
        if at.is_free() {
            self.ports.remove(&port);
        }
        Some(entry.value)
    }

    /// The entry, to be changed.
    pub fn entry(&mut self, port: u16, id: u64) -> Option<&mut Entry<T>> {
        let at = self.ports.get_mut(&port)?;
        at.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// Whether the entry may be as it is beside the others: asked again by listen(2).
    pub fn still_allowed(&self, port: u16, id: u64, rule: Rule) -> bool {
        let Some(at) = self.ports.get(&port) else {
            return false;
        };
        let bound = at.entries.iter().find(|entry| entry.id == id);
        bound.is_some_and(|entry| at.allows(&entry.bound, rule, id))
    }

    /// The socket that something from `from` to this port of the local address `to` is for, among those `wanted`. Of
    /// several that share the port (SO_REUSEPORT) and match equally, `hash` chooses.
    pub fn best(
        &self,
        port: u16,
        to: IpAddr,
        from: SocketAddr,
        hash: u64,
        wanted: impl Fn(&Entry<T>) -> bool,
    ) -> Option<&Entry<T>> {
        let at = self.ports.get(&port)?;
        let scored = |entry: &Entry<T>| {
            let score = entry.bound.score(to, from);
            score.filter(|_| wanted(entry))
        };
        let mut best: Option<(u32, &Entry<T>)> = None;
        let mut equals = 0;
        for entry in &at.entries {
            let Some(score) = scored(entry) else { continue };
            match best {
                Some((highest, _)) if score < highest => {}
                Some((highest, first))
                    if score == highest && first.bound.reuse_port && entry.bound.reuse_port =>
                {
                    equals += 1;
                }
                // Without SO_REUSEPORT the last one bound gets all, as on Linux.
                _ => {
                    best = Some((score, entry));
                    equals = 1;
                }
            }
        }
        let (highest, found) = best?;
        if equals <= 1 {
            return Some(found);
        }
        let chosen = (hash % equals) as usize;
        at.entries
            .iter()
            .filter(|entry| entry.bound.reuse_port && scored(entry) == Some(highest))
            .nth(chosen)
            .or(Some(found))
    }

    /// Every socket at this port that something from `from` to `to` is for: multicast and broadcast.
    pub fn all(&self, port: u16, to: IpAddr, from: SocketAddr) -> impl Iterator<Item = &Entry<T>> {
        let entries = self.ports.get(&port).map(|at| at.entries.iter());
        entries
            .into_iter()
            .flatten()
            .filter(move |entry| entry.bound.score(to, from).is_some())
    }

    /// Every entry with its port.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Entry<T>)> {
        self.ports
            .iter()
            .flat_map(|(&port, at)| at.entries.iter().map(move |entry| (port, entry)))
    }

    /// One more connection has this local port and address.
    pub fn add_user(&mut self, port: u16, ip: IpAddr, reuse: bool) {
        let at = self.ports.entry(port).or_insert_with(Port::new);
        at.users(ip, reuse).open += 1;
    }

    /// One connection less; with `time_wait` its use of the port ends later. `now` in ns.
    pub fn remove_user(&mut self, port: u16, ip: IpAddr, reuse: bool, time_wait: bool, now: u64) {
        self.expire(now);
        let Some(at) = self.ports.get_mut(&port) else {
            return;
        };
        let users = at.users(ip, reuse);
        users.open = users.open.saturating_sub(1);
        if time_wait {
            users.waiting += 1;
            self.waiting.push_back((now + TIME_WAIT, port, ip, reuse));
            if self.waiting.len() > MAX_WAITING {
                self.end_oldest();
            }
        } else {
            self.tidy(port);
        }
    }

    /// Ends the uses whose time has passed.
    fn expire(&mut self, now: u64) {
        while self.waiting.front().is_some_and(|first| first.0 <= now) {
            self.end_oldest();
        }
    }

    fn end_oldest(&mut self) {
        if let Some((_, port, ip, reuse)) = self.waiting.pop_front()
            && let Some(at) = self.ports.get_mut(&port)
        {
            let users = at.users(ip, reuse);
            users.waiting = users.waiting.saturating_sub(1);
            self.tidy(port);
        }
    }

    fn tidy(&mut self, port: u16) {
        if let Some(at) = self.ports.get_mut(&port) {
            at.users.retain(|users| users.open + users.waiting > 0);
            if at.is_free() {
                self.ports.remove(&port);
            }
        }
    }
}

#[cfg(test)]
mod tests;
