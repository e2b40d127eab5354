//! Options of SOL_TCP (tcp(7)).
//!
//! Most of them tune what a connection inside the machine does not have; they are checked, kept and told as on Linux.
use super::Tcp;
use super::connection::DEFAULT_ROOM;
use crate::net::inet::IpOptions;
use crate::net::options::{int, int_out};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicI32, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;

/// The algorithm that governs congestion, as TCP_CONGESTION tells it.
const CONGESTION: &[u8] = b"cubic";
/// The largest segment over loopback, and where there is no connection yet.
const LOOPBACK_SEGMENT: i32 = 65483;
const ETHERNET_SEGMENT: i32 = 1460;
const ETHERNET_SEGMENT_V6: i32 = 1440;
const DEFAULT_SEGMENT: i32 = 536;
/// TCP_CA_NAME_MAX.
const NAME_MAX: usize = 16;

/// An option that is an int: its number, its default, and the values it takes.
struct Number {
    name: u32,
    default: i32,
    min: i32,
    max: i32,
}

const fn number(name: u32, default: i32, min: i32, max: i32) -> Number {
    Number {
        name,
        default,
        min,
        max,
    }
}

/// In the order of `Options::values`.
const NUMBERS: [Number; 17] = [
    number(abi::TCP_NODELAY, 0, i32::MIN, i32::MAX),
    number(abi::TCP_CORK, 0, i32::MIN, i32::MAX),
    number(abi::TCP_KEEPIDLE, 7200, 1, 32767),
    number(abi::TCP_KEEPINTVL, 75, 1, 32767),
    number(abi::TCP_KEEPCNT, 9, 1, 127),
    number(abi::TCP_SYNCNT, 6, 1, 127),
    number(abi::TCP_LINGER2, 60, i32::MIN, i32::MAX),
    number(abi::TCP_DEFER_ACCEPT, 0, i32::MIN, i32::MAX),
    number(abi::TCP_WINDOW_CLAMP, 0, 0, i32::MAX),
    number(abi::TCP_QUICKACK, 1, i32::MIN, i32::MAX),
    number(abi::TCP_USER_TIMEOUT, 0, 0, i32::MAX),
    number(abi::TCP_FASTOPEN, 0, 0, i32::MAX),
    number(abi::TCP_NOTSENT_LOWAT, -1, i32::MIN, i32::MAX),
    number(abi::TCP_FASTOPEN_CONNECT, 0, 0, 1),
    number(abi::TCP_THIN_LINEAR_TIMEOUTS, 0, 0, 1),
    number(abi::TCP_SAVE_SYN, 0, 0, 2),
    number(abi::TCP_INQ, 0, 0, 1),
];

/// Those that are told as 0 or 1 whatever was given.
const SWITCHES: [u32; 3] = [abi::TCP_NODELAY, abi::TCP_CORK, abi::TCP_QUICKACK];

/// A socket's options.
pub struct Options {
    values: [AtomicI32; NUMBERS.len()],
    segment: AtomicI32,
    /// Those of IP below.
    pub ip: IpOptions,
}

impl Options {
    /// Their defaults.
    pub fn new(v6: bool) -> Self {
        Self {
            values: NUMBERS.map(|number| AtomicI32::new(number.default)),
            segment: AtomicI32::new(0),
            ip: IpOptions::new(v6),
        }
    }
}

impl Options {
    /// What an accepted connection has of its listener's.
    pub fn inherited(&self) -> Self {
        let load = |from: &AtomicI32| AtomicI32::new(from.load(Ordering::Relaxed));
        let ip = self.ip.clone();
        ip.accepted();
        Self {
            values: core::array::from_fn(|index| load(&self.values[index])),
            segment: load(&self.segment),
            ip,
        }
    }

    /// The value of an option that is an int; 0 for others.
    pub fn number(&self, name: u32) -> i32 {
        let index = NUMBERS.iter().position(|number| number.name == name);
        index.map_or(0, |index| self.values[index].load(Ordering::Relaxed))
    }

