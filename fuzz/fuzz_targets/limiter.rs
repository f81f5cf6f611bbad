//! Fuzzes [`authlimit_fuzz::limiter`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authlimit_fuzz::limiter(bytes));
