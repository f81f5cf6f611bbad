//! Fuzzes [`authlimit_fuzz::identity`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authlimit_fuzz::identity(bytes));
