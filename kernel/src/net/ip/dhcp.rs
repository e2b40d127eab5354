//! Our address, from the network's server (RFC 2131): smoltcp's client with an interface of its own.
//!
//! It runs when one of its packets came and when its timer fires, and never holds anybody up: the first question goes out while
//! the program is being loaded. A lease is renewed by broadcast, when half and more of its time is over.
//! Lock: the client's, above the card's and the place's.
use super::port::{self, Raw};
use super::{Network, Place};
use crate::fs::dev::random;
use crate::sync::SpinLock;
use crate::time::{Timer, TimerCallback};
use alloc::sync::Arc;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

struct Client {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

/// See the module's head.
pub struct Dhcp {
    client: SpinLock<Client>,
    timer: Timer,
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
        let mut sockets = SocketSet::new(alloc::vec![]);
        let handle = sockets.add(socket);
        Self {
            client: SpinLock::new(Client {
                interface,
                sockets,
                handle,
            }),
            timer: Timer::new(Arc::new(Due)),
        }
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
            Some(dhcpv4::Event::Configured(lease)) => Some(Some(Place {
                address: lease.address.address(),
                prefix: lease.address.prefix_len(),
                router: lease.router,
            })),
            Some(dhcpv4::Event::Deconfigured) => Some(None),
            None => None,
        };
        let due = client.interface.poll_at(port::now(), &client.sockets);
        drop(guard);
        network.nic.flush();
        if let Some(due) = due {
            self.timer.arm(port::deadline(due));
        }
        if let Some(place) = news
            && place != network.place()
        {
            network.settle(place);
        }
    }
}
