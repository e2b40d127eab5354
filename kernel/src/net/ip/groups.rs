//! Groups at the card: reports to who forwards them, and answers to who asks (IGMP and MLD, around [`ringo_net::groups`]).
use super::Network;
use crate::fs::dev::random;
use crate::sync::SpinLock;
use crate::time::{self, Timer, TimerCallback};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ringo_abi::Errno;
use ringo_net::groups::{Groups, Say};
use ringo_net::packet::{self, Membership};

/// Of both families.
pub struct Memberships {
    v4: SpinLock<Groups>,
    v6: SpinLock<Groups>,
    timer: Timer,
}

struct Due;

impl TimerCallback for Due {
    fn expired(&self) {
        if let Some(network) = super::network() {
            network.run_groups();
            network.nic.flush();
        }
    }
}

impl Memberships {
    /// Nobody is in any.
    pub fn new() -> Self {
        Self {
            v4: SpinLock::default(),
            v6: SpinLock::default(),
            timer: Timer::new(Arc::new(Due)),
        }
    }

    const fn of(&self, group: IpAddr) -> &SpinLock<Groups> {
        match group {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }
}

impl Network {
    /// One more is in a group.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn join_group(&self, group: IpAddr) -> Result<(), Errno> {
        let (joined, say) = self.enter_group(group);
        if let Some(say) = say {
            self.say_groups(&[say]);
            self.nic.flush();
        }
        joined
    }

    /// The same without a flush.
    pub(super) fn enter_group(&self, group: IpAddr) -> (Result<(), Errno>, Option<Say>) {
        let mut groups = self.memberships.of(group).lock();
        let (joined, say) = groups.join(group, time::now(), random::word() as u32);
        let due = groups.due();
        drop(groups);
        self.arm_groups(due);
        (joined.then_some(()).ok_or(Errno::ENOBUFS), say)
    }

    /// One less is.
    pub fn leave_group(&self, group: IpAddr) {
        let mut groups = self.memberships.of(group).lock();
        let say = groups.leave(group, time::now(), random::word() as u32);
        let due = groups.due();
        drop(groups);
        self.arm_groups(due);
        if let Some(say) = say {
            self.say_groups(&[say]);
            self.nic.flush();
        }
    }

    /// Whether somebody is.
    pub fn is_member(&self, group: IpAddr) -> bool {
        self.memberships.of(group).lock().has(group)
    }

    /// All groups of a family.
    pub fn groups(&self, v6: bool) -> Vec<(IpAddr, u32)> {
        let groups = if v6 {
            &self.memberships.v6
        } else {
            &self.memberships.v4
        };
        groups.lock().iter().collect()
    }

    /// The network is another, or there again: tells it of everything.
    pub(super) fn renew_groups(&self, v6: bool) {
        let groups = if v6 {
            &self.memberships.v6
        } else {
            &self.memberships.v4
        };
        groups.lock().renew(time::now());
        self.run_groups();
    }

    /// Somebody else speaks of groups.
    pub(super) fn heard_of_groups(&self, v6: bool, what: &Membership) {
        let groups = if v6 {
            &self.memberships.v6
        } else {
            &self.memberships.v4
        };
        let mut groups = groups.lock();
        match what {
            Membership::Query(query) => {
                groups.asked(query, time::now(), random::word() as u32);
            }
            Membership::Report(group) => groups.reported(*group, time::now()),
        }
        let due = groups.due();
        drop(groups);
        self.arm_groups(due);
    }

    fn arm_groups(&self, due: u64) {
        if due != u64::MAX {
            let both = [&self.memberships.v4, &self.memberships.v6];
            let first = both.map(|groups| groups.lock().due());
            self.memberships.timer.arm(due.min(first[0]).min(first[1]));
        }
    }

    /// Does what is due. A flush follows.
    fn run_groups(&self) {
        let mut first = u64::MAX;
        for groups in [&self.memberships.v4, &self.memberships.v6] {
            let mut groups = groups.lock();
            let says = groups.tick(time::now(), random::word() as u32);
            first = first.min(groups.due());
            drop(groups);
            self.say_groups(&says);
        }
        self.arm_groups(first);
    }

    /// Sends reports.
    pub(super) fn say_groups(&self, says: &[Say]) {
        for say in says {
            let group = match say {
                Say::Report(records) => records.first().map(|(_, group)| *group),
                Say::Old(group) | Say::OldLeft(group) => Some(*group),
            };
            let Some(group) = group else { continue };
            let from = match group {
                // None while there is none yet.
                IpAddr::V4(_) => self.address().unwrap_or(Ipv4Addr::UNSPECIFIED).into(),
                IpAddr::V6(_) => self.certain_local().unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
            };
            let packet = match say {
                Say::Report(records) => packet::report(from, records),
                Say::Old(group) => packet::old_report(from, *group, false),
                Say::OldLeft(group) => packet::old_report(from, *group, true),
            };
            let Some(packet) = packet else { continue };
            if let Ok(ip) = packet::ip(&packet)
                && let Some(mut frame) = self.nic.frame()
            {
                frame.packet(packet.len()).copy_from_slice(&packet);
                self.send(frame, ip.to);
            }
        }
    }
}
