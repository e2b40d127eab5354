//! Sequences of bind, connect, close and packets against a table of ports, compared with lists that are searched in full.
//!
//! Who gets a packet and who may share a port is said here by which destinations a socket accepts, one by one.
use std::net::{IpAddr, SocketAddr};

use arbitrary::{Arbitrary, Unstructured};
use ringo_net::ports::{Bound, Ports, Rule, TIME_WAIT};

/// Local addresses a packet can be for.
const LOCAL: [&str; 4] = ["127.0.0.1", "10.0.0.2", "::1", "fe80::2"];
/// What a socket can be bound to besides.
const UNSPECIFIED: [&str; 2] = ["0.0.0.0", "::"];
const REMOTE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Binding {
    ip: u8,
    remote: Option<bool>,
    v6_only: bool,
    reuse: bool,
    reuse_port: bool,
    listening: bool,
}

impl Binding {
    fn bound(self) -> Bound {
        let all: Vec<&str> = LOCAL.iter().chain(&UNSPECIFIED).copied().collect();
        let ip: IpAddr = all[usize::from(self.ip) % all.len()]
            .parse()
            .expect("an address");
        Bound {
            ip,
            remote: self.remote.map(|_| remote(ip.is_ipv6())),
            v6_only: self.v6_only,
            reuse: self.reuse,
            reuse_port: self.reuse_port,
            listening: self.listening,
        }
    }
}

fn remote(v6: bool) -> SocketAddr {
    REMOTE[usize::from(v6)].parse().expect("an address")
}

fn local(index: u8) -> IpAddr {
    LOCAL[usize::from(index) % LOCAL.len()]
        .parse()
        .expect("an address")
}

#[derive(Arbitrary, Debug)]
enum Step {
    Claim { port: bool, binding: Binding },
    Release { which: u8 },
    Listen { which: u8 },
    Packet { port: bool, to: u8, hash: u64 },
    Connect { port: bool, to: u8, reuse: bool },
    Close { which: u8, time_wait: bool },
    Wait { tenths: u8 },
}

struct Socket {
    port: u16,
    id: u64,
    bound: Bound,
    value: u32,
}

/// A connection's use of a port, until when once it is closed.
struct User {
    port: u16,
    ip: IpAddr,
    reuse: bool,
    until: Option<u64>,
}

#[derive(Default)]
struct Model {
    /// In the order in which they were bound.
    sockets: Vec<Socket>,
    users: Vec<User>,
    now: u64,
    /// What the next socket is called.
    next: u32,
}

/// Whether a packet to `to`, from anywhere it may come from, could be for a socket bound so.
fn accepts(bound: &Bound, to: IpAddr) -> bool {
    let any = bound.ip.is_unspecified()
        && (bound.ip.is_ipv4() == to.is_ipv4() || (to.is_ipv4() && !bound.v6_only));
    bound.ip == to || any
}

fn conflict(rule: Rule, old: &Bound, new: &Bound) -> bool {
    let meet =
        (0..LOCAL.len()).any(|to| accepts(old, local(to as u8)) && accepts(new, local(to as u8)));
    let shared = match rule {
        Rule::Stream => old.reuse && new.reuse && !old.listening,
        Rule::Datagram => old.reuse && new.reuse,
    };
    meet && !shared && !(old.reuse_port && new.reuse_port)
}

impl Model {
    fn allows(&self, port: u16, new: &Bound, rule: Rule, but: u64) -> bool {
        let sockets = self
            .sockets
            .iter()
            .filter(|s| s.port == port && s.id != but);
        let users = self.users.iter().filter(|u| u.port == port);
        sockets
            .map(|s| s.bound)
            .all(|old| !conflict(rule, &old, new))
            && users.map(User::bound).all(|old| !conflict(rule, &old, new))
    }

    /// What the table does at each claim and close: a use that nobody asked about may last longer.
    fn expire(&mut self) {
        self.users
            .retain(|user| user.until.is_none_or(|until| until > self.now));
    }

    /// The sockets that match best, and how.
    fn best(&self, port: u16, to: IpAddr, from: SocketAddr) -> Vec<&Socket> {
        let rank = |s: &Socket| {
            (
                s.bound.remote.is_some(),
                s.bound.ip == to,
                s.bound.ip.is_ipv4() == to.is_ipv4(),
            )
        };
        let mut all: Vec<_> = self.all(port, to, from).collect();
        let highest = all.iter().map(|s| rank(s)).max();
        all.retain(|s| Some(rank(s)) == highest);
        all
    }

    fn all(&self, port: u16, to: IpAddr, from: SocketAddr) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(move |s| {
            s.port == port
                && accepts(&s.bound, to)
                && s.bound.remote.is_none_or(|remote| remote == from)
        })
    }
}

impl User {
    fn bound(&self) -> Bound {
        Bound {
            ip: self.ip,
            remote: None,
            v6_only: true,
            reuse: self.reuse,
            reuse_port: false,
            listening: false,
        }
    }
}

