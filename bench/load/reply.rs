//! A parser for RESP2 that counts replies, reads their first two integers, and finds errors.

use std::io;

use crate::peers::ReplyIntegers;

/// The complete replies of a buffer.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Their number.
    pub(crate) count: u64,
    /// How many of them admit the attempt.
    pub(crate) admitted: u64,
    /// Their length in bytes.
    pub(crate) bytes: usize,
}

/// Counts the complete replies at the beginning of `bytes`. Returns an error reply as an error.
pub(crate) fn complete_replies(bytes: &[u8], admits: &dyn Fn(ReplyIntegers) -> bool) -> io::Result<Replies> {
    let mut replies = Replies { count: 0, admitted: 0, bytes: 0 };
    while let Some((integers, len)) = reply(&bytes[replies.bytes..])? {
        replies.count += 1;
        replies.admitted += u64::from(admits(integers));
        replies.bytes += len;
    }
    Ok(replies)
}

/// Returns the first integers and the length of the reply at the beginning of `bytes`, if it is complete.
pub(crate) fn reply(bytes: &[u8]) -> io::Result<Option<(ReplyIntegers, usize)>> {
    let mut integers = [0; 2];
    let mut found = 0;
    let mut values = 1_i64;
    let mut at = 0;
    while values > 0 {
        let Some(len) = bytes[at..].iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line = &bytes[at..at + len];
        at += len + 1;
        values -= 1;
        match line.first() {
            Some(b':') => {
                if let Some(entry) = integers.get_mut(found) {
                    *entry = integer(line);
                }
                found += 1;
            }
            Some(b'*') => values += integer(line).max(0),
            Some(b'$') => {
                let body = integer(line);
                if body >= 0 {
                    at += body as usize + 2;
                    if at > bytes.len() {
                        return Ok(None);
                    }
                }
            }
            Some(b'+') => {}
            _ => return Err(io::Error::other(String::from_utf8_lossy(line).into_owned())),
        }
    }
    Ok(Some((integers, at)))
}

/// Returns the number after the first byte of a line that ends with a carriage return.
fn integer(line: &[u8]) -> i64 {
    let digits = &line[1..line.len() - 1];
    let (negative, digits) = match digits.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, digits),
    };
    let magnitude = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    if negative { -magnitude } else { magnitude }
}
