//! The executable's bytes in the bundle as a source of mappings: its frames are used where they lie.
use crate::fs::tree;
use crate::memory::frames;
use crate::memory::space::MapSource;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Page-aligned bytes in the bundle.
pub struct BundleFile {
    phys: usize,
    length: usize,
    path: Vec<u8>,
}

impl BundleFile {
    /// `length` bytes at `phys`, page-aligned, which are nobody else's.
    pub fn new(phys: usize, length: usize, path: &[u8]) -> Self {
        frames::adopt(phys, length.div_ceil(frames::FRAME));
        Self {
            phys,
            length,
            path: path.to_vec(),
        }
    }
}

impl MapSource for BundleFile {
    fn frame(&self, index: u64) -> Result<Option<usize>, Errno> {
        let offset = usize::try_from(index)
            .ok()
            .and_then(|index| index.checked_mul(frames::FRAME));
        let Some(offset) = offset.filter(|&offset| offset < self.length) else {
            return Ok(None);
        };
        frames::retain(self.phys + offset);
        Ok(Some(self.phys + offset))
    }

    fn id(&self) -> usize {
        self.phys
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
