//! /proc/net: interfaces and sockets, in Linux's tables (net/core/net-procfs.c, net/ipv4/tcp_ipv4.c and udp.c,
//! net/unix/af_unix.c).
//!
//! Sockets are found by their descriptors: there are no others, but for connections that nobody accepted yet. The columns
//! of timers and windows are 0: what does not leave the machine has none. Cost: O(descriptors).
use super::file;
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Listing, Numbers};
use crate::fs::{FileOps, PollEvents, fd};
use crate::net::socket::Socket;
use crate::net::{self, interface, ip};
use crate::task::credentials;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::Ordering;
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::packet::{ALL_NODES, EVERYBODY};
use ringo_net::{Address, UnixName};

/// /proc/PID/net.
pub(super) static NET: Listing = Listing {
    items: &[
        file("dev", interfaces),
        file("if_inet6", addresses),
        file("igmp", groups),
        file("igmp6", groups6),
        file("ipv6_route", routes6),
        file("netstat", super::net_counts::netstat),
        file("pnp", names),
        file("route", routes),
        file("snmp", super::net_counts::snmp),
        file("sockstat", statistics),
        file("sockstat6", statistics6),
        file("tcp", |out, _| tcp(out, false)),
        file("tcp6", |out, _| tcp(out, true)),
        file("udp", |out, _| udp(out, false)),
        file("udp6", |out, _| udp(out, true)),
        file("unix", unix),
    ],
    numbered: None,
};

/// A line that is filled up with spaces.
fn padded(out: &mut Text, line: &str, width: usize) -> Result<(), Errno> {
    writeln!(out, "{line:width$}")
}

