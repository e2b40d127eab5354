//! Frames: the seven bytes around every message, and cursors over what is in them.
use crate::Request;

/// Bytes before the payload.
pub const HEADER: usize = 7;
/// The reply to a request that failed.
const RLERROR: u8 = 7;

/// The buffer is too small for the request, or a string in it is longer than the protocol's 65,535 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Why there is no reply's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// The host says so: an errno of Linux, as sent (it may be any number).
    Host(u32),
    /// The bytes are no reply to this request.
    Malformed,
}

/// Writes `request` at the start of `buffer`; gives its length, which is [`Request::length`].
///
/// # Errors
/// The buffer is too small, or a string too long.
pub fn encode<R: Request>(request: &R, tag: u16, buffer: &mut [u8]) -> Result<usize, TooLong> {
    let (header, payload) = buffer.split_at_mut_checked(HEADER).ok_or(TooLong)?;
    let mut out = Out { buffer: payload };
    let room = out.buffer.len();
    request.write(&mut out).ok_or(TooLong)?;
    let length = HEADER + room - out.buffer.len();
    let size = u32::try_from(length).map_err(|_| TooLong)?;
    header[..4].copy_from_slice(&size.to_le_bytes());
    header[4] = R::KIND;
    header[5..].copy_from_slice(&tag.to_le_bytes());
    Ok(length)
}

/// The reply to `request` in `bytes`, which are all the host wrote.
///
/// # Errors
/// See [`ReplyError`].
pub fn decode<'a, R: Request>(
    request: &R,
    tag: u16,
    bytes: &'a [u8],
) -> Result<R::Reply<'a>, ReplyError> {
    decode_scattered(request, tag, bytes, bytes.len())
}

/// As [`decode`], of a reply of `length` bytes of which only the first ones are in `bytes`: the data that a
/// [`crate::Read`] asked for went elsewhere. A reply that says more than is there is malformed.
///
/// # Errors
/// See [`ReplyError`].
pub fn decode_scattered<'a, R: Request>(
    request: &R,
    tag: u16,
    bytes: &'a [u8],
    length: usize,
) -> Result<R::Reply<'a>, ReplyError> {
    let mut input = In {
        bytes,
        elsewhere: length.saturating_sub(bytes.len()),
    };
    let (size, kind, tagged) = header(&mut input).ok_or(ReplyError::Malformed)?;
    let payload = size.checked_sub(HEADER).ok_or(ReplyError::Malformed)?;
    if tagged != tag || !input.limit(payload) {
        return Err(ReplyError::Malformed);
    }
    if kind == RLERROR {
        return match (input.u32(), input.left()) {
            (Some(errno), 0) => Err(ReplyError::Host(errno)),
            _ => Err(ReplyError::Malformed),
        };
    }
    if kind != R::KIND + 1 {
        return Err(ReplyError::Malformed);
    }
    let reply = request.read(&mut input).ok_or(ReplyError::Malformed)?;
    if input.left() == 0 {
        Ok(reply)
    } else {
        Err(ReplyError::Malformed)
    }
}

fn header(input: &mut In<'_>) -> Option<(usize, u8, u16)> {
    let size = usize::try_from(input.u32()?).ok()?;
    Some((size, input.u8()?, input.u16()?))
}

/// A cursor over the payload being written; None when it is full.
pub struct Out<'b> {
    buffer: &'b mut [u8],
}

impl Out<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (head, rest) = core::mem::take(&mut self.buffer).split_at_mut_checked(bytes.len())?;
        head.copy_from_slice(bytes);
        self.buffer = rest;
        Some(())
    }

    pub(crate) fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn string(&mut self, string: &[u8]) -> Option<()> {
        self.u16(u16::try_from(string.len()).ok()?)?;
        self.bytes(string)
    }
}

/// A cursor over the payload being read; None past its end.
pub struct In<'a> {
    bytes: &'a [u8],
    /// Bytes of the payload behind `bytes` that are in other buffers.
    elsewhere: usize,
}

impl<'a> In<'a> {
    /// The bytes of one buffer.
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            elsewhere: 0,
        }
    }

    /// Ends the payload after `length` bytes; false if there are fewer.
    fn limit(&mut self, length: usize) -> bool {
        match length.checked_sub(self.bytes.len()) {
            Some(elsewhere) if elsewhere > self.elsewhere => false,
            Some(elsewhere) => {
                self.elsewhere = elsewhere;
                true
            }
            None => {
                self.bytes = &self.bytes[..length];
                self.elsewhere = 0;
                true
            }
        }
    }

    /// Bytes not read so far.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() + self.elsewhere
    }

    /// Passes over `count` bytes, wherever they are.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let here = count.min(self.bytes.len());
        self.elsewhere = self.elsewhere.checked_sub(count - here)?;
        self.bytes = &self.bytes[here..];
        Some(())
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}
