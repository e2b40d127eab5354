//! The network: sockets and what they connect.
//!
//! A socket ([`socket::Socket`]) is a file with a [`socket::Protocol`] behind it. Room by room:
//! - socket.rs, protocol.rs, options.rs, message.rs: what all sockets have: the file, what is behind it, SOL_SOCKET, control
//!   data.
//! - events.rs, buffer.rs, stream.rs: who is told of what; memory; bytes from one socket to another.
//! - tcp/, udp/, inet/: the Internet's protocols; table.rs: their ports. mailbox.rs: datagrams that wait to be read.
//! - filter.rs: which datagrams a socket wants.
//! - unix/: Unix sockets, by name or in pairs.
//! - ip/: what leaves this machine and comes to it, by a network card.
//! - groups.rs: who is in which group (multicast).
//! - interface.rs: which addresses are this machine's; netlink/, generic.rs, device.rs: how programs ask for them.
//!
//! What stays inside this machine never becomes a packet: the sender's system call puts bytes where the receiver's takes
//! them, and wakes it. There is no thread, queue or lock of the network as a whole.
//! Locks, in order: a socket's `changing`; the card's and a connection's to another machine (ip/mod.rs); a stream's
//! `writing` or `inbox`; a table's shard; a queue; then events.rs's.
pub mod buffer;
pub mod device;
pub mod events;
pub mod filter;
pub mod generic;
pub mod groups;
pub mod inet;
pub mod interface;
pub mod ip;
pub mod mailbox;
pub mod message;
pub mod netlink;
pub mod options;
pub mod protocol;
pub mod socket;
pub mod stream;
pub mod table;
pub mod tcp;
pub mod udp;
pub mod unix;

use self::socket::{Common, Kind, Socket};
use linux_raw_sys::net as abi;
use linux_raw_sys::netlink::{NETLINK_GENERIC, NETLINK_ROUTE};
use ringo_abi::Errno;

const STREAM: u32 = abi::SOCK_STREAM;
const DATAGRAM: u32 = abi::SOCK_DGRAM;
const RAW: u32 = abi::SOCK_RAW;
const SOCK_PACKET: u32 = 10;
const TCP: u32 = abi::IPPROTO_TCP as u32;
const UDP: u32 = abi::IPPROTO_UDP as u32;
const ICMP: u32 = abi::IPPROTO_ICMP as u32;
const ICMP_V6: u32 = abi::IPPROTO_ICMPV6;
/// Numbers from here on are no protocols (IPPROTO_MAX).
const PROTOCOLS: u32 = 263;

/// socket(2).
///
/// # Errors
/// EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT.
pub fn socket(family: u32, kind: u32, protocol: u32) -> Result<Socket, Errno> {
    match family {
        abi::AF_INET | abi::AF_INET6 => {
            let v6 = family == abi::AF_INET6;
            match (kind, protocol) {
                (_, PROTOCOLS..) | (11.., _) => Err(Errno::EINVAL),
                // The old name of AF_PACKET, which is not there.
                (SOCK_PACKET, _) if !v6 => Err(Errno::EAFNOSUPPORT),
                (STREAM, 0 | TCP) => {
                    let common = Common::new(family, kind, TCP);
                    Ok(Socket::new(common, Kind::Tcp(tcp::Tcp::new(v6))))
                }
                (DATAGRAM, 0 | UDP) => {
                    let common = Common::new(family, kind, UDP);
                    let udp = udp::Udp::new(&common, v6);
                    Ok(Socket::new(common, Kind::Udp(udp)))
                }
                (RAW, 0) => Err(Errno::EPROTONOSUPPORT),
                (RAW, _) => Err(Errno::EPERM),
                // Nobody is in net.ipv4.ping_group_range.
                (DATAGRAM, ICMP) if !v6 => Err(Errno::EACCES),
                (DATAGRAM, ICMP_V6) if v6 => Err(Errno::EACCES),
                (STREAM | DATAGRAM, _) => Err(Errno::EPROTONOSUPPORT),
                _ => Err(Errno::ESOCKTNOSUPPORT),
            }
        }
        abi::AF_UNIX => {
            let kind = unix_kind(kind, protocol)?;
            let common = Common::new(family, kind, 0);
            let unix = unix::Unix::new(&common);
            Ok(Socket::new(common, Kind::Unix(unix)))
        }
        abi::AF_NETLINK => match (kind, protocol) {
            (RAW | DATAGRAM, NETLINK_ROUTE | NETLINK_GENERIC) => {
                let common = Common::new(family, kind, protocol);
                let netlink = netlink::Netlink::new(&common);
                Ok(Socket::new(common, Kind::Netlink(netlink)))
            }
            (RAW | DATAGRAM, _) => Err(Errno::EPROTONOSUPPORT),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        },
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The type of a Unix socket.
fn unix_kind(kind: u32, protocol: u32) -> Result<u32, Errno> {
    match (kind, protocol) {
        (11.., _) => Err(Errno::EINVAL),
        (_, 2..) => Err(Errno::EPROTONOSUPPORT),
        (STREAM | DATAGRAM | abi::SOCK_SEQPACKET, _) => Ok(kind),
        // BSD's idea of it.
        (RAW, _) => Ok(DATAGRAM),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// socketpair(2).
///
/// # Errors
/// EOPNOTSUPP for what cannot be paired, and as socket(2).
pub fn socket_pair(family: u32, kind: u32, protocol: u32) -> Result<(Socket, Socket), Errno> {
    if family == abi::AF_UNIX {
        return Ok(unix::pair(unix_kind(kind, protocol)?));
    }
    socket(family, kind, protocol)?;
    Err(Errno::EOPNOTSUPP)
}
