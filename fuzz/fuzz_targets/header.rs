//! Fuzzes [`authlimit_fuzz::header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authlimit_fuzz::header(bytes));
