//! The executable's headers (ELF-64 object file format, System V ABI AMD64 supplement), checked for what the kernel can
//! run: static linux/amd64, ET_EXEC or static PIE.
use core::fmt;
use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Rela};

const PAGE: u64 = 4096;
/// End of the program's half of the address space.
const USER_END: u64 = 0x7fff_ffff_f000;
const LOWEST: u64 = 0x1_0000;
const MAX_SEGMENTS: usize = 64;

/// Why a file cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ElfError {
    NotElf,
    Not64Bit,
    WrongMachine(u16),
    WrongType(u16),
    Dynamic,
    BadRelocation(u32),
    Truncated,
    SegmentOutsideFile,
    FileSizeAboveMemorySize,
    SegmentOutsideMemory,
    Misaligned,
    Overlap,
    NoSegments,
    TooManySegments,
    EntryOutsideText,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => {
                f.write_str("not an ELF executable: build it with GOOS=linux GOARCH=amd64 go build")
            }
            Self::Not64Bit => {
                f.write_str("not a 64-bit little-endian executable: build it with GOARCH=amd64")
            }
            Self::WrongMachine(machine) => {
                write!(
                    f,
                    "built for another machine (ELF machine {machine}): build it with GOARCH=amd64"
                )
            }
            Self::WrongType(elf::ET_REL) => {
                f.write_str("an object file, not an executable: link it with go build")
            }
            Self::WrongType(elf::ET_CORE) => f.write_str("a core dump, not an executable"),
            Self::WrongType(kind) => write!(f, "not an executable (ELF type {kind})"),
            Self::Dynamic => f.write_str("built with cgo: rebuild with CGO_ENABLED=0"),
            Self::BadRelocation(kind) => {
                write!(
                    f,
                    "linked with relocations that only a dynamic linker can apply (type {kind}): rebuild with CGO_ENABLED=0"
                )
            }
            Self::Truncated => f.write_str(
                "truncated: its headers reach beyond the end of the file; copy it again",
            ),
            Self::SegmentOutsideFile => f.write_str(
                "truncated: a segment reaches beyond the end of the file; copy it again",
            ),
            Self::FileSizeAboveMemorySize => {
                f.write_str("malformed: a segment is larger in the file than in memory")
            }
            Self::SegmentOutsideMemory => {
                f.write_str("malformed: a segment lies outside the address space")
            }
            Self::Misaligned => {
                f.write_str("malformed: a segment's address and file offset do not match")
            }
            Self::Overlap => f.write_str("malformed: its segments overlap or are out of order"),
            Self::NoSegments => f.write_str("malformed: it has nothing to load"),
            Self::TooManySegments => f.write_str("malformed: it has too many segments"),
            Self::EntryOutsideText => {
                f.write_str("malformed: its entry point is not in an executable segment")
            }
        }
    }
}

impl core::error::Error for ElfError {}

/// What kind of executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// ET_EXEC: runs where it was linked.
    Exec,
    /// ET_DYN without libraries: runs anywhere, after its relative relocations.
    StaticPie,
}

/// A PT_LOAD segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Segment {
    /// Address as linked.
    pub address: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// How many; the rest is zero.
    pub file_size: u64,
    /// PF_R.
    pub readable: bool,
    /// PF_W.
    pub writable: bool,
    /// PF_X.
    pub executable: bool,
}

impl Segment {
    /// First address after it.
    pub fn end(&self) -> u64 {
        self.address + self.memory_size
    }
}

/// A checked executable.
#[derive(Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    /// See [`ImageKind`].
    pub kind: ImageKind,
    /// Where it starts, as linked.
    pub entry: u64,
    /// Address of the program headers in memory, as linked; 0 if no segment has them.
    pub headers_address: u64,
    /// How many program headers.
    pub headers_count: u16,
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
    relocations: Option<(u64, u64)>,
}

