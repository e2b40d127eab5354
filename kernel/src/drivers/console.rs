//! The virtio console (virtio 1.2, 5.3) with the ports of the `ringo` command: standard input, output, error, control,
//! and the controlling terminal where that is none of the streams (crates/control has their numbers).
//!
//! The command connects all of them before the VM starts and reports what becomes of their other ends over the control
//! port, so the device's own control messages from the host say nothing new: its receive queue is left out. Output goes
//! through [`OutPort`] (out_port.rs), input through [`InPort`] (in_port.rs), messages through control.rs.
//! One interrupt for all queues; it runs on the way out of the kernel or in the idle loop.
use super::control::Control;
use super::in_port::InPort;
use super::out_port::OutPort;
use super::virtio::{Chain, Device, DmaBuffer, Part, Queue, VirtioError, feature};
use alloc::boxed::Box;
use ringo_control::{Stream, Written, port};
use spin::Once;

/// Ports with a number each.
const MULTIPORT: u64 = 1 << 1;
/// The device's control messages, to the host.
const CONTROL_TRANSMIT: u16 = 3;

/// struct virtio_console_control: port, event, value.
const MESSAGE_SIZE: usize = 8;
const DEVICE_READY: u16 = 0;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;
const ANNOUNCEMENTS: usize = 11;

/// The ports.
pub struct Console {
    device: Device,
    /// Standard output and standard error.
    outputs: [OutPort; 2],
    /// Standard input.
    pub input: InPort,
    /// What is typed at the controlling terminal, where that is not standard input.
    pub tty: Option<InPort>,
    /// Messages from and to the command.
    pub control: Control,
    /// Held for ever: the device may still read it.
    announcements: crate::sync::SpinLock<Option<Queue>>,
}

static CONSOLE: Once<Console> = Once::new();

/// The console; none before [`init`] or without one.
pub fn console() -> Option<&'static Console> {
    CONSOLE.get()
}

/// Bytes the program has written to standard output and standard error so far, for messages that must not overtake them.
pub fn written() -> Written {
    console().map_or([0; 2], |console| {
        console.outputs.each_ref().map(OutPort::written)
    })
}

const fn receive_queue(port: u32) -> u16 {
    (2 * port + 2) as u16
}

const fn transmit_queue(port: u32) -> u16 {
    (2 * port + 3) as u16
}

/// Sets the device up and opens its ports.
///
/// # Errors
/// As the transport and queues have them.
pub fn init(device: Device, tty: bool) -> Result<(), VirtioError> {
    device.negotiate(feature::EVENT_INDEX | MULTIPORT, MULTIPORT)?;
    let announcements = Queue::new(&device, CONTROL_TRANSMIT, 16)?;
    let output = |number| Queue::new(&device, transmit_queue(number), OutPort::QUEUE_SIZE);
    let input = |number, size| Queue::new(&device, receive_queue(number), size);
    let console = Console {
        outputs: [
            OutPort::new(output(port::STDOUT_NUMBER)?),
            OutPort::new(output(port::STDERR_NUMBER)?),
        ],
        input: InPort::new(input(port::STDIN_NUMBER, InPort::QUEUE_SIZE)?, false),
        tty: if tty {
            Some(InPort::new(
                input(port::TTY_NUMBER, InPort::QUEUE_SIZE)?,
                true,
            ))
        } else {
            None
        },
        control: Control::new(
            Queue::new(&device, transmit_queue(port::CONTROL_NUMBER), 32)?,
            input(port::CONTROL_NUMBER, Control::RECEIVE_QUEUE_SIZE)?,
        )?,
        announcements: crate::sync::SpinLock::new(Some(announcements)),
        device,
    };
    let console = CONSOLE.call_once(|| console);
    console
        .device
        .on_interrupt(Box::new(|| console.on_interrupt()))?;
    console.device.ready();
    console.announce()?;
    console.control.listen();
    Ok(())
}

impl Console {
    /// The output port of a stream.
    pub fn output(&self, stream: Stream) -> &OutPort {
        &self.outputs[usize::from(stream == Stream::Stderr)]
    }

    /// What a terminal's input comes through: the port of its own, or standard input's.
    pub fn typed(&self) -> &InPort {
        self.tty.as_ref().unwrap_or(&self.input)
    }

    /// Tells the device that it, and each port, may be used.
    fn announce(&self) -> Result<(), VirtioError> {
        let mut buffer =
            DmaBuffer::zeroed(ANNOUNCEMENTS * MESSAGE_SIZE).map_err(|_| VirtioError::NoMemory)?;
        let mut messages: arrayvec::ArrayVec<(u32, u16), ANNOUNCEMENTS> = arrayvec::ArrayVec::new();
        messages.push((u32::MAX, DEVICE_READY));
        let tty = self.tty.as_ref().map(|_| port::TTY_NUMBER);
        for number in port::NUMBERS.into_iter().chain(tty) {
            messages.extend([(number, PORT_READY), (number, PORT_OPEN)]);
        }
        let mut guard = self.announcements.lock();
        let Some(queue) = guard.as_mut() else {
            return Ok(());
        };
        for (port, event) in messages {
            let bytes = buffer.bytes_mut();
            bytes[..4].copy_from_slice(&port.to_le_bytes());
            bytes[4..6].copy_from_slice(&event.to_le_bytes());
            bytes[6..8].copy_from_slice(&1u16.to_le_bytes());
            let part = Part {
                buffer: core::mem::replace(
                    &mut buffer,
                    DmaBuffer::zeroed(MESSAGE_SIZE).map_err(|_| VirtioError::NoMemory)?,
                ),
                length: MESSAGE_SIZE,
                device_writes: false,
            };
            let _ = queue.add(Chain::from_iter([part]));
        }
        queue.refuse_interrupts();
        let kick = queue.publish();
        drop(guard);
        if let Some(kick) = kick {
            kick.ring();
        }
        Ok(())
    }

    fn on_interrupt(&self) {
        // Their buffers are free once the device has read them.
        if let Some(queue) = self.announcements.lock().as_mut() {
            while queue.pop().is_some() {}
        }
        self.control.on_interrupt();
        self.input.on_interrupt();
        if let Some(tty) = &self.tty {
            tty.on_interrupt();
        }
        for output in &self.outputs {
            output.on_interrupt();
        }
    }
}
