//! Options of IP (ip(7), ipv6(7)): what is kept, and setsockopt(2) and getsockopt(2) at SOL_IP and SOL_IPV6.
use crate::net::ip::Cut;
use crate::net::options::{V6_ONLY, int, int_out};
use crate::net::socket::Common;
use crate::net::{groups, interface};
use crate::sync::SpinLock;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::{Address, sockaddr};

/// IP_PKTINFO, IPV6_RECVPKTINFO.
pub const PACKET_INFO: u32 = 1;
/// IP_RECVTTL, IPV6_RECVHOPLIMIT.
pub const RECEIVE_TTL: u32 = 2;
/// IP_RECVTOS, IPV6_RECVTCLASS.
pub const RECEIVE_TOS: u32 = 4;
/// Those of all these that have control data come with each datagram.
pub const TOLD_OF_PACKETS: u32 =
    PACKET_INFO | RECEIVE_TTL | RECEIVE_TOS | PACKET_INFO_OLD | HOP_LIMIT_OLD;
/// IP_RECVERR, IPV6_RECVERR.
pub const RECEIVE_ERRORS: u32 = 8;
/// IP_MULTICAST_LOOP and IPV6_MULTICAST_LOOP, switched off.
pub const NO_LOOP: u32 = 16;
/// IP_MULTICAST_ALL, switched off.
const NOT_ALL: u32 = 32;
/// IPV6_MULTICAST_ALL, switched off.
const NOT_ALL_V6: u32 = 1024;
/// IPV6_DONTFRAG.
const WHOLE: u32 = 2048;
/// IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR.
pub const ORIGINAL_DESTINATION: u32 = 64;
/// IP_FREEBIND, IP_TRANSPARENT: accepted.
const FREE_BIND: u32 = 128;
const TRANSPARENT: u32 = 256;
/// IPV6_2292PKTINFO and IPV6_2292HOPLIMIT: the same by the numbers of RFC 2292.
pub const PACKET_INFO_OLD: u32 = 4096;
/// See above.
pub const HOP_LIMIT_OLD: u32 = 8192;
/// IP_HDRINCL.
pub const HEADER_INCLUDED: u32 = 512;

const TTL: i32 = 64;
/// net.ipv4.igmp_max_memberships.
const MEMBERSHIPS: usize = 20;
/// Options of both families that linux-raw-sys does not have.
const MCAST_JOIN_GROUP: u32 = 42;
const MCAST_LEAVE_GROUP: u32 = 45;

/// Options of IP.
pub struct IpOptions {
    flags: AtomicU32,
    /// IP_TTL; -1 for the default.
    ttl: AtomicI32,
    tos: AtomicI32,
    /// IPV6_UNICAST_HOPS; -1 for the default.
    hops: AtomicI32,
    class: AtomicI32,
    multicast_ttl: AtomicI32,
    multicast_hops: AtomicI32,
    mtu_discover: AtomicI32,
    mtu_discover_v6: AtomicI32,
    /// The interface multicasts leave by, 0 for any.
    multicast_interface: AtomicU32,
    groups: SpinLock<Vec<(IpAddr, u32)>>,
}

impl IpOptions {
    /// Their defaults. Linux switches IP_MULTICAST_ALL on for sockets of AF_INET only.
    pub fn new(v6: bool) -> Self {
        Self {
            flags: AtomicU32::new(if v6 { NOT_ALL } else { 0 }),
            ttl: AtomicI32::new(-1),
            tos: AtomicI32::new(0),
            hops: AtomicI32::new(-1),
            class: AtomicI32::new(0),
            multicast_ttl: AtomicI32::new(1),
            multicast_hops: AtomicI32::new(1),
            mtu_discover: AtomicI32::new(1),
            mtu_discover_v6: AtomicI32::new(1),
            multicast_interface: AtomicU32::new(0),
            groups: SpinLock::new(Vec::new()),
        }
    }
}

