//! Longer queues for published ports.
//!
//! QEMU's user network listens with room for one connection that it has not taken yet; while a client waits for the next
//! one, its system sends SYN again after a second. listen(2) on a socket that listens already changes the room, and
//! pidfd_getfd(2) gives the sockets of a child to whoever may trace it. Where that is forbidden the queues stay short.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, listen, sockopt};
use rustix::process::{ForeignRawFd, Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// The system's own bound (net.core.somaxconn) is applied to it.
const BACKLOG: i32 = 4096;

/// Makes room at every port where QEMU listens.
pub fn enlarge(qemu: Pid) {
    let Ok(process) = pidfd_open(qemu, PidfdFlags::empty()) else {
        return;
    };
    let Ok(files) = std::fs::read_dir(format!("/proc/{}/fd", qemu.as_raw_nonzero())) else {
        return;
    };
    for file in files.flatten() {
        let is_socket = std::fs::read_link(file.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let number = file.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| is_socket) else {
            continue;
        };
        let number: ForeignRawFd = number;
        if let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty())
            && listens(&socket)
        {
            // It goes on with the room it has.
            let _ = listen(&socket, BACKLOG);
        }
    }
}

fn listens(socket: &OwnedFd) -> bool {
    sockopt::socket_domain(socket) == Ok(AddressFamily::INET)
        && sockopt::socket_type(socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(socket) == Ok(true)
}
