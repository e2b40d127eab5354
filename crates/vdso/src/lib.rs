//! The vDSO's ELF image: a shared object of one page that the kernel maps into the program (vdso(7)).
//!
//! Promise: [`build`] wraps position-independent code into an image in which glibc, musl and the Go runtime find their
//! symbols, with version LINUX_2.6, through DT_HASH. The image's bytes depend on nothing but the arguments.
//!
//! ```text
//! ELF header · program headers · symbols · hash table · versions · version definitions · dynamic · strings      · code
//! 0                                                                                                        CODE_OFFSET
//! ```
//!
//! Sources: System V gABI (chapter 5), Linux Documentation/ABI/stable/vdso, go/src/runtime/vdso_linux.go.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

/// Bytes of the image.
pub const SIZE: usize = 4096;
/// Where the code lies in it.
pub const CODE_OFFSET: usize = 0x400;

/// A function in the code.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Its name.
    pub name: &'static str,
    /// Where it begins, from the code's first byte.
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
}

const SONAME: &str = "linux-vdso.so.1";
const VERSION: &str = "LINUX_2.6";
const VERSION_INDEX: u16 = 2;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SYMBOL: usize = 24;
const DYNAMIC: usize = 16;
const VERDEF: usize = 20;
const VERDAUX: usize = 8;

/// The hash of symbol and version names (gABI, "Hash Table").
pub const fn hash(name: &[u8]) -> u32 {
    let mut h: u32 = 0;
    let mut i = 0;
    while i < name.len() {
        h = (h << 4).wrapping_add(name[i] as u32);
        let high = h & 0xf000_0000;
        h = (h ^ (high >> 24)) & !high;
        i += 1;
    }
    h
}

/// Writes little-endian values one behind the other.
struct Cursor<'a> {
    image: &'a mut [u8; SIZE],
    at: usize,
}

impl Cursor<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.image[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u16s(&mut self, values: &[u16]) {
        for value in values {
            self.bytes(&value.to_le_bytes());
        }
    }

    fn u32s(&mut self, values: &[u32]) {
        for value in values {
            self.bytes(&value.to_le_bytes());
        }
    }

    fn u64s(&mut self, values: &[u64]) {
        for value in values {
            self.bytes(&value.to_le_bytes());
        }
    }
}

