//! The vDSO: two pages in the program, "[vvar]" with what turns the TSC into time and "[vdso]" with the code (cpu/vdso.rs)
//! in an ELF image (crates/vdso). time.Now costs two readings of the TSC and no system call.
//!
//! Both pages are the kernel's own memory, shown to the program read-only. The kernel's own clock reads the same words.
use crate::cpu;
use crate::cpu::tsc::Words;
use crate::memory::page::Page;
use crate::memory::paging::PAGE;
use crate::memory::space::{Backing, MapSource, PROT_EXEC, PROT_READ, Request, space};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ringo_abi::Errno;

const WORDS: usize = PAGE / 8;

/// A page of its own: nothing else of the kernel's is shown with it.
#[repr(C, align(4096))]
struct Data {
    words: Words,
}

#[repr(C, align(4096))]
struct Pages {
    data: Data,
    image: [AtomicU64; WORDS],
}

static PAGES: Pages = Pages {
    data: Data {
        words: Words::new(),
    },
    image: [const { AtomicU64::new(0) }; WORDS],
};

/// The words that time is made of.
#[inline]
pub fn words() -> &'static Words {
    &PAGES.data.words
}

/// The two pages as a file.
struct Source;

impl MapSource for Source {
    fn page(&self, index: u64) -> Result<Option<Page>, Errno> {
        Ok(match index {
            0 => Page::of_kernel(&PAGES.data),
            1 => Page::of_kernel(&PAGES.image),
            _ => None,
        })
    }

    fn id(&self) -> usize {
        core::ptr::from_ref(&PAGES) as usize
    }

    fn name(&self) -> Vec<u8> {
        b"[vdso]".to_vec()
    }
}

fn map_page(source: &Arc<dyn MapSource>, page: u64, request: Request) -> Result<usize, Errno> {
    space().map(Request {
        length: PAGE,
        shared: false,
        no_replace: false,
        no_reserve: false,
        backing: Backing::File {
            source: source.clone(),
            page,
        },
        ..request
    })
}

/// Maps it into the program; gives its address. None: the program does without.
pub fn map() -> Option<usize> {
    let (code, symbols) = cpu::vdso::code();
    let image = ringo_vdso::build(code, &symbols)?;
    for (word, bytes) in PAGES.image.iter().zip(image.chunks_exact(8)) {
        let bytes = <[u8; 8]>::try_from(bytes).unwrap_or_default();
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
    let source: Arc<dyn MapSource> = Arc::new(Source);
    let request = |address, protection, name| Request {
        address,
        length: 2 * PAGE,
        protection,
        shared: false,
        fixed: address != 0,
        no_replace: false,
        no_reserve: false,
        backing: Backing::Anonymous,
        name,
    };
    let start = space().map(request(0, PROT_READ, "[vvar]")).ok()?;
    map_page(&source, 0, request(start, PROT_READ, "[vvar]")).ok()?;
    let vdso = request(start + PAGE, PROT_READ | PROT_EXEC, "[vdso]");
    map_page(&source, 1, vdso).ok()?;
    space().populate(start, start + 2 * PAGE, false).ok()?;
    Some(start + PAGE)
}
