//! Socket addresses: struct sockaddr_in, _in6, _un, _nl and back (ip(7), ipv6(7), unix(7), netlink(7)).
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;

/// The longest address a call takes (struct sockaddr_storage).
pub const MAX: usize = 128;
const IN_SIZE: usize = 16;
const IN6_SIZE: usize = 28;
/// struct sockaddr_in6 as RFC 2133 had it, without a scope.
const IN6_SIZE_OLD: usize = 24;
const UN_SIZE: usize = 110;
const NL_SIZE: usize = 12;
/// Where sun_path begins.
const FAMILY_SIZE: usize = 2;

/// An address as a call brings it. What is wrong with it, and when that is told, is each protocol's matter.
#[derive(Clone)]
pub struct Given {
    bytes: [u8; MAX],
    length: usize,
}

impl Given {
    /// Has `fill` bring its bytes.
    ///
    /// # Errors
    /// EINVAL when it is longer than any; `fill`'s.
    pub fn read(
        length: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>,
    ) -> Result<Self, Errno> {
        let (mut bytes, length) = ([0; MAX], length as usize);
        match bytes.get_mut(..length).ok_or(Errno::EINVAL)? {
            [] => {}
            part => fill(part)?,
        }
        Ok(Self { bytes, length })
    }

    /// How long it is.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// AF_*, if it is long enough to say.
    pub fn family(&self) -> Option<u32> {
        let family: [u8; FAMILY_SIZE] = bytes(&self.bytes[..self.length], 0).ok()?;
        Some(u16::from_ne_bytes(family).into())
    }

    /// See [`decode`].
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&self) -> Result<Address, Errno> {
        decode(&self.bytes[..self.length])
    }

    /// As [`decode`], taken for an address of AF_INET (`v6`: AF_INET6), whatever family it names.
    ///
    /// # Errors
    /// EINVAL when it is too short for one.
    pub fn decode_inet(&self, v6: bool) -> Result<SocketAddr, Errno> {
        let from = &self.bytes[..self.length];
        if v6 { decode_v6(from) } else { decode_v4(from) }
    }
}

/// The name of a Unix socket.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum UnixName {
    /// None (a socket that was never bound).
    Unnamed,
    /// In the file system.
    Path(Arc<[u8]>),
    /// Outside of it; without the zero that marks such names.
    Abstract(Arc<[u8]>),
}

/// An address of any family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// AF_UNSPEC: takes a connection or binding away.
    Unspecified,
    /// AF_INET or AF_INET6.
    Inet(SocketAddr),
    /// AF_UNIX.
    Unix(UnixName),
    /// AF_NETLINK.
    Netlink {
        /// nl_pid.
        port: u32,
        /// nl_groups.
        groups: u32,
    },
    /// A family nobody here knows.
    Other(u16),
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Result<[u8; N], Errno> {
    from.get(at..at + N)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Errno::EINVAL)
}

/// Reads an address.
///
/// # Errors
/// EINVAL when it is shorter or longer than its family has them.
pub fn decode(from: &[u8]) -> Result<Address, Errno> {
    let family = u16::from_ne_bytes(bytes(from, 0)?);
    let address = match u32::from(family) {
        abi::AF_UNSPEC => Address::Unspecified,
        abi::AF_INET => Address::Inet(decode_v4(from)?),
        abi::AF_INET6 => Address::Inet(decode_v6(from)?),
        abi::AF_UNIX => Address::Unix(decode_unix(from)?),
        abi::AF_NETLINK => {
            if from.len() < NL_SIZE {
                return Err(Errno::EINVAL);
            }
            Address::Netlink {
                port: u32::from_ne_bytes(bytes(from, 4)?),
                groups: u32::from_ne_bytes(bytes(from, 8)?),
            }
        }
        _ => Address::Other(family),
    };
    Ok(address)
}

fn decode_v4(from: &[u8]) -> Result<SocketAddr, Errno> {
    if from.len() < IN_SIZE {
        return Err(Errno::EINVAL);
    }
    let port = u16::from_be_bytes(bytes(from, 2)?);
    let ip = Ipv4Addr::from(bytes::<4>(from, 4)?);
    Ok(SocketAddrV4::new(ip, port).into())
}

fn decode_v6(from: &[u8]) -> Result<SocketAddr, Errno> {
    if from.len() < IN6_SIZE_OLD {
        return Err(Errno::EINVAL);
    }
    let port = u16::from_be_bytes(bytes(from, 2)?);
    let flow = u32::from_be_bytes(bytes(from, 4)?);
    let ip = Ipv6Addr::from(bytes::<16>(from, 8)?);
    let scope = bytes(from, 24).map_or(0, u32::from_ne_bytes);
    Ok(SocketAddrV6::new(ip, port, flow, scope).into())
}

