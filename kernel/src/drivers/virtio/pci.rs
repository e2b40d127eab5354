//! virtio over PCI (virtio 1.2, 4.1; PCI Local Bus 3.0, 6): q35 and clouds.
//!
//! Configuration space through ports 0xcf8 and 0xcfc, bus 0 only (QEMU puts devices there). The firmware has placed the
//! BARs. A device's registers are found by its vendor capabilities; interrupts are MSI-X, one vector for all queues.
use super::VirtioError;
use super::transport::{Device, Kick, Registers};
use crate::cpu::{percpu, port};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const DEVICES: u32 = 32;

const VENDOR_VIRTIO: u16 = 0x1af4;
/// Device ids of current devices begin here; those below are transitional.
const FIRST_DEVICE: u16 = 0x1040;

/// Offsets in configuration space.
mod space {
    pub const ID: u8 = 0;
    pub const COMMAND: u8 = 4;
    pub const BAR_0: u8 = 0x10;
    pub const SUBSYSTEM: u8 = 0x2c;
    pub const CAPABILITIES: u8 = 0x34;
}

const CAPABILITY_VENDOR: u8 = 9;
const CAPABILITY_MSIX: u8 = 0x11;
/// Memory accesses, bus master, no INTx.
const COMMAND_BITS: u32 = 0x406;
const MSIX_ENABLE: u32 = 1 << 31;

/// Kinds of virtio capabilities.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

/// Common configuration.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0;
    pub const DEVICE_FEATURE: usize = 4;
    pub const DRIVER_FEATURE_SELECT: usize = 8;
    pub const DRIVER_FEATURE: usize = 12;
    pub const MSIX_CONFIG: usize = 16;
    pub const STATUS: usize = 20;
    pub const QUEUE_SELECT: usize = 22;
    pub const QUEUE_SIZE: usize = 24;
    pub const QUEUE_MSIX: usize = 26;
    pub const QUEUE_ENABLE: usize = 28;
    pub const QUEUE_NOTIFY_OFF: usize = 30;
    pub const QUEUE_ADDRESSES: [usize; 3] = [32, 40, 48];
    pub const LENGTH: usize = 56;
}

#[derive(Clone, Copy)]
struct Slot(u32);

impl Slot {
    fn select(self, offset: u8) {
        port::outl(ADDRESS, 1 << 31 | self.0 << 11 | u32::from(offset & !3));
    }

    fn read(self, offset: u8) -> u32 {
        self.select(offset);
        port::inl(DATA)
    }

    fn write(self, offset: u8, value: u32) {
        self.select(offset);
        port::outl(DATA, value);
    }

    fn read_u8(self, offset: u8) -> u8 {
        (self.read(offset) >> (8 * u32::from(offset & 3))) as u8
    }

    /// The capabilities: (offset, kind). At most as many as fit into the space, so a circle ends.
    fn capabilities(self) -> impl Iterator<Item = (u8, u8)> {
        let mut at = self.read_u8(space::CAPABILITIES) & !3;
        core::iter::from_fn(move || {
            if at < 0x40 {
                return None;
            }
            let head = self.read(at);
            let found = (at, head as u8);
            at = (head >> 8) as u8 & !3;
            Some(found)
        })
        .take(48)
    }

    /// Physical address of a memory BAR.
    fn bar(self, index: u8) -> Option<usize> {
        if index > 5 {
            return None;
        }
        let offset = space::BAR_0 + 4 * index;
        let low = self.read(offset);
        if low & 1 != 0 {
            return None;
        }
        let high = if low & 6 == 4 && index < 5 {
            self.read(offset + 4)
        } else {
            0
        };
        Some((u64::from(high) << 32 | u64::from(low & !15)) as usize)
    }

    /// The registers that a vendor capability at `at` describes.
    fn region(self, at: u8) -> Option<Registers> {
        let bar = self.bar(self.read_u8(at + 4))?;
        let (offset, length) = (self.read(at + 8) as usize, self.read(at + 12) as usize);
        Registers::new(bar.checked_add(offset)?, length)
    }
}

/// A device's registers on PCI.
pub(super) struct Functions {
    common: Registers,
    notify: Registers,
    notify_step: usize,
    /// The device's own configuration, if it has one.
    configuration: Option<Registers>,
    slot: Slot,
    msix: u8,
}

/// All virtio devices on bus 0.
pub(super) fn find() -> Vec<Device> {
    (0..DEVICES).map(Slot).filter_map(open).collect()
}

