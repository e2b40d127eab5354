//! Packets that come in pieces, put together (RFC 791, 8200, 815, 5722).
//!
//! A [`Table`] holds the pieces of at most [`MOST`] packets and [`MEMORY`] bytes; when there is no room the oldest packet is
//! given up, so that a flood of pieces costs no more than that. What is not whole after [`LIFETIME`] is given up, too
//! (net.ipv4.ipfrag_time, half a minute; IPv6's minute is not waited for). A piece that overlaps what is there makes the
//! packet worthless, since the two may be meant to be read differently by different readers; one that came twice does not.
//!
//! Costs: a copy of each byte; O(log pieces) to find its place, O(holes) to enter it, of which there are at most [`HOLES`].
use crate::packet::{Fragment, IPV4_HEADER};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use hashbrown::HashMap;
use smoltcp::wire::Ipv4Packet;

const SECOND: u64 = 1_000_000_000;
/// How long the pieces of a packet are kept.
pub const LIFETIME: u64 = 30 * SECOND;
/// The most packets whose pieces are kept.
pub const MOST: usize = 64;
/// What they may take.
pub const MEMORY: usize = 1 << 20;
/// The most gaps in a packet that are kept.
const HOLES: usize = 64;
/// The largest packet.
const LARGEST: usize = 65_535;

/// What the pieces of one packet have in common.
type Key = (IpAddr, IpAddr, u8, u32);

struct Pieces {
    number: u64,
    /// The header of the first piece, once it is there.
    header: Vec<u8>,
    protocol: u8,
    data: Vec<u8>,
    /// Which of the data came, in order and not touching one another.
    came: Vec<(usize, usize)>,
    /// How much it is, once the last piece is there.
    total: Option<usize>,
}

/// What a piece led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    Kept,
    /// It was there already.
    Twice,
    /// The packet is worthless.
    Refused,
    /// This is the whole packet.
    Whole(Vec<u8>),
}

/// See the module's head.
#[derive(Default)]
pub struct Table {
    packets: HashMap<Key, Pieces>,
    /// In the order in which they began, each with the time when it ends; some are gone already.
    order: VecDeque<(u64, Key, u64)>,
    next: u64,
    memory: usize,
    given_up: u64,
}

impl Table {
    /// How many packets were given up so far for want of room or time.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// What the pieces take.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// When the oldest packet is to be given up.
    pub fn due(&self) -> Option<u64> {
        self.order.front().map(|first| first.0)
    }

