//! Frames: [`encode`] writes one, [`Decoder`] finds them in a stream of bytes.
//!
//! The decoder owns a buffer of `N` bytes (guest: 64 is plenty for [`crate::ToGuest`]; host: [`crate::HEADER`] +
//! [`crate::MAX_PAYLOAD`]). Use: `feed` what was read, call `next` until it says `None`, feed the rest.

use crate::{HEADER, MAX_PAYLOAD};

/// The output buffer is too small for the message, or its payload is longer than [`MAX_PAYLOAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

/// Why a frame could not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No message of this direction has this kind. The frame was skipped.
    UnknownKind(u8),
    /// The payload is too short, too long or holds an impossible value. The frame was skipped.
    Malformed(u8),
    /// The frame is longer than this decoder can hold: the stream can't be followed any further.
    TooLong(u32),
}

impl DecodeError {
    /// True when the stream is out of step and the port is of no more use.
    pub const fn is_fatal(self) -> bool {
        matches!(self, DecodeError::TooLong(_))
    }
}

/// A message of one direction. Implemented by [`crate::ToHost`] and [`crate::ToGuest`] only.
pub trait Message<'a>: Sized {
    /// The kind byte of the frame.
    fn kind(&self) -> u8;
    /// Appends the payload.
    fn write_payload(&self, out: &mut Out<'_>) -> Result<(), NoSpace>;
    /// Reads a payload of that kind.
    fn read_payload(kind: u8, payload: &'a [u8]) -> Result<Self, DecodeError>;
}

/// Writes `message` as one frame at the start of `buffer` and returns its length.
pub fn encode<'a>(message: &impl Message<'a>, buffer: &mut [u8]) -> Result<usize, NoSpace> {
    let (header, payload) = buffer.split_at_mut_checked(HEADER).ok_or(NoSpace)?;
    let mut out = Out {
        buffer: payload,
        len: 0,
    };
    message.write_payload(&mut out)?;
    let len = out.len;
    if len > MAX_PAYLOAD {
        return Err(NoSpace);
    }
    header[0] = message.kind();
    header[1..4].fill(0);
    header[4..].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(HEADER + len)
}

/// A cursor over the payload being written.
pub struct Out<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl Out<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), NoSpace> {
        let end = self.len.checked_add(bytes.len()).ok_or(NoSpace)?;
        self.buffer
            .get_mut(self.len..end)
            .ok_or(NoSpace)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    pub(crate) fn u8(&mut self, v: u8) -> Result<(), NoSpace> {
        self.bytes(&[v])
    }

    pub(crate) fn u16(&mut self, v: u16) -> Result<(), NoSpace> {
        self.bytes(&v.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, v: u32) -> Result<(), NoSpace> {
        self.bytes(&v.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, v: u64) -> Result<(), NoSpace> {
        self.bytes(&v.to_le_bytes())
    }
}

/// A cursor over the payload being read; every method is `None` past its end.
pub(crate) struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Finds frames in a stream that arrives in arbitrary pieces.
pub struct Decoder<const N: usize> {
    buffer: [u8; N],
    /// Bytes of `buffer` in use.
    len: usize,
    /// Length of the frame that the last `next` returned: dropped by the next call.
    returned: usize,
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Decoder<N> {
    /// An empty decoder. `N` must have room for a header and the longest payload expected.
    pub const fn new() -> Self {
        Self {
            buffer: [0; N],
            len: 0,
            returned: 0,
        }
    }

    /// Takes as many bytes of `input` as fit and says how many. 0 means: call [`Decoder::next`] first.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        self.drop_returned();
        let n = input.len().min(N - self.len);
        self.buffer[self.len..self.len + n].copy_from_slice(&input[..n]);
        self.len += n;
        n
    }

    /// The unused part of the buffer, to read into without a copy; [`Decoder::advance`] says how much came.
    pub fn spare(&mut self) -> &mut [u8] {
        self.drop_returned();
        &mut self.buffer[self.len..]
    }

    /// Takes the first `n` bytes of [`Decoder::spare`] as arrived.
    pub fn advance(&mut self, n: usize) {
        self.len = (self.len + n).min(N);
    }

    /// The next complete message, `None` when more bytes are needed. After a fatal error it repeats that error.
    #[allow(clippy::should_implement_trait)] // It lends from the decoder, as no Iterator can.
    pub fn next<'a, M: Message<'a>>(&'a mut self) -> Option<Result<M, DecodeError>> {
        self.drop_returned();
        let mut header = In(&self.buffer[..self.len]);
        let kind = header.u8()?;
        header.take(3)?;
        let length = header.u32()?;
        if length as usize > MAX_PAYLOAD || length as usize > N.saturating_sub(HEADER) {
            return Some(Err(DecodeError::TooLong(length)));
        }
        let end = HEADER + length as usize;
        if self.len < end {
            return None;
        }
        self.returned = end;
        Some(M::read_payload(kind, &self.buffer[HEADER..end]))
    }

    /// Up to `most` of the bytes that arrived behind the message that [`Decoder::next`] gave last, which belong to no frame;
    /// they are gone from here then. What is not here yet comes past the decoder.
    pub fn raw(&mut self, most: usize) -> &[u8] {
        self.drop_returned();
        let length = self.len.min(most);
        self.returned = length;
        &self.buffer[..length]
    }

    fn drop_returned(&mut self) {
        if self.returned > 0 {
            self.buffer.copy_within(self.returned..self.len, 0);
            self.len -= self.returned;
            self.returned = 0;
        }
    }
}
