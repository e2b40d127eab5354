//! An executable file: its headers, segments, relocations, and the rewriting of what is in its text.
use ringo_elf::{Image, ImageKind, Segment};

use crate::sites;

const PAGE: u64 = 4096;
/// End of the program's half of the address space.
const USER_END: u64 = 0x7fff_ffff_f000;
/// Where the kernel moves a position-independent program to, or near.
const BIAS: u64 = 0x5555_5555_4000;

/// See [`crate::Target`].
pub fn run(bytes: &[u8]) {
    match Image::parse(bytes) {
        Ok(image) => check(bytes, &image),
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.is_empty() && !text.contains('\n'),
                "one line: {text:?}"
            );
        }
    }
}

/// What the loader takes for granted of a checked image.
fn check(bytes: &[u8], image: &Image<'_>) {
    let segments = image.segments();
    let (start, end) = image.span();
    assert!(start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && start < end);
    assert!(end <= USER_END);
    let mut free_from = start;
    for segment in segments {
        assert!(
            segment.address / PAGE * PAGE >= free_from,
            "a page has two segments"
        );
        assert!(segment.memory_size > 0 && segment.file_size <= segment.memory_size);
        assert_eq!(segment.end() - segment.address, segment.memory_size);
        assert_eq!(segment.address % PAGE, segment.offset % PAGE);
        let data = image.data(segment);
        assert_eq!(data.len() as u64, segment.file_size);
        let there = &bytes[segment.offset as usize..][..data.len()];
        assert!(std::ptr::eq(data, there), "other bytes than the file's");
        free_from = segment.end().next_multiple_of(PAGE);
    }
    assert_eq!(free_from, end);
    let holds = |segment: &Segment, at: u64, count: u64| {
        at >= segment.address && at.checked_add(count).is_some_and(|to| to <= segment.end())
    };
    let text = |s: &&Segment| s.executable;
    assert!(
        segments
            .iter()
            .filter(text)
            .any(|s| holds(s, image.entry, 1))
    );
    let headers = u64::from(image.headers_count) * 56;
    assert!(headers <= bytes.len() as u64, "more headers than bytes");
    assert!(
        image.headers_address == 0 || segments.iter().any(|s| holds(s, image.headers_address, 1))
    );
    let writable = |s: &&Segment| s.writable;
    for (target, _) in image.relocations() {
        assert!(
            segments
                .iter()
                .filter(writable)
                .any(|s| holds(s, target, 8))
        );
    }
    rewrite(image, start, end);
}

/// As the kernel does: stubs next to the program, below it if there is room.
fn rewrite(image: &Image<'_>, start: u64, end: u64) {
    let bias = if image.kind == ImageKind::StaticPie {
        BIAS
    } else {
        0
    };
    if bias + end > USER_END {
        return; // The kernel looks for another place.
    }
    let room = sites::STUBS_MAX;
    let base = if start + bias > room {
        start + bias - room
    } else {
        end + bias
    };
    for segment in image.segments().iter().filter(|s| s.executable) {
        sites::check(
            image.data(segment),
            segment.address + bias,
            base,
            sites::KERNEL_ENTRY,
        );
    }
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    let text = [0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3];
    let exec = Elf::new(2)
        .load(5, 0x40_0000, &text)
        .load(4, 0x41_0000, b"data")
        .load(6, 0x42_0000, b"more");
    // A dynamic section with a table of two relative relocations behind it, in a segment that is writable.
    let mut data = Vec::new();
    for word in [
        7, 0x2_0040, 8, 48, 9, 24, 0, 0, 0x2_0000, 8, 0x1234, 0x2_0008, 8, 0x5678u64,
    ] {
        data.extend(word.to_le_bytes());
    }
    let pie = Elf::new(3)
        .load(5, 0x1_0000, &text)
        .load(6, 0x2_0000, &data)
        .dynamic(0x40);
    let interpreted = Elf::new(3)
        .load(5, 0x1_0000, &text)
        .header(3, 4, 0, 0x1_0000, 8);
    [exec, pie, interpreted].map(|elf| elf.finish()).to_vec()
}

