//! Whole numbers as the policy language writes them: one spelling for each, so that what is printed is what was read.

use thiserror::Error;

/// Why some text is not a whole number of the policy language.
///
/// It reads on from the name of what was wrong: "the limit" + "has a sign".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NumberFault {
    /// There is no text at all.
    #[error("has no number")]
    Missing,
    /// It begins with `+` or `-`.
    #[error("has a sign")]
    Signed,
    /// It has a decimal point or comma.
    #[error("has a fraction")]
    Fraction,
    /// It holds something else that is not a digit.
    #[error("has something other than digits in its number")]
    NotDigits,
    /// It begins with a zero that adds nothing, as in `05`.
    #[error("begins with a needless zero")]
    LeadingZero,
    /// It is 0.
    #[error("is zero")]
    Zero,
    /// It is a number, but above what is allowed here.
    #[error("is too large")]
    TooLarge,
}

/// Reads a whole number from 1 to [`u32::MAX`] in decimal digits.
pub(super) fn whole(text: &[u8]) -> Result<u32, NumberFault> {
    match text {
        [] => return Err(NumberFault::Missing),
        [b'+' | b'-', ..] => return Err(NumberFault::Signed),
        _ => {}
    }
    match text.iter().find(|byte| !byte.is_ascii_digit()) {
        None => {}
        Some(b'.' | b',') => return Err(NumberFault::Fraction),
        Some(_) => return Err(NumberFault::NotDigits),
    }
    match text {
        [b'0'] => Err(NumberFault::Zero),
        [b'0', ..] => Err(NumberFault::LeadingZero),
        digits => digits.iter().try_fold(0, |number, &digit| append(number, digit)).ok_or(NumberFault::TooLarge),
    }
}

/// Puts one more decimal digit at the end of `number`; None if the result does not fit.
fn append(number: u32, digit: u8) -> Option<u32> {
    let digit = digit.checked_sub(b'0')?;
    number.checked_mul(10)?.checked_add(u32::from(digit))
}

#[cfg(test)]
mod tests {
    use super::{NumberFault, whole};

    #[test]
    fn digits_are_a_number() {
        assert_eq!(whole(b"1"), Ok(1));
        assert_eq!(whole(b"907"), Ok(907));
        assert_eq!(whole(b"4294967295"), Ok(u32::MAX));
    }

    #[test]
    fn anything_else_is_refused_for_its_own_reason() {
        let rows: [(&[u8], NumberFault); 16] = [
            (b"", NumberFault::Missing),
            (b"+5", NumberFault::Signed),
            (b"-5", NumberFault::Signed),
            (b"-", NumberFault::Signed),
            (b"1.5", NumberFault::Fraction),
            (b"1,5", NumberFault::Fraction),
            (b"1e5", NumberFault::NotDigits),
            (b"0x5", NumberFault::NotDigits),
            (b" 5", NumberFault::NotDigits),
            (b"5\0", NumberFault::NotDigits),
            ("\u{665}".as_bytes(), NumberFault::NotDigits),
            (b"05", NumberFault::LeadingZero),
            (b"00", NumberFault::LeadingZero),
            (b"0", NumberFault::Zero),
            (b"4294967296", NumberFault::TooLarge),
            (b"99999999999999999999999999", NumberFault::TooLarge),
        ];
        for (text, fault) in rows {
            assert_eq!(whole(text), Err(fault), "{}", text.escape_ascii());
        }
    }
}
