//! Options of SOL_SOCKET (socket(7)).
//!
//! Options that are on or off are bits of `Common::flags`, so that a hot path tests one word. Values are told as Linux
//! tells them: buffer sizes doubled, with its defaults. An option that changes nothing here (SO_DEBUG, SO_BUSY_POLL) is
//! stored or accepted only where Linux lets anybody set it.
use super::message::Credentials;
use super::socket::{Common, Socket};
use crate::task;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;

/// SO_REUSEADDR.
pub const REUSE: u32 = 1;
/// SO_REUSEPORT.
pub const REUSE_PORT: u32 = 1 << 1;
/// SO_BROADCAST.
pub const BROADCAST: u32 = 1 << 2;
/// SO_KEEPALIVE.
pub const KEEP_ALIVE: u32 = 1 << 3;
/// SO_OOBINLINE.
pub const OOB_INLINE: u32 = 1 << 4;
/// SO_PASSCRED.
pub const PASS_CREDENTIALS: u32 = 1 << 5;
/// SO_TIMESTAMP.
pub const TIMESTAMP: u32 = 1 << 6;
/// SO_TIMESTAMPNS.
pub const TIMESTAMP_NS: u32 = 1 << 7;
/// SO_DEBUG.
pub const DEBUG: u32 = 1 << 8;
/// SO_DONTROUTE.
pub const DONT_ROUTE: u32 = 1 << 9;
/// SO_NO_CHECK.
pub const NO_CHECK: u32 = 1 << 10;
/// SO_RXQ_OVFL.
pub const OVERFLOW: u32 = 1 << 11;
/// SO_ZEROCOPY.
pub const ZERO_COPY: u32 = 1 << 12;
/// IPV6_V6ONLY.
pub const V6_ONLY: u32 = 1 << 13;
/// SO_TIMESTAMP or SO_TIMESTAMPNS, as struct timeval or timespec of 64 bits: the same on x86-64.
pub const ANY_TIMESTAMP: u32 = TIMESTAMP | TIMESTAMP_NS;
/// What a new socket has on.
pub const DEFAULT: u32 = 0;

/// net.core.rmem_max and wmem_max.
pub const BUFFER_MAX: u32 = 4 << 20;
/// net.core.rmem_default and wmem_default.
pub const BUFFER_DEFAULT: u32 = 212_992;
/// The middle of net.ipv4.tcp_rmem and tcp_wmem.
pub const TCP_RECEIVE_DEFAULT: u32 = 131_072;
pub const TCP_SEND_DEFAULT: u32 = 16_384;
const SEND_MIN: u32 = 4608;
const RECEIVE_MIN: u32 = 2304;

const TIMEVAL_SIZE: usize = 16;
const SECOND: u64 = 1_000_000_000;

/// An option's bit, for those that are on or off.
const fn bit(name: u32) -> Option<u32> {
    Some(match name {
        abi::SO_REUSEADDR => REUSE,
        abi::SO_REUSEPORT => REUSE_PORT,
        abi::SO_BROADCAST => BROADCAST,
        abi::SO_KEEPALIVE => KEEP_ALIVE,
        abi::SO_OOBINLINE => OOB_INLINE,
        abi::SO_PASSCRED => PASS_CREDENTIALS,
        abi::SO_TIMESTAMP => TIMESTAMP,
        abi::SO_TIMESTAMPNS => TIMESTAMP_NS,
        abi::SO_DEBUG => DEBUG,
        abi::SO_DONTROUTE => DONT_ROUTE,
        abi::SO_NO_CHECK => NO_CHECK,
        abi::SO_RXQ_OVFL => OVERFLOW,
        abi::SO_ZEROCOPY => ZERO_COPY,
        _ => return None,
    })
}

/// An int of the program's.
///
/// # Errors
/// EINVAL when there are fewer than four bytes.
pub fn int(value: &[u8]) -> Result<i32, Errno> {
    value
        .first_chunk()
        .map(|bytes| i32::from_ne_bytes(*bytes))
        .ok_or(Errno::EINVAL)
}

/// As the program gets an int.
pub fn int_out(value: i32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

fn time(value: &[u8]) -> Result<u64, Errno> {
    let (Some(seconds), Some(micros)) = (value.first_chunk(), value.get(8..TIMEVAL_SIZE)) else {
        return Err(Errno::EINVAL);
    };
    let seconds = i64::from_ne_bytes(*seconds);
    let micros = micros
        .first_chunk()
        .map_or(0, |bytes| i64::from_ne_bytes(*bytes));
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EDOM);
    }
    // Less than nothing is no time at all: the shortest wait.
    let Ok(seconds) = u64::try_from(seconds) else {
        return Ok(1);
    };
    Ok(seconds
        .saturating_mul(SECOND)
        .saturating_add(micros.unsigned_abs() * 1000))
}

