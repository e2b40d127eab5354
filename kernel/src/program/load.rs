//! Segments into memory.
//!
//! Read-only segments show the bundle's own frames; pages that are written (data, rewritten sites, relocations) are
//! copied when they are mapped, so that no translation is ever taken back but once at the end, when text loses its
//! writability. What the file holds is mapped before the program starts, since a fault costs more than a table entry; bss
//! is left to faults (Go 1.26 and later carry 32 MiB of it that most programs never touch).
use super::file::BundleFile;
use super::sites;
use crate::fs::InitError;
use crate::memory::page::BundleFrames;
use crate::memory::paging::PAGE;
use crate::memory::space::{Backing, PROT_EXEC, PROT_READ, PROT_WRITE, Request, space};
use crate::memory::user;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use ringo_abi::Errno;
use ringo_elf::{Image, ImageKind, Segment};
use spin::Once;

/// Where a PIE goes that was linked at 0 (Go links its own at 0x400000, and they stay there).
const PIE_BASE: u64 = 0x5555_5555_4000;
/// Below it a PIE is moved.
const LOWEST_BASE: u64 = 0x1_0000;

/// What the rest of the kernel wants to know of the loaded program.
#[derive(Debug)]
pub struct Loaded {
    /// First instruction.
    pub entry: usize,
    /// Program headers in memory, and how many.
    pub headers: (usize, usize),
    /// [start, end) of the executable part.
    pub text: (usize, usize),
    /// [start, end) of the writable part with bss.
    pub data: (usize, usize),
    /// How far a position-independent program was moved from its link addresses.
    pub bias: u64,
}

static LOADED: Once<Loaded> = Once::new();

/// The loaded program; none while booting.
pub fn loaded() -> Option<&'static Loaded> {
    LOADED.get()
}

/// How far the program was moved; 0 without one.
pub fn bias() -> u64 {
    LOADED.get().map_or(0, |loaded| loaded.bias)
}

/// Why a program could not be loaded: for the user.
#[derive(Debug)]
pub enum LoadError {
    /// The file.
    Elf(ringo_elf::ElfError),
    /// Memory.
    Memory(Errno),
    /// The bundle around it.
    Bundle(alloc::string::String),
    /// The host's files.
    Host(Errno),
    /// One of those that were brought along: its path.
    Entry(alloc::string::String, Errno),
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Elf(error) => write!(f, "the program is {error}"),
            Self::Bundle(text) => f.write_str(text),
            Self::Host(errno) => write!(f, "the host's files cannot be reached: {errno}"),
            Self::Entry(path, errno) => {
                write!(f, "/{path} cannot be put into the program's root: {errno}")
            }
            Self::Memory(Errno::E2BIG) => f.write_str(
                "the program's arguments and environment are too long: all of them may take 2 MiB",
            ),
            Self::Memory(_) => {
                f.write_str("the program and its files do not fit into the VM's memory: give it more with --memory")
            }
        }
    }
}

impl From<InitError> for LoadError {
    fn from(error: InitError) -> Self {
        match error {
            InitError::Host(Errno::ENOMEM) => Self::Memory(Errno::ENOMEM),
            InitError::Host(errno) => Self::Host(errno),
            InitError::Streams(errno) => Self::Memory(errno),
            InitError::Tree(failure) => match failure.errno {
                Errno::ENOMEM | Errno::ENOSPC => Self::Memory(Errno::ENOMEM),
                errno => {
                    let path = alloc::string::String::from_utf8_lossy(&failure.path);
                    Self::Entry(path.trim_start_matches('/').into(), errno)
                }
            },
        }
    }
}

impl From<Errno> for LoadError {
    fn from(errno: Errno) -> Self {
        Self::Memory(errno)
    }
}