impl Clone for IpOptions {
    fn clone(&self) -> Self {
        let signed = |from: &AtomicI32| AtomicI32::new(from.load(Ordering::Relaxed));
        let unsigned = |from: &AtomicU32| AtomicU32::new(from.load(Ordering::Relaxed));
        Self {
            flags: unsigned(&self.flags),
            ttl: signed(&self.ttl),
            tos: signed(&self.tos),
            hops: signed(&self.hops),
            class: signed(&self.class),
            multicast_ttl: signed(&self.multicast_ttl),
            multicast_hops: signed(&self.multicast_hops),
            mtu_discover: signed(&self.mtu_discover),
            mtu_discover_v6: signed(&self.mtu_discover_v6),
            multicast_interface: unsigned(&self.multicast_interface),
            groups: SpinLock::new(Vec::new()),
        }
    }
}

impl IpOptions {
    /// Whether an option is on.
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    /// All that are on.
    #[inline]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Linux starts an accepted connection with the multicast hops of its packets.
    pub fn accepted(&self) {
        self.multicast_ttl.store(TTL, Ordering::Relaxed);
    }

    fn set(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// The time to live of what is sent.
    pub fn ttl_for(&self, to: IpAddr) -> u8 {
        let ttl = match (to, to.is_multicast()) {
            (IpAddr::V4(_), false) => &self.ttl,
            (IpAddr::V6(_), false) => &self.hops,
            (IpAddr::V4(_), true) => &self.multicast_ttl,
            (IpAddr::V6(_), true) => &self.multicast_hops,
        };
        match ttl.load(Ordering::Relaxed) {
            -1 => TTL as u8,
            ttl => ttl as u8,
        }
    }

    /// The type of service of what is sent.
    pub fn tos_for(&self, to: IpAddr) -> u8 {
        let tos = match to {
            IpAddr::V4(_) => &self.tos,
            IpAddr::V6(_) => &self.class,
        };
        tos.load(Ordering::Relaxed) as u8
    }

    /// Who may cut what is sent.
    pub fn cut_for(&self, to: IpAddr) -> Cut {
        let discover = match to {
            IpAddr::V4(_) => &self.mtu_discover,
            IpAddr::V6(_) if self.has(WHOLE) => return Cut::Never,
            IpAddr::V6(_) => &self.mtu_discover_v6,
        };
        match discover.load(Ordering::Relaxed).cast_unsigned() {
            abi::IP_PMTUDISC_WANT => Cut::Here,
            abi::IP_PMTUDISC_DO => Cut::Never,
            abi::IP_PMTUDISC_PROBE => Cut::Unheard,
            _ => Cut::Anywhere,
        }
    }

    /// Whether what comes to a group by an interface is for the socket: it is in it, or takes what comes for others
    /// (IP_MULTICAST_ALL), of whom there are some then.
    pub fn hears(&self, group: IpAddr, index: u32) -> bool {
        let not_all = match group {
            IpAddr::V4(_) => NOT_ALL,
            IpAddr::V6(_) => NOT_ALL_V6,
        };
        !self.has(not_all) || self.groups.lock().contains(&(group, index))
    }

    /// The interface multicasts leave by, 0 for any.
    pub fn multicast_interface(&self) -> u32 {
        self.multicast_interface.load(Ordering::Relaxed)
    }

    fn join(&self, group: IpAddr, index: u32) -> Result<(), Errno> {
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        let index = match index {
            0 => interface::multicast_default(group).ok_or(Errno::ENODEV)?,
            index => interface::by_index(index).map(|each| each.index)?,
        };
        let mut groups = self.groups.lock();
        if groups.contains(&(group, index)) {
            return Err(Errno::EADDRINUSE);
        }
        if groups.len() >= MEMBERSHIPS {
            return Err(Errno::ENOBUFS);
        }
        groups::join(group, index)?;
        groups.push((group, index));
        Ok(())
    }

    fn leave(&self, group: IpAddr, index: u32) -> Result<(), Errno> {
        let mut groups = self.groups.lock();
        let at = groups
            .iter()
            .position(|&(joined, on)| joined == group && (index == 0 || index == on));
        let (group, index) = groups.remove(at.ok_or(Errno::EADDRNOTAVAIL)?);
        drop(groups);
        groups::leave(group, index);
        Ok(())
    }
}

impl Drop for IpOptions {
    fn drop(&mut self) {
        for (group, index) in self.groups.get_mut().drain(..) {
            groups::leave(group, index);
        }
    }
}

/// MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP: a struct group_req.
fn group_request(options: &IpOptions, name: u32, v6: bool, value: &[u8]) -> Result<(), Errno> {
    /// Where in it the group's address is.
    const ADDRESS: usize = 8;
    let index = u32::from_ne_bytes(four(value, 0)?);
    let address = sockaddr::decode(value.get(ADDRESS..).ok_or(Errno::EINVAL)?)?;
    let group = match address {
        Address::Inet(group) if group.is_ipv6() == v6 => group.ip(),
        _ => return Err(Errno::EADDRNOTAVAIL),
    };
    match name {
        MCAST_JOIN_GROUP => options.join(group, index),
        _ => options.leave(group, index),
    }
}

fn four(value: &[u8], at: usize) -> Result<[u8; 4], Errno> {
    let bytes = value
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Errno::EINVAL)
}

