//! The filter of a socket (SO_ATTACH_FILTER): kept here, checked and run by ringo_net.
//!
//! A datagram pays one load of `on` where there is none. Who delivers one runs the filter without any lock: it holds the
//! program by a reference while it does, so that another one can be attached meanwhile.
//! Source: socket(7), Linux net/core/filter.c.
use super::interface::LOOPBACK_INDEX;
use super::options::int;
use crate::cpu::percpu;
use crate::fs::dev::random;
use crate::memory::{spare, user};
use crate::sync::SpinLock;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::net as abi;
use ringo_abi::Errno;
use ringo_net::filter::{Filter, LENGTH_MAX, Packet, SIZE};
use ringo_net::packet::UDP_HEADER;

/// struct sock_fprog: the number of instructions, and where they are.
const PROGRAM_SIZE: usize = 16;

/// ETH_P_IP and ETH_P_IPV6.
const IP_V4: u16 = 0x800;
const IP_V6: u16 = 0x86dd;
/// ARPHRD_ETHER and ARPHRD_LOOPBACK.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// What a socket holds.
pub struct Slot {
    on: AtomicBool,
    locked: AtomicBool,
    filter: SpinLock<Option<Arc<Filter>>>,
}

impl Slot {
    /// Without a filter.
    pub const fn new() -> Self {
        Self {
            on: AtomicBool::new(false),
            locked: AtomicBool::new(false),
            filter: SpinLock::new(None),
        }
    }

    fn may_change(&self) -> Result<(), Errno> {
        match self.locked.load(Ordering::Relaxed) {
            true => Err(Errno::EPERM),
            false => Ok(()),
        }
    }

    fn put(&self, filter: Option<Arc<Filter>>) -> Option<Arc<Filter>> {
        self.on.store(filter.is_some(), Ordering::Relaxed);
        core::mem::replace(&mut *self.filter.lock(), filter)
    }

    /// SO_ATTACH_FILTER.
    ///
    /// # Errors
    /// EINVAL, EFAULT, ENOMEM; EPERM after SO_LOCK_FILTER.
    fn attach(&self, value: &[u8]) -> Result<(), Errno> {
        let (length, at) = match value.as_chunks::<8>().0 {
            [length, at] if value.len() == PROGRAM_SIZE => {
                (u16::from_ne_bytes([length[0], length[1]]), at)
            }
            _ => return Err(Errno::EINVAL),
        };
        self.may_change()?;
        let (length, at) = (usize::from(length), usize::from_ne_bytes(*at));
        if at == 0 || !(1..=LENGTH_MAX).contains(&length) {
            return Err(Errno::EINVAL);
        }
        // Twice: as it is read, and as it is kept.
        spare::check_bytes(2 * length * SIZE)?;
        let mut program = spare::zeros(length * SIZE)?;
        user::copy_in(&mut program, at)?;
        self.put(Some(Arc::new(Filter::new(&program)?)));
        Ok(())
    }

    /// SO_DETACH_FILTER.
    ///
    /// # Errors
    /// ENOENT if there is none; EPERM after SO_LOCK_FILTER.
    fn detach(&self) -> Result<(), Errno> {
        self.may_change()?;
        self.put(None).map(drop).ok_or(Errno::ENOENT)
    }

    /// setsockopt(2) for one of these three.
    ///
    /// # Errors
    /// As they have it; EPERM for opening the lock, ENOPROTOOPT for another option.
    pub fn set(&self, name: u32, value: &[u8]) -> Result<(), Errno> {
        match name {
            abi::SO_ATTACH_FILTER => self.attach(value),
            _ if int(value)? == 0 && name == abi::SO_LOCK_FILTER => self.may_change(),
            abi::SO_DETACH_FILTER => self.detach(),
            abi::SO_LOCK_FILTER => {
                self.locked.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// Whether SO_LOCK_FILTER was set.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// How much of a datagram's `data`, sent between these `ports` and come by interface `index`, goes to the socket; None if
    /// it is dropped. The filter sees a header of UDP before the data; only its checksum is not there.
    pub fn pass(&self, ports: [u16; 2], data: &[u8], v6: bool, index: u32) -> Option<usize> {
        if !self.on.load(Ordering::Relaxed) {
            return Some(data.len());
        }
        let Some(filter) = self.filter.lock().clone() else {
            return Some(data.len());
        };
        let length = (UDP_HEADER + data.len()) as u16;
        let mut header = [0; UDP_HEADER];
        let words = header.as_chunks_mut::<2>().0;
        for (to, word) in words.iter_mut().zip([ports[0], ports[1], length]) {
            *to = word.to_be_bytes();
        }
        let kept = filter.run(&Packet {
            header: &header,
            data,
            protocol: if v6 { IP_V6 } else { IP_V4 },
            interface: index,
            hardware: match index {
                LOOPBACK_INDEX => LOOPBACK,
                _ => ETHERNET,
            },
            cpu: percpu::this_cpu().id() as u32,
            random: || random::word() as u32,
        });
        // The header is always kept.
        (kept > 0).then(|| (kept as usize).saturating_sub(header.len()).min(data.len()))
    }
}
