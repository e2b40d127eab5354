//! What sockets need that needs no hardware.
//!
//! - [`autoconf`], [`source`]: our place in an IPv6 network, and which of its addresses something is sent from.
//! - [`sockaddr`]: socket addresses as the program writes and reads them.
//! - [`clocks`]: when a connection of TCP repeats itself, asks or gives up.
//! - [`control`]: control data of sendmsg(2) and recvmsg(2).
//! - [`filter`]: which datagrams a socket's program lets through.
//! - [`groups`]: which groups we are in, and who is told.
//! - [`half_open`]: connections that somebody else begins.
//! - [`limit`]: how many messages of error are sent.
//! - [`neighbours`]: Ethernet addresses of others, and what waits for them.
//! - [`netlink`]: its messages.
//! - [`packet`]: packets of the network.
//! - [`paths`]: how large packets may be.
//! - [`progress`]: what an odd segment of TCP still says.
//! - [`reassembly`]: packets that come in pieces.
//! - [`recovery`]: how much of a connection may be on its way, and what is repeated.
//! - [`settings`], [`search`]: what the command and DHCP say about the network.
//! - [`ports`]: which sockets may share a port, and which of them a packet is for.
//!
//! Nothing here trusts a length or a number from outside: what does not decode is an error, never a panic.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod autoconf;
pub mod clocks;
pub mod control;
pub mod filter;
pub mod groups;
pub mod half_open;
pub mod limit;
pub mod neighbours;
pub mod netlink;
pub mod packet;
pub mod paths;
pub mod ports;
pub mod progress;
pub mod reassembly;
pub mod recovery;
pub mod search;
pub mod settings;
pub mod sockaddr;
pub mod source;

pub use sockaddr::{Address, UnixName};
