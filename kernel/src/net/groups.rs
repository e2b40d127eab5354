//! Groups that sockets of this machine are in, by interface: the card's and loopback's.
//!
//! On the card a group is told to routers and switches by [`ringo_net::groups`] (IGMP, MLD), and only what is for a group that
//! somebody is in gets in. One spin lock for each interface and family, a leaf, held for a look-up; a report is sent behind it.
use super::interface::{CARD_INDEX, LOOPBACK_INDEX};
use super::ip;
use crate::sync::SpinLock;
use alloc::vec::Vec;
use core::net::IpAddr;
use ringo_abi::Errno;
use ringo_net::groups::Groups;
use spin::Lazy;

/// Loopback's, of which nobody is told.
static LOOPBACK: Lazy<SpinLock<Groups>> = Lazy::new(SpinLock::default);

/// One more socket joins a group at an interface.
///
/// # Errors
/// ENOBUFS, ENODEV.
pub fn join(group: IpAddr, index: u32) -> Result<(), Errno> {
    match (index, ip::network()) {
        (LOOPBACK_INDEX, _) => match LOOPBACK.lock().join(group, 0, 0) {
            (true, _) => Ok(()),
            (false, _) => Err(Errno::ENOBUFS),
        },
        (CARD_INDEX, Some(network)) => network.join_group(group),
        _ => Err(Errno::ENODEV),
    }
}

/// A socket leaves a group that it has joined.
pub fn leave(group: IpAddr, index: u32) {
    match (index, ip::network()) {
        (LOOPBACK_INDEX, _) => {
            let _ = LOOPBACK.lock().leave(group, 0, 0);
        }
        (_, Some(network)) => network.leave_group(group),
        _ => {}
    }
}

/// Whether some socket is in a group at an interface.
pub fn has(group: IpAddr, index: u32) -> bool {
    match (index, ip::network()) {
        (CARD_INDEX, Some(network)) => network.is_member(group),
        _ => LOOPBACK.lock().has(group),
    }
}

/// Groups of an interface and how many are in each, for one family; in order.
pub fn list(index: u32, v6: bool) -> Vec<(IpAddr, u32)> {
    let all: Vec<(IpAddr, u32)> = match (index, ip::network()) {
        (CARD_INDEX, Some(network)) => network.groups(v6),
        _ => LOOPBACK.lock().iter().collect(),
    };
    let mut all: Vec<_> = all
        .into_iter()
        .filter(|(group, _)| group.is_ipv6() == v6)
        .collect();
    all.sort_unstable();
    all
}
