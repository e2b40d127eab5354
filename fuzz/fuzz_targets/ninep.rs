//! See ringo_hostile::ninep.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::ninep::run(bytes));
