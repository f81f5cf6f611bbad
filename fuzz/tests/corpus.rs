//! Every file of the corpora, without libFuzzer: `cargo test` in `fuzz/`.

use std::fs;
use std::path::Path;

/// Defines a test for each target.
macro_rules! corpora {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(stringify!($target));
            let files = fs::read_dir(&folder).expect("the target has a corpus");
            let run = files.map(|file| {
                let file = file.expect("the corpus is readable").path();
                println!("{}", file.display());
                authlimit_fuzz::$target(&fs::read(file).expect("the file is readable"));
            });
            assert!(run.count() > 0, "{}", folder.display());
        }
    )*};
}

corpora! { chunk header identity limiter message policy }