/// The interfaces and what went through them. What stays inside the machine is never a packet, and not counted; nor are
/// multicasts.
fn interfaces(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"Inter-|   Receive                                                |  Transmit\n")?;
    out.put(b" face |bytes    packets errs drop fifo frame compressed multicast|")?;
    out.put(b"bytes    packets errs drop fifo colls carrier compressed\n")?;
    for each in interface::list() {
        write!(out, "{:>6}:", each.name)?;
        let mut figures = [0; 16];
        if let Some(network) = ip::network().filter(|_| !each.is_loopback()) {
            let nic = network.nic;
            for (from, traffic) in [(0, &nic.received), (8, &nic.sent)] {
                (figures[from + 1], figures[from]) = traffic.so_far();
            }
            figures[11] = nic.dropped.load(Ordering::Relaxed);
        }
        let widths = [7, 7, 4, 4, 4, 5, 10, 9, 8, 7, 4, 4, 4, 5, 7, 10];
        for (figure, width) in figures.into_iter().zip(widths) {
            write!(out, " {figure:width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// IPv6 addresses: address, interface, prefix, scope, flags, name.
fn addresses(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for each in interface::list() {
        for assigned in &each.addresses {
            let IpAddr::V6(ip) = assigned.ip else {
                continue;
            };
            let scope = match ip {
                ip if ip.is_loopback() => 0x10,
                ip if ip.is_unicast_link_local() => 0x20,
                _ => 0,
            };
            writeln!(
                out,
                "{:032x} {:02x} {:02x} {scope:02x} {:02x} {:>8}",
                ip.to_bits(),
                each.index,
                assigned.prefix,
                assigned.flags & 0xff,
                each.name
            )?;
        }
    }
    Ok(())
}

/// Who is in which group of IPv4, as net.Interface.MulticastAddrs reads it. Everybody is in the first.
fn groups(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n")?;
    for each in interface::list() {
        let everybody = (IpAddr::V4(EVERYBODY), 1);
        let mut all = net::groups::list(each.index, false);
        all.retain(|(group, _)| *group != everybody.0);
        all.push(everybody);
        let (index, name, count) = (each.index, &each.name, all.len());
        writeln!(out, "{index}\t{name:10}: {count:5} {:>7}", "V3")?;
        for (group, users) in all {
            if let IpAddr::V4(group) = group {
                let group = u32::from_le_bytes(group.octets());
                writeln!(out, "\t\t\t\t{group:08X} {users:5} 0:00000000\t\t0")?;
            }
        }
    }
    Ok(())
}

/// The same of IPv6: interface, name, group, users, flags, timer.
fn groups6(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    const ALL_OF_INTERFACE: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1);
    for each in interface::list() {
        let everybody = [ALL_NODES, ALL_OF_INTERFACE].map(|ip| (IpAddr::V6(ip), 1));
        let mut all = net::groups::list(each.index, true);
        all.retain(|(group, _)| everybody.iter().all(|(ip, _)| ip != group));
        all.extend(everybody);
        for (group, users) in all {
            if let IpAddr::V6(group) = group {
                let (index, name, bits) = (each.index, &each.name, group.to_bits());
                writeln!(out, "{index:<4} {name:15} {bits:032x} {users:5} 0000000C 0")?;
            }
        }
    }
    Ok(())
}

/// Name servers, in the form of resolv.conf(5): /etc/resolv.conf is a link to it.
fn names(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    match ip::network() {
        Some(network) => out.put(network.resolver()?.as_bytes()),
        None => Ok(()),
    }
}

/// The routes of IPv4, each word of an address as a little-endian machine prints one in network order. Loopback's are not among
/// them.
fn routes(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    /// RTF_UP and RTF_GATEWAY.
    const UP: u32 = 1;
    const GATEWAY: u32 = 2;
    padded(out, ROUTE_HEADER, 127)?;
    for route in interface::routes() {
        let (IpAddr::V4(to), by) = (route.to, route.by) else {
            continue;
        };
        let by = match by {
            Some(IpAddr::V4(by)) => by,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let flags = if by.is_unspecified() {
            UP
        } else {
            UP | GATEWAY
        };
        let [to, by] = [to, by].map(|ip| u32::from_le_bytes(ip.octets()));
        let mask = u32::MAX
            .checked_shl(32 - u32::from(route.prefix))
            .unwrap_or(0);
        let mask = mask.swap_bytes();
        let name = interface::by_index(route.index)?.name;
        let line =
            alloc::format!("{name}\t{to:08X}\t{by:08X}\t{flags:04X}\t0\t0\t0\t{mask:08X}\t0\t0\t0");
        padded(out, &line, 127)?;
    }
    Ok(())
}

/// The routes of IPv6, as Linux' net/ipv6/route.c prints them: to, from (anywhere), by, metric, references, uses, flags, name.
fn routes6(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    /// RTF_UP, RTF_GATEWAY, and the metrics Linux gives to what it learns and to networks.
    const UP: u32 = 1;
    const GATEWAY: u32 = 2;
    const METRIC_LEARNT: u32 = 1024;
    const METRIC_NETWORK: u32 = 256;
    for route in interface::routes() {
        let IpAddr::V6(to) = route.to else { continue };
        let (by, flags, metric) = match route.by {
            Some(IpAddr::V6(by)) => (by, UP | GATEWAY, METRIC_LEARNT),
            _ => (Ipv6Addr::UNSPECIFIED, UP, METRIC_NETWORK),
        };
        writeln!(
            out,
            "{:032x} {:02x} {:032x} 00 {:032x} {metric:08x} 00000000 00000000 {flags:08x} {:>8}",
            to.to_bits(),
            route.prefix,
            0,
            by.to_bits(),
            interface::by_index(route.index)?.name
        )?;
    }
    Ok(())
}

const ROUTE_HEADER: &str =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

/// One socket's line.
struct Line {
    local: SocketAddr,
    remote: Option<SocketAddr>,
    listens: bool,
    /// The other end sends no more.
    half: bool,
    unsent: usize,
    unread: usize,
    inode: u64,
}

fn inet(address: Address) -> Option<SocketAddr> {
    match address {
        Address::Inet(address) => Some(address),
        _ => None,
    }
}

/// Runs `f` on each socket that has a descriptor, with its inode; several descriptors may be one socket.
fn each_socket(mut f: impl FnMut(u64, &Socket)) {
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(number) = fd::table().next_used(next) {
        next = number.saturating_add(1);
        let Ok(file) = fd::get(number) else { continue };
        let Some(socket) = file.ops.downcast::<Socket>() else {
            continue;
        };
        let inode = socket.stat().map_or(0, |stat| stat.inode);
        if seen.insert(inode) {
            f(inode, socket);
        }
    }
}

/// The sockets of a family and protocol that have a local port, by inode.
fn sockets(v6: bool, protocol: u32) -> BTreeMap<u64, Line> {
    let family = if v6 { abi::AF_INET6 } else { abi::AF_INET };
    let mut found = BTreeMap::new();
    each_socket(|inode, socket| {
        if socket.common.family != family || socket.common.protocol != protocol {
            return;
        }
        let details = socket.protocol();
        let Some(local) = inet(details.local()).filter(|local| local.port() != 0) else {
            return;
        };
        let half = details.poll(&socket.common).contains(PollEvents::RDHUP);
        let line = Line {
            local,
            remote: details.remote().ok().and_then(inet),
            listens: details.listens(),
            half,
            unsent: details.unsent_bytes().unwrap_or(0),
            // The end of a stream has a sequence number, too.
            unread: details.readable_bytes().unwrap_or(0) + usize::from(half),
            inode,
        };
        found.insert(inode, line);
    });
    found
}

/// An address and port, each word of the address as a little-endian machine prints one in network order.
fn put_address(out: &mut Text, address: SocketAddr) -> Result<(), Errno> {
    let words = |out: &mut Text, bytes: &[u8]| {
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .try_for_each(|word| write!(out, "{:08X}", u32::from_le_bytes(*word)))
    };
    match address.ip() {
        IpAddr::V4(ip) => words(out, &ip.octets())?,
        IpAddr::V6(ip) => words(out, &ip.octets())?,
    }
    write!(out, ":{:04X}", address.port())
}

/// From the local address to the inode.
fn put_line(out: &mut Text, line: &Line, v6: bool, state: u8) -> Result<(), Errno> {
    let nowhere = if v6 {
        SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)
    } else {
        SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)
    };
    put_address(out, line.local)?;
    out.put(b" ")?;
    put_address(out, line.remote.unwrap_or(nowhere))?;
    let uid = credentials().user.effective();
    write!(
        out,
        " {state:02X} {:08X}:{:08X} 00:00000000 00000000 {uid:5} {:8} {}",
        line.unsent, line.unread, 0, line.inode
    )
}

const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;

const HEADER_V4: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const HEADER_V6: &str = "  sl  local_address                         remote_address                        st tx_queue \
                         rx_queue tr tm->when retrnsmt   uid  timeout inode";

/// /proc/net/tcp and tcp6.
fn tcp(out: &mut Text, v6: bool) -> Result<(), Errno> {
    /// IPv4's lines are filled up to this width.
    const WIDTH: usize = 149;
    if v6 {
        writeln!(out, "{HEADER_V6}")?;
    } else {
        padded(out, HEADER_V4, WIDTH)?;
    }
    let found = sockets(v6, abi::IPPROTO_TCP as u32);
    // A socket that is only bound is not shown.
    let shown = found
        .values()
        .filter(|line| line.listens || line.remote.is_some());
    for (index, line) in shown.enumerate() {
        let state = match line {
            line if line.listens => LISTEN,
            line if line.half => CLOSE_WAIT,
            _ => ESTABLISHED,
        };
        let start = out.len();
        write!(out, "{index:4}: ")?;
        put_line(out, line, v6, state)?;
        // References, address of the socket (nobody's business), timers, window, threshold.
        write!(out, " 1 {:016x} 100 0 0 10 0", 0)?;
        if !v6 {
            out.pad(start, WIDTH)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// /proc/net/udp and udp6.
fn udp(out: &mut Text, v6: bool) -> Result<(), Errno> {
    const WIDTH: usize = 127;
    const MORE: &str = " ref pointer drops";
    if v6 {
        writeln!(out, "{HEADER_V6}{MORE}")?;
    } else {
        padded(out, &alloc::format!(" {HEADER_V4}{MORE}"), WIDTH)?;
    }
    for (index, line) in sockets(v6, abi::IPPROTO_UDP as u32).values().enumerate() {
        let state = if line.remote.is_some() {
            ESTABLISHED
        } else {
            CLOSE
        };
        let start = out.len();
        write!(out, "{index:5}: ")?;
        put_line(out, line, v6, state)?;
        write!(out, " 2 {:016x} 0", 0)?;
        if !v6 {
            out.pad(start, WIDTH)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// /proc/net/unix.
fn unix(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    /// __SO_ACCEPTCON.
    const LISTENS: u32 = 0x1_0000;
    const UNCONNECTED: u32 = 1;
    const CONNECTED: u32 = 3;
    out.put(b"Num       RefCount Protocol Flags    Type St Inode Path\n")?;
    let mut done = Ok(());
    each_socket(|inode, socket| {
        if done.is_err() || socket.common.family != abi::AF_UNIX {
            return;
        }
        let details = socket.protocol();
        let listens = details.listens();
        let stream = socket.common.kind != abi::SOCK_DGRAM;
        let (references, state) = match details.remote() {
            Ok(_) if stream && !listens => (3, CONNECTED),
            _ => (2, UNCONNECTED),
        };
        let flags = if listens { LISTENS } else { 0 };
        let kind = socket.common.kind;
        done = write!(
            out,
            "{:016x}: {references:08X} {:08X} {flags:08X} {kind:04X} {state:02X} {inode:5}",
            0, 0
        )
        .and_then(|()| put_name(out, &details.local()))
        .and_then(|()| out.put(b"\n"));
    });
    done
}

/// A Unix socket's name; zeros in an abstract one show as "@".
fn put_name(out: &mut Text, address: &Address) -> Result<(), Errno> {
    match address {
        Address::Unix(UnixName::Path(path)) => {
            out.put(b" ")?;
            out.put(path)
        }
        Address::Unix(UnixName::Abstract(name)) => {
            out.put(b" @")?;
            name.iter()
                .map(|&byte| if byte == 0 { b'@' } else { byte })
                .try_for_each(|byte| out.put(&[byte]))
        }
        _ => Ok(()),
    }
}

/// How many sockets of a protocol there are, with a port.
fn count(v6: bool, protocol: u32) -> usize {
    sockets(v6, protocol).len()
}

fn statistics(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let (tcp, udp) = (abi::IPPROTO_TCP as u32, abi::IPPROTO_UDP as u32);
    let (tcp4, tcp6, udp4) = (count(false, tcp), count(true, tcp), count(false, udp));
    let mut used = 0;
    each_socket(|_, _| used += 1);
    writeln!(out, "sockets: used {used}")?;
    // The states that have no descriptor and the memory, which is shared, are not told apart.
    writeln!(
        out,
        "TCP: inuse {tcp4} orphan 0 tw 0 alloc {} mem 0",
        tcp4 + tcp6
    )?;
    writeln!(
        out,
        "UDP: inuse {udp4} mem 0\nUDPLITE: inuse 0\nRAW: inuse 0"
    )?;
    writeln!(out, "FRAG: inuse 0 memory 0")
}

fn statistics6(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let (tcp, udp) = (abi::IPPROTO_TCP as u32, abi::IPPROTO_UDP as u32);
    writeln!(
        out,
        "TCP6: inuse {}\nUDP6: inuse {}",
        count(true, tcp),
        count(true, udp)
    )?;
    writeln!(
        out,
        "UDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0"
    )
}
