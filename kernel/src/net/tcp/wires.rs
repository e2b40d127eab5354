//! The table of wires: connections to other machines by both ends, and segments on their way to them.
//!
//! In shards by a hash, each with a spin lock that is a leaf but for the drop of nothing: what is taken out is dropped by the
//! caller.
use super::opening;
use super::wire::Wire;
use crate::memory::frames;
use crate::net::ip::{self, COUNTS, Network};
use crate::net::table;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use hashbrown::HashMap;
use linux_raw_sys::net as abi;
use ringo_net::packet::{self, Drop, Ip, Undelivered};
use spin::Lazy;

const SHARDS: usize = 256;
/// At most so many connections are in TIME_WAIT, and no more than this part of memory has frames (net.ipv4.tcp_max_tw_buckets).
const RESTING_MAX: usize = 16384;
const RESTING_SHARE: usize = 16;

/// Both ends of a connection, as seen from here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ends {
    /// Ours.
    pub local: SocketAddr,
    /// The other.
    pub remote: SocketAddr,
}

type Shard = SpinLock<HashMap<Ends, Arc<Wire>>>;

static WIRES: Lazy<Box<[Shard]>> = Lazy::new(|| (0..SHARDS).map(|_| SpinLock::default()).collect());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static RESTING: AtomicUsize = AtomicUsize::new(0);

fn shard(ends: &Ends) -> &'static Shard {
    &WIRES[table::hash(ends) as usize % SHARDS]
}

/// Enters a wire; packets find it from now on.
pub fn enter(ends: Ends, wire: Arc<Wire>) {
    let before = shard(&ends).lock().insert(ends, wire);
    if before.is_none() {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes this very wire out.
pub fn leave(ends: &Ends, wire: &Arc<Wire>) {
    let mut shard = shard(ends).lock();
    if shard
        .get(ends)
        .is_some_and(|found| Arc::ptr_eq(found, wire))
    {
        let gone = shard.remove(ends);
        drop(shard);
        drop(gone);
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

fn find(ends: &Ends) -> Option<Arc<Wire>> {
    shard(ends).lock().get(ends).cloned()
}

/// A segment came for us.
///
/// # Errors
/// Malformed, Checksum.
pub fn input(network: &'static Network, ip: &Ip) -> Result<(), Drop> {
    let segment = packet::tcp(ip)?;
    if !packet::tcp_checksum(ip) {
        return Err(Drop::Checksum);
    }
    COUNTS.tcp_in.add();
    let ends = Ends {
        local: segment.to,
        remote: segment.from,
    };
    if let Some(wire) = find(&ends)
        && wire.arrived(ip, &segment)
    {
        return Ok(());
    }
    if opening::input(network, ends, ip, &segment) {
        return Ok(());
    }
    if let Some(reset) = packet::reset_for(ip) {
        COUNTS.no_socket.add();
        COUNTS.reset_out.add();
        let length = packet::RESET_LENGTH;
        ip::answer_by(network, ip, abi::IPPROTO_TCP as u8, length, |out| {
            packet::write_reset(out, &reset);
        });
    }
    Ok(())
}

/// One more connection wants to rest in TIME_WAIT: whether it may, which it tells by [`rested`].
pub fn may_rest() -> bool {
    let most = RESTING_MAX.min(frames::counts().1 / RESTING_SHARE);
    if RESTING.fetch_add(1, Ordering::Relaxed) < most {
        return true;
    }
    COUNTS.cut_short.add();
    false
}

/// One has rested.
pub fn rested() {
    RESTING.fetch_sub(1, Ordering::Relaxed);
}

/// What we sent did not arrive. False if no connection has sent it.
pub fn undelivered(what: &Undelivered) -> bool {
    let ends = Ends {
        local: what.from,
        remote: what.to,
    };
    find(&ends).is_some_and(|wire| wire.undelivered(what))
}

/// Connections to other machines, those in TIME_WAIT among them.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}
