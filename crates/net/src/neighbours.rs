//! Who has which Ethernet address in our network, and what waits to be sent there.
//!
//! A [`Table`] holds what was answered to questions (of ARP or of neighbour discovery) and up to [`WAITING`] packets for each
//! neighbour that has not answered. It does nothing by itself: its caller sends, asks, and calls [`Table::tick`] when
//! [`Table::due`] says so.
//!
//! A neighbour is asked three times, a second apart, as Linux does it; then what waits for it has failed, and the next packet
//! begins anew. An answer is believed for a minute. Then the first packet asks again, while the old address is still used for
//! half a minute. Only who was asked, or who asks us, gets in, at most [`MOST`].
//!
//! When there are that many, room is made as follows. First goes who has not answered, the one that was asked first before the
//! others: packets to addresses that nobody has, which somebody may provoke by the thousand, displace each other. Then who is
//! known and was never sent anything: questions in many names do the same. Who has answered and is sent something leaves last,
//! the one that was sent nothing for longest first, and only for another that we send to.
//! Costs: O(1) a packet, and while more come than there is room for O(neighbours) for each [`BATCH`] of them; a tick, of which
//! there are none while everybody answers, O(neighbours).
//!
//! Sources: RFC 826, 1122 (2.3.2), 4861 (7.3); Linux net/core/neighbour.c.
use crate::packet::Mac;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::hash::Hash;
use hashbrown::HashMap;

const SECOND: u64 = 1_000_000_000;
/// How long an answer is believed, and how much longer it is used while a new one is asked for.
const FRESH: u64 = 60 * SECOND;
const STALE: u64 = 30 * SECOND;
/// How often a neighbour is asked before it counts as gone.
const TRIES: u8 = 3;
/// Packets that wait for an answer.
pub const WAITING: usize = 8;
/// The most neighbours (Linux's gc_thresh3).
pub const MOST: usize = 1024;
/// So many of those that cost nobody anything leave at once, so that not each newcomer looks at all.
const BATCH: usize = 64;

struct Neighbour<F> {
    mac: Option<Mac>,
    /// When it was heard of.
    known: u64,
    /// When it was asked last, and how often since it was heard of.
    asked: u64,
    tries: u8,
    /// When it was sent something by its address; none while it was not.
    used: Option<u64>,
    waiting: ArrayVec<F, WAITING>,
}

/// Who leaves first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// It has not answered.
    Unanswered,
    /// It is known, and nothing is sent to it.
    Unused,
    /// It is known and used.
    Used,
}

/// What is to be done with a packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Sending<F> {
    /// The packet and where it goes; none if it waits.
    pub now: Option<(F, Mac)>,
    /// The neighbour is to be asked.
    pub ask: bool,
    /// Packets that found no room, or made some.
    pub lost: Vec<F>,
}

/// What a tick is for.
#[derive(Debug, PartialEq, Eq)]
pub struct Tick<A, F> {
    /// Whom to ask again.
    pub ask: Vec<A>,
    /// Packets that nobody takes.
    pub failed: Vec<F>,
    /// Who did not answer.
    pub gone: Vec<A>,
}

/// See the module's head.
pub struct Table<A, F> {
    neighbours: HashMap<A, Neighbour<F>>,
    /// How many of them have packets waiting.
    unanswered: usize,
    due: Option<u64>,
}

impl<A, F> Default for Table<A, F> {
    fn default() -> Self {
        Self {
            neighbours: HashMap::new(),
            unanswered: 0,
            due: None,
        }
    }
}

impl<A: Eq + Hash + Copy, F> Table<A, F> {
    /// When [`Table::tick`] is to be called, in ns; none while nothing waits.
    pub const fn due(&self) -> Option<u64> {
        self.due
    }

    /// How many neighbours are known or asked for.
    pub fn len(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty()
    }

    /// Whether an answer of somebody's is there.
    pub fn knows(&self, address: A) -> bool {
        let neighbour = self.neighbours.get(&address);
        neighbour.is_some_and(|neighbour| neighbour.mac.is_some())
    }

    /// Nobody's address is known any more; who is asked is still.
    pub fn forget(&mut self) {
        self.neighbours
            .retain(|_, neighbour| !neighbour.waiting.is_empty());
    }

