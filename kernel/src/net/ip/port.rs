//! The card as smoltcp sees it: at most one packet to take, and frames to fill.
//!
//! Two ways: [`Port`] carries IP packets of one connection, [`Raw`] whole Ethernet frames (DHCP). What is sent
//! waits in the card's queue until somebody says [`flush`](crate::drivers::virtio::net::Nic::flush).
use super::{COUNTS, Network};
use crate::drivers::virtio::net::{self as card, Frame, MTU};
use crate::time;
use arrayvec::ArrayVec;
use core::net::IpAddr;
use core::num::{NonZeroU16, NonZeroUsize};
use ringo_net::packet::{self, ETHERNET_HEADER};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

/// Headers of IPv4 and TCP at most.
pub const HEADERS: usize = 120;

/// The time as smoltcp takes it.
pub fn now() -> Instant {
    Instant::from_micros((time::now() / 1000) as i64)
}

/// When smoltcp wants to be run again, ns since boot. Never at once: what could be done was done just now.
pub fn deadline(due: Instant) -> u64 {
    let due = (due.total_micros().max(0) as u64).saturating_mul(1000);
    due.max(time::now() + 1_000_000)
}

/// A packet that came.
pub struct Came<'a>(&'a [u8]);

impl RxToken for Came<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The card for one connection.
pub struct Port<'a> {
    network: &'static Network,
    /// A packet that came.
    pub packet: Option<&'a [u8]>,
    to: IpAddr,
    /// The largest packet.
    pub mtu: usize,
    /// What would be sent is not.
    pub mute: bool,
    /// The card was busy.
    pub busy: bool,
    /// To be filled.
    frame: Option<Frame>,
    /// There is more to send than a packet takes: the card may cut it.
    pub bulk: bool,
    /// How much farther windows are shifted in segments than by smoltcp.
    pub rescale: u8,
    /// Behind the last byte that was sent.
    pub front: Option<u32>,
    /// The packet that was sent last, if it has no more than headers: what TIME_WAIT says again.
    pub last: ArrayVec<u8, HEADERS>,
}

impl<'a> Port<'a> {
    /// What is sent goes to `to`, and what lies before `front` goes again.
    pub fn new(network: &'static Network, to: IpAddr, front: Option<u32>) -> Self {
        Self {
            network,
            packet: None,
            to,
            mtu: MTU,
            mute: false,
            busy: false,
            frame: None,
            bulk: false,
            rescale: 0,
            front,
            last: ArrayVec::new(),
        }
    }
}

impl Port<'_> {
    /// Whether there is a frame to be filled. Who has smoltcp send asks before: a segment that it wants to repeat after three
    /// acknowledgements, and for which it finds none, it forgets, and stops its timer.
    pub fn is_ready(&mut self) -> bool {
        if self.frame.is_none() && !self.mute {
            self.frame = match self.bulk {
                true => self.network.nic.large_frame(),
                false => self.network.nic.frame(),
            };
            self.busy |= self.frame.is_none();
        }
        self.frame.is_some() || self.mute
    }

    /// A packet was filled.
    fn sent(&mut self, packet: &[u8]) {
        COUNTS.tcp_out.add();
        self.last.clear();
        // Too long a one is not kept.
        let _ = self.last.try_extend_from_slice(packet);
        let Some((sequence, length)) = packet::numbers(packet) else {
            return;
        };
        let end = sequence.wrapping_add(length);
        let ahead = |front: u32| end.wrapping_sub(front).cast_signed() > 0;
        if self.front.is_none_or(ahead) {
            self.front = Some(end);
        } else if length > 0 {
            COUNTS.repeated.add();
        }
    }
}

impl Drop for Port<'_> {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            self.network.nic.put_back(frame);
        }
    }
}

/// A frame to be filled.
pub struct Goes<'a, 'b> {
    port: &'a mut Port<'b>,
    /// The card cuts it into segments of so many bytes.
    cut: Option<NonZeroU16>,
}

impl TxToken for Goes<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let network = self.port.network;
        if self.port.mute {
            let mut packet = alloc::vec![0; length];
            let result = f(&mut packet);
            self.port.sent(&packet);
            return result;
        }
        let frame = self.port.frame.take().or_else(|| network.nic.frame());
        let fits = |frame: &Frame| length <= frame.longest();
        let Some(mut frame) = frame.filter(fits) else {
            // An answer to what just came: it is as if it got lost.
            COUNTS.full.add();
            return f(&mut alloc::vec![0; length]);
        };
        let packet = frame.packet(length);
        let result = f(packet);
        packet::rescale(packet, self.port.rescale);
        // A short packet is kept, so it must be whole.
        let left = network.nic.completes() && packet.len() > HEADERS;
        let start = packet::fill_tcp_checksum(packet, left).filter(|_| left);
        let headers = packet::tcp_headers(packet);
        self.port.sent(packet);
        if let Some(start) = start {
            frame.complete(card::Checksum {
                start,
                offset: packet::CHECKSUM_AT as u16,
            });
            if let Some(size) = self.cut {
                frame.cut(headers as u16, size.get());
            }
        }
        network.send(frame, self.port.to);
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.cut = meta.segmentation_offload_size;
    }
}

impl<'b> Device for Port<'b> {
    type RxToken<'a>
        = Came<'b>
    where
        Self: 'a;
    type TxToken<'a>
        = Goes<'a, 'b>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let packet = self.packet.take()?;
        let goes = Goes {
            port: self,
            cut: None,
        };
        Some((Came(packet), goes))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        self.is_ready().then_some(Goes {
            port: self,
            cut: None,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = capabilities(Medium::Ip, self.mtu);
        // What comes was checked on its way here (input.rs, tcp/wires.rs); what goes is above.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::None;
        if self.network.nic.cuts() {
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(card::LARGE_PACKET);
        }
        capabilities
    }
}

/// What smoltcp asks of a card.
pub fn capabilities(medium: Medium, mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = medium;
    capabilities.max_transmission_unit = mtu;
    capabilities
}

/// The card for who speaks Ethernet; none before there is one, when only its capabilities are asked for.
pub struct Raw<'a> {
    /// The card.
    pub network: Option<&'static Network>,
    /// A frame that came.
    pub frame: Option<&'a [u8]>,
}

/// An Ethernet frame to be filled.
pub struct RawGoes(&'static Network, Frame);

impl TxToken for RawGoes {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let Self(network, mut frame) = self;
        let result = f(frame.ethernet(length));
        network.nic.send(frame);
        result
    }
}

impl<'b> Device for Raw<'b> {
    type RxToken<'a>
        = Came<'b>
    where
        Self: 'a;
    type TxToken<'a>
        = RawGoes
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.frame?;
        let goes = self.transmit(now)?;
        Some((Came(self.frame.take()?), goes))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        let network = self.network?;
        Some(RawGoes(network, network.nic.frame()?))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = capabilities(Medium::Ethernet, ETHERNET_HEADER + MTU);
        // Checked by input.rs; or the card has left it out.
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}
