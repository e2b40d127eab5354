//! virtio (OASIS Virtual I/O Device 1.2): finding devices, and the queues all of them speak through.
//!
//! - transport.rs: the registers of a device, over MMIO (microvm, Firecracker) or PCI (pci.rs: q35, clouds).
//! - buffer.rs: memory that a device may touch. queue.rs: split virtqueues, which own the buffers in flight.
//! - ninep.rs: the way to the host's files. net.rs: the network card.
//!
//! A driver takes its [`Device`], negotiates features, sets its queues up, registers one interrupt handler, and says
//! `ready`. Every access to a register leaves the guest (17 µs on the paravirtual KVM), so registers are touched at
//! start-up and to notify only, and start-up asks for nothing that is known already. Whatever a device writes (lengths,
//! indices) is checked: a device that breaks the rules loses its queue, the kernel goes on.
mod buffer;
pub mod net;
pub mod ninep;
mod pci;
mod queue;
mod transport;

pub use buffer::DmaBuffer;
pub use queue::{Chain, Part, Queue};
pub use transport::{Device, Kick};

use alloc::vec::Vec;
use ringo_abi::Errno;

/// Device ids (virtio 1.2, 5).
pub mod kind {
    /// A network card.
    pub const NET: u32 = 1;
    /// A console with ports.
    pub const CONSOLE: u32 = 3;
    /// 9P.
    pub const NINEP: u32 = 9;
}

/// Feature bits that belong to no device type.
pub mod feature {
    /// Interrupts and notifications when an index is passed.
    pub const EVENT_INDEX: u64 = 1 << 29;
    /// Not the interface of before 1.0.
    pub const VERSION_1: u64 = 1 << 32;
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtioError {
    /// It lacks a feature, or refuses the ones we chose.
    Features,
    /// It has no such queue.
    NoQueue,
    /// There are no interrupt vectors, or no line to it.
    NoInterrupt,
    /// No memory.
    NoMemory,
}

impl From<VirtioError> for Errno {
    fn from(error: VirtioError) -> Self {
        match error {
            VirtioError::NoMemory => Self::ENOMEM,
            _ => Self::EIO,
        }
    }
}

/// The devices of this machine: those the kernel's command line names (microvm, Firecracker), then those on PCI.
pub fn find(command_line: &[u8]) -> Vec<Device> {
    let mut devices = transport::from_command_line(command_line);
    if devices.is_empty() {
        devices = pci::find();
    }
    devices
}
