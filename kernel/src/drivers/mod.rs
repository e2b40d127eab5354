//! Devices.
//!
//! - virtio/: the transport and its queues. console.rs: the ports to the `ringo` command; control.rs: messages;
//!   files.rs: requests for host files that are standard streams; out_port.rs, in_port.rs, turn.rs: the program's standard
//!   streams. power.rs: the end of the VM.
//!
//! Drivers know nothing of system calls or files but the program's buffers they copy from and to.
pub mod console;
pub mod control;
pub mod files;
mod in_port;
mod out_port;
pub mod power;
mod turn;
pub mod virtio;

pub use console::{console, written};

use crate::fs::PollQueue;
use alloc::vec::Vec;
use virtio::{Device, kind};

/// Finds the machine's devices and starts those the kernel needs; gives the others.
///
/// # Errors
/// What the user should know: there is no way to talk to the command.
pub fn init(command_line: &[u8]) -> Result<Vec<Device>, &'static str> {
    let mut devices = virtio::find(command_line);
    let console = devices
        .iter()
        .position(|device| device.id == kind::CONSOLE)
        .ok_or("the machine has no virtio console")?;
    let tty = command_line
        .split(|&byte| byte == b' ')
        .any(|word| word == ringo_control::TTY_WORD.as_bytes());
    console::init(devices.swap_remove(console), tty).map_err(|error| match error {
        virtio::VirtioError::NoMemory => "too little memory for the console",
        _ => "the virtio console cannot be used",
    })?;
    Ok(devices)
}

/// Told of what all ports are ready for: a terminal is read through one and written through another.
pub fn terminal_poll() -> &'static PollQueue {
    static QUEUE: PollQueue = PollQueue::new();
    &QUEUE
}