/// See [`crate::Target`]: the first byte is the protocol, the rest steps.
pub fn run(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let rule = if input.arbitrary().unwrap_or(false) {
        Rule::Stream
    } else {
        Rule::Datagram
    };
    let (mut table, mut model) = (Ports::<u32>::default(), Model::default());
    while !input.is_empty() {
        let Ok(step) = input.arbitrary() else { break };
        take(step, rule, &mut table, &mut model);
    }
    for socket in &model.sockets {
        assert_eq!(table.release(socket.port, socket.id), Some(socket.value));
        assert_eq!(table.release(socket.port, socket.id), None);
    }
    assert_eq!(table.iter().count(), 0);
}

fn port(second: bool) -> u16 {
    80 + u16::from(second)
}

fn pick(which: u8, length: usize) -> Option<usize> {
    usize::from(which).checked_rem(length)
}

fn take(step: Step, rule: Rule, table: &mut Ports<u32>, model: &mut Model) {
    match step {
        Step::Claim { port: at, binding } => claim(port(at), binding.bound(), rule, table, model),
        Step::Release { which } => {
            let Some(index) = pick(which, model.sockets.len()) else {
                return;
            };
            let socket = model.sockets.remove(index);
            assert_eq!(table.release(socket.port, socket.id), Some(socket.value));
        }
        Step::Listen { which } => {
            let Some(index) = pick(which, model.sockets.len()) else {
                return;
            };
            let socket = &model.sockets[index];
            let allowed = model.allows(socket.port, &socket.bound, rule, socket.id);
            assert_eq!(table.still_allowed(socket.port, socket.id, rule), allowed);
            table
                .entry(socket.port, socket.id)
                .expect("it is bound")
                .bound
                .listening = true;
            model.sockets[index].bound.listening = true;
        }
        Step::Packet { port: at, to, hash } => packet(port(at), local(to), hash, table, model),
        Step::Connect {
            port: at,
            to,
            reuse,
        } => {
            table.add_user(port(at), local(to), reuse);
            model.users.push(User {
                port: port(at),
                ip: local(to),
                reuse,
                until: None,
            });
        }
        Step::Close { which, time_wait } => {
            let open: Vec<_> = (0..model.users.len())
                .filter(|&u| model.users[u].until.is_none())
                .collect();
            let Some(index) = pick(which, open.len()) else {
                return;
            };
            let mut user = model.users.remove(open[index]);
            model.expire();
            table.remove_user(user.port, user.ip, user.reuse, time_wait, model.now);
            if time_wait {
                user.until = Some(model.now + TIME_WAIT);
                model.users.push(user);
            }
        }
        Step::Wait { tenths } => model.now += TIME_WAIT / 10 * u64::from(tenths),
    }
}

fn claim(port: u16, bound: Bound, rule: Rule, table: &mut Ports<u32>, model: &mut Model) {
    model.expire();
    let value = model.next;
    model.next += 1;
    let result = table.claim(port, bound, rule, value, model.now);
    assert_eq!(
        result.is_ok(),
        model.allows(port, &bound, rule, 0),
        "{bound:?}"
    );
    if let Ok(id) = result {
        model.sockets.push(Socket {
            port,
            id,
            bound,
            value,
        });
    }
    let bound_to = |p: u16| model.sockets.iter().any(|s| s.port == p);
    assert_eq!(table.is_unbound(port), !bound_to(port));
    let used = model.users.iter().any(|u| u.port == port);
    assert_eq!(table.is_free(port), !bound_to(port) && !used);
}

fn packet(port: u16, to: IpAddr, hash: u64, table: &Ports<u32>, model: &Model) {
    for from in [false, true].map(remote) {
        let found = table
            .best(port, to, from, hash, |_| true)
            .map(|entry| entry.value);
        let best = model.best(port, to, from);
        match (found, best.last()) {
            (None, None) => {}
            // Those that share the port take turns; else the last one bound has it.
            (Some(found), Some(last)) if last.bound.reuse_port => {
                assert!(best.iter().any(|s| s.value == found && s.bound.reuse_port));
            }
            (Some(found), Some(last)) => assert_eq!(found, last.value),
            (found, best) => panic!("{found:?}, not {:?}", best.map(|s| s.value)),
        }
        let mut all: Vec<_> = table.all(port, to, from).map(|entry| entry.value).collect();
        let mut wanted: Vec<_> = model.all(port, to, from).map(|s| s.value).collect();
        all.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(all, wanted);
    }
}

/// See [`crate::Target`]: no bytes are better than others.
pub fn seeds() -> Vec<Vec<u8>> {
    let bytes = |salt: u32| {
        (0..160u32)
            .map(|i| ((i * i + salt).wrapping_mul(0x9e37_79b1) >> 24) as u8)
            .collect()
    };
    (0..8).map(bytes).collect()
}
