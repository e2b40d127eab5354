//! What a kind of socket does: the calls that reach it ([`Protocol`]), and what they bring and take.
use super::socket::{Common, Socket};
use crate::fs::PollEvents;
use crate::memory::user::UserIo;
use alloc::vec::Vec;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};
use ringo_net::sockaddr::Given;
use ringo_net::{Address, control};

/// A half or both of a connection: shutdown(2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// SHUT_RD.
    pub reading: bool,
    /// SHUT_WR.
    pub writing: bool,
}

/// How a send-like call wants it.
#[derive(Default)]
pub struct Sending {
    /// MSG_*.
    pub flags: u32,
    /// Fails rather than waits.
    pub nonblocking: bool,
    /// Where to, if not to the connected peer. An empty one is one, too, to some.
    pub to: Option<Given>,
    /// What came as control data.
    pub control: super::message::SendControl,
}

impl Sending {
    /// Where to, for those to whom an empty address is none.
    pub fn addressed(&self) -> Option<&Given> {
        self.to.as_ref().filter(|to| !to.is_empty())
    }
}

/// How a receive-like call wants it, and what it learns beside the bytes.
#[derive(Default)]
pub struct Receiving {
    /// MSG_*.
    pub flags: u32,
    /// Fails rather than waits.
    pub nonblocking: bool,
    /// Whether somebody wants `from`.
    pub wants_address: bool,
    /// Who sent it, if the protocol tells.
    pub from: Option<Address>,
    /// MSG_TRUNC and kin, as recvmsg(2) tells them.
    pub out_flags: u32,
    /// Control data for the program.
    pub control: control::Writer,
}

impl Receiving {
    /// Has the flag.
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Copies a datagram to the program, as much as there is room for.
    pub fn copy(&mut self, io: &mut UserIo, datagram: &[u8]) -> Copied {
        let length = datagram.len();
        let wanted = length.min(io.remaining());
        if wanted < length {
            self.out_flags |= abi::MSG_TRUNC;
        }
        Copied {
            length,
            wanted,
            went: io.copy_out(&datagram[..wanted]),
        }
    }
}

/// A datagram that was copied, and how that went: what is left to do may come between, since it is taken either way.
pub struct Copied {
    length: usize,
    wanted: usize,
    went: SysResult,
}

impl Copied {
    /// What recv(2) gives.
    ///
    /// # Errors
    /// EFAULT if the program's memory ended.
    pub fn result(self, how: &Receiving) -> SysResult {
        if self.went? < self.wanted {
            return Err(Errno::EFAULT);
        }
        Ok(if how.has(abi::MSG_TRUNC) {
            self.length
        } else {
            self.wanted
        })
    }
}

/// What one kind of socket does. Methods may block and touch the program's memory.
pub trait Protocol: Send + Sync {
    /// bind(2).
    ///
    /// # Errors
    /// As bind(2).
    fn bind(&self, common: &Common, address: &Given) -> Result<(), Errno>;

    /// listen(2).
    ///
    /// # Errors
    /// EOPNOTSUPP for what has no connections.
    fn listen(&self, _common: &Common, _backlog: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// accept(2).
    ///
    /// # Errors
    /// EOPNOTSUPP, EINVAL without listen(2), EAGAIN.
    fn accept(&self, _common: &Common, _nonblocking: bool) -> Result<Socket, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// connect(2).
    ///
    /// # Errors
    /// As connect(2).
    fn connect(&self, common: &Common, to: &Given, nonblocking: bool) -> Result<(), Errno>;

    /// send(2) and kin.
    ///
    /// # Errors
    /// As send(2).
    fn send(&self, common: &Common, io: &mut UserIo, how: &Sending) -> SysResult;

    /// recv(2) and kin.
    ///
    /// # Errors
    /// As recv(2).
    fn receive(&self, common: &Common, io: &mut UserIo, how: &mut Receiving) -> SysResult;

    /// shutdown(2).
    ///
    /// # Errors
    /// ENOTCONN.
    fn shutdown(&self, common: &Common, halves: Halves) -> Result<(), Errno>;

    /// getsockname(2).
    fn local(&self) -> Address;

    /// getpeername(2).
    ///
    /// # Errors
    /// ENOTCONN.
    fn remote(&self) -> Result<Address, Errno>;

    /// Readiness.
    fn poll(&self, common: &Common) -> PollEvents;

    /// An option of the protocol's own levels.
    ///
    /// # Errors
    /// ENOPROTOOPT, EINVAL.
    fn set_option(
        &self,
        _common: &Common,
        _level: u32,
        _name: u32,
        _value: &[u8],
    ) -> Result<(), Errno> {
        Err(Errno::ENOPROTOOPT)
    }

    /// The value of such an option; `length` is what the program has room for.
    ///
    /// # Errors
    /// ENOPROTOOPT.
    fn option(
        &self,
        _common: &Common,
        _level: u32,
        _name: u32,
        _length: usize,
    ) -> Result<Vec<u8>, Errno> {
        Err(Errno::ENOPROTOOPT)
    }

    /// A buffer size or another option of SOL_SOCKET changed.
    fn options_changed(&self, _common: &Common) {}

    /// FIONREAD.
    ///
    /// # Errors
    /// EINVAL for what listens.
    fn readable_bytes(&self) -> SysResult;

    /// SIOCOUTQ.
    ///
    /// # Errors
    /// EINVAL for what listens.
    fn unsent_bytes(&self) -> SysResult {
        Ok(0)
    }

    /// Whether it listens (SO_ACCEPTCONN).
    fn listens(&self) -> bool {
        false
    }

    /// The last descriptor is gone.
    fn close(&self, common: &Common);
}
