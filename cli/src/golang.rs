//! What a Go executable says about itself: build information and the line table (pclntab), which even a stripped one has.
//!
//! Formats: Go's debug/buildinfo/buildinfo.go (inline strings, since 1.18) and debug/gosym/pclntab.go, internal/abi/symtab.go
//! (the table of 1.20 and later, magic 0xfffffff1). Everything read is checked; damage gives `None`, never a panic.

use object::{Object, ObjectSection};

/// debug/buildinfo's contents.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// "go1.27.3", sometimes with experiments behind it.
    pub version: String,
    /// The main package's import path.
    pub path: String,
    /// The main module: path and version.
    pub module: Option<(String, String)>,
    /// Modules it depends on: path and version.
    pub dependencies: Vec<(String, String)>,
    /// -ldflags, CGO_ENABLED, vcs.revision and so on.
    pub settings: Vec<(String, String)>,
}

impl BuildInfo {
    /// Finds it in an executable.
    pub fn find(file: &[u8]) -> Option<BuildInfo> {
        const MAGIC: &[u8] = b"\xff Go buildinf:";
        const INLINE: u8 = 2;
        memchr::memmem::find_iter(file, MAGIC).find_map(|at| {
            let blob = &file[at..];
            if blob.get(15)? & INLINE == 0 {
                return None;
            }
            let mut rest = blob.get(32..)?;
            let version = string(&mut rest)?;
            let modules = string(&mut rest)?;
            // Sixteen bytes of marker on either side.
            let modules = modules
                .get(16..modules.len().checked_sub(16)?)
                .unwrap_or(b"");
            let mut info = BuildInfo::parse_modules(&String::from_utf8_lossy(modules));
            info.version = String::from_utf8_lossy(version).into_owned();
            info.version.starts_with("go").then_some(info).or(None)
        })
    }

    fn parse_modules(text: &str) -> BuildInfo {
        let mut info = BuildInfo::default();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let kind = fields.next().unwrap_or("");
            let mut field = || fields.next().unwrap_or("").to_owned();
            match kind {
                "path" => info.path = field(),
                "mod" => info.module = Some((field(), field())),
                "dep" => info.dependencies.push((field(), field())),
                // A replacement takes the place of the line before it.
                "=>" => {
                    if let Some(last) = info.dependencies.last_mut() {
                        *last = (field(), field());
                    }
                }
                "build" => {
                    if let Some((key, value)) = line["build\t".len()..].split_once('=') {
                        let value = value.trim_matches('"');
                        info.settings.push((key.to_owned(), value.to_owned()));
                    }
                }
                _ => {}
            }
        }
        info
    }

    /// A build setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }
}

/// A byte string behind its length as a varint.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (string, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(string)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Functions, files and lines by address.
pub struct LineTable<'a> {
    table: &'a [u8],
    text: u64,
    quantum: u32,
    functions: usize,
    names: usize,
    units: usize,
    files: usize,
    values: usize,
    /// Offset of the function table, and of the function records relative to the same place.
    lookup: usize,
}

/// Where an address lies.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// Full name of the function, "main.(*T).method".
    pub function: String,
    /// Source file and line, when the table has them.
    pub line: Option<(String, u32)>,
}

