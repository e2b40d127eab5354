//! Our place in an IPv6 network: addresses, routers and what they say (RFC 4861, 6.3; 4862; 4429; 8106; 7559).
//!
//! An [`Autoconf`] does nothing by itself: its caller tells what came and what time it is, asks [`Autoconf::due`] when to call
//! [`Autoconf::tick`], and sends what that says.
//!
//! - **Addresses.** The link-local one is made of the card's address (RFC 4291, appendix A), others of the same and each prefix
//!   that a router tells for that. All are asked for once, to find out whether somebody has them. Those that were made are used
//!   meanwhile (RFC 4429), so that nobody waits a second for the network; one that was given is used afterwards, since two
//!   machines may well have been given the same. What somebody else has is not used. With an address that was given none are
//!   made but the link-local one.
//! - **Routers.** The best that answers for its address takes what is for others (RFC 4191). Advertisements are asked for until
//!   one comes, after 4, 8, 16, ... s up to an hour. Where a gateway is given, it is the router.
//! - **Lifetimes** of everything; what has ended is gone. No advertisement makes an address end in less than two hours that
//!   lives longer than that (RFC 4862, 5.5.3).
//!
//! Everything is bounded: what finds no room is not learnt. O(entries), all of them few. Times in ns since boot.
use crate::packet::{FOR_EVER, Mac, Prefix, RouterAdvert, RouterOption};
use crate::search;
use crate::source::Candidate;
use alloc::string::String;
use arrayvec::ArrayVec;
use core::net::Ipv6Addr;

const SECOND: u64 = 1_000_000_000;
/// The most of each kind.
pub const ADDRESSES: usize = 16;
/// See [`ADDRESSES`].
pub const ROUTERS: usize = 8;
/// See [`ADDRESSES`].
pub const SERVERS: usize = 3;
/// An interface's part of an address.
const INTERFACE_BITS: u8 = 64;
/// An address's right to live on that one advertisement does not take away.
const RESERVE: u64 = 2 * 3600 * SECOND;
/// When advertisements are asked for again, at first and at last.
const FIRST_WAIT: u64 = 4 * SECOND;
const LAST_WAIT: u64 = 3600 * SECOND;
/// How long an owner of an address has to say so.
const CLAIM: u64 = SECOND;
/// How long a router that did not answer for its address is passed over.
const PASSED_OVER: u64 = 60 * SECOND;
/// The smallest packet every way takes (RFC 8200, 5).
const LEAST_MTU: u32 = 1280;

/// How an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is asked for; somebody may have it until then. Used meanwhile, or not.
    Claimed {
        /// When it is ours.
        until: u64,
        /// It is used before.
        used: bool,
    },
    /// It is ours.
    Ours,
    /// It is somebody else's.
    Taken,
}

/// An address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address.
    pub ip: Ipv6Addr,
    /// How many bits of it name the network.
    pub length: u8,
    /// How it is.
    pub state: State,
    /// It was given, or is link-local.
    pub permanent: bool,
    /// When it should not be used for what is new; `u64::MAX` for never.
    pub preferred: u64,
    /// When it is gone.
    pub valid: u64,
}

impl Address {
    /// Whether packets to it are for us.
    pub const fn is_used(&self) -> bool {
        matches!(self.state, State::Ours | State::Claimed { used: true, .. })
    }
}

/// A router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Router {
    /// Its address.
    pub ip: Ipv6Addr,
    /// See [`RouterAdvert::preference`].
    pub preference: i8,
    /// When it stops; `u64::MAX` for never.
    pub until: u64,
    /// It did not answer for its address; others are better until then.
    suspect: u64,
}

/// Addresses that are neighbours'.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnLink {
    /// What they begin with.
    pub ip: Ipv6Addr,
    /// How many bits of it count.
    pub length: u8,
    /// Until then.
    pub until: u64,
}

/// What is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Say {
    /// A question whether somebody has this address.
    Claim(Ipv6Addr),
    /// A question for routers.
    AskRouters,
}

/// Things to send.
pub type Says = ArrayVec<Say, { ADDRESSES + 1 }>;