    /// Makes room for one more; false if there is none. Who asks us, and may be anybody, only displaces its like. What waited
    /// for who leaves is lost.
    fn has_room(&mut self, address: A, asks_us: bool, lost: &mut Vec<F>) -> bool {
        if self.neighbours.len() < MOST || self.neighbours.contains_key(&address) {
            return true;
        }
        let mut all: Vec<_> = self
            .neighbours
            .iter()
            .map(|(address, neighbour)| (neighbour.rank(), *address))
            .filter(|((worth, _), _)| !asks_us || *worth == Worth::Unused)
            .collect();
        all.sort_unstable_by_key(|(rank, _)| *rank);
        let leave = all
            .iter()
            .enumerate()
            .take_while(|(at, ((worth, _), _))| *at == 0 || (*at < BATCH && *worth != Worth::Used));
        let leave: Vec<A> = leave.map(|(_, (_, address))| *address).collect();
        for address in &leave {
            let waiting = self.neighbours.remove(address).map(|gone| gone.waiting);
            let waiting = waiting.unwrap_or_default();
            if !waiting.is_empty() {
                self.answered();
                lost.extend(waiting);
            }
        }
        !leave.is_empty()
    }

    /// A packet is to go to a neighbour.
    pub fn send(&mut self, address: A, packet: F, now: u64) -> Sending<F> {
        let nothing = |lost| Sending {
            now: None,
            ask: false,
            lost,
        };
        let mut lost = Vec::new();
        if !self.has_room(address, false, &mut lost) {
            lost.push(packet);
            return nothing(lost);
        }
        let neighbour = self
            .neighbours
            .entry(address)
            .or_insert_with(|| Neighbour::new(now));
        let age = now.saturating_sub(neighbour.known);
        if age > FRESH + STALE {
            neighbour.mac = None;
        }
        if let Some(mac) = neighbour.mac {
            let ask = age > FRESH && now.saturating_sub(neighbour.asked) >= SECOND;
            if ask {
                neighbour.asked = now;
            }
            neighbour.used = Some(now);
            return Sending {
                now: Some((packet, mac)),
                ask,
                lost,
            };
        }
        if !neighbour.waiting.is_empty() {
            // The oldest makes room: what sent it sends it again.
            if neighbour.waiting.is_full() {
                lost.push(neighbour.waiting.remove(0));
            }
            neighbour.waiting.push(packet);
            return nothing(lost);
        }
        neighbour.waiting.push(packet);
        neighbour.tries = 1;
        neighbour.asked = now;
        self.unanswered += 1;
        self.due.get_or_insert(now + SECOND);
        Sending {
            now: None,
            ask: true,
            lost,
        }
    }

    /// A neighbour said who it is: gives what waited for that. With `learn` it wants something of us and may be entered.
    pub fn heard(&mut self, address: A, mac: Mac, learn: bool, now: u64) -> ArrayVec<F, WAITING> {
        // It stays empty: nothing waits for who is known.
        let mut lost = Vec::new();
        if learn && self.has_room(address, true, &mut lost) {
            self.neighbours
                .entry(address)
                .or_insert_with(|| Neighbour::new(now));
        }
        let Some(neighbour) = self.neighbours.get_mut(&address) else {
            return ArrayVec::new();
        };
        neighbour.mac = Some(mac);
        neighbour.known = now;
        let waiting = core::mem::take(&mut neighbour.waiting);
        if !waiting.is_empty() {
            neighbour.used = Some(now);
            self.answered();
        }
        waiting
    }

    fn answered(&mut self) {
        self.unanswered -= 1;
        if self.unanswered == 0 {
            self.due = None;
        }
    }

    /// The time [`Table::due`] told has come.
    pub fn tick(&mut self, now: u64) -> Tick<A, F> {
        let mut tick = Tick {
            ask: Vec::new(),
            failed: Vec::new(),
            gone: Vec::new(),
        };
        let mut next = None;
        for (address, neighbour) in &mut self.neighbours {
            if neighbour.waiting.is_empty() {
                continue;
            }
            if now.saturating_sub(neighbour.asked) >= SECOND {
                if neighbour.tries >= TRIES {
                    tick.failed.extend(neighbour.waiting.take());
                    tick.gone.push(*address);
                    continue;
                }
                neighbour.tries += 1;
                neighbour.asked = now;
                tick.ask.push(*address);
            }
            let due = neighbour.asked + SECOND;
            next = Some(next.map_or(due, |next: u64| next.min(due)));
        }
        self.unanswered -= tick.gone.len();
        for address in &tick.gone {
            self.neighbours.remove(address);
        }
        self.due = next;
        tick
    }
}

impl<F> Neighbour<F> {
    const fn new(now: u64) -> Self {
        Self {
            mac: None,
            known: now,
            asked: 0,
            tries: 0,
            used: None,
            waiting: ArrayVec::new_const(),
        }
    }

