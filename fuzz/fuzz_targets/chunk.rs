//! Fuzzes [`authlimit_fuzz::chunk`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authlimit_fuzz::chunk(bytes));
