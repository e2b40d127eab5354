//! The code that replaces a site.
//!
//! The instructions before the `syscall` become `jmp stub`; the stub does what they did, loads RCX with the return address
//! as the hardware would, and jumps to the kernel's entry. A jump, not a call: nothing is pushed on the goroutine's stack,
//! and thread exit, clone and sigreturn need no special case. Where there are five bytes or more before it, the `syscall`
//! itself stays as it was: code that jumps to it from elsewhere, with a number of its own, finds it. Stubs have one size,
//! so that the stub a program counter is in follows by division.
use crate::sites::{BEFORE_MAX, Site};
use alloc::vec::Vec;

/// Bytes of a jump.
const JUMP: usize = 5;

/// Bytes of a stub. Slot 0 holds the address of the kernel's entry, for jumps that do not reach it directly.
pub const STUB_SIZE: usize = 32;
/// The most bytes of a patch.
pub const PATCH_MAX: usize = BEFORE_MAX;

/// The rewritten sites of a program, by address.
#[derive(Debug, Default)]
pub struct SiteTable {
    base: u64,
    sites: Vec<Site>,
}

impl SiteTable {
    /// For `sites` in ascending order, with stubs from `base` on.
    pub fn new(base: u64, sites: Vec<Site>) -> Self {
        Self { base, sites }
    }

    /// Bytes that `count` stubs take.
    pub fn size_for(count: usize) -> usize {
        (count + 1) * STUB_SIZE
    }

    /// The sites.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Slot 0: the kernel's entry.
    pub fn header(&self, kernel_entry: u64) -> [u8; STUB_SIZE] {
        let mut bytes = [0xcc; STUB_SIZE];
        bytes[..8].copy_from_slice(&kernel_entry.to_le_bytes());
        bytes
    }

    fn stub_address(&self, index: usize) -> u64 {
        self.base + ((index + 1) * STUB_SIZE) as u64
    }

    /// What to write at a site's address, and how much of it. None if its stub is out of reach.
    pub fn patch(&self, index: usize) -> Option<([u8; PATCH_MAX], usize)> {
        let site = self.sites.get(index)?;
        let mut bytes = [0xcc; PATCH_MAX];
        let next = site.address.wrapping_add(JUMP as u64);
        let offset = relative(next, self.stub_address(index))?;
        bytes[0] = 0xe9;
        bytes[1..JUMP].copy_from_slice(&offset.to_le_bytes());
        Some((bytes, site.displaced().len().max(JUMP)))
    }

    /// The stub's bytes. None if the site is out of its reach.
    pub fn stub(&self, index: usize, kernel_entry: u64) -> Option<[u8; STUB_SIZE]> {
        let site = self.sites.get(index)?;
        let at = self.stub_address(index);
        let mut bytes = [0xcc; STUB_SIZE];
        let mut length = 0;
        let mut put = |code: &[u8]| {
            bytes[length..length + code.len()].copy_from_slice(code);
            length += code.len();
            length as u64
        };
        match site.number {
            // The short form: it zero-extends, as the long one's sign-extension of a small number does.
            Some(number) => {
                put(&[0xb8]);
                put(&number.to_le_bytes())
            }
            None => put(site.displaced()),
        };
        // lea rcx, [rip + return address]
        let next = at + put(&[0x48, 0x8d, 0x0d]) + 4;
        put(&relative(next, site.return_address())?.to_le_bytes());
        // jmp entry, or jmp [rip + slot 0]
        match relative(next + 5, kernel_entry) {
            Some(offset) => {
                put(&[0xe9]);
                put(&offset.to_le_bytes())
            }
            None => {
                put(&[0xff, 0x25]);
                put(&relative(next + 6, self.base)?.to_le_bytes())
            }
        };
        Some(bytes)
    }

    /// The site that returns to `address`.
    pub fn by_return_address(&self, address: u64) -> Option<&Site> {
        let index = self
            .sites
            .binary_search_by_key(&address, Site::return_address)
            .ok()?;
        self.sites.get(index)
    }

    /// The site whose stub `address` is in.
    pub fn by_stub(&self, address: u64) -> Option<&Site> {
        let slot = usize::try_from(address.checked_sub(self.base)?).ok()? / STUB_SIZE;
        self.sites.get(slot.checked_sub(1)?)
    }
}

/// The 32-bit displacement from `next`, the end of an instruction, to `target`; addresses wrap as the CPU's do.
fn relative(next: u64, target: u64) -> Option<i32> {
    i32::try_from(target.wrapping_sub(next) as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::scan;

    const ENTRY: u64 = 0xffff_ffff_c020_0000;

    fn table(base: u64) -> SiteTable {
        let text = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3];
        SiteTable::new(base, scan(&text, 0x40_1000).collect())
    }

    #[test]
    fn a_stub_loads_number_and_return_address_and_reaches_the_kernel_directly() {
        let stub = table(0x30_0000).stub(0, ENTRY).unwrap();
        assert_eq!(stub[..5], [0xb8, 0x27, 0, 0, 0]);
        let displacement =
            |at: usize| i32::from_le_bytes(stub[at..at + 4].try_into().unwrap()) as i64 as u64;
        assert_eq!((0x30_0020u64 + 12).wrapping_add(displacement(8)), 0x40_1007);
        assert_eq!((0x30_0020u64 + 17).wrapping_add(displacement(13)), ENTRY);
    }

    #[test]
    fn a_stub_far_from_the_kernel_goes_through_slot_0() {
        let table = SiteTable::new(
            0x5000_0000_0000,
            scan(&[0xb8, 1, 0, 0, 0, 0x0f, 5], 0x5000_0010_0000).collect(),
        );
        assert_eq!(table.stub(0, ENTRY).unwrap()[12..14], [0xff, 0x25]);
        assert_eq!(table.header(ENTRY)[..8], ENTRY.to_le_bytes());
    }

    #[test]
    fn a_site_out_of_reach_is_not_patched() {
        assert!(table(0x7000_0000_0000).patch(0).is_none());
    }

    #[test]
    fn lookups_find_the_site() {
        let table = table(0x30_0000);
        assert_eq!(
            table.by_return_address(0x40_1007).unwrap().address,
            0x40_1000
        );
        assert_eq!(table.by_stub(0x30_0025).unwrap().address, 0x40_1000);
        assert!(table.by_stub(0x30_0005).is_none() && table.by_stub(0x30_0040).is_none());
    }
}