/// An executable cut down to what the parser looks at: the headers of `bytes` as they are, but for where each segment's
/// bytes lie and how many they are.
pub fn cut_down(bytes: &[u8]) -> Option<Vec<u8>> {
    const KEPT: usize = 512;
    let half = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let (headers, count) = (word(32)?, half(56)?);
    let mut out = bytes.get(..headers + count * 56)?.to_vec();
    let kept_headers = out.len();
    for header in (0..count).map(|index| headers + index * 56) {
        let (offset, address) = (word(header + 8)?, word(header + 16)?);
        let size = word(header + 32)?.min(KEPT.max(kept_headers));
        let from = bytes.get(offset..offset + size)?;
        let place = match offset {
            0 => 0,
            _ => (out.len().next_multiple_of(PAGE as usize) + address % PAGE as usize).min(1 << 16),
        };
        if out.len() < place + size {
            out.resize(place + size, 0);
            out[place..].copy_from_slice(from);
        }
        out[header + 8..][..8].copy_from_slice(&(place as u64).to_le_bytes());
        out[header + 32..][..8].copy_from_slice(&(size as u64).to_le_bytes());
        // An entry that was in this segment is still in what is left of it.
        let entry = word(24)?;
        if (address..address + word(header + 32)?).contains(&entry) && entry >= address + size {
            out[24..32].copy_from_slice(&((address + size - 1) as u64).to_le_bytes());
        }
    }
    Some(out)
}

/// Writes small executables.
struct Elf {
    kind: u16,
    headers: Vec<[u64; 7]>,
    data: Vec<u8>,
    entry: u64,
}

impl Elf {
    /// Where data begins: behind the headers of any seed.
    const DATA: u64 = 0x400;

    fn new(kind: u16) -> Self {
        Self {
            kind,
            headers: Vec::new(),
            data: Vec::new(),
            entry: 0,
        }
    }

    /// A segment with these bytes and as many zeros; its address moves to where the file offset allows.
    fn load(self, flags: u64, address: u64, bytes: &[u8]) -> Self {
        let offset = Self::DATA + self.data.len() as u64;
        let address = address + offset % PAGE;
        let size = bytes.len() as u64;
        let mut next = self.header(1, flags, offset, address, size);
        next.data.extend(bytes);
        if next.entry == 0 {
            next.entry = address;
        }
        next
    }

    /// The first `size` bytes of the last segment are its dynamic section, with addresses as if it began a page.
    fn dynamic(mut self, size: u64) -> Self {
        let [_, _, offset, address, _, _, _] = self.headers[self.headers.len() - 1];
        let at = (offset - Self::DATA) as usize;
        // The addresses of the table and of its two targets.
        for place in [8, 64, 88] {
            let word = &mut self.data[at + place..][..8];
            let value = u64::from_le_bytes(*word.first_chunk().expect("eight bytes"));
            word.copy_from_slice(&(value - 0x2_0000 + address).to_le_bytes());
        }
        self.header(2, 6, offset, address, size)
    }

    fn header(mut self, kind: u64, flags: u64, offset: u64, address: u64, size: u64) -> Self {
        self.headers
            .push([kind, flags, offset, address, size, size * 2, PAGE]);
        self
    }

    fn finish(self) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend(self.kind.to_le_bytes());
        out.extend(62u16.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for word in [self.entry, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64, 56, self.headers.len() as u16, 64, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        for [kind, flags, offset, address, size, memory, align] in self.headers {
            out.extend((kind as u32).to_le_bytes());
            out.extend((flags as u32).to_le_bytes());
            for word in [offset, address, address, size, memory, align] {
                out.extend(word.to_le_bytes());
            }
        }
        out.resize(Self::DATA as usize, 0);
        out.extend(self.data);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_what_they_are_meant_to_be() {
        let seeds = seeds();
        let image = Image::parse(&seeds[0]).expect("an executable");
        assert_eq!((image.kind, image.segments().len()), (ImageKind::Exec, 3));
        let image = Image::parse(&seeds[1]).expect("a position-independent one");
        assert_eq!(
            image.relocations().map(|r| r.1).collect::<Vec<_>>(),
            [0x1234, 0x5678]
        );
        assert_eq!(
            Image::parse(&seeds[2]).err(),
            Some(ringo_elf::ElfError::Dynamic)
        );
    }
}
