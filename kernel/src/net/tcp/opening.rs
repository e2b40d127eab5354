//! Connections from outside that are half open (ringo_net::half_open): a SYN was answered and not yet confirmed.
//!
//! Nothing else is made of one until then: no rings, no wire, no place in a listener's queue. In shards by a hash, each with
//! a spin lock; what a flood of SYNs can take is [`SHARDS`] times 256 entries. One timer, which runs while there are some.
use super::buffers;
use super::listener::Listener;
use super::wire::Wire;
use super::wires::Ends;
use crate::fs::dev::random;
use crate::net::ip::{self, COUNTS, Network};
use crate::net::table;
use crate::sync::SpinLock;
use crate::time::{self, Timer, TimerCallback};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::net as abi;
use ringo_net::half_open::{self, Entry, Table};
use ringo_net::packet::{self, Ip, Opening, Segment};
use spin::Lazy;

const SHARDS: usize = 16;
const SECOND: u64 = 1_000_000_000;
/// The header of TCP.
const HEADER: usize = 20;

type Shard = SpinLock<Table<Ends, Half>>;

/// Who takes a connection, and how large its rings will be.
#[derive(Clone)]
struct Half {
    listener: Arc<Listener>,
    ring: usize,
}

static SHARDED: Lazy<Box<[Shard]>> =
    Lazy::new(|| (0..SHARDS).map(|_| SpinLock::default()).collect());
static TIMER: Lazy<Timer> = Lazy::new(|| Timer::new(Arc::new(Second)));
static RUNS: AtomicBool = AtomicBool::new(false);

fn shard(ends: &Ends) -> &'static Shard {
    &SHARDED[table::hash(ends) as usize % SHARDS]
}

struct Second;

impl TimerCallback for Second {
    fn expired(&self) {
        let Some(network) = ip::network() else { return };
        RUNS.store(false, Ordering::SeqCst);
        let mut some = false;
        for shard in &**SHARDED {
            let mut entries = shard.lock();
            let tick = entries.tick(time::now());
            some |= !entries.is_empty();
            drop(entries);
            for (ends, entry) in tick.repeat {
                COUNTS.repeated.add();
                answer(network, &ends, &entry);
            }
            tick.gone.iter().for_each(|_| COUNTS.unconfirmed.add());
        }
        network.nic.flush();
        if some {
            run_timer();
        }
    }
}

fn run_timer() {
    if !RUNS.swap(true, Ordering::SeqCst) {
        TIMER.arm(time::now() + SECOND);
    }
}

/// A segment came that belongs to no connection. False if it means nothing here, either.
pub fn input(network: &'static Network, ends: Ends, ip: &Ip, segment: &Segment) -> bool {
    if segment.opens {
        return begins(network, ends, ip);
    }
    let mut entries = shard(&ends).lock();
    let Some(entry) = entries.get(&ends) else {
        return false;
    };
    let expected = entry.theirs.sequence.wrapping_add(1);
    if segment.resets {
        if segment.sequence == expected {
            entries.take(&ends);
        }
        return true;
    }
    match segment.acknowledges {
        Some(number) if number == entry.ours.sequence.wrapping_add(1) => {}
        // What acknowledges something else gets a reset (RFC 9293, 3.10.7.4).
        Some(_) => return false,
        None => return true,
    }
    let entry = entry.clone();
    // It will confirm it again, with what it sends next or with the next answer.
    if entry.taker.listener.is_full() {
        COUNTS.full.add();
        return true;
    }
    let half = entry.taker.clone();
    let whole = Entry {
        taker: half.listener,
        theirs: entry.theirs,
        ours: entry.ours,
        seed: entry.seed,
        answered: entry.answered,
        repeated: entry.repeated,
        asked_again: entry.asked_again,
    };
    // Under the lock: nobody makes a second one of it.
    match Wire::answered(network, ends, &whole, half.ring) {
        Ok(wire) => {
            entries.take(&ends);
            drop(entries);
            wire.arrived(ip, segment);
        }
        Err(_) => COUNTS.full.add(),
    }
    true
}

/// Somebody wants to connect. False if nobody listens.
fn begins(network: &'static Network, ends: Ends, ip: &Ip) -> bool {
    let listener = table::TCP
        .find(
            ends.local,
            ends.remote,
            |entry| entry.value.is_some(),
            |entry| entry.value.clone(),
        )
        .flatten();
    let Some(listener) = listener else {
        return false;
    };
    let Ok(theirs) = packet::opening(ip) else {
        COUNTS.malformed.add();
        return true;
    };
    let mut entries = shard(&ends).lock();
    // The same once more gets the same answer, but not for each of many.
    let before = entries.get(&ends).filter(|entry| entry.theirs == theirs);
    let entry = match before.cloned() {
        Some(entry) if entries.answers_again(&ends, time::now()) => entry,
        Some(_) => return true,
        None => {
            // It will ask again.
            if listener.is_full() {
                COUNTS.full.add();
                return true;
            }
            let (seed, ring) = (random::word(), buffers::size());
            let entry = Entry {
                theirs,
                ours: Opening {
                    sequence: half_open::first_number(seed),
                    window: ring.min(usize::from(u16::MAX)) as u16,
                    mss: Some(segment(network, ends.remote.ip())),
                    scale: theirs.scale.map(|_| buffers::SCALE),
                    sack: theirs.sack,
                },
                seed,
                answered: time::now(),
                repeated: 0,
                asked_again: None,
                taker: Half { listener, ring },
            };
            if entries.begin(ends, entry.clone()).is_some() {
                COUNTS.unconfirmed.add();
            }
            entry
        }
    };
    drop(entries);
    run_timer();
    answer(network, &ends, &entry);
    true
}

/// The largest segment that we take from somebody: what a packet has behind its headers.
fn segment(network: &Network, remote: IpAddr) -> u16 {
    let header = match remote {
        IpAddr::V4(_) => packet::IPV4_HEADER,
        IpAddr::V6(_) => packet::IPV6_HEADER,
    };
    (network.link_mtu(remote) - header - HEADER) as u16
}

/// Answers a SYN.
fn answer(network: &'static Network, ends: &Ends, entry: &Entry<Half>) {
    let acknowledges = Some(entry.theirs.sequence.wrapping_add(1));
    let (length, protocol) = (entry.ours.length(), abi::IPPROTO_TCP as u8);
    ip::send_by(
        network,
        ends.local.ip(),
        ends.remote.ip(),
        protocol,
        length,
        |out| {
            entry.ours.write(out, ends.local, ends.remote, acknowledges);
        },
    );
}