    /// Gives up what is not whole in time.
    pub fn expire(&mut self, now: u64) {
        while self.order.front().is_some_and(|first| first.0 <= now) {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        if let Some((_, key, number)) = self.order.pop_front()
            && self
                .packets
                .get(&key)
                .is_some_and(|pieces| pieces.number == number)
        {
            self.given_up += 1;
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Pieces> {
        let pieces = self.packets.remove(key)?;
        self.memory -= pieces.data.len();
        // Those that are gone do not pile up.
        while let Some(&(_, first, number)) = self.order.front()
            && self
                .packets
                .get(&first)
                .is_none_or(|pieces| pieces.number != number)
        {
            self.order.pop_front();
        }
        if self.order.len() > 2 * MOST {
            let packets = &self.packets;
            self.order
                .retain(|(_, key, number)| packets.get(key).is_some_and(|p| p.number == *number));
        }
        Some(pieces)
    }

    /// A piece came.
    pub fn take(&mut self, piece: &Fragment, now: u64) -> Taken {
        self.expire(now);
        let key = (piece.from, piece.to, piece.protocol, piece.id);
        let end = piece.offset + piece.payload.len();
        // Only the last one may end anywhere.
        let odd = piece.more && !piece.payload.len().is_multiple_of(8);
        if piece.payload.is_empty() || odd || end + IPV4_HEADER > LARGEST {
            self.remove(&key);
            return Taken::Refused;
        }
        let known = self.packets.get(&key).map_or(0, |pieces| pieces.data.len());
        let grows = end.saturating_sub(known);
        while self.memory + grows > MEMORY
            || (self.packets.len() >= MOST && !self.packets.contains_key(&key))
        {
            self.give_up_oldest();
        }
        if !self.packets.contains_key(&key) {
            let number = self.next;
            self.next += 1;
            self.order.push_back((now + LIFETIME, key, number));
            let pieces = Pieces {
                number,
                header: Vec::new(),
                protocol: piece.protocol,
                data: Vec::new(),
                came: Vec::new(),
                total: None,
            };
            self.packets.insert(key, pieces);
        }
        let Some(pieces) = self.packets.get_mut(&key) else {
            return Taken::Refused;
        };
        let before = pieces.data.len();
        let taken = pieces.add(piece, end);
        self.memory += pieces.data.len() - before;
        match taken {
            Taken::Refused => {
                self.remove(&key);
                taken
            }
            Taken::Kept => match pieces.is_whole() {
                false => taken,
                true => match self.remove(&key).and_then(Pieces::whole) {
                    Some(packet) => Taken::Whole(packet),
                    None => Taken::Refused,
                },
            },
            _ => taken,
        }
    }
}

impl Pieces {
    fn add(&mut self, piece: &Fragment, end: usize) -> Taken {
        let begin = piece.offset;
        let at = self.came.partition_point(|range| range.1 <= begin);
        if let Some(&(from, to)) = self.came.get(at)
            && from < end
        {
            let same =
                from <= begin && end <= to && self.data.get(begin..end) == Some(piece.payload);
            return if same { Taken::Twice } else { Taken::Refused };
        }
        match self.total {
            Some(total) if end > total || (!piece.more && end != total) => return Taken::Refused,
            None if !piece.more && self.data.len() > end => return Taken::Refused,
            _ => {}
        }
        if self.came.len() >= HOLES {
            return Taken::Refused;
        }
        if end > self.data.len() {
            if self.data.try_reserve(end - self.data.len()).is_err() {
                return Taken::Refused;
            }
            self.data.resize(end, 0);
        }
        self.data[begin..end].copy_from_slice(piece.payload);
        if !piece.more {
            self.total = Some(end);
        }
        if begin == 0 {
            self.header = piece.header.to_vec();
        }
        // Put together with its neighbours.
        let joins_next = self.came.get(at).is_some_and(|next| next.0 == end);
        let joins_last = at > 0 && self.came[at - 1].1 == begin;
        match (joins_last, joins_next) {
            (true, true) => {
                self.came[at - 1].1 = self.came[at].1;
                self.came.remove(at);
            }
            (true, false) => self.came[at - 1].1 = end,
            (false, true) => self.came[at].0 = begin,
            (false, false) => self.came.insert(at, (begin, end)),
        }
        Taken::Kept
    }

    fn is_whole(&self) -> bool {
        self.total.is_some_and(|total| self.came == [(0, total)])
    }

    /// The packet, as if it had come in one piece.
    fn whole(self) -> Option<Vec<u8>> {
        let mut packet = self.header;
        let length = packet.len() + self.data.len();
        let v6 = packet.first()? >> 4 == 6;
        // IPv6's length does not count its header.
        if length > LARGEST && !v6 {
            return None;
        }
        packet.try_reserve_exact(self.data.len()).ok()?;
        packet.extend_from_slice(&self.data);
        if v6 {
            let length = self.data.len() as u16;
            packet.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
            *packet.get_mut(6)? = self.protocol;
            return Some(packet);
        }
        let mut ip = Ipv4Packet::new_unchecked(&mut packet);
        ip.set_total_len(length as u16);
        ip.set_more_frags(false);
        ip.set_frag_offset(0);
        ip.fill_checksum();
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Header, Part, UDP_HEADER, fragment, ip, udp, write_ip, write_udp};
    use alloc::vec;
    use proptest::prelude::*;

    fn packet(id: u32, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; IPV4_HEADER + payload.len()];
        out[IPV4_HEADER..].copy_from_slice(payload);
        let header = Header {
            from: IpAddr::from([10, 0, 2, 2]),
            to: IpAddr::from([10, 0, 2, 15]),
            protocol: 17,
            ttl: 64,
            tos: 0,
        };
        write_ip(&mut out, &header, Some(Part { id, offset, more }));
        out
    }

    fn datagram(length: usize) -> Vec<u8> {
        let mut out: Vec<u8> = (0..UDP_HEADER + length).map(|at| at as u8).collect();
        let (from, to) = (
            "10.0.2.2:53".parse().unwrap(),
            "10.0.2.15:4000".parse().unwrap(),
        );
        write_udp(&mut out, from, to);
        out
    }

    fn take(table: &mut Table, bytes: &[u8], now: u64) -> Taken {
        table.take(&fragment(bytes).unwrap(), now)
    }

    #[test]
    fn pieces_in_any_order_make_the_packet() {
        let whole = datagram(3000);
        let pieces: Vec<Vec<u8>> = whole
            .chunks(1000)
            .enumerate()
            .map(|(at, part)| packet(7, at * 1000, at < 3, part))
            .collect();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            let mut table = Table::default();
            for at in &order[..3] {
                assert_eq!(take(&mut table, &pieces[*at], 0), Taken::Kept);
                assert_eq!(take(&mut table, &pieces[*at], 0), Taken::Twice);
            }
            let Taken::Whole(bytes) = take(&mut table, &pieces[order[3]], 0) else {
                panic!("not whole");
            };
            let ip = ip(&bytes).unwrap();
            assert_eq!(udp(&ip).unwrap().data, &whole[UDP_HEADER..]);
            assert_eq!((table.memory(), table.due()), (0, None));
        }
    }

    #[test]
    fn an_overlap_makes_all_of_it_worthless() {
        let mut table = Table::default();
        take(&mut table, &packet(7, 0, true, &[1; 800]), 0);
        assert_eq!(
            take(&mut table, &packet(7, 792, true, &[2; 800]), 0),
            Taken::Refused
        );
        assert_eq!(table.memory(), 0);
        // The rest is the beginning of something that will not be whole.
        assert_eq!(
            take(&mut table, &packet(7, 1592, false, &[2; 8]), 0),
            Taken::Kept
        );
        assert_eq!(
            take(&mut table, &packet(7, 800, true, &[2; 792]), 0),
            Taken::Kept
        );
    }

    #[test]
    fn what_would_be_too_large_or_ends_twice_is_refused() {
        let mut table = Table::default();
        assert_eq!(
            take(&mut table, &packet(1, 65_528, false, &[0; 800]), 0),
            Taken::Refused
        );
        take(&mut table, &packet(2, 800, false, &[0; 8]), 0);
        assert_eq!(
            take(&mut table, &packet(2, 1600, false, &[0; 8]), 0),
            Taken::Refused
        );
        assert_eq!(
            take(&mut table, &packet(3, 0, true, &[0; 7]), 0),
            Taken::Refused
        );
    }

    #[test]
    fn time_and_room_end() {
        let mut table = Table::default();
        take(&mut table, &packet(1, 0, true, &[0; 8]), 0);
        assert_eq!(table.due(), Some(LIFETIME));
        table.expire(LIFETIME);
        assert_eq!(
            (table.memory(), table.given_up(), table.due()),
            (0, 1, None)
        );
        for id in 0..200 {
            take(&mut table, &packet(id, 40_000, true, &[0; 800]), 0);
            assert!(table.memory() <= MEMORY && table.packets.len() <= MOST);
        }
    }

    proptest! {
        /// Against a list of bytes: whatever comes, a whole packet has exactly what was sent, and nothing is kept beyond
        /// bounds.
        #[test]
        fn no_pieces_do_harm(steps in proptest::collection::vec((0u32..3, 0usize..40, any::<bool>(), 1usize..5, 0u64..3), 0..300)) {
            let mut table = Table::default();
            let mut now = 0;
            for (id, at, more, length, passes) in steps {
                now += passes * SECOND;
                let offset = at * 8;
                let data: Vec<u8> = (offset..offset + length * 8).map(|at| at as u8).collect();
                if let Taken::Whole(bytes) = take(&mut table, &packet(id, offset, more, &data), now) {
                    let payload = ip(&bytes).unwrap().payload;
                    prop_assert!(payload.iter().enumerate().all(|(at, byte)| *byte == at as u8));
                }
                let kept: usize = table.packets.values().map(|pieces| pieces.data.len()).sum();
                prop_assert_eq!(table.memory(), kept);
                prop_assert!(table.packets.len() <= table.order.len());
            }
        }
    }
}
