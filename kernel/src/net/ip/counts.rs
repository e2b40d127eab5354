//! What became of packets beyond loopback: for `--stats`, /proc/net/snmp and netstat. A count is one addition to a word that
//! all CPUs share.
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_net::packet::Drop;

/// One figure.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them.
pub struct Counts {
    /// Frames that contradict themselves.
    pub malformed: Count,
    /// With a wrong checksum.
    pub checksum: Count,
    /// Pieces of packets that overlap others or cannot be right.
    pub fragment: Count,
    /// Of protocols nobody here speaks.
    pub protocol: Count,
    /// For others.
    pub not_ours: Count,
    /// For a port nobody listens at.
    pub no_socket: Count,
    /// No neighbour answers for its receiver.
    pub no_neighbour: Count,
    /// Errors of ICMP that were not sent, as there were enough.
    pub withheld: Count,
    /// Errors of ICMP about nothing that was sent: outside of the connection's window, or of no connection.
    pub forged: Count,
    /// A queue or a table was full, or memory.
    pub full: Count,
    /// Connections that nobody confirmed: pushed out by newer ones (a flood), or in time.
    pub unconfirmed: Count,
    /// TIME_WAITs for which there was no room.
    pub cut_short: Count,
    /// Pieces of packets that came, packets that were put together, and those that were given up.
    pub pieces: Count,
    /// See `pieces`.
    pub put_together: Count,
    /// See `pieces`.
    pub incomplete: Count,
    /// Segments of TCP that came for us, and that were sent.
    pub tcp_in: Count,
    /// See `tcp_in`.
    pub tcp_out: Count,
    /// Connections that a program asked for, and that others did.
    pub dialled: Count,
    /// See `dialled`.
    pub accepted: Count,
    /// Connections of either kind that did not come about.
    pub refused: Count,
    /// Connections that a reset ended.
    pub reset_in: Count,
    /// Resets that were sent to who belongs to no connection.
    pub reset_out: Count,
    /// Segments that may be guessed: their senders were asked.
    pub questioned: Count,
    /// Datagrams of UDP that came for a socket, and that were sent.
    pub udp_in: Count,
    /// See `udp_in`.
    pub udp_out: Count,
    /// Datagrams for which a socket had no room.
    pub udp_full: Count,
    /// Segments of TCP that were sent again.
    pub repeated: Count,
    /// Questions whether the other side is there.
    pub probes: Count,
    /// Connections that ended because nobody answered.
    pub given_up: Count,
}

/// See the module's head.
pub static COUNTS: Counts = Counts {
    malformed: Count::new(),
    checksum: Count::new(),
    fragment: Count::new(),
    protocol: Count::new(),
    not_ours: Count::new(),
    no_socket: Count::new(),
    no_neighbour: Count::new(),
    withheld: Count::new(),
    forged: Count::new(),
    full: Count::new(),
    unconfirmed: Count::new(),
    cut_short: Count::new(),
    pieces: Count::new(),
    put_together: Count::new(),
    incomplete: Count::new(),
    tcp_in: Count::new(),
    tcp_out: Count::new(),
    dialled: Count::new(),
    accepted: Count::new(),
    refused: Count::new(),
    reset_in: Count::new(),
    reset_out: Count::new(),
    questioned: Count::new(),
    udp_in: Count::new(),
    udp_out: Count::new(),
    udp_full: Count::new(),
    repeated: Count::new(),
    probes: Count::new(),
    given_up: Count::new(),
};

impl Counts {
    /// A packet that parsing refused.
    pub fn drop(&self, why: Drop) {
        match why {
            Drop::Malformed => &self.malformed,
            Drop::Checksum => &self.checksum,
            Drop::Fragment => &self.fragment,
            Drop::Protocol => &self.protocol,
            Drop::NotOurs => &self.not_ours,
        }
        .add();
    }
}
