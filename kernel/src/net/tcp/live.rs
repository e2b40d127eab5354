//! What smoltcp has of a connection: an interface with one socket, and its rings.
use super::buffers;
use super::wires::Ends;
use crate::fs::dev::random;
use crate::net::ip::{Network, Port};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ringo_abi::Errno;
use ringo_net::{clocks, packet};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint};

/// How long data may wait for its acknowledgement to have company.
const ACK_DELAY_MS: u64 = 10;

/// See the module's head.
pub struct Live {
    /// Takes and makes packets.
    pub interface: Interface,
    /// The one socket.
    pub sockets: SocketSet<'static>,
    /// Its name.
    pub handle: SocketHandle,
    /// The card cuts what is more than a packet takes.
    pub cuts: bool,
    /// The data of the largest packet.
    pub segment: u32,
    /// How much farther windows are shifted in segments than by smoltcp (buffers.rs).
    pub rescale: u8,
}

impl Live {
    /// A socket that does nothing yet, between these ends; `seed` decides what number it begins with, `rings` how large its
    /// window is, and how much it may have sent.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn new(
        network: &'static Network,
        ends: &Ends,
        now: Instant,
        seed: u64,
        rings: [usize; 2],
    ) -> Result<Box<Self>, Errno> {
        let mtu = network.mtu_to(ends.remote.ip());
        let interface = interface(network, ends, now, seed, mtu);
        let receive = buffers::ring(rings[0])?;
        let send = buffers::ring(rings[1]).inspect_err(|_| buffers::gone(receive.len()))?;
        let rescale = buffers::rescale(receive.len());
        let mut socket = Socket::new(SocketBuffer::new(receive), SocketBuffer::new(send));
        // See ringo_net::recovery.
        socket.set_congestion_control(CongestionControl::None);
        socket.set_ack_delay(Some(Duration::from_millis(ACK_DELAY_MS * clocks::FAST)));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Ok(Box::new(Self {
            interface,
            sockets,
            handle,
            cuts: network.nic.cuts() && ends.local.is_ipv4(),
            segment: segment(ends, mtu),
            rescale,
        }))
    }

    /// The same with a socket that asks for a connection.
    ///
    /// # Errors
    /// ENOBUFS, EADDRNOTAVAIL.
    pub fn dial(
        network: &'static Network,
        ends: &Ends,
        now: Instant,
        seed: u64,
        rings: [usize; 2],
    ) -> Result<Box<Self>, Errno> {
        let mut live = Self::new(network, ends, now, seed, rings)?;
        let Self {
            interface,
            sockets,
            handle,
            ..
        } = &mut *live;
        let socket = sockets.get_mut::<Socket>(*handle);
        let [remote, local] = [ends.remote, ends.local].map(IpEndpoint::from);
        socket
            .connect(interface.context(), remote, local)
            .map_err(|_| Errno::EADDRNOTAVAIL)?;
        Ok(live)
    }

    /// The way takes packets of so many bytes from now on. smoltcp asks only once how many that are: it gets a new interface,
    /// of which nothing but that matters.
    pub fn narrow(&mut self, network: &'static Network, ends: &Ends, now: Instant, mtu: usize) {
        self.interface = interface(network, ends, now, random::word(), mtu);
        self.segment = segment(ends, mtu);
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }
}

/// What packets of so many bytes have behind their headers.
fn segment(ends: &Ends, mtu: usize) -> u32 {
    const TCP_HEADER: usize = 20;
    let header = match ends.local.ip() {
        IpAddr::V4(_) => packet::IPV4_HEADER,
        IpAddr::V6(_) => packet::IPV6_HEADER,
    };
    mtu.saturating_sub(header + TCP_HEADER) as u32
}

fn interface(
    network: &'static Network,
    ends: &Ends,
    now: Instant,
    seed: u64,
    mtu: usize,
) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut port = Port::new(network, ends.remote.ip(), None);
    port.mtu = mtu;
    let mut interface = Interface::new(config, &mut port, now);
    let full = match ends.local.ip() {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    interface.update_ip_addrs(|addresses| {
        // Its capacity is one.
        let _ = addresses.push(IpCidr::new(ends.local.ip().into(), full));
    });
    // Which way packets go is the layer's below; here there must only be one.
    let routes = interface.routes_mut();
    let _ = match ends.local.ip() {
        IpAddr::V4(_) => routes.add_default_ipv4_route(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => routes.add_default_ipv6_route(Ipv6Addr::UNSPECIFIED),
    };
    interface
}

impl Drop for Live {
    fn drop(&mut self) {
        let socket: &Socket = self.sockets.get(self.handle);
        buffers::gone(socket.recv_capacity() + socket.send_capacity());
    }
}