impl<'a> Image<'a> {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// What is wrong, in words for the user.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        if bytes.get(..4) != Some(&elf::ELFMAG) {
            return Err(ElfError::NotElf);
        }
        let header = bytes.get(..64).ok_or(ElfError::Truncated)?;
        if header[4] != elf::ELFCLASS64 || header[5] != elf::ELFDATA2LSB {
            return Err(ElfError::Not64Bit);
        }
        let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(|_| ElfError::Truncated)?;
        let machine = header.e_machine(LittleEndian);
        if machine != elf::EM_X86_64 {
            return Err(ElfError::WrongMachine(machine));
        }
        let kind = match header.e_type(LittleEndian) {
            elf::ET_EXEC => ImageKind::Exec,
            elf::ET_DYN => ImageKind::StaticPie,
            other => return Err(ElfError::WrongType(other)),
        };
        let headers = header
            .program_headers(LittleEndian, bytes)
            .map_err(|_| ElfError::Truncated)?;
        let mut image = Self {
            bytes,
            kind,
            entry: header.e_entry(LittleEndian),
            headers_address: 0,
            // More than the ELF header can say (PN_XNUM): Linux takes no such file, either.
            headers_count: u16::try_from(headers.len()).map_err(|_| ElfError::TooManySegments)?,
            segments: [Segment::default(); MAX_SEGMENTS],
            count: 0,
            relocations: None,
        };
        for program_header in headers {
            if program_header.p_type(LittleEndian) == elf::PT_LOAD {
                image.add_segment(program_header)?;
            }
        }
        if image.count == 0 {
            return Err(ElfError::NoSegments);
        }
        image.check_layout()?;
        let headers_offset = header.e_phoff(LittleEndian);
        image.headers_address = image.address_of(headers_offset).unwrap_or(0);
        image.read_dynamic(headers)?;
        Ok(image)
    }

    /// The segments, in ascending order of address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.count]
    }

    /// A segment's bytes in the file.
    pub fn data(&self, segment: &Segment) -> &'a [u8] {
        let (from, to) = (
            segment.offset as usize,
            (segment.offset + segment.file_size) as usize,
        );
        self.bytes.get(from..to).unwrap_or(&[])
    }

    /// [lowest address, end) of all segments, whole pages.
    pub fn span(&self) -> (u64, u64) {
        let first = self.segments[0].address / PAGE * PAGE;
        let last = self.segments[self.count - 1].end().next_multiple_of(PAGE);
        (first, last)
    }

    /// The relative relocations of a PIE: (address as linked, addend). Empty for the rest.
    pub fn relocations(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (offset, size) = self.relocations.unwrap_or((0, 0));
        let table = self
            .bytes
            .get(offset as usize..(offset + size) as usize)
            .unwrap_or(&[]);
        table.chunks_exact(24).map(|entry| {
            let word = |at: usize| {
                u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|index| entry[at + index]))
            };
            (word(0), word(16))
        })
    }

    fn add_segment(&mut self, header: &ProgramHeader64<LittleEndian>) -> Result<(), ElfError> {
        let flags = header.p_flags(LittleEndian);
        let segment = Segment {
            address: header.p_vaddr(LittleEndian),
            memory_size: header.p_memsz(LittleEndian),
            offset: header.p_offset(LittleEndian),
            file_size: header.p_filesz(LittleEndian),
            readable: flags & elf::PF_R != 0,
            writable: flags & elf::PF_W != 0,
            executable: flags & elf::PF_X != 0,
        };
        if segment.memory_size == 0 {
            return Ok(());
        }
        let slot = self
            .segments
            .get_mut(self.count)
            .ok_or(ElfError::TooManySegments)?;
        if segment.file_size > segment.memory_size {
            return Err(ElfError::FileSizeAboveMemorySize);
        }
        let file_end = segment
            .offset
            .checked_add(segment.file_size)
            .ok_or(ElfError::SegmentOutsideFile)?;
        if file_end > self.bytes.len() as u64 {
            return Err(ElfError::SegmentOutsideFile);
        }
        let end = segment
            .address
            .checked_add(segment.memory_size)
            .ok_or(ElfError::SegmentOutsideMemory)?;
        let lowest = if self.kind == ImageKind::Exec {
            LOWEST
        } else {
            0
        };
        if segment.address < lowest || end > USER_END {
            return Err(ElfError::SegmentOutsideMemory);
        }
        if segment.address % PAGE != segment.offset % PAGE {
            return Err(ElfError::Misaligned);
        }
        *slot = segment;
        self.count += 1;
        Ok(())
    }

    fn check_layout(&self) -> Result<(), ElfError> {
        // Segments that share a page would have to share its rights.
        for pair in self.segments().windows(2) {
            if pair[1].address / PAGE * PAGE < pair[0].end().next_multiple_of(PAGE) {
                return Err(ElfError::Overlap);
            }
        }
        let text = self.segments().iter().filter(|segment| segment.executable);
        let in_text = |segment: &Segment| {
            self.entry >= segment.address && self.entry < segment.address + segment.file_size
        };
        if text.clone().any(in_text) {
            Ok(())
        } else {
            Err(ElfError::EntryOutsideText)
        }
    }

    fn address_of(&self, offset: u64) -> Option<u64> {
        let holder = self.segments().iter().find(|segment| {
            offset >= segment.offset && offset < segment.offset + segment.file_size
        })?;
        Some(holder.address + (offset - holder.offset))
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        let holder = self.segments().iter().find(|segment| {
            address >= segment.address && address < segment.address + segment.file_size
        })?;
        Some(holder.offset + (address - holder.address))
    }

    /// A PIE's dynamic section: no libraries, and only relative relocations.
    fn read_dynamic(&mut self, headers: &[ProgramHeader64<LittleEndian>]) -> Result<(), ElfError> {
        let Some(entries) = headers
            .iter()
            .find_map(|header| header.dynamic(LittleEndian, self.bytes).transpose())
        else {
            let interpreted = headers
                .iter()
                .any(|header| header.p_type(LittleEndian) == elf::PT_INTERP);
            return if interpreted {
                Err(ElfError::Dynamic)
            } else {
                Ok(())
            };
        };
        let (mut table, mut size) = (None, 0);
        for entry in entries.map_err(|_| ElfError::Truncated)? {
            let value = entry.d_val(LittleEndian);
            match entry.d_tag(LittleEndian) as u32 {
                elf::DT_NEEDED => return Err(ElfError::Dynamic),
                elf::DT_RELA => table = Some(value),
                elf::DT_RELASZ => size = value,
                elf::DT_NULL => break,
                _ => {}
            }
        }
        let Some(table) = table.filter(|_| size != 0) else {
            return Ok(());
        };
        let offset = self.offset_of(table).ok_or(ElfError::Truncated)?;
        let end = offset.checked_add(size).ok_or(ElfError::Truncated)?;
        let bytes = self
            .bytes
            .get(offset as usize..end as usize)
            .ok_or(ElfError::Truncated)?;
        let (relocations, _) =
            object::pod::slice_from_bytes::<elf::Rela64<LittleEndian>>(bytes, size as usize / 24)
                .map_err(|()| ElfError::Truncated)?;
        for relocation in relocations {
            let kind = relocation.r_type(LittleEndian, false);
            if kind != elf::R_X86_64_RELATIVE {
                return Err(ElfError::BadRelocation(kind));
            }
            let target = relocation.r_offset(LittleEndian);
            let writable = |segment: &Segment| {
                segment.writable
                    && target >= segment.address
                    && target
                        .checked_add(8)
                        .is_some_and(|end| end <= segment.end())
            };
            if !self.segments().iter().any(writable) {
                return Err(ElfError::SegmentOutsideMemory);
            }
        }
        self.relocations = Some((offset, size));
        Ok(())
    }
}
