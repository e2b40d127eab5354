//! See ringo_hostile::elf.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::elf::run(bytes));