fn time_out(timeout: &AtomicU64) -> Vec<u8> {
    let timeout = timeout.load(Ordering::Relaxed);
    let mut out = (timeout / SECOND).to_ne_bytes().to_vec();
    out.extend_from_slice(&(timeout % SECOND / 1000).to_ne_bytes());
    out
}

fn set_buffer(to: &AtomicU32, value: i32, min: u32, max: u32) {
    let value = value.cast_unsigned().min(max);
    to.store(value.saturating_mul(2).max(min), Ordering::Relaxed);
}

/// SO_SNDBUF as it is told.
pub fn send_buffer(common: &Common) -> u32 {
    match common.send_buffer.load(Ordering::Relaxed) {
        0 if common.protocol == abi::IPPROTO_TCP as u32 => TCP_SEND_DEFAULT,
        0 => BUFFER_DEFAULT,
        size => size,
    }
}

/// SO_RCVBUF as it is told.
pub fn receive_buffer(common: &Common) -> u32 {
    match common.receive_buffer.load(Ordering::Relaxed) {
        0 if common.protocol == abi::IPPROTO_TCP as u32 => TCP_RECEIVE_DEFAULT,
        0 => BUFFER_DEFAULT,
        size => size,
    }
}

fn privileged() -> bool {
    task::credentials().privileged()
}

