//! Frames that go: memory with the device's header (struct virtio_net_hdr_v1; virtio 1.2, 5.1.6) in front.
//!
//! Two sizes: one packet of Ethernet, and large ones, which the device cuts into segments.
use super::super::{DmaBuffer, Part};
use ringo_net::packet::ETHERNET_HEADER;

/// The header.
pub(super) const HEADER: usize = 12;
/// Its fields: `flags`, `gso_type`, `hdr_len`, `gso_size`, `csum_start` and `csum_offset`, `num_buffers`.
pub(super) const FLAGS: usize = 0;
const CUT: usize = 1;
const HEADERS: usize = 2;
const SIZE: usize = 4;
const START: usize = 6;
pub(super) const BUFFERS: usize = 10;
/// A flag: the checksum is to be completed.
pub(super) const NEEDS_CHECKSUM: u8 = 1;
/// How to cut: TCP over IPv4.
const CUT_TCP4: u8 = 1;
/// What a packet may have at most behind the Ethernet header.
pub const MTU: usize = 1500;
/// A buffer to send from: header and frame with room to spare.
pub(super) const BUFFER: usize = 2048;
/// The same for a packet that the device cuts.
pub(super) const LARGE: usize = 64 << 10;
/// The longest of those.
pub const LARGE_PACKET: usize = LARGE - HEADER - ETHERNET_HEADER;

/// A frame to be sent, being filled.
pub struct Frame {
    buffer: DmaBuffer,
    /// Of the Ethernet frame.
    length: usize,
}

impl Frame {
    pub(super) fn new(mut buffer: DmaBuffer) -> Self {
        buffer.bytes_mut()[..HEADER].fill(0);
        Self { buffer, length: 0 }
    }

    /// For the queue.
    pub(super) fn into_part(self) -> Part {
        Part {
            buffer: self.buffer,
            length: HEADER + self.length,
            device_writes: false,
        }
    }

    /// The frame's length.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The longest packet it takes.
    pub fn longest(&self) -> usize {
        match self.buffer.len() {
            LARGE.. => LARGE_PACKET,
            _ => MTU,
        }
    }

    /// The whole frame; the length is the frame's then.
    ///
    /// # Panics
    /// If it is longer than [`Frame::longest`] and the header: callers know the MTU.
    pub fn ethernet(&mut self, length: usize) -> &mut [u8] {
        assert!(length <= ETHERNET_HEADER + self.longest());
        self.length = length;
        &mut self.buffer.bytes_mut()[HEADER..HEADER + length]
    }

    /// What is behind the Ethernet header: an IP packet of this length.
    ///
    /// # Panics
    /// As [`Frame::ethernet`].
    pub fn packet(&mut self, length: usize) -> &mut [u8] {
        &mut self.ethernet(ETHERNET_HEADER + length)[ETHERNET_HEADER..]
    }

    /// Leaves a checksum to the device, which [completes](super::Nic::completes) them.
    pub fn complete(&mut self, checksum: Checksum) {
        let start = checksum.start + ETHERNET_HEADER as u16;
        let header = self.buffer.bytes_mut();
        header[FLAGS] = NEEDS_CHECKSUM;
        header[START..START + 2].copy_from_slice(&start.to_le_bytes());
        header[START + 2..START + 4].copy_from_slice(&checksum.offset.to_le_bytes());
    }

    /// Has the device cut it into segments of so many bytes behind `headers` ones of a packet, whose checksum it
    /// [completes](Frame::complete), too.
    pub fn cut(&mut self, headers: u16, size: u16) {
        let headers = headers + ETHERNET_HEADER as u16;
        let header = self.buffer.bytes_mut();
        header[CUT] = CUT_TCP4;
        header[HEADERS..HEADERS + 2].copy_from_slice(&headers.to_le_bytes());
        header[SIZE..SIZE + 2].copy_from_slice(&size.to_le_bytes());
    }

    /// The frame as it is.
    pub fn bytes(&mut self) -> &mut [u8] {
        let length = self.length;
        &mut self.buffer.bytes_mut()[HEADER..HEADER + length]
    }
}

/// Where a checksum is that the device completes: it is made from `start` on, and stored at `start` and `offset`; that place
/// has the sum of the pseudo-header.
#[derive(Clone, Copy)]
pub struct Checksum {
    /// Behind the Ethernet header.
    pub start: u16,
    /// From there.
    pub offset: u16,
}
