//! Python's functions that compare text without case.

use std::process::Command;

use crate::merges::{Merge, ascii, expect_merged};

/// Prints each character whose result of a function is ASCII, and that result, in hexadecimal digits.
const PROGRAM: &str = "
import unicodedata
functions = {
    'upper': str.upper,
    'lower': str.lower,
    'casefold': str.casefold,
    'NFKC and casefold': lambda text: unicodedata.normalize('NFKC', unicodedata.normalize('NFKC', text).casefold()),
}
for name, function in functions.items():
    for code in range(128, 0x110000):
        text = chr(code)
        result = '' if 0xD800 <= code < 0xE000 else function(text)
        if result and result.isascii():
            print(name, code, result.encode().hex(), sep='\\t')
";

#[test]
#[ignore = "needs the packages of make test-databases"]
fn what_python_takes_for_ascii_is_ascii() {
    let output = Command::new("python3").args(["-c", PROGRAM]).output().expect("Python is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("the output is ASCII");
    for (function, least) in [("upper", 10), ("lower", 1), ("casefold", 8), ("NFKC and casefold", 1000)] {
        let merges: Vec<Merge> = output.lines().filter_map(|line| merge(line, function)).collect();
        expect_merged(function, least, &merges);
    }
}

/// The merge that a line of a function tells.
fn merge(line: &str, function: &str) -> Option<Merge> {
    let mut fields = line.split('\t');
    let _ = fields.next().filter(|name| *name == function)?;
    let c = char::from_u32(fields.next()?.parse().ok()?)?;
    Some(Merge { c, text: ascii(fields.next()?)? })
}