    /// Who has less leaves first.
    fn rank(&self) -> (Worth, u64) {
        match (self.mac, self.used) {
            (None, _) => (Worth::Unanswered, self.asked),
            (Some(_), None) => (Worth::Unused, self.known),
            (Some(_), Some(used)) => (Worth::Used, used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 9];

    #[test]
    fn who_does_not_answer_is_asked_three_times_and_then_it_has_failed() {
        let mut table = Table::default();
        assert!(table.send(1, "a", 0).ask);
        assert!(!table.send(1, "b", SECOND / 2).ask);
        let mut now = 0;
        for _ in 0..2 {
            now = table.due().unwrap();
            assert_eq!(table.tick(now).ask, [1]);
        }
        assert_eq!(now, 2 * SECOND);
        let tick = table.tick(table.due().unwrap());
        assert_eq!(
            (tick.ask.len(), tick.failed, table.due()),
            (0, alloc::vec!["a", "b"], None)
        );
        assert!(table.is_empty() && table.send(1, "c", now).ask);
    }

    #[test]
    fn what_waited_goes_when_the_answer_comes() {
        let mut table = Table::default();
        table.send(1, "a", 0);
        assert_eq!(table.heard(1, MAC, false, 5).as_slice(), ["a"]);
        assert_eq!(table.due(), None);
        let sending = table.send(1, "b", 10);
        assert_eq!((sending.now, sending.ask), (Some(("b", MAC)), false));
    }

    #[test]
    fn what_is_forgotten_is_asked_for() {
        let mut table = Table::default();
        table.heard(1, MAC, true, 0);
        table.send(2, "a", 0);
        table.forget();
        assert!(!table.knows(1) && table.send(1, "b", 1).ask);
        assert_eq!(table.heard(2, MAC, false, 1).as_slice(), ["a"]);
    }

    #[test]
    fn an_old_answer_is_asked_for_again_and_used_meanwhile() {
        let mut table = Table::default();
        table.heard(1, MAC, true, 0);
        let sending = table.send(1, "a", FRESH + 1);
        assert_eq!((sending.now, sending.ask), (Some(("a", MAC)), true));
        assert!(!table.send(1, "b", FRESH + 2).ask);
        assert_eq!(table.send(1, "c", FRESH + STALE + 1).now, None);
    }

    #[test]
    fn nobody_enters_unasked_and_the_table_is_bounded() {
        let mut table: Table<usize, &str> = Table::default();
        table.heard(1, MAC, false, 0);
        assert!(table.is_empty());
        for at in 0..2 * MOST {
            table.heard(at, MAC, true, 1);
        }
        assert!(table.len() <= MOST);
    }

    /// A table with a neighbour 0 that answers and is sent something, and `count` others that were sent nothing yet.
    fn full(others: impl Fn(&mut Table<usize, usize>, usize)) -> Table<usize, usize> {
        let mut table = Table::default();
        table.send(0, 0, 0);
        table.heard(0, MAC, false, 0);
        for at in 1..5 * MOST {
            others(&mut table, at);
        }
        assert!(table.len() <= MOST);
        table
    }

    #[test]
    fn a_flood_of_questions_displaces_itself() {
        let mut table = full(|table, at| drop(table.heard(at, MAC, true, at as u64)));
        assert!(table.knows(0) && table.knows(5 * MOST - 1));
        // Somebody new is asked for at once.
        assert!(table.send(9999, 1, 1).ask);
    }

    #[test]
    fn packets_to_nobody_displace_each_other() {
        let lost = core::cell::Cell::new(0);
        let mut table = full(|table, at| {
            let sending = table.send(at, at, at as u64);
            assert!(sending.ask);
            lost.set(lost.get() + sending.lost.len());
        });
        // Each is either asked for or lost.
        let mut failed = 0;
        while let Some(due) = table.due() {
            failed += table.tick(due).failed.len();
        }
        assert_eq!(lost.get() + failed, 5 * MOST - 1);
        assert!(table.knows(0));
    }

    #[test]
    fn who_is_sent_something_stays_longest_and_makes_room_at_last() {
        let mut table = full(|table, at| {
            if at < MOST {
                table.send(at, at, at as u64);
                table.heard(at, MAC, false, at as u64);
            }
        });
        let now = 5 * MOST as u64;
        table.send(0, 0, now);
        // Who asks displaces nobody of them.
        assert!(table.heard(5000, MAC, true, now).is_empty() && !table.knows(5000));
        // Somebody to be sent something does: whom nothing was sent for longest.
        assert!(table.send(6000, 1, now).ask);
        assert!(table.knows(0) && !table.knows(1) && table.knows(2));
        assert_eq!(table.len(), MOST);
    }

    #[test]
    fn of_too_many_packets_the_oldest_are_lost() {
        let mut table = Table::default();
        for packet in 0..WAITING {
            assert!(table.send(1, packet, 0).lost.is_empty());
        }
        assert_eq!(table.send(1, 100, 0).lost, [0]);
    }
}
