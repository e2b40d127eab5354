//! Which groups we are in, and what is to be said of it: the host's part of IGMPv3 and MLDv2 (RFC 3376, 3810), with the older
//! forms (RFC 2236, 2710) for routers that understand nothing else.
//!
//! A [`Groups`] is of one family and does nothing by itself: its caller tells what came and what time it is, sends what it
//! says, and calls [`Groups::tick`] when [`Groups::due`] says so. What changes is said at once and, since it may get lost,
//! once more within a second. Questions are answered some time within what they allow, together; in the older form not if
//! somebody else has answered, and for some minutes after a question of that form only in that. Sources are not filtered: to
//! be in a group is to want what anybody sends there.
//!
//! O(1) to join and leave, O(groups) for an answer. Times in ns.
use crate::packet::{EVERYBODY, Query, RECORDS, Record};
use alloc::vec::Vec;
use core::net::IpAddr;
use hashbrown::HashMap;

const SECOND: u64 = 1_000_000_000;
/// How often a change is told (robustness), and within what time again.
const TELLINGS: u8 = 2;
const AGAIN: u64 = SECOND;
/// How long routers that speak the older form are respected (RFC 3376, 8.12: with the usual numbers).
const OLD_PRESENT: u64 = 260 * SECOND;
/// The most groups.
pub const MOST: usize = 1024;

struct Member {
    /// How many sockets.
    users: u32,
    /// How often the change is still to be told, and when next.
    tell: u8,
    next: u64,
    /// When a question for it is answered; `u64::MAX` for not at all.
    answer: u64,
}

/// What is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Say {
    /// A report of at most [`RECORDS`].
    Report(Vec<(Record, IpAddr)>),
    /// In the older form: we are in a group.
    Old(IpAddr),
    /// In the older form: we have left it.
    OldLeft(IpAddr),
}

/// See the module's head.
#[derive(Default)]
pub struct Groups {
    members: HashMap<IpAddr, Member>,
    /// Groups that were left, and how often that is still told, and when.
    left: Vec<(IpAddr, u8, u64)>,
    /// A router that speaks the older form may be there until then.
    old_until: u64,
    /// When a question for all is answered; none while there is none.
    answer: Option<u64>,
}

/// Whether nobody needs to hear who is in a group: everybody is, or it is no matter of a network.
fn is_untold(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group == EVERYBODY,
        IpAddr::V6(group) => {
            let [first, second, ..] = group.octets();
            let everybody = group == crate::packet::ALL_NODES;
            first == 0xff && second & 15 < 2 || everybody
        }
    }
}

/// A part of a time.
const fn part(of: u64, chance: u32) -> u64 {
    ((of as u128 * chance as u128) >> 32) as u64
}

impl Groups {
    /// Whether we are in a group.
    pub fn has(&self, group: IpAddr) -> bool {
        is_everybodys(group) || self.members.contains_key(&group)
    }

    const fn is_old(&self, now: u64) -> bool {
        now < self.old_until
    }

    fn changed(&self, group: IpAddr, record: Record, now: u64) -> Say {
        match (self.is_old(now), record) {
            (false, _) => Say::Report(alloc::vec![(record, group)]),
            (true, Record::Left) => Say::OldLeft(group),
            (true, _) => Say::Old(group),
        }
    }

    /// One more socket joins a group. `chance` is a random number. False if there are too many.
    pub fn join(&mut self, group: IpAddr, now: u64, chance: u32) -> (bool, Option<Say>) {
        if let Some(member) = self.members.get_mut(&group) {
            member.users += 1;
            return (true, None);
        }
        if self.members.len() >= MOST {
            return (false, None);
        }
        self.left.retain(|(left, ..)| *left != group);
        let untold = is_untold(group);
        let member = Member {
            users: 1,
            tell: if untold { 0 } else { TELLINGS - 1 },
            next: now + part(AGAIN, chance),
            answer: u64::MAX,
        };
        self.members.insert(group, member);
        let say = (!untold).then(|| self.changed(group, Record::Joined, now));
        (true, say)
    }

    /// A socket leaves a group.
    pub fn leave(&mut self, group: IpAddr, now: u64, chance: u32) -> Option<Say> {
        let member = self.members.get_mut(&group)?;
        member.users -= 1;
        if member.users > 0 {
            return None;
        }
        self.members.remove(&group);
        if is_untold(group) {
            return None;
        }
        if !self.is_old(now) && self.left.len() < MOST {
            let next = now + part(AGAIN, chance);
            self.left.push((group, TELLINGS - 1, next));
        }
        Some(self.changed(group, Record::Left, now))
    }

    /// The network is another, or there again: everything is told anew.
    pub fn renew(&mut self, now: u64) {
        self.left.clear();
        self.old_until = 0;
        for (group, member) in &mut self.members {
            member.tell = if is_untold(*group) { 0 } else { TELLINGS };
            member.next = now;
        }
    }

