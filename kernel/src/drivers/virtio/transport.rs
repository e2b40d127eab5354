//! The registers of one device (virtio 1.2, 4.1 and 4.2).
//!
//! Own code rather than a library's: start-up must touch few registers (each one is an exit), and PCI must use MSI-X.
//! Both transports have the same steps: status, features, queues, notification; they differ in where the registers are.
use super::pci::Functions;
use super::queue::tell_stray;
use super::{VirtioError, feature};
use crate::cpu::{interrupts, ioapic};
use crate::memory::phys_to_virt;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
const NEEDS_RESET: u8 = 64;

/// MMIO registers.
mod mmio {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 4;
    pub const DEVICE_ID: usize = 8;
    pub const DEVICE_FEATURES: usize = 0x10;
    pub const DEVICE_FEATURES_SELECT: usize = 0x14;
    pub const DRIVER_FEATURES: usize = 0x20;
    pub const DRIVER_FEATURES_SELECT: usize = 0x24;
    pub const QUEUE_SELECT: usize = 0x30;
    pub const QUEUE_SIZE_MAX: usize = 0x34;
    pub const QUEUE_SIZE: usize = 0x38;
    pub const QUEUE_READY: usize = 0x44;
    pub const QUEUE_NOTIFY: usize = 0x50;
    pub const INTERRUPT_ACK: usize = 0x64;
    pub const STATUS: usize = 0x70;
    /// Low halves of the three addresses; the high ones are 4 behind.
    pub const QUEUE_ADDRESSES: [usize; 3] = [0x80, 0x90, 0xa0];
    pub const CONFIG: usize = 0x100;
    pub const MAGIC_VALUE: u32 = 0x7472_6976;
}

/// Registers in uncached memory.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    base: usize,
    length: usize,
}

impl Registers {
    /// `length` bytes of device memory at `phys`. None if the kernel does not map that.
    pub fn new(phys: usize, length: usize) -> Option<Self> {
        let mapped = crate::memory::is_device_memory(phys, length);
        mapped.then(|| Self {
            base: phys_to_virt(phys),
            length,
        })
    }

    pub fn len(&self) -> usize {
        self.length
    }

    fn check<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset + size_of::<T>() <= self.length,
            "a register outside of its device"
        );
        (self.base + offset) as *mut T
    }

    pub fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: device memory, mapped uncached; checked to lie inside of it.
        unsafe { self.check::<T>(offset).read_volatile() }
    }

    pub fn write<T: Copy>(&self, offset: usize, value: T) {
        // SAFETY: as above.
        unsafe { self.check::<T>(offset).write_volatile(value) };
    }
}

/// A notification to make: where to write what.
#[derive(Clone, Copy)]
pub struct Kick {
    registers: Registers,
    offset: usize,
    queue: u16,
    wide: bool,
}

impl Kick {
    pub(super) fn new(registers: Registers, offset: usize, queue: u16, wide: bool) -> Self {
        Self {
            registers,
            offset,
            queue,
            wide,
        }
    }

    /// Makes it.
    pub fn ring(self) {
        if self.wide {
            self.registers.write(self.offset, u32::from(self.queue));
        } else {
            self.registers.write(self.offset, self.queue);
        }
    }
}

enum Kind {
    Mmio { registers: Registers, line: u32 },
    Pci(Functions),
}

/// A device and how to reach it.
pub struct Device {
    kind: Kind,
    /// The device type, see [`super::kind`].
    pub id: u32,
    features: AtomicU64,
}

impl Device {
    pub(super) fn on_pci(id: u32, functions: Functions) -> Self {
        Self {
            kind: Kind::Pci(functions),
            id,
            features: AtomicU64::new(0),
        }
    }

    fn set_status(&self, status: u8) {
        match &self.kind {
            Kind::Mmio { registers, .. } => registers.write(mmio::STATUS, u32::from(status)),
            Kind::Pci(functions) => functions.set_status(status),
        }
    }

    fn status(&self) -> u8 {
        match &self.kind {
            Kind::Mmio { registers, .. } => registers.read::<u32>(mmio::STATUS) as u8,
            Kind::Pci(functions) => functions.status(),
        }
    }