/// As [`small`], but of something.
fn some(value: &[u8]) -> Result<i32, Errno> {
    match value {
        [] => Err(Errno::EINVAL),
        _ => small(value),
    }
}

/// An int, or a byte where there is room for no more: what ip(7) takes.
fn small(value: &[u8]) -> Result<i32, Errno> {
    match value {
        [] => Ok(0),
        [byte] | [byte, _] | [byte, _, _] => Ok(i32::from(*byte)),
        _ => int(value),
    }
}

fn within(value: i32, min: i32, max: i32) -> Result<i32, Errno> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(Errno::EINVAL)
    }
}

/// setsockopt(2) at SOL_IP and SOL_IPV6.
///
/// # Errors
/// EINVAL, ENODEV, ENOPROTOOPT.
pub fn set_option(
    common: &Common,
    options: &IpOptions,
    v6: bool,
    level: u32,
    name: u32,
    value: &[u8],
) -> Result<(), Errno> {
    match level {
        abi::SOL_IP => set_v4(options, name, value),
        abi::SOL_IPV6 if v6 => set_v6(common, options, name, value),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

fn set_v4(options: &IpOptions, name: u32, value: &[u8]) -> Result<(), Errno> {
    let flag = |flag| {
        options.set(flag, small(value)? != 0);
        Ok(())
    };
    let store = |to: &AtomicI32, number| to.store(number, Ordering::Relaxed);
    match name {
        abi::IP_TTL => match small(value)? {
            ttl @ (-1 | 1..=255) => store(&options.ttl, ttl),
            _ => return Err(Errno::EINVAL),
        },
        // Nothing is refused for its time to live.
        abi::IP_MINTTL if some(value)? == 0 => {}
        abi::IP_TOS => store(&options.tos, small(value)? & 0xff),
        abi::IP_MULTICAST_TTL => {
            let ttl = within(some(value)?, -1, 255)?;
            store(&options.multicast_ttl, if ttl == -1 { 1 } else { ttl });
        }
        abi::IP_MTU_DISCOVER => store(&options.mtu_discover, within(small(value)?, 0, 5)?),
        abi::IP_PKTINFO => return flag(PACKET_INFO),
        abi::IP_RECVTTL => return flag(RECEIVE_TTL),
        abi::IP_RECVTOS => return flag(RECEIVE_TOS),
        abi::IP_RECVERR => return flag(RECEIVE_ERRORS),
        abi::IP_RECVORIGDSTADDR => return flag(ORIGINAL_DESTINATION),
        abi::IP_FREEBIND => return flag(FREE_BIND),
        abi::IP_TRANSPARENT => return flag(TRANSPARENT),
        abi::IP_HDRINCL => return flag(HEADER_INCLUDED),
        abi::IP_MULTICAST_LOOP => options.set(NO_LOOP, some(value)? == 0),
        abi::IP_MULTICAST_ALL => options.set(NOT_ALL, within(some(value)?, 0, 1)? == 0),
        abi::IP_MULTICAST_IF => {
            // An address, or struct ip_mreq(n) with group, address and index.
            let index = match value.len() {
                12.. => u32::from_ne_bytes(four(value, 8)?),
                _ => 0,
            };
            let at = if value.len() >= 8 { 4 } else { 0 };
            let index = match (index, Ipv4Addr::from(four(value, at)?)) {
                (0, Ipv4Addr::UNSPECIFIED) => 0,
                (0, address) => {
                    let found = interface::by_address(address.into());
                    found.ok_or(Errno::EADDRNOTAVAIL)?.index
                }
                (index, _) => {
                    interface::by_index(index)
                        .map_err(|_| Errno::EADDRNOTAVAIL)?
                        .index
                }
            };
            options.multicast_interface.store(index, Ordering::Relaxed);
        }
        abi::IP_ADD_MEMBERSHIP | abi::IP_DROP_MEMBERSHIP => {
            let group = IpAddr::from(four(value, 0)?);
            let address = Ipv4Addr::from(four(value, 4)?);
            let index = match value.len() {
                12.. => u32::from_ne_bytes(four(value, 8)?),
                _ => 0,
            };
            let index = match index {
                0 if !address.is_unspecified() => {
                    let found = interface::by_address(address.into());
                    found.ok_or(Errno::ENODEV)?.index
                }
                index => index,
            };
            return if name == abi::IP_ADD_MEMBERSHIP {
                options.join(group, index)
            } else {
                options.leave(group, index)
            };
        }
        MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP => return group_request(options, name, false, value),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

fn set_v6(common: &Common, options: &IpOptions, name: u32, value: &[u8]) -> Result<(), Errno> {
    let flag = |flag| {
        options.set(flag, int(value)? != 0);
        Ok(())
    };
    let store = |to: &AtomicI32, number| to.store(number, Ordering::Relaxed);
    match name {
        abi::IPV6_V6ONLY => common.set(V6_ONLY, int(value)? != 0),
        abi::IPV6_UNICAST_HOPS => store(&options.hops, within(int(value)?, -1, 255)?),
        abi::IPV6_TCLASS => store(&options.class, within(int(value)?, -1, 255)?.max(0)),
        abi::IPV6_MULTICAST_HOPS => {
            let hops = within(int(value)?, -1, 255)?;
            store(&options.multicast_hops, if hops == -1 { 1 } else { hops });
        }
        abi::IPV6_MTU_DISCOVER => store(&options.mtu_discover_v6, within(int(value)?, 0, 5)?),
        abi::IPV6_RECVPKTINFO => return flag(PACKET_INFO),
        abi::IPV6_RECVHOPLIMIT => return flag(RECEIVE_TTL),
        abi::IPV6_2292PKTINFO => return flag(PACKET_INFO_OLD),
        abi::IPV6_2292HOPLIMIT => return flag(HOP_LIMIT_OLD),
        abi::IPV6_RECVTCLASS => return flag(RECEIVE_TOS),
        abi::IPV6_RECVERR => return flag(RECEIVE_ERRORS),
        abi::IPV6_RECVORIGDSTADDR => return flag(ORIGINAL_DESTINATION),
        abi::IPV6_FREEBIND => return flag(FREE_BIND),
        abi::IPV6_TRANSPARENT => return flag(TRANSPARENT),
        abi::IPV6_MULTICAST_LOOP => options.set(NO_LOOP, within(int(value)?, 0, 1)? == 0),
        abi::IPV6_MULTICAST_ALL => options.set(NOT_ALL_V6, within(int(value)?, 0, 1)? == 0),
        abi::IPV6_DONTFRAG => return flag(WHOLE),
        // No news of path MTUs, no labels of flows.
        abi::IPV6_RECVPATHMTU | abi::IPV6_AUTOFLOWLABEL => {
            int(value)?;
        }
        abi::IPV6_MULTICAST_IF => {
            let index = int(value)?.cast_unsigned();
            if index != 0 {
                interface::by_index(index)?;
            }
            options.multicast_interface.store(index, Ordering::Relaxed);
        }
        abi::IPV6_ADD_MEMBERSHIP | abi::IPV6_DROP_MEMBERSHIP => {
            let group: [u8; 16] = value.first_chunk().copied().ok_or(Errno::EINVAL)?;
            let group = IpAddr::V6(Ipv6Addr::from(group));
            let index = u32::from_ne_bytes(four(value, 16)?);
            return if name == abi::IPV6_ADD_MEMBERSHIP {
                options.join(group, index)
            } else {
                options.leave(group, index)
            };
        }
        MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP => return group_request(options, name, true, value),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// getsockopt(2) at SOL_IP and SOL_IPV6.
///
/// # Errors
/// ENOPROTOOPT; ENOTCONN for what only a `connected` socket has.
pub fn option(
    common: &Common,
    options: &IpOptions,
    level: u32,
    name: u32,
    connected: bool,
) -> Result<Vec<u8>, Errno> {
    let load = |from: &AtomicI32| from.load(Ordering::Relaxed);
    let flag = |flag| i32::from(options.has(flag));
    let ttl = |from: &AtomicI32| match load(from) {
        -1 => TTL,
        ttl => ttl,
    };
    let value = match (level, name) {
        (abi::SOL_IP, abi::IP_TTL) => ttl(&options.ttl),
        (abi::SOL_IP, abi::IP_MINTTL) => 0,
        (abi::SOL_IP, abi::IP_TOS) => load(&options.tos),
        (abi::SOL_IP, abi::IP_MULTICAST_TTL) => load(&options.multicast_ttl),
        (abi::SOL_IP, abi::IP_MTU_DISCOVER) => load(&options.mtu_discover),
        (abi::SOL_IP, abi::IP_MTU) | (abi::SOL_IPV6, abi::IPV6_MTU) => 65536,
        (abi::SOL_IP, abi::IP_PKTINFO) | (abi::SOL_IPV6, abi::IPV6_RECVPKTINFO) => {
            flag(PACKET_INFO)
        }
        (abi::SOL_IP, abi::IP_RECVTTL) | (abi::SOL_IPV6, abi::IPV6_RECVHOPLIMIT) => {
            flag(RECEIVE_TTL)
        }
        (abi::SOL_IP, abi::IP_RECVTOS) | (abi::SOL_IPV6, abi::IPV6_RECVTCLASS) => flag(RECEIVE_TOS),
        (abi::SOL_IP, abi::IP_RECVERR) | (abi::SOL_IPV6, abi::IPV6_RECVERR) => flag(RECEIVE_ERRORS),
        (abi::SOL_IP, abi::IP_FREEBIND) | (abi::SOL_IPV6, abi::IPV6_FREEBIND) => flag(FREE_BIND),
        (abi::SOL_IP, abi::IP_TRANSPARENT) => flag(TRANSPARENT),
        (abi::SOL_IP, abi::IP_HDRINCL) => flag(HEADER_INCLUDED),
        (abi::SOL_IP, abi::IP_MULTICAST_LOOP) | (abi::SOL_IPV6, abi::IPV6_MULTICAST_LOOP) => {
            1 - flag(NO_LOOP)
        }
        (abi::SOL_IP, abi::IP_MULTICAST_ALL) => 1 - flag(NOT_ALL),
        (abi::SOL_IPV6, abi::IPV6_MULTICAST_ALL) => 1 - flag(NOT_ALL_V6),
        (abi::SOL_IP, abi::IP_MULTICAST_IF) => {
            let index = options.multicast_interface();
            let address = interface::by_index(index).ok().and_then(|each| each.ipv4());
            return Ok(address.map_or([0; 4], |ip| ip.octets()).to_vec());
        }
        // What came with a stream's packets: of that nothing is kept.
        (abi::SOL_IP, abi::IP_PKTOPTIONS) if common.kind == abi::SOCK_STREAM => {
            return Ok(Vec::new());
        }
        (abi::SOL_IPV6, abi::IPV6_ADDRFORM) if connected => common.family as i32,
        (abi::SOL_IPV6, abi::IPV6_ADDRFORM) => return Err(Errno::ENOTCONN),
        (abi::SOL_IPV6, abi::IPV6_2292PKTINFO) => flag(PACKET_INFO_OLD),
        (abi::SOL_IPV6, abi::IPV6_2292HOPLIMIT) => flag(HOP_LIMIT_OLD),
        (abi::SOL_IPV6, abi::IPV6_V6ONLY) => i32::from(common.has(V6_ONLY)),
        (abi::SOL_IPV6, abi::IPV6_UNICAST_HOPS) => ttl(&options.hops),
        (abi::SOL_IPV6, abi::IPV6_TCLASS) => load(&options.class),
        (abi::SOL_IPV6, abi::IPV6_MULTICAST_HOPS) => load(&options.multicast_hops),
        (abi::SOL_IPV6, abi::IPV6_DONTFRAG) => flag(WHOLE),
        (abi::SOL_IPV6, abi::IPV6_MTU_DISCOVER) => load(&options.mtu_discover_v6),
        (abi::SOL_IPV6, abi::IPV6_MULTICAST_IF) => options.multicast_interface() as i32,
        _ => return Err(Errno::ENOPROTOOPT),
    };
    Ok(int_out(value))
}
