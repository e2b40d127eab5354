//! A look at the program's memory from where nothing may fault, lock or wait: inside an interrupt (cpu/sampler.rs).
//!
//! The tables are walked by hand and without their lock, so another CPU may take a table away meanwhile, and what is read in
//! its place may be anything. That does no harm: each table, and the word itself, is read only if it lies in RAM that the
//! direct map covers, which never changes; the answer is then wrong, as that of a look a moment later would be.
use super::kernel_map::{is_device_memory, kernel_table, ram_end};
use super::paging::{PAGE, Step};
use super::phys_to_virt;
use super::user::USER_END;

/// The word at `address` of the program, aligned to 8, if its page is mapped.
pub fn program_word(address: usize) -> Option<u64> {
    if !address.is_multiple_of(8) || !(PAGE..USER_END).contains(&address) {
        return None;
    }
    let mut at = kernel_table().first_step(address);
    loop {
        match at.entry(ram_word(at.slot())?) {
            Step::Table(next) => at = next,
            Step::Page(phys) => return ram_word(phys),
            Step::Nothing => return None,
        }
    }
}

/// A word of RAM, by its physical address.
fn ram_word(phys: usize) -> Option<u64> {
    if phys >= ram_end() || is_device_memory(phys, 8) {
        return None;
    }
    // SAFETY: below the end of RAM all is in the direct map; aligned: entries are, and `program_word` checked its address.
    Some(unsafe { (phys_to_virt(phys) as *const u64).read_volatile() })
}
