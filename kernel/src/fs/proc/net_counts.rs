//! /proc/net/snmp and netstat: what became of packets, in Linux's tables (net/ipv4/proc.c).
//!
//! A table is a line of names and one of values behind its own name. What has no counterpart here is 0, and netstat has only
//! the names that have one. What stays inside the machine is never a packet, and not counted.
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::net::{ip, tcp};
use ringo_abi::Errno;

type Row = (&'static str, u64);

fn table(out: &mut Text, name: &str, rows: &[Row]) -> Result<(), Errno> {
    write!(out, "{name}:")?;
    rows.iter()
        .try_for_each(|(what, _)| write!(out, " {what}"))?;
    write!(out, "\n{name}:")?;
    rows.iter().try_for_each(|(_, value)| match *value {
        UNBOUNDED => write!(out, " -1"),
        value => write!(out, " {value}"),
    })?;
    out.put(b"\n")
}

/// No limit.
const UNBOUNDED: u64 = u64::MAX;

const ICMP: &str = "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos \
                    InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal \
                    OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos \
                    OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps";

/// /proc/net/snmp.
pub(super) fn snmp(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let counts = &ip::COUNTS;
    let (frames_in, frames_out) = ip::network().map_or((0, 0), |network| {
        (network.nic.received.so_far().0, network.nic.sent.so_far().0)
    });
    let bad = counts.malformed.get() + counts.checksum.get();
    let delivered = counts.tcp_in.get() + counts.udp_in.get();
    table(
        out,
        "Ip",
        &[
            ("Forwarding", 2),
            ("DefaultTTL", 64),
            ("InReceives", frames_in),
            ("InHdrErrors", bad),
            ("InAddrErrors", counts.not_ours.get()),
            ("ForwDatagrams", 0),
            ("InUnknownProtos", counts.protocol.get()),
            ("InDiscards", counts.full.get()),
            ("InDelivers", delivered),
            ("OutRequests", frames_out),
            ("OutDiscards", counts.no_neighbour.get()),
            ("OutNoRoutes", 0),
            ("ReasmTimeout", counts.incomplete.get()),
            ("ReasmReqds", counts.pieces.get()),
            ("ReasmOKs", counts.put_together.get()),
            (
                "ReasmFails",
                counts.fragment.get() + counts.incomplete.get(),
            ),
            ("FragOKs", 0),
            ("FragFails", 0),
            ("FragCreates", 0),
            ("OutTransmits", frames_out),
        ],
    )?;
    write!(out, "Icmp: {ICMP}\nIcmp:")?;
    ICMP.split_whitespace()
        .try_for_each(|_| write!(out, " 0"))?;
    out.put(b"\n")?;
    table(
        out,
        "Tcp",
        &[
            ("RtoAlgorithm", 1),
            ("RtoMin", 200),
            ("RtoMax", 120_000),
            ("MaxConn", UNBOUNDED),
            ("ActiveOpens", counts.dialled.get()),
            ("PassiveOpens", counts.accepted.get()),
            ("AttemptFails", counts.refused.get()),
            ("EstabResets", counts.reset_in.get()),
            ("CurrEstab", tcp::count() as u64),
            ("InSegs", counts.tcp_in.get()),
            (
                "OutSegs",
                counts.tcp_out.get().saturating_sub(counts.repeated.get()),
            ),
            ("RetransSegs", counts.repeated.get()),
            ("InErrs", counts.checksum.get()),
            ("OutRsts", counts.reset_out.get()),
            ("InCsumErrors", counts.checksum.get()),
        ],
    )?;
    let full = counts.udp_full.get();
    table(
        out,
        "Udp",
        &udp(
            counts.udp_in.get(),
            counts.no_socket.get(),
            full,
            counts.udp_out.get(),
        ),
    )?;
    table(out, "UdpLite", &udp(0, 0, 0, 0))
}

fn udp(came: u64, no_port: u64, full: u64, sent: u64) -> [Row; 9] {
    [
        ("InDatagrams", came),
        ("NoPorts", no_port),
        ("InErrors", full),
        ("OutDatagrams", sent),
        ("RcvbufErrors", full),
        ("SndbufErrors", 0),
        ("InCsumErrors", 0),
        ("IgnoredMulti", 0),
        ("MemErrors", 0),
    ]
}

/// /proc/net/netstat.
pub(super) fn netstat(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let counts = &ip::COUNTS;
    table(
        out,
        "TcpExt",
        &[
            ("SyncookiesSent", 0),
            ("SyncookiesRecv", 0),
            ("SyncookiesFailed", 0),
            ("OutOfWindowIcmps", counts.forged.get()),
            ("ListenOverflows", 0),
            ("ListenDrops", counts.unconfirmed.get()),
            ("TCPTimeouts", counts.repeated.get()),
            ("TCPAbortOnTimeout", counts.given_up.get()),
            ("TCPKeepAlive", counts.probes.get()),
            ("TCPTimeWaitOverflow", counts.cut_short.get()),
            ("TCPChallengeACK", counts.questioned.get()),
        ],
    )?;
    let (bytes_in, bytes_out) = ip::network().map_or((0, 0), |network| {
        (network.nic.received.so_far().1, network.nic.sent.so_far().1)
    });
    table(
        out,
        "IpExt",
        &[
            ("InNoRoutes", 0),
            ("InTruncatedPkts", 0),
            ("InOctets", bytes_in),
            ("OutOctets", bytes_out),
            ("InCsumErrors", counts.checksum.get()),
        ],
    )
}