impl<'a> LineTable<'a> {
    /// Finds the table in an executable.
    pub fn find(file: &'a [u8]) -> Option<LineTable<'a>> {
        let object = object::File::parse(file).ok()?;
        let text = object.section_by_name(".text")?.address();
        let section = [".gopclntab", ".data.rel.ro.gopclntab"]
            .iter()
            .find_map(|name| object.section_by_name(name));
        // Position-independent programs keep it inside a larger section: look for its first bytes.
        let start = match section {
            Some(section) => section.file_range()?.0 as usize,
            None => memchr::memmem::find(file, b"\xf1\xff\xff\xff\0\0\x01\x08")?,
        };
        LineTable::parse(file.get(start..)?, text)
    }

    fn parse(table: &'a [u8], text: u64) -> Option<LineTable<'a>> {
        if table.get(..4)? != b"\xf1\xff\xff\xff" || *table.get(7)? != 8 {
            return None;
        }
        let word = |index: usize| {
            let at = 8 + index * 8;
            let bytes = table.get(at..at + 8)?.try_into().ok()?;
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        };
        let declared_text = word(2)? as u64;
        let found = LineTable {
            table,
            // 1.26 and later leave it 0.
            text: if declared_text == 0 {
                text
            } else {
                declared_text
            },
            quantum: u32::from(*table.get(6)?).max(1),
            functions: word(0)?,
            names: word(3)?,
            units: word(4)?,
            files: word(5)?,
            values: word(6)?,
            lookup: word(7)?,
        };
        let end = found.functions.checked_mul(8)?.checked_add(found.lookup)?;
        (found.functions > 0 && end <= table.len()).then_some(found)
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.table.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// (entry offset, offset of the record) of a function.
    fn entry(&self, index: usize) -> Option<(u32, u32)> {
        let at = self.lookup + index * 8;
        Some((self.u32_at(at)?, self.u32_at(at + 4)?))
    }

    fn c_string(&self, at: usize) -> Option<&'a [u8]> {
        let bytes = self.table.get(at..)?;
        Some(&bytes[..memchr::memchr(0, bytes)?])
    }

    fn name(&self, record: usize) -> Option<&'a [u8]> {
        let offset = self.u32_at(record.checked_add(4)?)? as usize;
        self.c_string(self.names.checked_add(offset)?)
    }

    /// The names of all functions, in order of their addresses.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        (0..self.functions).filter_map(|index| {
            let (_, record) = self.entry(index)?;
            self.name(self.lookup.checked_add(record as usize)?)
        })
    }

    /// The function at `address`, and its line there.
    pub fn place(&self, address: u64) -> Option<Place> {
        let (record, start, offset) = self.find_function(address)?;
        let function = String::from_utf8_lossy(self.name(record)?).into_owned();
        let line = self.line(record, start, offset);
        Some(Place { function, line })
    }

    /// How many bytes the function at `address` has pushed there: 0 where the address to return to is on top.
    pub fn frame_size(&self, address: u64) -> Option<i32> {
        let (record, start, offset) = self.find_function(address)?;
        self.value(self.u32_at(record + 4 * 4)?, start, offset)
    }

    /// The function's record, where it begins, and `address`, both relative to the text.
    fn find_function(&self, address: u64) -> Option<(usize, u32, u32)> {
        let offset = u32::try_from(address.checked_sub(self.text)?).ok()?;
        // The last function that begins at or before it.
        let (mut low, mut high) = (0, self.functions);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 <= offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let index = low.checked_sub(1)?;
        // Behind the last function stands only the end of the text.
        let end = self.entry(index + 1)?.0;
        if offset >= end {
            return None;
        }
        let (start, record) = self.entry(index)?;
        Some((self.lookup.checked_add(record as usize)?, start, offset))
    }

    fn line(&self, record: usize, start: u32, offset: u32) -> Option<(String, u32)> {
        let field = |index: usize| self.u32_at(record + index * 4);
        let (file_values, line_values, unit) = (field(5)?, field(6)?, field(8)?);
        let line = self.value(line_values, start, offset)?;
        let file = self.value(file_values, start, offset)?;
        let slot = (unit as usize)
            .checked_add(usize::try_from(file).ok()?)?
            .checked_mul(4)?;
        let name = self.u32_at(self.units.checked_add(slot)?)? as usize;
        let name = self.c_string(self.files.checked_add(name)?)?;
        Some((
            String::from_utf8_lossy(name).into_owned(),
            u32::try_from(line).ok()?,
        ))
    }

    /// Runs a program-counter table up to `target`: pairs of (value delta, pc delta), both varints.
    fn value(&self, table: u32, start: u32, target: u32) -> Option<i32> {
        let mut rest = self.table.get(self.values.checked_add(table as usize)?..)?;
        let (mut pc, mut value) = (start, -1i32);
        let mut first = true;
        loop {
            let delta = varint(&mut rest)? as u32;
            if delta == 0 && !first {
                return None;
            }
            first = false;
            // Zig-zag.
            value = value.wrapping_add((delta >> 1) as i32 ^ -((delta & 1) as i32));
            pc = pc.checked_add((varint(&mut rest)? as u32).checked_mul(self.quantum)?)?;
            if target < pc {
                return Some(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_with_their_replacements() {
        let info = BuildInfo::parse_modules(
            "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\ta\tv1\th1:x=\ndep\tb\tv2\n=>\tc\tv3\th1:y=\n\
             build\tCGO_ENABLED=0\nbuild\t-ldflags=\"-s -w\"\n",
        );
        assert_eq!(info.path, "example.com/app");
        assert_eq!(
            info.module,
            Some(("example.com/app".into(), "(devel)".into()))
        );
        assert_eq!(
            info.dependencies,
            [("a".into(), "v1".into()), ("c".into(), "v3".into())]
        );
        assert_eq!(info.setting("CGO_ENABLED"), Some("0"));
        assert_eq!(info.setting("-ldflags"), Some("-s -w"));
    }

    proptest::proptest! {
        #[test]
        fn noise_never_panics(mut bytes: Vec<u8>, address: u64) {
            let _ = BuildInfo::find(&bytes);
            bytes.splice(0..0, *b"\xf1\xff\xff\xff\0\0\x01\x08");
            if let Some(table) = LineTable::parse(&bytes, 0) {
                let _ = table.names().count();
                let _ = table.place(address);
                let _ = table.frame_size(address);
            }
            bytes.splice(0..0, *b"\xff Go buildinf:\x08\x02");
            let _ = BuildInfo::find(&bytes);
        }
    }
}