/// Whether a socket has options of a level, which is told before anything of theirs is looked at.
///
/// # Errors
/// EOPNOTSUPP, ENOPROTOOPT.
pub fn check_level(common: &Common, level: u32, setting: bool) -> Result<(), Errno> {
    let own = match common.family {
        abi::AF_UNIX => return Err(Errno::EOPNOTSUPP),
        abi::AF_INET => level == abi::SOL_IP || level == common.protocol,
        abi::AF_INET6 => matches!(level, abi::SOL_IP | abi::SOL_IPV6) || level == common.protocol,
        _ => level == abi::SOL_NETLINK,
    };
    match (own, common.family) {
        (true, _) => Ok(()),
        (false, abi::AF_INET) if !setting => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// setsockopt(2) at SOL_SOCKET.
///
/// # Errors
/// EINVAL, EDOM, EPERM, ENOPROTOOPT.
pub fn set(socket: &Socket, name: u32, value: &[u8]) -> Result<(), Errno> {
    let common = &socket.common;
    match name {
        abi::SO_LINGER => return set_linger(common, value),
        abi::SO_RCVTIMEO_OLD | abi::SO_RCVTIMEO_NEW => {
            common
                .receive_timeout
                .store(time(value)?, Ordering::Relaxed);
            return Ok(());
        }
        abi::SO_SNDTIMEO_OLD | abi::SO_SNDTIMEO_NEW => {
            common.send_timeout.store(time(value)?, Ordering::Relaxed);
            return Ok(());
        }
        abi::SO_ATTACH_FILTER | abi::SO_DETACH_FILTER | abi::SO_LOCK_FILTER
            if common.protocol == abi::IPPROTO_UDP as u32 =>
        {
            let protocol = socket.protocol();
            return protocol.set_option(common, abi::SOL_SOCKET, name, value);
        }
        abi::SO_ATTACH_FILTER | abi::SO_ATTACH_BPF | abi::SO_BINDTODEVICE => {
            return super::interface::set_device_option(name, value);
        }
        _ => {}
    }
    let number = int(value)?;
    if let Some(bit) = bit(name) {
        let unix = common.family == abi::AF_UNIX;
        let netlink = common.family == abi::AF_NETLINK;
        match name {
            abi::SO_REUSEPORT if unix => return Err(Errno::EOPNOTSUPP),
            abi::SO_PASSCRED if !unix && !netlink => return Err(Errno::EOPNOTSUPP),
            abi::SO_DEBUG if number != 0 && !privileged() => return Err(Errno::EACCES),
            // One of the two.
            abi::SO_TIMESTAMP | abi::SO_TIMESTAMPNS => common.set(ANY_TIMESTAMP, false),
            _ => {}
        }
        common.set(bit, number != 0);
        socket.protocol().options_changed(common);
        return Ok(());
    }
    match name {
        abi::SO_SNDBUF => set_buffer(&common.send_buffer, number, SEND_MIN, BUFFER_MAX),
        abi::SO_RCVBUF => set_buffer(&common.receive_buffer, number, RECEIVE_MIN, BUFFER_MAX),
        abi::SO_SNDBUFFORCE | abi::SO_RCVBUFFORCE if !privileged() => return Err(Errno::EPERM),
        abi::SO_SNDBUFFORCE => set_buffer(&common.send_buffer, number.max(0), SEND_MIN, 1 << 30),
        abi::SO_RCVBUFFORCE => {
            set_buffer(&common.receive_buffer, number.max(0), RECEIVE_MIN, 1 << 30);
        }
        abi::SO_RCVLOWAT => {
            let value = match number {
                0 => 1,
                ..0 => i32::MAX,
                value => value,
            };
            common
                .low_water
                .store(value.cast_unsigned(), Ordering::Relaxed);
        }
        abi::SO_PRIORITY => {
            if !(0..=6).contains(&number) && !privileged() {
                return Err(Errno::EPERM);
            }
            common
                .priority
                .store(number.cast_unsigned(), Ordering::Relaxed);
        }
        abi::SO_MARK if !privileged() => return Err(Errno::EPERM),
        abi::SO_MARK => common.mark.store(number.cast_unsigned(), Ordering::Relaxed),
        // Nothing to detach; polling of devices, the CPU of a queue: nothing to do.
        abi::SO_DETACH_FILTER => return Err(Errno::ENOENT),
        abi::SO_BUSY_POLL
        | abi::SO_INCOMING_CPU
        | abi::SO_MAX_PACING_RATE
        | abi::SO_TXREHASH
        | abi::SO_PREFER_BUSY_POLL => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    socket.protocol().options_changed(common);
    Ok(())
}

fn set_linger(common: &Common, value: &[u8]) -> Result<(), Errno> {
    let on = int(value)? != 0;
    let seconds = int(value.get(4..).unwrap_or(&[]))?;
    let value = if on { seconds.max(0) } else { -1 };
    common.linger.store(value, Ordering::Relaxed);
    Ok(())
}

/// getsockopt(2) at SOL_SOCKET.
///
/// # Errors
/// ENOPROTOOPT.
pub fn get(socket: &Socket, name: u32) -> Result<Vec<u8>, Errno> {
    let common = &socket.common;
    if let Some(bit) = bit(name) {
        if name == abi::SO_PASSCRED && !matches!(common.family, abi::AF_UNIX | abi::AF_NETLINK) {
            return Err(Errno::EOPNOTSUPP);
        }
        return Ok(int_out(i32::from(common.has(bit))));
    }
    let value = match name {
        abi::SO_TYPE => common.kind,
        abi::SO_DOMAIN => common.family,
        abi::SO_PROTOCOL => common.protocol,
        abi::SO_ERROR => {
            let error = common.events.take_error();
            error.map_or(0, |errno| errno.number().cast_unsigned())
        }
        abi::SO_ACCEPTCONN => u32::from(socket.protocol().listens()),
        abi::SO_SNDBUF => send_buffer(common),
        abi::SO_RCVBUF => receive_buffer(common),
        abi::SO_RCVLOWAT => common.low_water.load(Ordering::Relaxed),
        abi::SO_SNDLOWAT => 1,
        abi::SO_PRIORITY => common.priority.load(Ordering::Relaxed),
        abi::SO_MARK => common.mark.load(Ordering::Relaxed),
        abi::SO_LOCK_FILTER if common.protocol == abi::IPPROTO_UDP as u32 => {
            let protocol = socket.protocol();
            return protocol.option(common, abi::SOL_SOCKET, name, 4);
        }
        abi::SO_BUSY_POLL | abi::SO_LOCK_FILTER | abi::SO_PREFER_BUSY_POLL => 0,
        abi::SO_INCOMING_CPU => u32::MAX,
        abi::SO_RCVTIMEO_OLD | abi::SO_RCVTIMEO_NEW => {
            return Ok(time_out(&common.receive_timeout));
        }
        abi::SO_SNDTIMEO_OLD | abi::SO_SNDTIMEO_NEW => return Ok(time_out(&common.send_timeout)),
        abi::SO_LINGER => {
            let linger = common.linger.load(Ordering::Relaxed);
            let mut out = int_out(i32::from(linger >= 0));
            out.extend_from_slice(&linger.max(0).to_ne_bytes());
            return Ok(out);
        }
        abi::SO_COOKIE => return Ok(common.inode().to_ne_bytes().to_vec()),
        abi::SO_PEERNAME => {
            let remote = socket.protocol().remote()?;
            return Ok(ringo_net::sockaddr::encode(&remote));
        }
        abi::SO_BINDTODEVICE => return Ok(Vec::new()),
        abi::SO_PEERCRED if common.family != abi::AF_UNIX => {
            return Ok(Credentials::NOBODY.bytes().to_vec());
        }
        _ if common.family == abi::AF_UNIX => {
            return socket.protocol().option(common, abi::SOL_SOCKET, name, 0);
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    Ok(int_out(value.cast_signed()))
}
