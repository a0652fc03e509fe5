//! The consensus engine, driven by a byte string.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| certchain_fuzz::step::run(bytes));
