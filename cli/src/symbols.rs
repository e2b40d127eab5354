//! The kernel's addresses as functions and lines, from its debug information (image.rs).

use std::fmt;

use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian};
use object::{Object, ObjectSection};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// What the debug information says of addresses.
pub struct KernelSymbols<'a> {
    context: addr2line::Context<Reader<'a>>,
    file: object::File<'a>,
}

/// A function at an address; inlined ones have places of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub function: Option<String>,
    /// File and line.
    pub line: Option<(String, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.function, &self.line) {
            (Some(function), Some((file, line))) => write!(out, "{function} at {file}:{line}"),
            (Some(function), None) => out.write_str(function),
            (None, Some((file, line))) => write!(out, "{file}:{line}"),
            (None, None) => Ok(()),
        }
    }
}

impl<'a> KernelSymbols<'a> {
    /// Reads the executable; None if it makes no sense.
    pub fn read(elf: &'a [u8]) -> Option<KernelSymbols<'a>> {
        let file = object::File::parse(elf).ok()?;
        let dwarf = Dwarf::load(|id| -> Result<_, Error> {
            // Uncompressed by the linker's default; a compressed one counts as absent.
            let section = file.section_by_name(id.name());
            let data = section.and_then(|s| s.data().ok()).unwrap_or(&[]);
            Ok(Reader::new(data, LittleEndian))
        })
        .ok()?;
        let context = addr2line::Context::from_dwarf(dwarf).ok()?;
        Some(KernelSymbols { context, file })
    }

    /// What is at the address, the innermost of inlined functions first; empty if nothing is known.
    pub fn places(&self, address: u64) -> Vec<Place> {
        let mut places = Vec::new();
        if let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.as_ref();
                let place = Place {
                    function: function.and_then(|f| f.raw_name().ok().map(|name| demangle(&name))),
                    line: frame
                        .location
                        .and_then(|l| Some((l.file?.to_owned(), l.line?))),
                };
                if place != Place::default() {
                    places.push(place);
                }
            }
        }
        // Assembly, or debug information without functions: the symbol table knows the name.
        if places.iter().all(|place| place.function.is_none())
            && let Some(symbol) = self.file.symbol_map().before(address)
        {
            let offset = address - symbol.address();
            let function = Some(format!("{}+{offset:#x}", demangle(symbol.name())));
            match places.last_mut() {
                Some(place) => place.function = function,
                None => places.push(Place {
                    function,
                    line: None,
                }),
            }
        }
        places
    }
}

fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
