//! /proc/net.
use super::file;
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Listing, Numbers};
use ringo_abi::Errno;

/// /proc/PID/net.
pub(super) static NET: Listing = Listing {
    items: &[file("dev", interfaces)],
    numbered: None,
};

/// The interfaces and what went through them, under the two lines of Linux (net/core/net-procfs.c).
fn interfaces(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(b"Inter-|   Receive                                                |  Transmit\n")?;
    out.put(b" face |bytes    packets errs drop fifo frame compressed multicast|")?;
    out.put(b"bytes    packets errs drop fifo colls carrier compressed\n")
}
