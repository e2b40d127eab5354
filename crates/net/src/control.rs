//! Control data (cmsg(3)): a list of messages, each a header of 16 bytes and data padded to 8.
use alloc::vec::Vec;
use ringo_abi::Errno;

/// struct cmsghdr: length (with the header), level, type.
const HEADER: usize = 16;

const fn aligned(length: usize) -> usize {
    (length + 7) & !7
}

/// One message as the program gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// cmsg_level.
    pub level: u32,
    /// cmsg_type.
    pub kind: u32,
    /// What follows the header.
    pub data: &'a [u8],
}

/// Walks over the messages of a buffer.
pub struct Messages<'a> {
    rest: &'a [u8],
}

/// The messages in `from`.
pub const fn messages(from: &[u8]) -> Messages<'_> {
    Messages { rest: from }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        // Less than a header is no message, as CMSG_FIRSTHDR and CMSG_NXTHDR have it.
        let (header, _) = self.rest.split_first_chunk::<HEADER>()?;
        let (length, words) = header.split_at(8);
        let length = usize::from_ne_bytes(length.try_into().ok()?);
        if length < HEADER || length > self.rest.len() {
            self.rest = &[];
            return Some(Err(Errno::EINVAL));
        }
        let (level, kind) = words.split_at(4);
        let message = Message {
            level: u32::from_ne_bytes(level.try_into().ok()?),
            kind: u32::from_ne_bytes(kind.try_into().ok()?),
            data: &self.rest[HEADER..length],
        };
        self.rest = self.rest.get(aligned(length)..).unwrap_or(&[]);
        Some(Ok(message))
    }
}

/// Writes messages for the program, no more than fit its buffer.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    capacity: usize,
    truncated: bool,
}

impl Writer {
    /// For a buffer of `capacity` bytes.
    pub const fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            capacity,
            truncated: false,
        }
    }

    /// Bytes of data that a message written now could have.
    pub fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.bytes.len())
            .saturating_sub(HEADER)
    }

    /// Whether a message was left out or cut: MSG_CTRUNC.
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// Notes that something was left out.
    pub const fn set_truncated(&mut self) {
        self.truncated = true;
    }

    /// Appends a message, cut to what fits; put_cmsg's rules.
    pub fn put(&mut self, level: u32, kind: u32, data: &[u8]) {
        let room = self.capacity.saturating_sub(self.bytes.len());
        if room < HEADER {
            self.truncated = true;
            return;
        }
        let length = (HEADER + data.len()).min(room);
        self.truncated |= length < HEADER + data.len();
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&level.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&data[..length - HEADER]);
        let padded = aligned(self.bytes.len()).min(self.capacity);
        self.bytes.resize(padded, 0);
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn walking_never_panics_and_ends(from in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(messages(&from).count() <= from.len());
        }

        #[test]
        fn what_is_written_is_read_back(
            list in proptest::collection::vec((any::<u32>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..5)
        ) {
            let mut writer = Writer::new(4096);
            for (level, kind, data) in &list {
                writer.put(*level, *kind, data);
            }
            prop_assert!(!writer.truncated());
            let read: Result<Vec<_>, _> = messages(writer.bytes()).collect();
            let read: Vec<_> = read.unwrap().iter().map(|m| (m.level, m.kind, m.data.to_vec())).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn no_more_is_written_than_fits(capacity in 0usize..80, data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut writer = Writer::new(capacity);
            writer.put(1, 2, &data);
            writer.put(1, 2, &data);
            prop_assert!(writer.bytes().len() <= capacity);
        }
    }
}
