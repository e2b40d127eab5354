//! Published ports are tried before the VM starts: QEMU says only that it could not have one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use crate::args::Publish;

/// Whether this user may have the host's port now. Nobody can connect meanwhile: it is bound, and not listened at.
///
/// # Errors
/// Why not, and what to do.
pub fn check(publish: &Publish) -> Result<()> {
    let address = publish.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let kind = match publish.udp {
        true => SocketType::DGRAM,
        false => SocketType::STREAM,
    };
    let socket = socket(AddressFamily::INET, kind, None).context("a socket")?;
    if !publish.udp {
        // As QEMU does: connections that have ended don't hold the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(address, publish.host)).map_err(|error| {
        let why = match error {
            Errno::ADDRINUSE => "the port is in use on this host: choose another".to_owned(),
            Errno::ADDRNOTAVAIL => format!("this host has no address {address}"),
            Errno::ACCESS => {
                "a port below net.ipv4.ip_unprivileged_port_start needs root: choose a higher one"
                    .to_owned()
            }
            other => other.to_string(),
        };
        anyhow!("--publish {}:{}: {why}", publish.host, publish.guest)
    })
}
