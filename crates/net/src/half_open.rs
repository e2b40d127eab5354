//! Connections that somebody else begins, until the third segment confirms that they are meant.
//!
//! Of one that is half open there is an [`Entry`] of some hundred bytes and nothing else, so that a flood of SYNs from invented
//! addresses costs little. A [`Table`] holds [`MOST`]; one more pushes the oldest out, which a flood fills with its own:
//! who answers at once gets in all the same. An answer is repeated after 1, 2, 4, 8 and 16 s (net.ipv4.tcp_synack_retries).
//!
//! smoltcp makes the connection afterwards, from the same segments. It must choose the number that the answer had: it chooses
//! it by the seed it is given, as [`first_number`] does.
//!
//! Costs: O(1) a segment, O(entries) a second while there are some.
use crate::packet::Opening;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::Hash;
use hashbrown::HashMap;

const SECOND: u64 = 1_000_000_000;
const RETRIES: u8 = 5;
/// Segments that say nothing new are answered once in so many ns (net.ipv4.tcp_invalid_ratelimit).
pub const QUIET: u64 = SECOND / 2;
/// The most entries of a table.
pub const MOST: usize = 256;

/// A connection that is half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What the other side said.
    pub theirs: Opening,
    /// What was answered.
    pub ours: Opening,
    /// Where the number of our first byte comes from.
    pub seed: u64,
    /// When it was answered last.
    pub answered: u64,
    /// How often the answer was repeated.
    pub repeated: u8,
    /// When it was answered because somebody asked again.
    pub asked_again: Option<u64>,
    /// Who takes the connection.
    pub taker: T,
}

/// See the module's head.
pub struct Table<K, T> {
    entries: HashMap<K, (u64, Entry<T>)>,
    /// In the order in which they came; some are gone already.
    order: VecDeque<(K, u64)>,
    next: u64,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }
}

/// What a second of a table brings.
#[derive(Debug, PartialEq, Eq)]
pub struct Tick<K, T> {
    /// Answers to be given again.
    pub repeat: Vec<(K, Entry<T>)>,
    /// Nobody confirmed them.
    pub gone: Vec<Entry<T>>,
}

impl<K: Eq + Hash + Copy, T: Clone> Table<K, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A new one, instead of one between the same ends. Gives what it pushed out.
    pub fn begin(&mut self, key: K, entry: Entry<T>) -> Option<Entry<T>> {
        let number = self.next;
        self.next += 1;
        let before = self.entries.insert(key, (number, entry));
        self.order.push_back((key, number));
        let mut out = before.map(|(_, entry)| entry);
        if self.entries.len() > MOST {
            out = self.push_out();
        }
        // Those that are gone do not pile up.
        while self.order.len() > 2 * MOST {
            self.tidy();
        }
        out
    }

    fn push_out(&mut self) -> Option<Entry<T>> {
        while let Some((key, number)) = self.order.pop_front() {
            if self.is(&key, number) {
                return self.entries.remove(&key).map(|(_, entry)| entry);
            }
        }
        None
    }

    fn is(&self, key: &K, number: u64) -> bool {
        self.entries.get(key).is_some_and(|found| found.0 == number)
    }

    fn tidy(&mut self) {
        let entries = &self.entries;
        self.order
            .retain(|(key, number)| entries.get(key).is_some_and(|found| found.0 == *number));
    }

    /// A SYN was repeated: whether it is answered once more.
    pub fn answers_again(&mut self, key: &K, now: u64) -> bool {
        let Some((_, entry)) = self.entries.get_mut(key) else {
            return false;
        };
        let recent = |last: u64| now.saturating_sub(last) < QUIET;
        if entry.asked_again.is_some_and(recent) {
            return false;
        }
        entry.asked_again = Some(now);
        true
    }

    /// The one between these ends.
    pub fn get(&self, key: &K) -> Option<&Entry<T>> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    /// Takes it out.
    pub fn take(&mut self, key: &K) -> Option<Entry<T>> {
        self.entries.remove(key).map(|(_, entry)| entry)
    }

    /// To be called each second while there are some.
    pub fn tick(&mut self, now: u64) -> Tick<K, T> {
        let mut tick = Tick {
            repeat: Vec::new(),
            gone: Vec::new(),
        };
        let mut over = Vec::new();
        for (key, (_, entry)) in &mut self.entries {
            if now.saturating_sub(entry.answered) < SECOND << entry.repeated {
                continue;
            }
            if entry.repeated == RETRIES {
                over.push(*key);
                continue;
            }
            entry.repeated += 1;
            entry.answered = now;
            tick.repeat.push((*key, entry.clone()));
        }
        tick.gone
            .extend(over.iter().filter_map(|key| self.take(key)));
        tick
    }
}

/// The number that smoltcp begins with if it is given this seed: what its generator gives behind the first number of a packet.
pub const fn first_number(seed: u64) -> u32 {
    let mut state = seed;
    loop {
        let packet;
        (state, packet) = step(state);
        if (packet ^ (packet >> 16)) as u16 != 0 {
            return step(state).1;
        }
    }
}

/// sPCG32, as in smoltcp's rand.rs.
const fn step(state: u64) -> (u64, u32) {
    let state = state
        .wrapping_mul(0xbb2e_fcec_3c39_611d)
        .wrapping_add(0x7590_ef39);
    (state, (state >> (29 - (state >> 61))) as u32)
}

#[cfg(test)]
mod tests;