/// The image with `code` and its `symbols`. None if something does not fit.
pub fn build(code: &[u8], symbols: &[Symbol]) -> Option<[u8; SIZE]> {
    let count = symbols.len() + 1;
    let symbols_at = HEADER + 2 * PROGRAM_HEADER;
    let hash_at = symbols_at + count * SYMBOL;
    // One bucket: the chain visits all of these few.
    let versions_at = hash_at + 4 * (2 + 1 + count);
    let definitions_at = (versions_at + 2 * count).next_multiple_of(8);
    let dynamic_at = definitions_at + 2 * (VERDEF + VERDAUX);
    let strings_at = dynamic_at + 10 * DYNAMIC;
    let strings = symbols.iter().map(|symbol| symbol.name.len() + 1);
    let strings_len = 1 + SONAME.len() + 1 + VERSION.len() + 1 + strings.sum::<usize>();
    if strings_at + strings_len > CODE_OFFSET || code.len() > SIZE - CODE_OFFSET {
        return None;
    }
    let mut image = [0; SIZE];
    let mut out = Cursor {
        image: &mut image,
        at: 0,
    };
    let memory_size = (CODE_OFFSET + code.len()) as u64;

    // ELF64, little-endian, System V; ET_DYN for x86-64.
    out.bytes(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.u16s(&[3, 62]);
    out.u32s(&[1]);
    out.u64s(&[0, HEADER as u64, 0]);
    out.u32s(&[0]);
    out.u16s(&[HEADER as u16, PROGRAM_HEADER as u16, 2, 64, 0, 0]);

    // PT_LOAD, readable and executable; PT_DYNAMIC.
    out.u32s(&[1, 5]);
    out.u64s(&[0, 0, 0, memory_size, memory_size, SIZE as u64]);
    out.u32s(&[2, 4]);
    let (at, size) = (dynamic_at as u64, (10 * DYNAMIC) as u64);
    out.u64s(&[at, at, at, size, size, 8]);

    let (soname, version) = (1u32, 1 + SONAME.len() as u32 + 1);
    let mut name = version + VERSION.len() as u32 + 1;
    out.bytes(&[0; SYMBOL]);
    for symbol in symbols {
        // Global functions; section 1 stands for "defined".
        out.u32s(&[name]);
        out.bytes(&[1 << 4 | 2, 0]);
        out.u16s(&[1]);
        out.u64s(&[(CODE_OFFSET + symbol.offset) as u64, symbol.size as u64]);
        name += symbol.name.len() as u32 + 1;
    }

    // One bucket that begins with the last symbol, each chained to the one before it.
    out.u32s(&[1, count as u32, count as u32 - 1, 0]);
    for index in 1..count as u32 {
        out.u32s(&[index - 1]);
    }

    out.u16s(&[0]);
    for _ in symbols {
        out.u16s(&[VERSION_INDEX]);
    }

    // The object's own name (VER_FLG_BASE), and the version.
    out.at = definitions_at;
    let next = (VERDEF + VERDAUX) as u32;
    for (flags, index, text, at, next) in [
        (1, 1, SONAME, soname, next),
        (0, VERSION_INDEX, VERSION, version, 0),
    ] {
        out.u16s(&[1, flags, index, 1]);
        out.u32s(&[hash(text.as_bytes()), VERDEF as u32, next, at, 0]);
    }

    out.at = dynamic_at;
    for (tag, value) in [
        (4, hash_at),
        (5, strings_at),
        (6, symbols_at),
        (10, strings_len),
        (11, SYMBOL),
        (14, soname as usize),
        (0x6fff_fff0, versions_at),
        (0x6fff_fffc, definitions_at),
        (0x6fff_fffd, 2),
        (0, 0),
    ] {
        out.u64s(&[tag, value as u64]);
    }

    out.bytes(b"\0");
    for text in [SONAME, VERSION]
        .into_iter()
        .chain(symbols.iter().map(|symbol| symbol.name))
    {
        out.bytes(text.as_bytes());
        out.bytes(b"\0");
    }
    out.at = CODE_OFFSET;
    out.bytes(code);
    Some(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSymbol};
    use std::vec::Vec;

    const SYMBOLS: [Symbol; 2] = [
        Symbol {
            name: "__vdso_clock_gettime",
            offset: 0,
            size: 16,
        },
        Symbol {
            name: "__vdso_gettimeofday",
            offset: 16,
            size: 8,
        },
    ];

    fn word(image: &[u8], at: u64) -> u32 {
        let at = at as usize;
        u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]])
    }

    fn long(image: &[u8], at: u64) -> u64 {
        u64::from(word(image, at)) | u64::from(word(image, at + 4)) << 32
    }

    /// As vdso_linux.go does it.
    fn find_as_go_does(image: &[u8], name: &str) -> Option<u64> {
        let headers = long(image, 32);
        let dynamic = (0..2)
            .map(|index| headers + index * 56)
            .find(|&header| word(image, header) == 2)
            .map(|header| long(image, header + 8))?;
        let tag = |wanted: u64| {
            (0..)
                .map(|index| dynamic + index * 16)
                .take_while(|&entry| long(image, entry) != 0)
                .find(|&entry| long(image, entry) == wanted)
                .map(|entry| long(image, entry + 8))
        };
        let (hash_at, strings, symbols) = (tag(4)?, tag(5)?, tag(6)?);
        let (versions, definitions) = (tag(0x6fff_fff0)?, tag(0x6fff_fffc)?);
        let string = |at: u64| {
            let bytes = &image[(strings + at) as usize..];
            bytes.split(|&byte| byte == 0).next().unwrap_or_default()
        };
        let mut definition = definitions;
        let version = loop {
            let auxiliary = definition + u64::from(word(image, definition + 12));
            let base = word(image, definition) >> 16 & 1 != 0;
            if !base
                && word(image, definition + 8) == 0x3ae75f6
                && string(word(image, auxiliary).into()) == b"LINUX_2.6"
            {
                break word(image, definition + 4) & 0x7fff;
            }
            match word(image, definition + 16) {
                0 => return None,
                next => definition += u64::from(next),
            }
        };
        let buckets = word(image, hash_at);
        let bucket = hash(name.as_bytes()) % buckets;
        let mut index = word(image, hash_at + 8 + 4 * u64::from(bucket));
        while index != 0 {
            let symbol = symbols + 24 * u64::from(index);
            let own = word(image, versions + 2 * u64::from(index)) & 0x7fff;
            let defined = word(image, symbol + 4) >> 16 != 0;
            if string(word(image, symbol).into()) == name.as_bytes() && defined && own == version {
                return Some(long(image, symbol + 8));
            }
            index = word(image, hash_at + 8 + 4 * u64::from(buckets + index));
        }
        None
    }

    #[test]
    fn hashes_are_those_go_looks_for() {
        assert_eq!(hash(b"__vdso_gettimeofday"), 0x315ca59);
        assert_eq!(hash(b"__vdso_clock_gettime"), 0xd35ec75);
        assert_eq!(hash(VERSION.as_bytes()), 0x3ae75f6);
    }

    #[test]
    fn go_finds_every_symbol_and_nothing_else() {
        let image = build(&[0x90; 24], &SYMBOLS).expect("fits");
        for symbol in SYMBOLS {
            let expected = (CODE_OFFSET + symbol.offset) as u64;
            assert_eq!(find_as_go_does(&image, symbol.name), Some(expected));
        }
        assert_eq!(find_as_go_does(&image, "__vdso_getrandom"), None);
    }

    #[test]
    fn other_tools_read_the_image() {
        #[repr(align(4096))]
        struct Page([u8; SIZE]);
        let page = Page(build(&[0x90; 24], &SYMBOLS).expect("fits"));
        let file = ElfFile64::<object::Endianness>::parse(&page.0[..]).expect("an ELF file");
        assert_eq!(file.entry(), 0);
        let names: Vec<_> = file
            .dynamic_symbols()
            .filter_map(|symbol| symbol.name().ok())
            .collect();
        // Without section headers the dynamic symbols are found by the loader only.
        assert!(names.is_empty() || names.contains(&"__vdso_clock_gettime"));
    }

    #[test]
    fn code_that_does_not_fit_is_refused() {
        assert!(build(&[0; SIZE - CODE_OFFSET], &SYMBOLS).is_some());
        assert!(build(&[0; SIZE - CODE_OFFSET + 1], &SYMBOLS).is_none());
    }
}
