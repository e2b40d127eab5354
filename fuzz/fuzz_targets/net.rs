//! See ringo_hostile::net.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringo_hostile::net::run(bytes));
