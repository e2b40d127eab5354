//! Sockets: arguments of socket(2), sendmsg(2), setsockopt(2) and kin.
use super::file::with_sigpipe;
use crate::fs::OpenFile;
use crate::fs::fd::{self, Reserved};
use crate::memory::spare;
use crate::memory::user::{self, RW_MAX, UserIo};
use crate::net::message::SendControl;
use crate::net::options;
use crate::net::socket::{Halves, Receiving, SOCK_CLOEXEC, SOCK_NONBLOCK, Sending, Socket};
use crate::net::{self};
use crate::sync::SlotRef;
use crate::time;
use crate::time::convert::read_deadline;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::sockaddr::{self, Given};
use ringo_net::{Address, control};

/// struct msghdr and struct mmsghdr.
const HEADER_SIZE: usize = 56;
const MULTI_SIZE: usize = 64;
/// The most messages of one call (UIO_MAXIOV).
const MESSAGES_MAX: u32 = 1024;
/// The most control data a call takes (net.core.optmem_max).
const CONTROL_MAX: usize = 131_072;
/// The longest value of an option.
const OPTION_MAX: usize = 4096;
/// MSG_WAITFORONE, MSG_CMSG_CLOEXEC and the like that linux-raw-sys may have as other types.
const MSG_WAITFORONE: u32 = 0x10000;

/// A descriptor that is a socket.
struct Handle(SlotRef<OpenFile>);

impl Handle {
    fn get(fd: i32) -> Result<Self, Errno> {
        Self::of(fd::usable(fd)?)
    }

    fn of(file: SlotRef<OpenFile>) -> Result<Self, Errno> {
        match file.ops.downcast::<Socket>() {
            Some(_) => Ok(Self(file)),
            None => Err(Errno::ENOTSOCK),
        }
    }

    fn socket(&self) -> Result<&Socket, Errno> {
        self.0.ops.downcast().ok_or(Errno::ENOTSOCK)
    }

    fn nonblocking(&self, flags: u32) -> bool {
        flags & abi::MSG_DONTWAIT != 0 || self.0.nonblocking()
    }
}

/// Reads an address of the program's.
fn address_in(at: usize, length: u32) -> Result<Given, Errno> {
    Given::read(length, |bytes| user::copy_in(bytes, at))
}

/// Writes an address to the program, cut to the length it gave; that becomes the address's whole length.
fn address_out(address: &Address, at: usize, length_at: usize) -> Result<(), Errno> {
    name_out(&sockaddr::encode(address), at, length_at)
}

