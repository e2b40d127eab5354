//! See ringo_hostile::control.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::control::run(bytes));
