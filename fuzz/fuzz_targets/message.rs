//! Fuzzes [`authlimit_fuzz::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authlimit_fuzz::message(bytes));