    /// Resets the device and agrees on features: `wanted` as far as it has them. `needed` must be among them.
    ///
    /// # Errors
    /// Features.
    pub fn negotiate(&self, wanted: u64, needed: u64) -> Result<(), VirtioError> {
        self.set_status(0);
        self.set_status(ACKNOWLEDGE | DRIVER);
        let has = match &self.kind {
            Kind::Mmio { registers, .. } => {
                let half = |select: u32| {
                    registers.write(mmio::DEVICE_FEATURES_SELECT, select);
                    u64::from(registers.read::<u32>(mmio::DEVICE_FEATURES))
                };
                half(0) | half(1) << 32
            }
            Kind::Pci(functions) => functions.device_features(),
        };
        let needed = needed | feature::VERSION_1;
        let chosen = has & (wanted | needed);
        if chosen & needed != needed {
            return Err(VirtioError::Features);
        }
        match &self.kind {
            Kind::Mmio { registers, .. } => {
                for select in 0..2u32 {
                    registers.write(mmio::DRIVER_FEATURES_SELECT, select);
                    let half = (chosen >> (32 * select)) as u32;
                    registers.write(mmio::DRIVER_FEATURES, half);
                }
            }
            Kind::Pci(functions) => functions.set_driver_features(chosen),
        }
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if self.status() & FEATURES_OK == 0 {
            return Err(VirtioError::Features);
        }
        self.features.store(chosen, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the device has given up (DEVICE_NEEDS_RESET). Leaves the guest.
    pub fn needs_reset(&self) -> bool {
        self.status() & NEEDS_RESET != 0
    }

    /// `N` bytes at `offset` of the device's own configuration. None if it has not so much.
    pub fn configuration<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let (registers, start) = match &self.kind {
            Kind::Mmio { registers, .. } => (*registers, mmio::CONFIG),
            Kind::Pci(functions) => (functions.configuration()?, 0),
        };
        let start = start.checked_add(offset)?;
        if start.checked_add(N)? > registers.len() {
            return None;
        }
        Some(core::array::from_fn(|index| registers.read(start + index)))
    }

    /// Whether a feature was agreed on.
    pub fn has(&self, feature: u64) -> bool {
        self.features.load(Ordering::Relaxed) & feature == feature
    }

    /// Tells the device where a queue is; gives how to notify it.
    pub(super) fn set_queue(
        &self,
        index: u16,
        size: u16,
        addresses: [usize; 3],
    ) -> Result<Kick, VirtioError> {
        match &self.kind {
            Kind::Mmio { registers, .. } => {
                registers.write(mmio::QUEUE_SELECT, u32::from(index));
                // 0: there is no such queue (virtio 1.2, 4.2.3.2).
                if registers.read::<u32>(mmio::QUEUE_SIZE_MAX) < u32::from(size) {
                    return Err(VirtioError::NoQueue);
                }
                registers.write(mmio::QUEUE_SIZE, u32::from(size));
                for (register, address) in mmio::QUEUE_ADDRESSES.into_iter().zip(addresses) {
                    registers.write(register, address as u32);
                    // The reset left zero there; each write is an exit.
                    if address >> 32 != 0 {
                        registers.write(register + 4, (address >> 32) as u32);
                    }
                }
                registers.write(mmio::QUEUE_READY, 1u32);
                Ok(Kick::new(*registers, mmio::QUEUE_NOTIFY, index, true))
            }
            Kind::Pci(functions) => functions.set_queue(index, size, addresses),
        }
    }

    /// Calls `handler` in ordinary kernel code after each interrupt of the device (cpu/interrupts.rs says what it may do).
    ///
    /// # Errors
    /// NoInterrupt.
    pub fn on_interrupt(&self, handler: Box<dyn Fn() + Send + Sync>) -> Result<(), VirtioError> {
        let handler = move || {
            handler();
            tell_stray();
        };
        match &self.kind {
            Kind::Mmio { registers, line } => {
                let registers = *registers;
                // The line falls with the acknowledgement, so an edge follows for whatever comes after it.
                let acknowledged = Box::new(move || {
                    registers.write(mmio::INTERRUPT_ACK, 3u32);
                    handler();
                });
                let vector = interrupts::register(acknowledged).ok_or(VirtioError::NoInterrupt)?;
                if ioapic::route(*line, vector, 0, false) {
                    Ok(())
                } else {
                    Err(VirtioError::NoInterrupt)
                }
            }
            Kind::Pci(functions) => {
                let vector =
                    interrupts::register(Box::new(handler)).ok_or(VirtioError::NoInterrupt)?;
                functions.route_interrupts(vector)
            }
        }
    }

    /// The driver is ready: the device may begin.
    pub fn ready(&self) {
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }
}

/// Devices that `virtio_mmio.device=SIZE@ADDRESS:LINE` on the command line names (Linux drivers/virtio/virtio_mmio.c).
pub(super) fn from_command_line(line: &[u8]) -> Vec<Device> {
    const KEY: &[u8] = b"virtio_mmio.device=";
    line.split(|&byte| byte == b' ')
        .filter_map(|word| word.strip_prefix(KEY))
        .filter_map(|place| core::str::from_utf8(place).ok())
        .filter_map(parse_place)
        .filter_map(|(address, size, line)| open(address, size, line))
        .collect()
}

fn parse_place(place: &str) -> Option<(usize, usize, u32)> {
    let (size, rest) = place.split_once('@')?;
    let mut rest = rest.split(':');
    Some((
        number(rest.next()?)?,
        number(size)?,
        rest.next()?.parse().ok()?,
    ))
}

/// A number as Linux's memparse takes it: decimal or 0x..., with K or M.
fn number(text: &str) -> Option<usize> {
    let (text, unit) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let value = match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => text.parse(),
    };
    value.ok()?.checked_mul(unit)
}

fn open(address: usize, size: usize, line: u32) -> Option<Device> {
    let registers = Registers::new(address, size.max(mmio::CONFIG))?;
    let current = registers.read::<u32>(mmio::MAGIC) == mmio::MAGIC_VALUE
        && registers.read::<u32>(mmio::VERSION) == 2;
    let id = if current {
        registers.read(mmio::DEVICE_ID)
    } else {
        0
    };
    (id != 0).then(|| Device {
        kind: Kind::Mmio { registers, line },
        id,
        features: AtomicU64::new(0),
    })
}
