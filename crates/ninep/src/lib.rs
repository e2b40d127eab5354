//! 9P2000.L: the requests of a client that reads, and the replies to them.
//!
//! A request is a value that knows the kind and the form of its own reply ([`Request`]), so a reply can only be taken for
//! what was asked. [`encode`] writes a message; [`decode`] checks one: length against the bytes there are, tag, kind, and
//! every count and length inside. Whatever a host sends, the answer is a value or a [`ReplyError`], never a panic and never
//! a byte outside of the reply. All integers are little-endian:
//!
//! ```text
//! size[4] kind[1] tag[2] payload       size counts itself; a reply's kind is its request's plus one, or RLERROR
//! ```
//!
//! Nothing is allocated: requests borrow what they send, replies borrow from the buffer they came in.
//! Sources: the Linux kernel's Documentation/filesystems/9p.rst and include/net/9p/9p.h; diod's protocol.md.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod codec;
mod reply;
mod request;

pub use codec::{HEADER, ReplyError, TooLong, decode, decode_scattered, encode};
pub use reply::{Attributes, Entries, Entry, Qid, Qids};
pub use request::{
    Attach, Clunk, Getattr, MAX_NAMES, Open, Read, Readdir, Readlink, Request, Version, Walk,
};

/// The dialect spoken here.
pub const VERSION: &[u8] = b"9P2000.L";
/// The tag of a [`Version`] request.
pub const NO_TAG: u16 = u16::MAX;
/// A fid that stands for none, as in [`Attach`].
pub const NO_FID: u32 = u32::MAX;
