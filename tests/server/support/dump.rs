//! Parses and rebuilds the payload of DUMP.

use super::Random;

/// One value that a module has written to a dump.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Number(u64),
    Text(Vec<u8>),
}

/// A parsed dump: its head, and the parts that the module has written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dump {
    pub(crate) head: Vec<u8>,
    pub(crate) parts: Vec<Part>,
}

/// The opcodes of an RDB file before a number, before a string, and at the end of a module's value.
const NUMBER: u64 = 2;
const TEXT: u64 = 5;
const END: u64 = 0;

/// Size of the head: the value's type (1 byte) and the module's ID (9 bytes, encoded as a length).
pub(crate) const HEAD_BYTES: usize = 10;

/// Size of the foot: the RDB version (2 bytes) and a checksum (8 bytes).
pub(crate) const FOOT_BYTES: usize = 10;

impl Dump {
    /// Parses a payload.
    #[track_caller]
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let (head, rest) = payload.split_at(HEAD_BYTES);
        let mut rest = &rest[..rest.len() - FOOT_BYTES];
        let mut parts = Vec::new();
        loop {
            match take_length(&mut rest) {
                NUMBER => parts.push(Part::Number(take_length(&mut rest))),
                TEXT => {
                    let len = usize::try_from(take_length(&mut rest)).expect("the length fits");
                    let (text, after) = rest.split_at(len);
                    parts.push(Part::Text(text.to_vec()));
                    rest = after;
                }
                END => break,
                other => panic!("a part of kind {other}"),
            }
        }
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        Self { head: head.to_vec(), parts }
    }

    /// Returns the payload without its foot.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for part in &self.parts {
            match part {
                Part::Number(number) => {
                    put_length(&mut bytes, NUMBER);
                    put_length(&mut bytes, *number);
                }
                Part::Text(text) => {
                    put_length(&mut bytes, TEXT);
                    put_length(&mut bytes, text.len() as u64);
                    bytes.extend(text);
                }
            }
        }
        put_length(&mut bytes, END);
        bytes
    }

    /// Randomly changes one part, which the server passes on to the module.
    pub(crate) fn mutate(&mut self, random: &mut Random) {
        let position = random.below(self.parts.len());
        match random.below(10) {
            0 => {
                self.parts.remove(position);
                self.parts.push(Part::Number(0));
            }
            1 => self.parts.insert(position, self.parts[position].clone()),
            2 => {
                let other = random.below(self.parts.len());
                self.parts.swap(position, other);
            }
            _ => match &mut self.parts[position] {
                Part::Number(number) => {
                    *number = *random.pick(&[0, 1, 2, 3, 4, 255, 256, u64::MAX]);
                }
                Part::Text(text) => mutate_bytes(text, random),
            },
        }
    }
}

/// Randomly changes a few bytes, truncates them, or appends to them.
pub(crate) fn mutate_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => {
            let len = 1 + random.below(40);
            bytes.extend(random.bytes(len));
        }
        _ => {
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    // Half of the changes go to the start, where lengths and counts are.
                    let end = if random.one_in(2) { 30 } else { bytes.len() };
                    let position = random.below(end.min(bytes.len()));
                    bytes[position] = match random.below(4) {
                        0 => 0xff,
                        1 => 0,
                        2 => bytes[position] ^ (1 << random.below(8)),
                        _ => random.bytes(1)[0],
                    };
                }
            }
        }
    }
}

/// Reads a number in the length encoding of RDB files.
fn take_length(bytes: &mut &[u8]) -> u64 {
    let first = bytes[0];
    let (len, number) = match first >> 6 {
        0 => (1, u64::from(first & 0x3f)),
        1 => (2, u64::from(first & 0x3f) << 8 | u64::from(bytes[1])),
        2 => {
            let len = if first == 0x80 { 5 } else { 9 };
            let number = bytes[1..len].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
            (len, number)
        }
        _ => panic!("a string that is a number"),
    };
    *bytes = &bytes[len..];
    number
}

/// Writes a number in the length encoding of RDB files.
fn put_length(bytes: &mut Vec<u8>, number: u64) {
    if let Ok(small @ ..0x40) = u8::try_from(number) {
        bytes.push(small);
    } else {
        bytes.push(0x81);
        bytes.extend(number.to_be_bytes());
    }
}

/// Appends the foot of a dump: the RDB version, and the checksum that RESTORE verifies.
pub(crate) fn sealed(mut body: Vec<u8>, version: &[u8]) -> Vec<u8> {
    body.extend(version);
    let checksum = crc64(&body);
    body.extend(checksum.to_le_bytes());
    body
}

/// Returns the checksum that Redis uses (CRC-64, Jones polynomial).
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let step = |crc: u64, byte: &u8| (crc >> 8) ^ CRC64[usize::from(crc.to_le_bytes()[0] ^ byte)];
    bytes.iter().fold(0, step)
}

/// The lookup table of the checksum: one entry for each byte.
static CRC64: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x95ac_9329_ac4b_c9b5 * (crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
