//! Who tries to log in: addresses and emails that look random, each different, and the same in every run.
#![allow(dead_code, reason = "every benchmark compiles this file, and not all use all of it")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a benchmark stops at the first surprise")]

/// Spreads a number over all 32 bits, no two numbers to the same (the finaliser of MurmurHash3).
const fn spread(number: u32) -> u32 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// A short text, made without allocating: the client must never be what is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    bytes: [u8; 24],
    len: usize,
}

impl Text {
    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Adds bytes at the end.
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
    }

    /// No bytes yet.
    const fn new() -> Self {
        Self { bytes: [0; 24], len: 0 }
    }
}

/// An address of its own for each number.
pub(crate) fn address(number: u32) -> Text {
    let mut text = Text::new();
    for (index, octet) in spread(number).to_be_bytes().into_iter().enumerate() {
        if index > 0 {
            text.push(b".");
        }
        if octet >= 100 {
            text.push(&[b'0' + octet / 100]);
        }
        if octet >= 10 {
            text.push(&[b'0' + octet / 10 % 10]);
        }
        text.push(&[b'0' + octet % 10]);
    }
    text
}

/// An email of its own for each number.
pub(crate) fn email(number: u32) -> Text {
    let mut text = Text::new();
    let spread = spread(number ^ 0x5bd1_e995);
    for digit in 0..8 {
        let digit = (spread >> (28 - 4 * digit)) & 15;
        text.push(&[b"0123456789abcdef"[digit as usize]]);
    }
    text.push(b"@example.com");
    text
}

/// The two identities of a login.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identities {
    /// By whom.
    pub(crate) address: Text,
    /// On what.
    pub(crate) email: Text,
}

/// In which order identities come to log in.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Each once, address and email of the same number, to fill a server.
    Once,
    /// Any address on any email.
    Any,
    /// Any, each address always on its own email.
    Pairs,
    /// Any address on the same email.
    OneEmail,
}

/// Draws the identities of one login after another from the first `count` of them.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    order: Order,
    count: u32,
    state: u64,
}

impl Draw {
    /// Each identity once, in the order of their numbers.
    pub(crate) fn once(count: u32) -> Self {
        Self::new(Order::Once, count, 0)
    }

    /// Any address on any email.
    pub(crate) fn any(count: u32, seed: u64) -> Self {
        Self::new(Order::Any, count, seed)
    }

    /// Any address, each always on its own email.
    pub(crate) fn pairs(count: u32, seed: u64) -> Self {
        Self::new(Order::Pairs, count, seed)
    }

    /// Any address on the email of number 0.
    pub(crate) fn one_email(count: u32, seed: u64) -> Self {
        Self::new(Order::OneEmail, count, seed)
    }

    /// Any order.
    fn new(order: Order, count: u32, seed: u64) -> Self {
        Self { order, count, state: seed }
    }

    /// The identities of the next login.
    pub(crate) fn next(&mut self) -> Identities {
        let (first, second) = match self.order {
            Order::Once => {
                let number = (self.state % u64::from(self.count)) as u32;
                self.state += 1;
                (number, number)
            }
            Order::Any => (self.below(), self.below()),
            Order::Pairs => {
                let number = self.below();
                (number, number)
            }
            Order::OneEmail => (self.below(), 0),
        };
        Identities { address: address(first), email: email(second) }
    }

    /// A random number below the count (SplitMix64, scaled).
    fn below(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (((mixed >> 32) * u64::from(self.count)) >> 32) as u32
    }
}