    /// A router asks.
    pub fn asked(&mut self, query: &Query, now: u64, chance: u32) {
        if query.old {
            self.old_until = now + OLD_PRESENT;
        }
        let at = now + part(query.within, chance);
        match query.group {
            None if self.is_old(now) => {
                for (number, (group, member)) in self.members.iter_mut().enumerate() {
                    // Each at a time of its own.
                    let chance = chance.wrapping_mul(number as u32 * 2 + 1);
                    if !is_untold(*group) {
                        member.answer = member.answer.min(now + part(query.within, chance));
                    }
                }
            }
            None => self.answer = Some(self.answer.map_or(at, |before| before.min(at))),
            Some(group) => {
                if let Some(member) = self.members.get_mut(&group).filter(|_| !is_untold(group)) {
                    member.answer = member.answer.min(at);
                }
            }
        }
    }

    /// Somebody else is in a group: in the older form that is enough for who asked.
    pub fn reported(&mut self, group: IpAddr, now: u64) {
        if self.is_old(now)
            && let Some(member) = self.members.get_mut(&group)
        {
            member.answer = u64::MAX;
            member.tell = 0;
        }
    }

    /// What is due.
    pub fn tick(&mut self, now: u64, chance: u32) -> Vec<Say> {
        let old = self.is_old(now);
        let mut records = Vec::new();
        let all = self.answer.is_some_and(|at| at <= now);
        if all {
            self.answer = None;
        }
        for (group, member) in &mut self.members {
            let tells = member.tell > 0 && member.next <= now;
            if tells {
                member.tell -= 1;
                member.next = now + part(AGAIN, chance);
                records.push((Record::Joined, *group));
            }
            if member.answer <= now || (all && !is_untold(*group)) {
                member.answer = u64::MAX;
                if !tells {
                    records.push((Record::Member, *group));
                }
            }
        }
        self.left.retain_mut(|(group, tell, next)| {
            if *next <= now {
                *tell -= 1;
                *next = now + part(AGAIN, chance);
                records.push((Record::Left, *group));
            }
            *tell > 0
        });
        if !old {
            let reports = records.chunks(RECORDS);
            return reports.map(|some| Say::Report(some.to_vec())).collect();
        }
        let one = |(record, group)| match record {
            Record::Left => Say::OldLeft(group),
            _ => Say::Old(group),
        };
        records.into_iter().map(one).collect()
    }

    /// When [`Groups::tick`] is to be called; `u64::MAX` for not at all.
    pub fn due(&self) -> u64 {
        let members = self.members.values().map(|member| {
            let tells = if member.tell > 0 {
                member.next
            } else {
                u64::MAX
            };
            tells.min(member.answer)
        });
        let left = self.left.iter().map(|(_, _, next)| *next);
        let all = members.chain(left).chain(self.answer);
        all.min().unwrap_or(u64::MAX)
    }

    /// The groups, and how many sockets are in each.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        self.members
            .iter()
            .map(|(group, member)| (*group, member.users))
    }
}