    /// setsockopt(2).
    ///
    /// # Errors
    /// EINVAL, ENOENT for an unknown algorithm, ENOPROTOOPT.
    pub fn set(&self, name: u32, value: &[u8]) -> Result<(), Errno> {
        if name == abi::TCP_CONGESTION {
            let end = value
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(value.len());
            return match &value[..end.min(NAME_MAX - 1)] {
                b"" => Err(Errno::EINVAL),
                b"cubic" | b"reno" => Ok(()),
                _ => Err(Errno::ENOENT),
            };
        }
        let given = int(value)?;
        if name == abi::TCP_MAXSEG {
            if given != 0 && !(88..=32767).contains(&given) {
                return Err(Errno::EINVAL);
            }
            self.segment.store(given, Ordering::Relaxed);
            return Ok(());
        }
        let index = NUMBERS.iter().position(|number| number.name == name);
        let index = index.ok_or(Errno::ENOPROTOOPT)?;
        let number = &NUMBERS[index];
        let given = match SWITCHES.contains(&name) {
            true => i32::from(given != 0),
            false => given,
        };
        if !(number.min..=number.max).contains(&given) {
            return Err(Errno::EINVAL);
        }
        self.values[index].store(given, Ordering::Relaxed);
        Ok(())
    }

    /// getsockopt(2).
    ///
    /// # Errors
    /// ENOPROTOOPT.
    pub fn get(&self, socket: &Tcp, name: u32, length: usize) -> Result<Vec<u8>, Errno> {
        match name {
            abi::TCP_CONGESTION => {
                let mut out = CONGESTION.to_vec();
                out.resize(NAME_MAX, 0);
                Ok(out)
            }
            abi::TCP_MAXSEG => {
                let set = self.segment.load(Ordering::Relaxed);
                let segment = match (socket.established().is_some(), set) {
                    (true, 0) => segment(socket),
                    (_, 0) => DEFAULT_SEGMENT,
                    (_, set) => set,
                };
                Ok(int_out(segment))
            }
            abi::TCP_INFO => Ok(info(socket, length)),
            abi::TCP_IS_MPTCP => Ok(int_out(0)),
            _ => {
                let index = NUMBERS.iter().position(|number| number.name == name);
                let index = index.ok_or(Errno::ENOPROTOOPT)?;
                Ok(int_out(self.values[index].load(Ordering::Relaxed)))
            }
        }
    }
}

/// The largest segment of an open connection.
fn segment(socket: &Tcp) -> i32 {
    match socket.end.get() {
        Some(end) if end.is_outside() => match end.local().ip() {
            IpAddr::V4(_) => ETHERNET_SEGMENT,
            IpAddr::V6(_) => ETHERNET_SEGMENT_V6,
        },
        _ => LOOPBACK_SEGMENT,
    }
}

/// struct tcp_info, as far as it means something: the state, sizes, and the smallest round trip.
fn info(socket: &Tcp, length: usize) -> Vec<u8> {
    const SIZE: usize = 248;
    const ESTABLISHED: u8 = 1;
    const SYN_SENT: u8 = 2;
    const FIN_WAIT: u8 = 5;
    const CLOSE: u8 = 7;
    const CLOSE_WAIT: u8 = 8;
    const LISTEN: u8 = 10;
    let mut out = alloc::vec![0; SIZE];
    let (mut queued, mut limit) = (0u32, 0u32);
    out[0] = match socket.end.get() {
        Some(end) if end.is_closed() => CLOSE,
        Some(end) if !end.established() => SYN_SENT,
        Some(end) if end.outgoing().ended() => FIN_WAIT,
        Some(end) if end.incoming().ended() => CLOSE_WAIT,
        Some(_) => ESTABLISHED,
        None => match socket.listener.get() {
            Some(listener) if !listener.is_closed() => {
                queued = listener.ready() as u32;
                limit = listener.limit() as u32;
                LISTEN
            }
            _ => CLOSE,
        },
    };
    let mut put = |at: usize, value: u32| out[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    // tcpi_rto, _ato, _snd_mss, _rcv_mss in microseconds and bytes; a listener tells its queue in _unacked and _sacked.
    put(8, 200_000);
    put(12, 40_000);
    let segment = segment(socket) as u32;
    put(16, segment);
    put(20, segment);
    put(24, queued);
    put(28, limit);
    // tcpi_pmtu, _rtt, _rttvar, _snd_cwnd, _advmss, _rcv_space.
    put(60, 65535);
    put(68, 1);
    put(72, 1);
    put(80, 10);
    put(84, segment);
    put(96, DEFAULT_ROOM as u32);
    out.truncate(length.min(SIZE));
    out
}