/// Maps the executable in `bytes`, whose frames in the bundle are `frames`, and rewrites its system calls.
///
/// # Errors
/// A bad file, or too little memory.
pub fn load(bytes: &[u8], frames: BundleFrames, path: &[u8]) -> Result<&'static Loaded, LoadError> {
    let image = Image::parse(bytes).map_err(LoadError::Elf)?;
    let (lowest, _) = image.span();
    let bias = if image.kind == ImageKind::StaticPie && lowest < LOWEST_BASE {
        PIE_BASE
    } else {
        0
    };
    let source = Arc::new(BundleFile::new(frames, bytes.len(), path));
    let found = sites::find(&image, bias)?;
    let written = written_pages(&image, bias, &found);
    for segment in image.segments() {
        map_segment(segment, bias, &source, &written)?;
    }
    for (address, addend) in image.relocations() {
        user::write((address + bias) as usize, &(addend + bias))?;
    }
    sites::rewrite(&image, bias, found)?;
    for segment in image.segments() {
        let (start, end) = pages(segment, bias);
        space().protect(start, end - start, protection(segment))?;
    }
    let range = |wanted: fn(&Segment) -> bool| {
        let mut segments = image.segments().iter().filter(|segment| wanted(segment));
        let first = segments
            .next()
            .map_or(0, |segment| (segment.address + bias) as usize);
        let last = image.segments().iter().rfind(|segment| wanted(segment));
        (
            first,
            last.map_or(0, |segment| (segment.end() + bias) as usize),
        )
    };
    Ok(LOADED.call_once(|| Loaded {
        entry: (image.entry + bias) as usize,
        headers: (
            if image.headers_address == 0 {
                0
            } else {
                (image.headers_address + bias) as usize
            },
            image.headers_count as usize,
        ),
        text: range(|segment| segment.executable),
        data: range(|segment| segment.writable),
        bias,
    }))
}

fn protection(segment: &Segment) -> u32 {
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    bit(segment.readable, PROT_READ)
        | bit(segment.writable, PROT_WRITE)
        | bit(segment.executable, PROT_EXEC)
}

/// [start, end) of the segment's pages.
fn pages(segment: &Segment, bias: u64) -> (usize, usize) {
    let start = (segment.address + bias) as usize;
    (
        start / PAGE * PAGE,
        ((segment.end() + bias) as usize).next_multiple_of(PAGE),
    )
}

/// Numbers of the pages that will be written before the program starts.
fn written_pages(image: &Image<'_>, bias: u64, found: &[ringo_elf::Site]) -> BTreeSet<usize> {
    // A rewritten site is shorter than a page, so it touches two at most.
    let of_sites = found.iter().flat_map(|site| {
        let at = site.address as usize;
        [at / PAGE, (at + ringo_elf::PATCH_MAX) / PAGE]
    });
    let relocated = image
        .relocations()
        .map(|(address, _)| (address + bias) as usize)
        .flat_map(|at| [at / PAGE, (at + 7) / PAGE]);
    // There may be some hundred thousand relocations, mostly in the order of their addresses.
    let mut pages = BTreeSet::new();
    let mut last = None;
    for page in of_sites.chain(relocated) {
        if last.replace(page) != Some(page) {
            pages.insert(page);
        }
    }
    pages
}

/// Maps one segment writable (sites and relocations are still to be written), its file part at once; `written` pages as
/// copies of their own.
fn map_segment(
    segment: &Segment,
    bias: u64,
    source: &Arc<BundleFile>,
    written: &BTreeSet<usize>,
) -> Result<(), LoadError> {
    let (start, end) = pages(segment, bias);
    let file_end = (segment.address + bias + segment.file_size) as usize;
    let file_pages_end = if segment.file_size == 0 {
        start
    } else {
        file_end.next_multiple_of(PAGE)
    };
    if file_pages_end > start {
        space().map(Request {
            address: start,
            length: file_pages_end - start,
            protection: protection(segment) | PROT_WRITE,
            shared: false,
            fixed: true,
            no_replace: false,
            no_reserve: false,
            backing: Backing::File {
                source: source.clone(),
                page: segment.offset / PAGE as u64,
            },
            name: "",
        })?;
        for page in (start..file_pages_end).step_by(PAGE) {
            let write = segment.writable || written.contains(&(page / PAGE));
            space().populate(page, page + PAGE, write)?;
        }
        // The rest of the last page is bss, or the next segment's bytes of the file.
        if segment.writable {
            user::zero(file_end, file_pages_end - file_end)?;
        }
    }
    if end > file_pages_end {
        space().map(Request {
            address: file_pages_end,
            length: end - file_pages_end,
            protection: protection(segment),
            shared: false,
            fixed: true,
            no_replace: false,
            no_reserve: false,
            backing: Backing::Anonymous,
            name: "",
        })?;
    }
    Ok(())
}
