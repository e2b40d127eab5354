//! The executable's bytes in the bundle as a source of mappings: its frames are used where they lie.
use crate::fs::tree;
use crate::memory::frames::FRAME;
use crate::memory::page::{BundleFrames, Page};
use crate::memory::space::MapSource;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Page-aligned bytes in the bundle.
pub struct BundleFile {
    frames: BundleFrames,
    /// All of it, so that what is mapped, or a file's, never becomes free.
    pages: Vec<Page>,
    path: Vec<u8>,
}

impl BundleFile {
    /// The first `length` bytes of these frames.
    pub fn new(frames: BundleFrames, length: usize, path: &[u8]) -> Self {
        let pages = length.div_ceil(FRAME) as u64;
        Self {
            frames,
            pages: (0..pages).map_while(|index| frames.page(index)).collect(),
            path: path.to_vec(),
        }
    }
}

impl MapSource for BundleFile {
    fn page(&self, index: u64) -> Result<Option<Page>, Errno> {
        let index = usize::try_from(index).ok();
        Ok(index.and_then(|index| self.pages.get(index)).cloned())
    }

    fn id(&self) -> usize {
        self.frames.phys()
    }

    fn name(&self) -> Vec<u8> {
        tree::program().map_or_else(|| self.path.clone(), |file| file.shown_path())
    }

    fn identity(&self) -> (u64, u64) {
        tree::program().map_or((0, 0), |file| {
            (file.inode.file_system.device, file.inode.number)
        })
    }
}
