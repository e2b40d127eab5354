//! See ringo_hostile::bundle.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::bundle::run(bytes));