/// The same for an address's bytes, of which there may be none.
fn name_out(bytes: &[u8], at: usize, length_at: usize) -> Result<(), Errno> {
    let room: i32 = user::read(length_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    user::copy_out(at, &bytes[..room.min(bytes.len())])?;
    user::write(length_at, &(bytes.len() as u32))
}

/// (type, flags) of a socket(2)-like call.
fn split_kind(kind: u32) -> Result<(u32, u32), Errno> {
    let (kind, flags) = (kind & 0xf, kind & !0xf);
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((kind, flags))
}

/// socket(2).
pub fn socket(family: u32, kind: u32, protocol: u32) -> SysResult {
    let (kind, flags) = split_kind(kind)?;
    net::socket(family, kind, protocol)?.install(flags)
}

/// bind(2).
pub fn bind(fd: i32, address: usize, length: u32) -> SysResult {
    let handle = Handle::get(fd)?;
    let address = address_in(address, length)?;
    let socket = handle.socket()?;
    socket.protocol().bind(&socket.common, &address)?;
    Ok(0)
}

/// listen(2).
pub fn listen(fd: i32, backlog: i32) -> SysResult {
    let handle = Handle::get(fd)?;
    let socket = handle.socket()?;
    socket.protocol().listen(&socket.common, backlog)?;
    Ok(0)
}

/// accept(2).
pub fn accept(fd: i32, address: usize, length: usize) -> SysResult {
    accept4(fd, address, length, 0)
}

/// accept4(2).
pub fn accept4(fd: i32, address: usize, length: usize, flags: u32) -> SysResult {
    let file = fd::usable(fd)?;
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let handle = Handle::of(file)?;
    let socket = handle.socket()?;
    // Before a connection is taken, which could not be put back.
    let descriptor = Reserved::new()?;
    let nonblocking = handle.nonblocking(0);
    let accepted = socket.protocol().accept(&socket.common, nonblocking)?;
    if address != 0 {
        let remote = accepted.protocol().remote();
        // It may be over already: then it has no other end to tell.
        let remote = remote.unwrap_or(Address::Unspecified);
        address_out(&remote, address, length)?;
    }
    Ok(accepted.install_in(descriptor, flags))
}

/// connect(2).
pub fn connect(fd: i32, address: usize, length: u32) -> SysResult {
    let file = fd::usable(fd)?;
    let address = address_in(address, length)?;
    let handle = Handle::of(file)?;
    let socket = handle.socket()?;
    let nonblocking = handle.nonblocking(0);
    socket
        .protocol()
        .connect(&socket.common, &address, nonblocking)?;
    Ok(0)
}

/// getsockname(2).
pub fn getsockname(fd: i32, address: usize, length: usize) -> SysResult {
    let handle = Handle::get(fd)?;
    let local = handle.socket()?.protocol().local();
    address_out(&local, address, length)?;
    Ok(0)
}

/// getpeername(2).
pub fn getpeername(fd: i32, address: usize, length: usize) -> SysResult {
    let handle = Handle::get(fd)?;
    let remote = handle.socket()?.protocol().remote()?;
    address_out(&remote, address, length)?;
    Ok(0)
}

/// shutdown(2).
pub fn shutdown(fd: i32, how: u32) -> SysResult {
    let handle = Handle::get(fd)?;
    let socket = handle.socket()?;
    // Netlink's have no halves, and don't look.
    if how > abi::SHUT_RDWR && socket.common.family != abi::AF_NETLINK {
        return Err(Errno::EINVAL);
    }
    let halves = Halves {
        reading: how != abi::SHUT_WR,
        writing: how != abi::SHUT_RD,
    };
    socket.protocol().shutdown(&socket.common, halves)?;
    Ok(0)
}

/// With a signal for a broken pipe, unless the call does not want it.
fn sent(handle: &Handle, result: SysResult, flags: u32) -> SysResult {
    if flags & abi::MSG_NOSIGNAL == 0 {
        with_sigpipe(&handle.0, result)
    } else {
        result
    }
}

/// sendto(2).
pub fn sendto(
    fd: i32,
    buf: usize,
    count: usize,
    flags: u32,
    address: usize,
    length: u32,
) -> SysResult {
    let mut io = UserIo::single(buf, count.min(RW_MAX))?;
    let handle = Handle::get(fd)?;
    let to = match address {
        0 => None,
        at => Some(address_in(at, length)?),
    };
    let how = Sending {
        flags,
        nonblocking: handle.nonblocking(flags),
        to,
        control: SendControl::default(),
    };
    sent(&handle, handle.socket()?.send(&mut io, &how), flags)
}

/// recvfrom(2).
pub fn recvfrom(
    fd: i32,
    buf: usize,
    count: usize,
    flags: u32,
    address: usize,
    length: usize,
) -> SysResult {
    let mut io = UserIo::single(buf, count.min(RW_MAX))?;
    let handle = Handle::get(fd)?;
    let mut how = Receiving {
        flags,
        nonblocking: handle.nonblocking(flags),
        wants_address: address != 0,
        ..Receiving::default()
    };
    let got = handle.socket()?.receive(&mut io, &mut how)?;
    if address != 0 {
        match &how.from {
            Some(from) => address_out(from, address, length)?,
            None => name_out(&[], address, length)?,
        }
    }
    Ok(got)
}

/// struct msghdr.
struct Header {
    name: usize,
    name_length: u32,
    iov: usize,
    iov_count: usize,
    control: usize,
    control_length: usize,
}

impl Header {
    fn read(at: usize) -> Result<Self, Errno> {
        let words: [usize; HEADER_SIZE / 8] = user::read(at)?;
        let [
            name,
            name_length,
            iov,
            iov_count,
            control,
            control_length,
            _,
        ] = words;
        let name_length = if name == 0 { 0 } else { name_length as u32 };
        if name_length.cast_signed() < 0 {
            return Err(Errno::EINVAL);
        }
        if iov_count > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        Ok(Self {
            name,
            name_length,
            iov,
            iov_count,
            control,
            control_length,
        })
    }

    fn send(&self, handle: &Handle, flags: u32) -> SysResult {
        let socket = handle.socket()?;
        let to = match (self.name, self.name_length) {
            (0, _) | (_, 0) => None,
            (at, length) => Some(address_in(at, length.min(sockaddr::MAX as u32))?),
        };
        let control = match (self.control, self.control_length) {
            (0, _) | (_, 0) => SendControl::default(),
            (at, length) if length <= CONTROL_MAX => {
                let mut bytes = spare::zeros(length).map_err(|_| Errno::ENOBUFS)?;
                user::copy_in(&mut bytes, at)?;
                SendControl::parse(&bytes, socket.common.family)
            }
            _ => return Err(Errno::ENOBUFS),
        };
        let how = Sending {
            flags,
            nonblocking: handle.nonblocking(flags),
            to,
            control,
        };
        let mut io = UserIo::vector(self.iov, self.iov_count)?;
        sent(handle, socket.send(&mut io, &how), flags)
    }

    /// Receives, and writes what recvmsg(2) changes in the header at `at`.
    fn receive(&self, handle: &Handle, flags: u32, at: usize) -> SysResult {
        const NAME_LENGTH: usize = 8;
        const CONTROL_LENGTH: usize = 40;
        const FLAGS: usize = 48;
        let room = match self.control {
            0 => 0,
            _ => self.control_length.min(CONTROL_MAX),
        };
        let mut how = Receiving {
            flags,
            nonblocking: handle.nonblocking(flags),
            wants_address: self.name != 0,
            control: control::Writer::new(room),
            ..Receiving::default()
        };
        let mut io = UserIo::vector(self.iov, self.iov_count)?;
        let got = handle.socket()?.receive(&mut io, &mut how)?;
        if self.name != 0 {
            let bytes = how.from.as_ref().map(sockaddr::encode).unwrap_or_default();
            let cut = (self.name_length as usize).min(bytes.len());
            user::copy_out(self.name, &bytes[..cut])?;
            user::write(at + NAME_LENGTH, &(bytes.len() as u32))?;
        }
        user::copy_out(self.control, how.control.bytes())?;
        user::write(at + CONTROL_LENGTH, &how.control.bytes().len())?;
        let mut told = how.out_flags | flags & abi::MSG_CMSG_CLOEXEC;
        if how.control.truncated() {
            told |= abi::MSG_CTRUNC;
        }
        user::write(at + FLAGS, &told)?;
        Ok(got)
    }
}

/// The calls on messages have a flag of their own for messages of 32 bits, which no program sets.
fn refuse_compat(flags: u32) -> Result<(), Errno> {
    const MSG_CMSG_COMPAT: u32 = 1 << 31;
    match flags & MSG_CMSG_COMPAT {
        0 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// sendmsg(2).
pub fn sendmsg(fd: i32, message: usize, flags: u32) -> SysResult {
    refuse_compat(flags)?;
    let handle = Handle::get(fd)?;
    Header::read(message)?.send(&handle, flags)
}

/// recvmsg(2).
pub fn recvmsg(fd: i32, message: usize, flags: u32) -> SysResult {
    refuse_compat(flags)?;
    let handle = Handle::get(fd)?;
    Header::read(message)?.receive(&handle, flags, message)
}

/// Runs `one` on each message of a vector until one fails; gives how many did not. Each one's length is noted in it.
fn each_message(
    vector: usize,
    count: u32,
    mut one: impl FnMut(usize, usize) -> Result<Option<usize>, Errno>,
) -> SysResult {
    let mut done = 0;
    while done < count.min(MESSAGES_MAX) as usize {
        let at = vector.checked_add(done * MULTI_SIZE).ok_or(Errno::EFAULT)?;
        let step = one(at, done).and_then(|length| match length {
            Some(length) => user::write(at + HEADER_SIZE, &(length as u32)).map(|()| true),
            None => Ok(false),
        });
        match step {
            Ok(true) => done += 1,
            Ok(false) => break,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// sendmmsg(2).
pub fn sendmmsg(fd: i32, vector: usize, count: u32, flags: u32) -> SysResult {
    refuse_compat(flags)?;
    let handle = Handle::get(fd)?;
    each_message(vector, count, |at, _| {
        Header::read(at)?.send(&handle, flags).map(Some)
    })
}

/// recvmmsg(2): the time-out is looked at between messages, as on Linux.
pub fn recvmmsg(fd: i32, vector: usize, count: u32, flags_given: u32, timeout: usize) -> SysResult {
    refuse_compat(flags_given)?;
    let deadline = match timeout {
        0 => None,
        at => read_deadline(at)?,
    };
    let handle = Handle::get(fd)?;
    each_message(vector, count, |at, done| {
        if done > 0 && deadline.is_some_and(|deadline| time::now() >= deadline) {
            return Ok(None);
        }
        let mut flags = flags_given & !MSG_WAITFORONE;
        if done > 0 && flags_given & MSG_WAITFORONE != 0 {
            flags |= abi::MSG_DONTWAIT;
        }
        Header::read(at)?.receive(&handle, flags, at).map(Some)
    })
}

/// socketpair(2).
pub fn socketpair(family: u32, kind: u32, protocol: u32, fds: usize) -> SysResult {
    let (kind, flags) = split_kind(kind)?;
    // Where the numbers go is looked at before there are any.
    user::write(fds, &[-1i32; 2])?;
    let (first, second) = net::socket_pair(family, kind, protocol)?;
    let first = first.install(flags)?;
    let second = second.install(flags).inspect_err(|_| {
        fd::table().remove(first as i32);
    })?;
    user::write(fds, &[first as i32, second as i32]).inspect_err(|_| {
        fd::table().remove(first as i32);
        fd::table().remove(second as i32);
    })?;
    Ok(0)
}

/// setsockopt(2).
pub fn setsockopt(fd: i32, level: u32, name: u32, value: usize, length: i32) -> SysResult {
    let handle = Handle::get(fd)?;
    let socket = handle.socket()?;
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    if level != abi::SOL_SOCKET {
        options::check_level(&socket.common, level, true)?;
    } else if length < size_of::<i32>() && name != abi::SO_BINDTODEVICE {
        return Err(Errno::EINVAL);
    }
    // A server sets five options of each connection: no allocation for what fits on the stack.
    let mut small = [0; 128];
    let mut large;
    let bytes = match small.get_mut(..length) {
        Some(bytes) => bytes,
        None => {
            large = spare::zeros(length.min(OPTION_MAX))?;
            &mut large[..]
        }
    };
    let whole = user::copy_in(bytes, value);
    let bytes = match bytes.first_chunk_mut::<4>() {
        // Most are an int, and no more than that needs to be there.
        Some(int) if whole.is_err() => {
            user::copy_in(int, value)?;
            &int[..]
        }
        _ => {
            whole?;
            bytes
        }
    };
    let went = match level {
        abi::SOL_SOCKET => options::set(socket, name, bytes),
        _ => {
            let protocol = socket.protocol();
            protocol.set_option(&socket.common, level, name, bytes)
        }
    };
    match (went, whole) {
        (Err(Errno::EINVAL), Err(fault)) => Err(fault),
        (went, _) => went.map(|()| 0),
    }
}

/// getsockopt(2).
pub fn getsockopt(fd: i32, level: u32, name: u32, value: usize, length_at: usize) -> SysResult {
    let handle = Handle::get(fd)?;
    let socket = handle.socket()?;
    if level != abi::SOL_SOCKET {
        options::check_level(&socket.common, level, false)?;
    }
    let room: i32 = user::read(length_at)?;
    let room = match level {
        // Where a negative length is a very large one.
        abi::SOL_IPV6 if socket.common.family == abi::AF_INET6 => room.cast_unsigned() as usize,
        _ => usize::try_from(room).map_err(|_| Errno::EINVAL)?,
    };
    let bytes = if level == abi::SOL_SOCKET {
        options::get(socket, name)?
    } else {
        let protocol = socket.protocol();
        protocol.option(&socket.common, level, name, room)?
    };
    // It may be cut, but not be shorter than what is asked for.
    if level == abi::SOL_SOCKET && name == abi::SO_PEERNAME && bytes.len() < room {
        return Err(Errno::EINVAL);
    }
    let cut = room.min(bytes.len());
    user::copy_out(value, &bytes[..cut])?;
    user::write(length_at, &(cut as u32))?;
    Ok(0)
}
