//! Control data of messages: what sendmsg(2) takes along, read into what protocols use.
use super::udp::UDP_SEGMENT;
use crate::fs::{OpenFile, fd};
use crate::sync::SlotRef;
use alloc::vec::Vec;
use core::net::IpAddr;
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::control;

/// The most descriptors in one message (SCM_MAX_FD).
const RIGHTS_MAX: usize = 253;

/// Who sent a message (struct ucred).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Credentials {
    /// Of a socket that nobody is behind.
    pub const NOBODY: Self = Self {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };

    /// The program's own.
    pub fn own() -> Self {
        let who = crate::task::credentials();
        Self {
            pid: crate::task::PID,
            uid: who.user.effective(),
            gid: who.group.effective(),
        }
    }

    /// As the program gets it.
    pub fn bytes(&self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..4].copy_from_slice(&self.pid.to_ne_bytes());
        out[4..8].copy_from_slice(&self.uid.to_ne_bytes());
        out[8..].copy_from_slice(&self.gid.to_ne_bytes());
        out
    }
}

/// What a message takes along.
#[derive(Default)]
pub struct SendControl {
    /// SCM_RIGHTS.
    pub rights: Vec<SlotRef<OpenFile>>,
    /// SCM_CREDENTIALS.
    pub credentials: Option<Credentials>,
    /// IP_PKTINFO, IPV6_PKTINFO: the address to send from, if it is given.
    pub source: Option<IpAddr>,
    /// IP_TTL, IPV6_HOPLIMIT.
    pub ttl: Option<u8>,
    /// IP_TOS, IPV6_TCLASS.
    pub tos: Option<u8>,
    /// UDP_SEGMENT: how long each datagram of a big one is.
    pub segment: Option<u16>,
    /// What is wrong with it.
    wrong: Option<Errno>,
}

impl SendControl {
    /// Whether it can be used: each protocol has something to look at before.
    ///
    /// # Errors
    /// EINVAL, EBADF, EPERM, ESRCH.
    pub fn check(&self) -> Result<(), Errno> {
        self.wrong.map_or(Ok(()), Err)
    }

    /// Reads control data for a socket of `family`.
    pub fn parse(from: &[u8], family: u32) -> Self {
        let mut control = Self::default();
        control.wrong = control.take(from, family).err();
        control
    }

    fn take(&mut self, from: &[u8], family: u32) -> Result<(), Errno> {
        for message in control::messages(from) {
            let message = message?;
            match message.level {
                abi::SOL_SOCKET => self.socket(&message, family)?,
                abi::SOL_IP if family == abi::AF_INET || family == abi::AF_INET6 => {
                    self.ip(&message)?;
                }
                abi::SOL_IPV6 if family == abi::AF_INET6 => self.ipv6(&message)?,
                abi::SOL_UDP if message.kind == UDP_SEGMENT => {
                    let bytes = message.data.first_chunk().ok_or(Errno::EINVAL)?;
                    self.segment = Some(u16::from_ne_bytes(*bytes));
                }
                // Other levels are not looked at.
                _ => {}
            }
        }
        Ok(())
    }

    fn socket(&mut self, message: &control::Message<'_>, family: u32) -> Result<(), Errno> {
        match message.kind {
            abi::SCM_RIGHTS if family == abi::AF_UNIX => {
                let (numbers, _) = message.data.as_chunks::<4>();
                if self.rights.len() + numbers.len() > RIGHTS_MAX {
                    return Err(Errno::EINVAL);
                }
                for number in numbers {
                    self.rights.push(fd::get(i32::from_ne_bytes(*number))?);
                }
                Ok(())
            }
            abi::SCM_CREDENTIALS if family == abi::AF_UNIX => {
                let ([pid, uid, gid], []) = message.data.as_chunks::<4>() else {
                    return Err(Errno::EINVAL);
                };
                let given = Credentials {
                    pid: i32::from_ne_bytes(*pid),
                    uid: u32::from_ne_bytes(*uid),
                    gid: u32::from_ne_bytes(*gid),
                };
                let own = Credentials::own();
                if given != own && own.uid != 0 {
                    return Err(Errno::EPERM);
                }
                if given.pid != own.pid {
                    return Err(Errno::ESRCH);
                }
                self.credentials = Some(given);
                Ok(())
            }
            abi::SCM_RIGHTS | abi::SCM_CREDENTIALS => Ok(()),
            abi::SO_MARK | abi::SO_TXTIME | abi::SO_TIMESTAMPING_OLD => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn ip(&mut self, message: &control::Message<'_>) -> Result<(), Errno> {
        match message.kind {
            abi::IP_PKTINFO => {
                // struct in_pktinfo: interface, the address to send from, the header's.
                let bytes = message.data.get(4..8).filter(|_| message.data.len() == 12);
                let bytes: [u8; 4] = bytes
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or(Errno::EINVAL)?;
                self.source = Some(IpAddr::from(bytes)).filter(|ip| !ip.is_unspecified());
            }
            abi::IP_TTL => match int(message.data)? {
                ttl @ 1..=255 => self.ttl = Some(ttl as u8),
                _ => return Err(Errno::EINVAL),
            },
            abi::IP_TOS => {
                let value = message.data.first().ok_or(Errno::EINVAL)?;
                self.tos = Some(*value);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    fn ipv6(&mut self, message: &control::Message<'_>) -> Result<(), Errno> {
        match message.kind {
            abi::IPV6_PKTINFO => {
                let bytes: [u8; 16] = message
                    .data
                    .first_chunk()
                    .copied()
                    .filter(|_| message.data.len() >= 20)
                    .ok_or(Errno::EINVAL)?;
                self.source = Some(IpAddr::from(bytes)).filter(|ip| !ip.is_unspecified());
            }
            abi::IPV6_HOPLIMIT => match int(message.data)? {
                -1 => {}
                limit @ 0..=255 => self.ttl = Some(limit as u8),
                _ => return Err(Errno::EINVAL),
            },
            abi::IPV6_TCLASS => match int(message.data)? {
                -1 => {}
                class @ 0..=255 => self.tos = Some(class as u8),
                _ => return Err(Errno::EINVAL),
            },
            abi::IPV6_DONTFRAG => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

fn int(data: &[u8]) -> Result<i32, Errno> {
    super::options::int(data)
}
