//! See ringo_hostile::sites.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::sites::run(bytes));
