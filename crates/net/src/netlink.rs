//! Messages of netlink(7) and rtnetlink(7): requests, and the answers that list links, addresses and routes.
use alloc::vec::Vec;
use ringo_abi::Errno;

/// struct nlmsghdr: length (with the header), type, flags, sequence, port.
pub const HEADER: usize = 16;

/// NLMSG_ERROR.
pub const ERROR: u16 = 2;
/// NLMSG_DONE.
pub const DONE: u16 = 3;
/// NLM_F_REQUEST.
pub const REQUEST: u16 = 1;
/// NLM_F_MULTI.
pub const MULTI: u16 = 2;
/// NLM_F_ACK.
pub const ACK: u16 = 4;
/// NLM_F_ROOT and NLM_F_MATCH.
pub const DUMP: u16 = 0x300;

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// nlmsg_type.
    pub kind: u16,
    /// nlmsg_flags.
    pub flags: u16,
    /// nlmsg_seq.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
    /// The header, for an answer that says what was wrong with it.
    pub header: &'a [u8; HEADER],
}

impl Request<'_> {
    /// The family at the beginning of every rtnetlink request; 0 for any.
    pub fn family(&self) -> u8 {
        self.body.first().copied().unwrap_or(0)
    }

    /// The index in a struct ifinfomsg, 0 for any.
    pub fn index(&self) -> u32 {
        let bytes = self.body.get(4..8).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }
}

/// Walks over the requests of a datagram; stops at the first that is not whole.
pub fn requests(mut from: &[u8]) -> impl Iterator<Item = Request<'_>> {
    core::iter::from_fn(move || {
        let header = from.first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if length < HEADER || length > from.len() {
            return None;
        }
        let request = Request {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body: &from[HEADER..length],
            header,
        };
        from = from.get(aligned(length)..).unwrap_or(&[]);
        Some(request)
    })
}

/// Walks over attributes (struct rtattr): kind, without flags, and data; stops at the first that is not whole.
pub fn attributes(mut from: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const KIND: u16 = 0x3fff;
    core::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *from.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let data = from.get(4..length)?;
        from = from.get(aligned(length)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([k0, k1]) & KIND, data))
    })
}

/// One message of an answer, being written.
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message of this type for a request of `port`.
    pub fn new(kind: u16, flags: u16, sequence: u32, port: u32) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&port.to_ne_bytes());
        Self { bytes }
    }

    /// Appends bytes, padded.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// Appends an attribute (struct rtattr).
    pub fn attribute(&mut self, kind: u16, data: &[u8]) -> &mut Self {
        let length = (4 + data.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.put(data)
    }

    /// Appends an attribute with a zero-terminated string.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// The message with its length.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// The end of a list.
pub fn done(request: &Request<'_>, port: u32) -> Vec<u8> {
    let mut message = Message::new(DONE, MULTI, request.sequence, port);
    message.put(&0u32.to_ne_bytes());
    message.finish()
}

/// An answer that says how a request went: None for well (NLM_F_ACK).
pub fn error(request: &Request<'_>, port: u32, errno: Option<Errno>) -> Vec<u8> {
    let number = errno.map_or(0, |errno| -errno.number());
    // A request that went well is only named by its header.
    const CAPPED: u16 = 0x100;
    let flags = if errno.is_none() { CAPPED } else { 0 };
    let mut message = Message::new(ERROR, flags, request.sequence, port);
    message.put(&number.to_ne_bytes()).put(request.header);
    if errno.is_some() {
        message.put(request.body);
    }
    message.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn walking_never_panics_and_ends(from in proptest::collection::vec(any::<u8>(), 0..300)) {
            for request in requests(&from) {
                let _ = (request.family(), request.index());
            }
        }
    }

    #[test]
    fn a_message_has_its_length_and_padded_attributes() {
        let mut message = Message::new(16, MULTI, 7, 9);
        message.put(&[1; 16]).text(3, "lo").attribute(4, &[5; 4]);
        let bytes = message.finish();
        assert_eq!(bytes.len(), 16 + 16 + 8 + 8);
        let request = requests(&bytes).next().unwrap();
        assert_eq!(
            (request.kind, request.flags, request.sequence),
            (16, MULTI, 7)
        );
        assert_eq!(request.body[16..24], [7, 0, 3, 0, b'l', b'o', 0, 0]);
    }

    #[test]
    fn an_error_repeats_the_request() {
        let mut message = Message::new(18, REQUEST | DUMP, 3, 0);
        message.put(&[1, 2, 3, 4]);
        let bytes = message.finish();
        let request = requests(&bytes).next().unwrap();
        let answer = error(&request, 5, Some(Errno::EOPNOTSUPP));
        assert_eq!(answer[16..20], (-95i32).to_ne_bytes());
        assert_eq!(answer[20..], bytes);
    }
}
