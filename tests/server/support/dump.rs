//! The payload of DUMP, taken apart and put together.

use super::Random;

/// What a module has written to a dump.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Number(u64),
    Text(Vec<u8>),
}

/// A dump, taken apart: what comes before the module's own parts, and those.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dump {
    pub(crate) head: Vec<u8>,
    pub(crate) parts: Vec<Part>,
}

/// What an RDB file has before a number, before a string, and at the end of a module's value.
const NUMBER: u64 = 2;
const TEXT: u64 = 5;
const END: u64 = 0;

/// The type of a module's value and the module's id: 1 byte, and 9 as a length.
pub(crate) const HEAD_BYTES: usize = 10;

/// A version of 2 bytes and a checksum of 8.
pub(crate) const FOOT_BYTES: usize = 10;

impl Dump {
    /// Takes a payload apart.
    #[track_caller]
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let (head, rest) = payload.split_at(HEAD_BYTES);
        let mut rest = &rest[..rest.len() - FOOT_BYTES];
        let mut parts = Vec::new();
        loop {
            match take_length(&mut rest) {
                NUMBER => parts.push(Part::Number(take_length(&mut rest))),
                TEXT => {
                    let len = usize::try_from(take_length(&mut rest)).expect("it is here");
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

    /// Puts the payload together again, without its foot.
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

    /// Changes something that the server passes on to the module.
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

/// Changes a few of some bytes, or cuts them, or adds to them.
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
                    // Lengths and counts come early.
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

/// Reads a number as RDB files have lengths.
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

/// Writes a number as RDB files have lengths.
fn put_length(bytes: &mut Vec<u8>, number: u64) {
    if let Ok(small @ ..0x40) = u8::try_from(number) {
        bytes.push(small);
    } else {
        bytes.push(0x81);
        bytes.extend(number.to_be_bytes());
    }
}

/// Adds the foot of a dump: its version, and the checksum without which RESTORE reads nothing.
pub(crate) fn sealed(mut body: Vec<u8>, version: &[u8]) -> Vec<u8> {
    body.extend(version);
    let checksum = crc64(&body);
    body.extend(checksum.to_le_bytes());
    body
}

/// Returns the checksum of Redis (CRC-64 of Jones).
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let step = |crc: u64, byte: &u8| (crc >> 8) ^ CRC64[usize::from(crc.to_le_bytes()[0] ^ byte)];
    bytes.iter().fold(0, step)
}

/// The checksum of each single byte.
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
