//! The kernel, inside this binary (build.rs puts it there).

use std::io::Read;

/// What QEMU loads.
pub const KERNEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel.elf"));

/// The same executable with symbols and line numbers, gzip-compressed.
const DEBUG: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel.debug.gz"));

/// Unpacks the executable with its debug information.
pub fn with_debug_information() -> std::io::Result<Vec<u8>> {
    let mut elf = Vec::new();
    flate2::read::GzDecoder::new(DEBUG).read_to_end(&mut elf)?;
    Ok(elf)
}