/// Whether everybody is in a group without having joined.
fn is_everybodys(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group == EVERYBODY,
        IpAddr::V6(group) => group == crate::packet::ALL_NODES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Icmp6, Membership, icmp6, igmp, ip, old_report, report};
    use alloc::vec;
    use proptest::prelude::*;

    const CHANCE: u32 = 1 << 31;

    fn group(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told(record: Record, text: &str) -> Say {
        Say::Report(vec![(record, group(text))])
    }

    #[test]
    fn a_change_is_told_twice_and_once_for_all_sockets() {
        let mut groups = Groups::default();
        let say = groups.join(group("239.1.2.3"), 0, CHANCE);
        assert_eq!(say, (true, Some(told(Record::Joined, "239.1.2.3"))));
        assert_eq!(groups.join(group("239.1.2.3"), 0, CHANCE), (true, None));
        assert_eq!(groups.due(), SECOND / 2);
        let again = groups.tick(SECOND / 2, CHANCE);
        assert_eq!(
            (again, groups.due()),
            (vec![told(Record::Joined, "239.1.2.3")], u64::MAX)
        );
        assert_eq!(groups.leave(group("239.1.2.3"), 0, CHANCE), None);
        let say = groups.leave(group("239.1.2.3"), 0, CHANCE);
        assert_eq!(say, Some(told(Record::Left, "239.1.2.3")));
        let again = groups.tick(groups.due(), CHANCE);
        assert_eq!(
            (again, groups.due()),
            (vec![told(Record::Left, "239.1.2.3")], u64::MAX)
        );
    }

    #[test]
    fn nobody_tells_what_everybody_is() {
        let mut groups = Groups::default();
        for text in ["224.0.0.1", "ff02::1", "ff01::5"] {
            assert_eq!(groups.join(group(text), 0, CHANCE), (true, None));
        }
        let everything = Query {
            group: None,
            within: SECOND,
            old: false,
        };
        groups.asked(&everything, 0, CHANCE);
        assert!(groups.tick(SECOND, CHANCE).is_empty());
        assert!(Groups::default().has(group("ff02::1")));
    }

    #[test]
    fn questions_are_answered_within_their_time() {
        let mut groups = Groups::default();
        groups.join(group("ff05::1:3"), 0, CHANCE);
        groups.tick(SECOND, CHANCE);
        let mut query = Query {
            group: None,
            within: 10 * SECOND,
            old: false,
        };
        groups.asked(&query, SECOND, CHANCE);
        assert_eq!(groups.due(), 6 * SECOND);
        assert_eq!(
            groups.tick(6 * SECOND, CHANCE),
            [told(Record::Member, "ff05::1:3")]
        );
        query.group = Some(group("ff05::2"));
        groups.asked(&query, 7 * SECOND, CHANCE);
        assert_eq!(groups.due(), u64::MAX);
    }

    #[test]
    fn an_old_router_gets_old_answers_unless_somebody_else_gave_them() {
        let mut groups = Groups::default();
        let ours = group("239.1.2.3");
        groups.join(ours, 0, CHANCE);
        groups.tick(SECOND, CHANCE);
        let query = Query {
            group: None,
            within: SECOND,
            old: true,
        };
        groups.asked(&query, SECOND, CHANCE);
        assert_eq!(groups.tick(2 * SECOND, CHANCE), [Say::Old(ours)]);
        groups.asked(&query, 3 * SECOND, CHANCE);
        groups.reported(ours, 3 * SECOND);
        assert_eq!(groups.due(), u64::MAX);
        assert_eq!(
            groups.leave(ours, 4 * SECOND, CHANCE),
            Some(Say::OldLeft(ours))
        );
    }

    #[test]
    fn after_a_break_everything_is_told_anew() {
        let mut groups = Groups::default();
        groups.join(group("239.1.2.3"), 0, CHANCE);
        groups.tick(SECOND, CHANCE);
        groups.renew(5 * SECOND);
        assert_eq!(
            groups.tick(5 * SECOND, CHANCE),
            [told(Record::Joined, "239.1.2.3")]
        );
        assert_ne!(groups.due(), u64::MAX);
    }

    #[test]
    fn packets_say_what_they_are_about() {
        let (from, six) = (group("10.0.2.15"), group("fe80::1"));
        let packet = old_report(from, group("239.1.2.3"), false).unwrap();
        let ip4 = ip(&packet).unwrap();
        assert_eq!(igmp(&ip4), Ok(Membership::Report(group("239.1.2.3"))));
        assert_eq!((ip4.ttl, ip4.to), (1, group("239.1.2.3")));
        let packet = old_report(six, group("ff05::1:3"), false).unwrap();
        let ip6 = ip(&packet).unwrap();
        assert!(ip6.is_extended());
        let Ok(Icmp6::Groups(said)) = icmp6(&ip6) else {
            panic!("not of MLD")
        };
        assert_eq!(said, Membership::Report(group("ff05::1:3")));
        let many = vec![(Record::Joined, group("ff05::1:3")); RECORDS];
        let packet = report(six, &many).unwrap();
        assert!(packet.len() <= packet::LEAST_MTU && ip(&packet).is_ok());
        assert_eq!(report(six, &[(Record::Joined, from)]), None);
    }

    proptest! {
        /// Whatever is joined, left and asked: members are those with sockets, and time goes on.
        #[test]
        fn members_are_those_with_sockets(steps in proptest::collection::vec((0u8..6, 0u8..5, any::<u32>(), any::<bool>()), 0..200)) {
            let mut groups = Groups::default();
            let mut users = [0u32; 5];
            let mut now = 0;
            for (what, number, chance, old) in steps {
                let about = IpAddr::from([239, 0, 0, number]);
                now += u64::from(chance);
                match what {
                    0 | 1 => {
                        groups.join(about, now, chance);
                        users[usize::from(number)] += 1;
                    }
                    2 if users[usize::from(number)] > 0 => {
                        groups.leave(about, now, chance);
                        users[usize::from(number)] -= 1;
                    }
                    3 => groups.asked(&Query { group: old.then_some(about), within: SECOND, old }, now, chance),
                    4 => groups.reported(about, now),
                    _ => drop(groups.tick(now, chance)),
                }
                for (number, users) in users.iter().enumerate() {
                    prop_assert_eq!(groups.has(IpAddr::from([239, 0, 0, number as u8])), *users > 0);
                }
            }
            // With nobody asking it comes to rest.
            for _ in 0..10 {
                now = now.max(groups.due().min(u64::MAX / 2));
                groups.tick(now, 1);
            }
            prop_assert_eq!(groups.due(), u64::MAX);
        }
    }
}
