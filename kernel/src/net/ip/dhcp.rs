//! Our address, from the network's server (RFC 2131, 2132, 3397): smoltcp's client with an interface of its own.
//!
//! It runs when one of its packets came and when its timer fires, and never holds anybody up: the first question goes out while
//! the program is being loaded. A lease is renewed by broadcast, when half and more of its time is over. In QEMU's user
//! network the addresses are fixed and taken at once; what a lease tells there is names, and a server that stays silent is
//! done without.
//! Lock: the client's, above the card's and the place's.
use super::names::Names;
use super::port::{self, Raw};
use super::{Network, Place};
use crate::fs::dev::random;
use crate::sync::SpinLock;
use crate::time::{self, Timer, TimerCallback};
use alloc::sync::Arc;
use alloc::vec;
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ringo_net::search;
use ringo_net::settings::SERVERS;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

/// How long the server of the user network may stay silent.
const SILENCE: u64 = 3_000_000_000;
/// The user network as QEMU makes it: our address, the host, the name server.
const USER: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 0, 2, 15),
    Ipv4Addr::new(10, 0, 2, 2),
    Ipv4Addr::new(10, 0, 2, 3),
];
const USER_PREFIX: u8 = 24;

/// Options by number: our domain, and the domains to search.
const DOMAIN: u8 = 15;
const SEARCH: u8 = 119;
/// What the server is asked for: mask, router, name servers and these.
const ASKED: [u8; 5] = [1, 3, 6, DOMAIN, SEARCH];
/// The longest answer whose options are looked at: a frame's.
const ANSWER: usize = 1500;

struct Client {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

/// See the module's head.
pub struct Dhcp {
    client: SpinLock<Client>,
    timer: Timer,
    /// A server has answered.
    heard: AtomicBool,
    /// The lease that counts until another one comes, or it ends, ns since boot; 0 for none.
    kept_until: AtomicU64,
}

impl Client {
    fn socket(&mut self) -> &mut dhcpv4::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }
}

/// When a lease ends that begins now: its option 51, in seconds.
fn end(lease: &dhcpv4::Config<'_>) -> u64 {
    const DURATION: u8 = 51;
    let options = lease.packet.as_ref().map(|packet| packet.options());
    let option = options.and_then(|mut all| all.find(|option| option.kind == DURATION));
    let seconds = option.and_then(|option| option.data.first_chunk().copied());
    match seconds.map_or(u32::MAX, u32::from_be_bytes) {
        u32::MAX => u64::MAX,
        seconds => time::now() + u64::from(seconds) * 1_000_000_000,
    }
}

struct Due;

impl TimerCallback for Due {
    fn expired(&self) {
        if let Some(network) = super::network() {
            network.dhcp.run(network, None);
        }
    }
}

impl Dhcp {
    /// A client that has not asked yet.
    pub fn new(mac: [u8; 6]) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = random::word();
        let mut card = Raw {
            network: None,
            frame: None,
        };
        let interface = Interface::new(config, &mut card, port::now());
        let mut socket = dhcpv4::Socket::new();
        // The first answer of a busy host may take a while; to ask twice costs nothing.
        let mut retry = socket.get_retry_config();
        retry.discover_timeout = Duration::from_secs(1);
        socket.set_retry_config(retry);
        socket.set_parameter_request_list(&ASKED);
        socket.set_receive_packet_buffer(vec![0; ANSWER].leak());
        let mut sockets = SocketSet::new(alloc::vec![]);
        let handle = sockets.add(socket);
        Self {
            client: SpinLock::new(Client {
                interface,
                sockets,
                handle,
            }),
            timer: Timer::new(Arc::new(Due)),
            heard: AtomicBool::new(false),
            kept_until: AtomicU64::new(0),
        }
    }

    /// The network is there again, perhaps another: asks anew, and keeps the lease meanwhile (RFC 2131, 3.7).
    pub fn again(&self, network: &'static Network) {
        let mut client = self.client.lock();
        client.socket().reset();
        // Its word that the lease is gone.
        let _ = client.socket().poll();
        drop(client);
        self.run(network, None);
    }

    /// Does what is due, with a frame that came for it if there is one.
    pub fn run(&self, network: &'static Network, frame: Option<&[u8]>) {
        let mut guard = self.client.lock();
        let client = &mut *guard;
        let mut card = Raw {
            network: Some(network),
            frame,
        };
        client
            .interface
            .poll(port::now(), &mut card, &mut client.sockets);
        let event = client
            .sockets
            .get_mut::<dhcpv4::Socket>(client.handle)
            .poll();
        let news = match event {
            Some(dhcpv4::Event::Configured(lease)) => {
                self.heard.store(true, Ordering::Relaxed);
                self.kept_until.store(end(&lease), Ordering::Relaxed);
                let place = Place {
                    address: lease.address.address(),
                    prefix: lease.address.prefix_len(),
                    router: lease.router,
                };
                Some(Some((place, names(&lease))))
            }
            Some(dhcpv4::Event::Deconfigured) => Some(None),
            None if self.has_ended() => Some(None),
            None if self.is_silent(network) => Some(Some(user())),
            None => None,
        };
        let due = client.interface.poll_at(port::now(), &client.sockets);
        drop(guard);
        network.nic.flush();
        if let Some(due) = due {
            self.timer.arm(port::deadline(due));
        }
        let Some(news) = news else { return };
        let (place, names) = match news {
            Some((place, names)) => (Some(place), names),
            None if network.settings.user => return,
            None => (None, Names::default()),
        };
        *network.names.lock() = names;
        if place != network.place() {
            network.settle(place);
        } else {
            // For those who wait for names.
            network.arrival.wake_all();
        }
    }

    /// There was a lease, and its time is over.
    fn has_ended(&self) -> bool {
        let until = self.kept_until.load(Ordering::Relaxed);
        let ended = until != 0 && until <= time::now();
        if ended {
            self.kept_until.store(0, Ordering::Relaxed);
        }
        ended
    }

    /// Nobody has answered in the user network.
    fn is_silent(&self, network: &Network) -> bool {
        network.settings.user
            && !self.heard.load(Ordering::Relaxed)
            && !network.has_names()
            && time::now() > SILENCE
    }
}

/// Our place in the user network.
pub fn user_place() -> Place {
    let [address, router, _] = USER;
    Place {
        address,
        prefix: USER_PREFIX,
        router: Some(router),
    }
}

/// What there is in the user network without a lease.
fn user() -> (Place, Names) {
    let [.., server] = USER;
    let servers = core::iter::once(IpAddr::V4(server)).collect();
    let names = Names {
        servers,
        ..Names::default()
    };
    (user_place(), names)
}

/// What a lease says of names.
fn names(lease: &dhcpv4::Config<'_>) -> Names {
    let option = |kind| {
        let mut options = lease.packet.as_ref()?.options();
        options.find(|option| option.kind == kind)
    };
    let servers = lease.dns_servers.iter().copied().map(IpAddr::V4);
    Names {
        servers: servers.take(SERVERS).collect(),
        domain: option(DOMAIN).and_then(|option| search::domain(option.data)),
        search: option(SEARCH).and_then(|option| search::list(option.data)),
        server: Some(lease.server.address),
    }
}