/// See the module's head.
#[derive(Default)]
pub struct Autoconf {
    mac: Mac,
    /// An address was given: none are made but the link-local one.
    fixed: bool,
    gateway: Option<Ipv6Addr>,
    /// Larger scopes first, and of one scope the newer, as Linux lists them.
    addresses: ArrayVec<Address, ADDRESSES>,
    routers: ArrayVec<Router, ROUTERS>,
    links: ArrayVec<OnLink, ADDRESSES>,
    servers: ArrayVec<(Ipv6Addr, u64), SERVERS>,
    search: Option<(String, u64)>,
    mtu: Option<u16>,
    /// When routers are asked next, and how long is waited afterwards; none once one has answered.
    ask: Option<(u64, u64)>,
    began: u64,
}

/// When something ends that lasts for so many seconds from now.
const fn end(seconds: u32, now: u64) -> u64 {
    match seconds {
        FOR_EVER => u64::MAX,
        seconds => now.saturating_add(seconds as u64 * SECOND),
    }
}

/// Whether an address begins with so many bits of another.
pub const fn begins_with(ip: Ipv6Addr, prefix: Ipv6Addr, length: u8) -> bool {
    let bits = if length > 128 { 128 } else { length as u32 };
    match (ip.to_bits() ^ prefix.to_bits()).checked_shr(128 - bits) {
        Some(rest) => rest == 0,
        None => true,
    }
}

/// The network's part, and the interface's made of its Ethernet address (RFC 4291, appendix A).
const fn with_interface(network: Ipv6Addr, mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let interface = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(network.to_bits() >> 64 << 64 | interface as u128)
}

impl Autoconf {
    /// Of a card with this address. What was given: an address, and who takes what is for others.
    pub fn new(mac: Mac, given: Option<(Ipv6Addr, u8)>, gateway: Option<Ipv6Addr>) -> Self {
        let mut new = Self {
            mac,
            fixed: given.is_some(),
            gateway,
            ..Self::default()
        };
        if let Some((ip, length)) = given {
            new.add(ip, length, true, (u64::MAX, u64::MAX));
            new.learn_link(ip, length, u64::MAX);
        }
        new
    }