fn open(slot: Slot) -> Option<Device> {
    let id = slot.read(space::ID);
    let (vendor, device) = (id as u16, (id >> 16) as u16);
    if vendor != VENDOR_VIRTIO {
        return None;
    }
    // A transitional device tells its type as its subsystem.
    let kind = match device.checked_sub(FIRST_DEVICE) {
        Some(kind) => u32::from(kind),
        None => slot.read(space::SUBSYSTEM) >> 16,
    };
    slot.write(
        space::COMMAND,
        slot.read(space::COMMAND) & 0xffff | COMMAND_BITS,
    );
    let (mut common, mut notify, mut msix) = (None, None, None);
    let mut configuration = None;
    for (at, capability) in slot.capabilities() {
        match (capability, slot.read_u8(at + 3)) {
            (CAPABILITY_VENDOR, COMMON) => common = common.or(slot.region(at)),
            (CAPABILITY_VENDOR, NOTIFY) => {
                notify = notify.or(slot.region(at).map(|region| (region, slot.read(at + 16))));
            }
            (CAPABILITY_VENDOR, DEVICE) => configuration = configuration.or(slot.region(at)),
            (CAPABILITY_MSIX, _) => msix = Some(at),
            _ => {}
        }
    }
    let (notify, step) = notify?;
    let functions = Functions {
        common: common?,
        notify,
        notify_step: step as usize,
        configuration,
        slot,
        msix: msix?,
    };
    (functions.common.len() >= common::LENGTH).then(|| Device::on_pci(kind, functions))
}

impl Functions {
    pub fn status(&self) -> u8 {
        self.common.read(common::STATUS)
    }

    pub fn set_status(&self, status: u8) {
        self.common.write(common::STATUS, status);
        // A reset is done when it reads back as 0.
        while status == 0 && self.status() != 0 {
            core::hint::spin_loop();
        }
    }

    pub fn configuration(&self) -> Option<Registers> {
        self.configuration
    }

    pub fn device_features(&self) -> u64 {
        let half = |select: u32| {
            self.common.write(common::DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read::<u32>(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    pub fn set_driver_features(&self, features: u64) {
        for select in 0..2u32 {
            self.common.write(common::DRIVER_FEATURE_SELECT, select);
            let half = (features >> (32 * select)) as u32;
            self.common.write(common::DRIVER_FEATURE, half);
        }
    }

    pub fn set_queue(
        &self,
        index: u16,
        size: u16,
        addresses: [usize; 3],
    ) -> Result<Kick, VirtioError> {
        let common = &self.common;
        common.write(common::QUEUE_SELECT, index);
        if common.read::<u16>(common::QUEUE_SIZE) < size {
            return Err(VirtioError::NoQueue);
        }
        common.write(common::QUEUE_SIZE, size);
        self.name_entry(common::QUEUE_MSIX)?;
        for (register, address) in common::QUEUE_ADDRESSES.into_iter().zip(addresses) {
            common.write(register, address as u32);
            common.write(register + 4, (address as u64 >> 32) as u32);
        }
        let steps = common.read::<u16>(common::QUEUE_NOTIFY_OFF) as usize;
        let offset = steps
            .checked_mul(self.notify_step)
            .filter(|&offset| offset.saturating_add(2) <= self.notify.len())
            .ok_or(VirtioError::NoQueue)?;
        common.write(common::QUEUE_ENABLE, 1u16);
        Ok(Kick::new(self.notify, offset, index, false))
    }

    /// MSI-X entry 0 raises `vector` on the first CPU; queues and changes of the configuration name entry 0 (Intel SDM 3A,
    /// 11.11).
    pub fn route_interrupts(&self, vector: u8) -> Result<(), VirtioError> {
        const ENTRY: usize = 16;
        let place = self.slot.read(self.msix + 4);
        let table = self
            .slot
            .bar((place & 7) as u8)
            .and_then(|bar| Registers::new(bar.checked_add((place & !7) as usize)?, ENTRY))
            .ok_or(VirtioError::NoInterrupt)?;
        let apic = percpu::cpu(0).apic_id.load(Ordering::Relaxed);
        table.write(0, 0xfee0_0000 | apic << 12);
        table.write(4, 0u32);
        table.write(8, u32::from(vector));
        table.write(12, 0u32);
        let control = self.slot.read(self.msix);
        self.slot.write(self.msix, control | MSIX_ENABLE);
        self.name_entry(common::MSIX_CONFIG)
    }

    /// Writes MSI-X entry 0 to a register of what shall raise it. A device that cannot spare what it needs for that shows
    /// another value (virtio 1.2, 4.1.5.1.2).
    fn name_entry(&self, register: usize) -> Result<(), VirtioError> {
        self.common.write(register, 0u16);
        match self.common.read::<u16>(register) {
            0 => Ok(()),
            _ => Err(VirtioError::NoInterrupt),
        }
    }
}