fn decode_unix(from: &[u8]) -> Result<UnixName, Errno> {
    let path = from
        .get(FAMILY_SIZE..)
        .filter(|_| from.len() <= UN_SIZE)
        .ok_or(Errno::EINVAL)?;
    Ok(match path {
        [] => UnixName::Unnamed,
        [0, name @ ..] => UnixName::Abstract(name.into()),
        _ => {
            let end = path.iter().position(|&byte| byte == 0);
            UnixName::Path(path[..end.unwrap_or(path.len())].into())
        }
    })
}

/// Writes an address; the vector's length is the address's.
pub fn encode(address: &Address) -> Vec<u8> {
    let mut out = Vec::with_capacity(IN6_SIZE);
    let mut family = |family: u32| out.extend_from_slice(&(family as u16).to_ne_bytes());
    match address {
        Address::Unspecified => family(abi::AF_UNSPEC),
        Address::Other(number) => family(u32::from(*number)),
        Address::Inet(SocketAddr::V4(address)) => {
            family(abi::AF_INET);
            out.extend_from_slice(&address.port().to_be_bytes());
            out.extend_from_slice(&address.ip().octets());
            out.resize(IN_SIZE, 0);
        }
        Address::Inet(SocketAddr::V6(address)) => {
            family(abi::AF_INET6);
            out.extend_from_slice(&address.port().to_be_bytes());
            out.extend_from_slice(&address.flowinfo().to_be_bytes());
            out.extend_from_slice(&address.ip().octets());
            out.extend_from_slice(&address.scope_id().to_ne_bytes());
        }
        Address::Unix(name) => {
            family(abi::AF_UNIX);
            match name {
                UnixName::Unnamed => {}
                UnixName::Path(path) => {
                    out.extend_from_slice(path);
                    out.push(0);
                }
                UnixName::Abstract(name) => {
                    out.push(0);
                    out.extend_from_slice(name);
                }
            }
        }
        Address::Netlink { port, groups } => {
            family(abi::AF_NETLINK);
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&port.to_ne_bytes());
            out.extend_from_slice(&groups.to_ne_bytes());
        }
    }
    out
}

/// An IPv4 address that came mapped into IPv6 as itself.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddrV4::new(v4, v6.port()).into(),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// The address as a socket of AF_INET6 shows it: IPv4 mapped into IPv6.
pub fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// Any address of a family.
pub const fn unspecified(v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }
}

/// The loopback address of a family.
pub const fn loopback(v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_never_panics(from in proptest::collection::vec(any::<u8>(), 0..=MAX)) {
            let _ = decode(&from);
        }

        #[test]
        fn what_was_decoded_encodes_to_an_equal_address(
            family in prop::sample::select(&[0u16, 1, 2, 10, 16, 77][..]),
            rest in proptest::collection::vec(any::<u8>(), 0..=MAX),
        ) {
            let mut from = family.to_ne_bytes().to_vec();
            from.extend(rest);
            if let Ok(address) = decode(&from) {
                let out = encode(&address);
                prop_assert!(out.len() <= MAX);
                // A path of 108 bytes has its zero outside of struct sockaddr_un, as on Linux.
                if out.len() <= UN_SIZE || family != 1 {
                    prop_assert_eq!(decode(&out), Ok(address));
                }
            }
        }
    }

    #[test]
    fn inet_has_port_and_address_in_network_order() {
        let address = Address::Inet("127.0.0.1:8080".parse().unwrap());
        let mut expected = [0; 16];
        expected[0] = 2;
        expected[2..8].copy_from_slice(&[0x1f, 0x90, 127, 0, 0, 1]);
        assert_eq!(encode(&address), expected);
    }

    #[test]
    fn a_unix_path_ends_at_its_zero_and_shows_with_one() {
        let mut from = 1u16.to_ne_bytes().to_vec();
        from.extend_from_slice(b"/tmp/x\0garbage");
        let address = decode(&from).unwrap();
        assert_eq!(address, Address::Unix(UnixName::Path(b"/tmp/x"[..].into())));
        assert_eq!(encode(&address)[2..], *b"/tmp/x\0");
    }

    #[test]
    fn an_abstract_name_keeps_its_zeros() {
        let mut from = 1u16.to_ne_bytes().to_vec();
        from.extend_from_slice(b"\0a\0b");
        let address = decode(&from).unwrap();
        assert_eq!(
            address,
            Address::Unix(UnixName::Abstract(b"a\0b"[..].into()))
        );
        assert_eq!(encode(&address), from);
    }

    #[test]
    fn mapping_there_and_back_is_the_same() {
        let v4: SocketAddr = "10.1.2.3:4".parse().unwrap();
        assert_eq!(canonical(mapped(v4)), v4);
    }
}