    /// The card can be used from now on, for the first time or again.
    pub fn begin(&mut self, now: u64) {
        self.began = now;
        let local = with_interface(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), self.mac);
        if !self.addresses.iter().any(|address| address.ip == local) {
            self.add(local, INTERFACE_BITS, true, (u64::MAX, u64::MAX));
        }
        for address in &mut self.addresses {
            address.state = claimed(address.ip, self.fixed, address.permanent);
        }
        self.ask = Some((now, FIRST_WAIT));
    }

    /// The network is there again, perhaps another: routers are asked, and what was somebody else's may not be any more.
    pub fn again(&mut self, now: u64) {
        self.began = now;
        for address in &mut self.addresses {
            if address.state == State::Taken {
                address.state = claimed(address.ip, self.fixed, address.permanent);
            }
        }
        self.ask = Some((now, FIRST_WAIT));
    }

    /// Enters an address that is about to be asked for.
    fn add(&mut self, ip: Ipv6Addr, length: u8, permanent: bool, (preferred, valid): (u64, u64)) {
        let at = self
            .addresses
            .iter()
            .position(|other| scope(other.ip) <= scope(ip));
        let address = Address {
            ip,
            length,
            state: claimed(ip, self.fixed, permanent),
            permanent,
            preferred,
            valid,
        };
        let at = at.unwrap_or(self.addresses.len());
        // There is always room for the link-local one, which comes first.
        let _ = self.addresses.try_insert(at, address);
    }

    fn learn_link(&mut self, ip: Ipv6Addr, length: u8, until: u64) {
        let same = |link: &&mut OnLink| link.length == length && begins_with(ip, link.ip, length);
        match self.links.iter_mut().find(same) {
            Some(link) => link.until = until,
            None => {
                let _ = self.links.try_push(OnLink { ip, length, until });
            }
        }
    }

    /// A router speaks.
    pub fn advertised(&mut self, advert: &RouterAdvert<'_>, now: u64) {
        self.ask = None;
        self.hear_router(advert, now);
        for option in advert.options() {
            match option {
                RouterOption::Prefix(prefix) => self.hear_prefix(&prefix, now),
                RouterOption::Mtu(mtu) if mtu >= LEAST_MTU => {
                    self.mtu = Some(u16::try_from(mtu).unwrap_or(u16::MAX));
                }
                RouterOption::Mtu(_) => {}
                RouterOption::Servers(lifetime, list) => self.hear_servers(lifetime, list, now),
                RouterOption::Domains(0, _) => self.search = None,
                RouterOption::Domains(lifetime, list) => {
                    if let Some(domains) = search::padded_list(list) {
                        self.search = Some((domains, end(lifetime, now)));
                    }
                }
            }
        }
        self.expire(now);
    }

    fn hear_router(&mut self, advert: &RouterAdvert<'_>, now: u64) {
        let known = self.routers.iter().position(|it| it.ip == advert.router);
        let router = Router {
            ip: advert.router,
            preference: advert.preference,
            until: now + u64::from(advert.lifetime) * SECOND,
            suspect: 0,
        };
        match (known, advert.lifetime) {
            (Some(at), 0) => drop(self.routers.remove(at)),
            (Some(at), _) => self.routers[at] = router,
            (None, 0) => {}
            (None, _) => drop(self.routers.try_push(router)),
        }
    }

    fn hear_prefix(&mut self, prefix: &Prefix, now: u64) {
        let odd = prefix.ip.is_unicast_link_local() || prefix.ip.is_multicast();
        if odd || prefix.length > 128 {
            return;
        }
        if prefix.on_link {
            self.learn_link(prefix.ip, prefix.length, end(prefix.valid, now));
        }
        let usable = prefix.length == INTERFACE_BITS && prefix.preferred <= prefix.valid;
        if !prefix.autonomous || !usable || self.fixed {
            return;
        }
        let (preferred, valid) = (end(prefix.preferred, now), end(prefix.valid, now));
        let known = |address: &&mut Address| {
            !address.permanent && begins_with(address.ip, prefix.ip, prefix.length)
        };
        if let Some(address) = self.addresses.iter_mut().find(known) {
            address.preferred = preferred;
            let left = address.valid.saturating_sub(now);
            if valid > now.saturating_add(RESERVE) || valid > address.valid {
                address.valid = valid;
            } else if left > RESERVE {
                address.valid = now + RESERVE;
            }
        } else if prefix.valid > 0 {
            let ip = with_interface(prefix.ip, self.mac);
            self.add(ip, prefix.length, false, (preferred, valid));
        }
    }

    fn hear_servers(&mut self, lifetime: u32, list: &[u8], now: u64) {
        for octets in list.as_chunks::<16>().0 {
            let ip = Ipv6Addr::from(*octets);
            self.servers.retain(|(known, _)| *known != ip);
            if lifetime > 0 && !ip.is_multicast() && !ip.is_unspecified() {
                let _ = self.servers.try_push((ip, end(lifetime, now)));
            }
        }
    }

    /// Somebody else has, or wants, an address. True if it was one of ours, which is not used any more.
    pub fn contested(&mut self, ip: Ipv6Addr) -> bool {
        let claimed = |address: &&mut Address| {
            address.ip == ip && matches!(address.state, State::Claimed { .. })
        };
        match self.addresses.iter_mut().find(claimed) {
            Some(address) => {
                address.state = State::Taken;
                true
            }
            None => false,
        }
    }

    /// A neighbour did not answer for its address.
    pub fn failed(&mut self, ip: Ipv6Addr, now: u64) {
        let router = self.routers.iter_mut().find(|router| router.ip == ip);
        if let Some(router) = router {
            router.suspect = now + PASSED_OVER;
        }
    }

    fn expire(&mut self, now: u64) {
        self.addresses.retain(|address| now < address.valid);
        self.routers.retain(|router| now < router.until);
        self.links.retain(|link| now < link.until);
        self.servers.retain(|(_, until)| now < *until);
        if self.search.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.search = None;
        }
    }

    /// Does what is due, and says what is to be sent.
    pub fn tick(&mut self, now: u64) -> Says {
        let mut says = Says::new();
        self.expire(now);
        for address in &mut self.addresses {
            match &mut address.state {
                State::Claimed { until: 0, used } => {
                    let used = *used;
                    address.state = State::Claimed {
                        until: now + CLAIM,
                        used,
                    };
                    says.push(Say::Claim(address.ip));
                }
                State::Claimed { until, .. } if *until <= now => address.state = State::Ours,
                _ => {}
            }
        }
        if let Some((at, wait)) = self.ask
            && at <= now
        {
            self.ask = Some((now + wait, (2 * wait).min(LAST_WAIT)));
            says.push(Say::AskRouters);
        }
        says
    }

    /// When [`Autoconf::tick`] is to be called; `u64::MAX` for not at all.
    pub fn due(&self) -> u64 {
        let claims = self.addresses.iter().map(|address| match address.state {
            State::Claimed { until, .. } => until,
            _ => u64::MAX,
        });
        let ends = self.addresses.iter().map(|address| address.valid);
        let routers = self.routers.iter().map(|router| router.until);
        let links = self.links.iter().map(|link| link.until);
        let servers = self.servers.iter().map(|(_, until)| *until);
        let search = self.search.iter().map(|(_, until)| *until);
        let ask = self.ask.iter().map(|(at, _)| *at);
        let all = claims.chain(ends).chain(routers).chain(links);
        let all = all.chain(servers).chain(search).chain(ask);
        all.min().unwrap_or(u64::MAX)
    }

    /// All addresses.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Whether packets to this address are for us.
    pub fn is_ours(&self, ip: Ipv6Addr) -> bool {
        let mut all = self.addresses.iter();
        all.any(|address| address.ip == ip && address.is_used())
    }

    /// How an address is, if it is one of these.
    pub fn state(&self, ip: Ipv6Addr) -> Option<State> {
        let mut all = self.addresses.iter();
        all.find(|address| address.ip == ip)
            .map(|address| address.state)
    }

    /// The addresses that something may be sent from.
    pub fn candidates(&self, now: u64) -> ArrayVec<Candidate, ADDRESSES> {
        let used = self.addresses.iter().filter(|address| address.is_used());
        used.map(|address| Candidate {
            ip: address.ip,
            length: address.length,
            deprecated: address.preferred <= now,
        })
        .collect()
    }

    /// The neighbour that gets what is for `ip`; none if there is no way to it.
    pub fn hop(&self, ip: Ipv6Addr, now: u64) -> Option<Ipv6Addr> {
        let near = |link: &OnLink| now < link.until && begins_with(ip, link.ip, link.length);
        if ip.is_unicast_link_local() || self.links.iter().any(near) {
            return Some(ip);
        }
        self.router(now)
    }

    /// Who takes what is for others.
    pub fn router(&self, now: u64) -> Option<Ipv6Addr> {
        let routers = self.routers.iter().rev();
        let best = routers.max_by_key(|router| (router.suspect <= now, router.preference));
        self.gateway.or(best.map(|router| router.ip))
    }

    /// Routers that were heard of.
    pub fn routers(&self) -> &[Router] {
        &self.routers
    }

    /// The router that was given.
    pub const fn gateway(&self) -> Option<Ipv6Addr> {
        self.gateway
    }

    /// Whose addresses are neighbours'.
    pub fn links(&self) -> &[OnLink] {
        &self.links
    }

    /// Name servers that routers told.
    pub fn servers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.servers.iter().map(|(ip, _)| *ip)
    }

    /// Domains to search that routers told, separated by spaces.
    pub fn search(&self) -> Option<&str> {
        self.search.as_ref().map(|(domains, _)| &**domains)
    }

    /// The largest packet, if a router said.
    pub const fn mtu(&self) -> Option<u16> {
        self.mtu
    }

    /// Whether a router that there may be has not had the time to say so.
    pub const fn may_yet_hear(&self, now: u64, patience: u64) -> bool {
        self.ask.is_some() && now < self.began + patience
    }
}

/// How an address begins: asked for at the next tick.
const fn claimed(ip: Ipv6Addr, fixed: bool, permanent: bool) -> State {
    let given = fixed && permanent && !ip.is_unicast_link_local();
    State::Claimed {
        until: 0,
        used: !given,
    }
}

/// How far an address reaches; what is local to the link, least.
const fn scope(ip: Ipv6Addr) -> u8 {
    if ip.is_unicast_link_local() { 2 } else { 14 }
}

#[cfg(test)]
mod tests;
