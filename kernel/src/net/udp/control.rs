//! Control data that comes with a datagram.
use super::Datagram;
use crate::net::inet::{
    self, HOP_LIMIT_OLD, PACKET_INFO, PACKET_INFO_OLD, RECEIVE_TOS, RECEIVE_TTL,
};
use crate::net::interface;
use crate::net::options::TIMESTAMP_NS;
use crate::net::socket::{Common, Receiving};
use core::net::{IpAddr, SocketAddr};
use linux_raw_sys::net as abi;
use ringo_net::{Address, sockaddr};

/// SCM_TIMESTAMP and SCM_TIMESTAMPNS.
pub fn stamp(common: &Common, time: u64, how: &mut Receiving) {
    const SECOND: u64 = 1_000_000_000;
    let ns = common.has(TIMESTAMP_NS);
    let (kind, part) = match ns {
        true => (abi::SO_TIMESTAMPNS_OLD, time % SECOND),
        false => (abi::SO_TIMESTAMP_OLD, time % SECOND / 1000),
    };
    let mut data = [0; 16];
    data[..8].copy_from_slice(&(time / SECOND).to_ne_bytes());
    data[8..].copy_from_slice(&part.to_ne_bytes());
    how.control.put(abi::SOL_SOCKET, kind, &data);
}

/// What IP_PKTINFO, IP_RECVTTL, IP_RECVTOS and their like ask for.
pub fn packet_info(flags: u32, v6: bool, datagram: &Datagram, how: &mut Receiving) {
    let index = datagram.index.to_ne_bytes();
    match datagram.to {
        IpAddr::V4(to) if !v6 => {
            if flags & PACKET_INFO != 0 {
                // struct in_pktinfo: interface, the local address, the header's.
                let local = match to.is_multicast() {
                    true => interface::ipv4_of(datagram.index),
                    false => to,
                };
                let mut data = [0; 12];
                data[..4].copy_from_slice(&index);
                data[4..8].copy_from_slice(&local.octets());
                data[8..].copy_from_slice(&to.octets());
                how.control.put(abi::SOL_IP, abi::IP_PKTINFO, &data);
            }
            if flags & RECEIVE_TTL != 0 {
                let ttl = i32::from(datagram.ttl).to_ne_bytes();
                how.control.put(abi::SOL_IP, abi::IP_TTL, &ttl);
            }
            if flags & RECEIVE_TOS != 0 {
                how.control.put(abi::SOL_IP, abi::IP_TOS, &[datagram.tos]);
            }
        }
        to => {
            if flags & (PACKET_INFO | PACKET_INFO_OLD) != 0 {
                let SocketAddr::V6(shown) = sockaddr::mapped(SocketAddr::new(to, 0)) else {
                    return;
                };
                let mut data = [0; 20];
                data[..16].copy_from_slice(&shown.ip().octets());
                data[16..].copy_from_slice(&index);
                for (flag, kind) in [
                    (PACKET_INFO, abi::IPV6_PKTINFO),
                    (PACKET_INFO_OLD, abi::IPV6_2292PKTINFO),
                ] {
                    if flags & flag != 0 {
                        how.control.put(abi::SOL_IPV6, kind, &data);
                    }
                }
            }
            let ttl = i32::from(datagram.ttl).to_ne_bytes();
            if flags & RECEIVE_TTL != 0 {
                how.control.put(abi::SOL_IPV6, abi::IPV6_HOPLIMIT, &ttl);
            }
            if flags & HOP_LIMIT_OLD != 0 {
                how.control.put(abi::SOL_IPV6, abi::IPV6_2292HOPLIMIT, &ttl);
            }
            if flags & RECEIVE_TOS != 0 {
                let class = i32::from(datagram.tos).to_ne_bytes();
                how.control.put(abi::SOL_IPV6, abi::IPV6_TCLASS, &class);
            }
        }
    }
}

/// Where the datagram was sent to: nobody rewrites addresses on the way here. A socket of AF_INET6 is told of none of AF_INET.
pub fn original_destination(to: SocketAddr, v6: bool, how: &mut Receiving) {
    let (level, kind) = match to {
        SocketAddr::V4(_) if v6 => return,
        SocketAddr::V4(_) => (abi::SOL_IP, abi::IP_ORIGDSTADDR),
        SocketAddr::V6(_) => (abi::SOL_IPV6, abi::IPV6_ORIGDSTADDR),
    };
    let address = sockaddr::encode(&Address::Inet(inet::shown(to, v6)));
    how.control.put(level, kind, &address);
}
