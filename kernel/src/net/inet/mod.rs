//! What TCP and UDP share: addresses of AF_INET and AF_INET6, and (options.rs) the options of IP.
//!
//! Inside, an IPv4 address is always itself, and one of IPv6 has no scope and no label of a flow, so that equal ones are equal:
//! a socket of AF_INET6 takes and shows the former mapped, the latter with the only interface that has such addresses.
mod options;

pub use options::*;

use super::interface;
use super::options::{REUSE, REUSE_PORT, V6_ONLY};
use super::socket::Common;
use core::net::{IpAddr, SocketAddr};
use linux_raw_sys::net::{AF_INET, AF_INET6, AF_UNSPEC};
use ringo_abi::Errno;
use ringo_net::ports::Bound;
use ringo_net::sockaddr::{self, Given};

/// What a socket that is bound to `address` has to say to others that want its port.
pub fn bound(common: &Common, address: SocketAddr) -> Bound {
    Bound {
        ip: address.ip(),
        remote: None,
        v6_only: common.has(V6_ONLY),
        reuse: common.has(REUSE),
        reuse_port: common.has(REUSE_PORT),
        listening: false,
    }
}

/// The address bind(2) names, for a socket of AF_INET or AF_INET6.
///
/// # Errors
/// EAFNOSUPPORT, EINVAL, EADDRNOTAVAIL when it is not this machine's.
pub fn to_bind(address: &Given, v6: bool, v6_only: bool) -> Result<SocketAddr, Errno> {
    let given = match address.decode_inet(v6)? {
        // BSD's idea of any address.
        any if !v6 && address.family() == Some(AF_UNSPEC) && any.ip().is_unspecified() => any,
        _ => of_family(address, v6)?,
    };
    let canonical = inside(given)?;
    if v6 && canonical.is_ipv4() && v6_only {
        return Err(Errno::EINVAL);
    }
    if needs_scope(canonical.ip()) && scope(given) == 0 {
        return Err(Errno::EINVAL);
    }
    if interface::is_bindable(canonical.ip()) {
        Ok(canonical)
    } else {
        Err(Errno::EADDRNOTAVAIL)
    }
}

/// The address connect(2) or sendto(2) names; the unspecified one is this machine.
///
/// # Errors
/// EINVAL, EAFNOSUPPORT.
pub fn to_connect(address: &Given, v6: bool) -> Result<SocketAddr, Errno> {
    reached(of_family(address, v6)?)
}

/// An address of AF_INET or AF_INET6 (`v6`); its length is looked at before its family.
fn of_family(address: &Given, v6: bool) -> Result<SocketAddr, Errno> {
    let given = address.decode_inet(v6)?;
    match address.family() == Some(if v6 { AF_INET6 } else { AF_INET }) {
        true => Ok(given),
        false => Err(Errno::EAFNOSUPPORT),
    }
}

/// The address that something to `given` goes to; the unspecified one is this machine.
///
/// # Errors
/// ENODEV when the interface it names is not there.
pub fn reached(given: SocketAddr) -> Result<SocketAddr, Errno> {
    let mut canonical = inside(given)?;
    if canonical.ip().is_unspecified() {
        canonical.set_ip(sockaddr::loopback(canonical.is_ipv6()));
    }
    Ok(canonical)
}

/// As [`to_connect`], for connect(2): a neighbour is named with the interface that leads there.
///
/// # Errors
/// As [`to_connect`]; EINVAL.
pub fn to_connect_for_good(address: &Given, v6: bool) -> Result<SocketAddr, Errno> {
    let given = of_family(address, v6)?;
    let to = reached(given)?;
    if needs_scope(to.ip()) && scope(given) == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(to)
}

/// Whether an address means something only together with an interface (__ipv6_addr_needs_scope_id).
fn needs_scope(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) if ip.is_multicast() => matches!(ip.octets()[1] & 15, 1 | 2),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    }
}

/// The number of the interface in an address.
const fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

/// An address as it is compared inside: no IPv4 one mapped, and without scope, since only the card has such addresses.
fn inside(given: SocketAddr) -> Result<SocketAddr, Errno> {
    let canonical = sockaddr::canonical(given);
    if needs_scope(canonical.ip()) && scope(given) != 0 {
        interface::by_index(scope(given))?;
    }
    Ok(SocketAddr::new(canonical.ip(), canonical.port()))
}

/// An address as a socket of AF_INET6 (`v6`) or AF_INET shows it.
pub fn shown(address: SocketAddr, v6: bool) -> SocketAddr {
    if !v6 {
        return address;
    }
    match sockaddr::mapped(address) {
        SocketAddr::V6(mut shown) if needs_scope(address.ip()) => {
            shown.set_scope_id(interface::CARD_INDEX);
            shown.into()
        }
        shown => shown,
    }
}
