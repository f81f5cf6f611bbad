//! Punycode (RFC 3492), in which a label of a domain encodes other characters than ASCII.
//!
//! Decoded here, because the decoders of libraries check or sort the label as well, at several times the cost: an email
//! can have five labels of 63 bytes.

use std::str::Bytes;

// The parameters of section 5.
const BASE: u32 = 36;
const MIN_THRESHOLD: u32 = 1;
const MAX_THRESHOLD: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE: u32 = 0x80;

/// The text that `encoded`, in lower case, stands for (section 6.2). `None` if it is broken.
pub(super) fn decode(encoded: &str) -> Option<Vec<char>> {
    let (basic, digits) = encoded.rsplit_once('-').filter(|(basic, _)| !basic.is_empty()).unwrap_or(("", encoded));
    if !basic.is_ascii() {
        return None;
    }
    let mut text: Vec<char> = Vec::with_capacity(encoded.len());
    text.extend(basic.chars());
    let mut digits = digits.bytes();
    let (mut code, mut at, mut bias) = (FIRST_CODE, 0_u32, FIRST_BIAS);
    while digits.len() > 0 {
        let delta = number(&mut digits, bias)?;
        let places = u32::try_from(text.len()).ok()?.checked_add(1)?;
        bias = next_bias(delta, places, at == 0);
        at = at.checked_add(delta)?;
        code = code.checked_add(at.checked_div(places)?)?;
        at = at.checked_rem(places)?;
        text.insert(usize::try_from(at).ok()?, char::from_u32(code)?);
        at = at.checked_add(1)?;
    }
    Some(text)
}

/// Reads a number of digits, the least one first; the last one is below its threshold.
fn number(digits: &mut Bytes<'_>, bias: u32) -> Option<u32> {
    let (mut number, mut weight, mut position) = (0_u32, 1_u32, BASE);
    loop {
        let digit = digit(digits.next()?)?;
        number = number.checked_add(digit.checked_mul(weight)?)?;
        let threshold = position.saturating_sub(bias).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
        if digit < threshold {
            return Some(number);
        }
        weight = weight.checked_mul(BASE.saturating_sub(threshold))?;
        position = position.checked_add(BASE)?;
    }
}

/// The value of a digit: letters first.
fn digit(byte: u8) -> Option<u32> {
    match byte {
        b'a'..=b'z' => Some(u32::from(byte.saturating_sub(b'a'))),
        b'0'..=b'9' => Some(u32::from(byte.saturating_sub(b'0').saturating_add(26))),
        _ => None,
    }
}

/// The bias of the next number (section 6.1).
fn next_bias(delta: u32, places: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta = delta.saturating_add(delta.checked_div(places).unwrap_or_default());
    let mut bias = 0_u32;
    while delta > (BASE - MIN_THRESHOLD) * MAX_THRESHOLD / 2 {
        delta /= BASE - MIN_THRESHOLD;
        bias = bias.saturating_add(BASE);
    }
    let rest = (BASE - MIN_THRESHOLD + 1).saturating_mul(delta).checked_div(delta.saturating_add(SKEW));
    bias.saturating_add(rest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "[a-z0-9-]{0,9}\\PC{0,9}[а-я]{0,9}[一-龥]{0,9}") {
            let text = text.to_lowercase();
            let encoded = idna::punycode::encode_str(&text).unwrap();
            prop_assert_eq!(decode(&encoded), Some(text.chars().collect()));
        }

        #[test]
        fn any_label_is_decoded_or_broken_as_by_idna(label in "[a-z0-9-]{0,60}|[a-z0-9]{0,9}[é-]{0,2}[a-z]{0,5}") {
            prop_assert_eq!(decode(&label), idna::punycode::decode(&label));
        }
    }
}
