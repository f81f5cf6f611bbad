//! Errors that `make sanitize` plants, to prove that the sanitizer finds what it should. No other build has this file.

use std::env;
use std::hint::black_box;

/// Does what the environment variable `AUTHLIMIT_PLANTED` says: `overflow` reads a byte after a block, `leak` forgets
/// blocks.
pub(super) fn run() {
    match env::var("AUTHLIMIT_PLANTED").as_deref() {
        Ok("overflow") => {
            let block = black_box(vec![1_u8; 100]);
            // SAFETY: none, on purpose: the byte is not the block's.
            black_box(unsafe { block.as_ptr().add(block.len()).read_volatile() });
        }
        Ok("leak") => (0..100).for_each(|_| std::mem::forget(black_box(vec![1_u8; 100]))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[ignore = "fails by design: make sanitize runs it"]
    fn planted() {
        super::run();
    }
}
