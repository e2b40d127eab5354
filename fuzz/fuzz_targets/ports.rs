//! See ringo_hostile::ports.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::ports::run(bytes));
