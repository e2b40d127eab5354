//! Packets as they come from a network and go out: Ethernet, ARP, IPv4 and IPv6, UDP, ICMP for both, the discovery of
//! neighbours and routers, and as much of TCP as finds its connection (RFC 826, 791, 8200, 768, 792, 4443, 4861, 9293).
//!
//! Views and checksums are smoltcp's; here is what of them a host wants to know, as values. Parsing says why a packet is of no
//! use ([`Drop`]), writing fills a slice whose length the caller asked for first.
mod discovery;
mod ethernet;
mod groups;
mod icmp;
mod icmp6;
mod ip;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use discovery::*;
pub use ethernet::*;
pub use groups::*;
pub use icmp::*;
pub use icmp6::*;
pub use ip::*;
pub use tcp::*;
pub use udp::*;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Everybody's.
pub const BROADCAST: Mac = [0xff; 6];
/// Lengths of headers.
pub const ETHERNET_HEADER: usize = 14;
/// See [`ETHERNET_HEADER`].
pub const IPV4_HEADER: usize = 20;
/// See [`ETHERNET_HEADER`].
pub const IPV6_HEADER: usize = 40;
/// See [`ETHERNET_HEADER`].
pub const UDP_HEADER: usize = 8;
/// An ARP packet for IPv4 over Ethernet.
pub const ARP_LENGTH: usize = 28;

/// Why a packet is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// Too short, or it contradicts itself.
    Malformed,
    /// A checksum is wrong.
    Checksum,
    /// A part of a larger one.
    Fragment,
    /// A protocol nobody here speaks.
    Protocol,
    /// For another host.
    NotOurs,
}
