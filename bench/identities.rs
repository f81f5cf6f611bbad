//! The addresses and emails that log in. They look random, are all different, and are the same in every run.
#![allow(dead_code, reason = "each benchmark compiles this file and uses a part of it")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a benchmark stops at the first surprise")]

/// Maps each number to another one that looks random (the finaliser of MurmurHash3, which is a bijection).
const fn spread(number: u32) -> u32 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// A short text on the stack: allocations of the client would be measured too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    bytes: [u8; 24],
    len: usize,
}

impl Text {
    /// Returns the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Adds bytes at the end.
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
    }

    /// Makes an empty text.
    const fn new() -> Self {
        Self { bytes: [0; 24], len: 0 }
    }
}

/// Returns the address of a number. No two numbers have the same one.
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

/// Returns the email of a number. No two numbers have the same one.
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
    /// The address that logs in.
    pub(crate) address: Text,
    /// The email it logs in with.
    pub(crate) email: Text,
}

/// The order in which identities log in.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Each identity once, the address and email of the same number. This fills a server.
    Once,
    /// A random address on a random email.
    Any,
    /// A random number, the address and email of the same number.
    Pairs,
    /// A random address, always on the same email.
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
    /// Draws each identity once, in the order of the numbers.
    pub(crate) fn once(count: u32) -> Self {
        Self::new(Order::Once, count, 0)
    }

    /// Draws any address on any email.
    pub(crate) fn any(count: u32, seed: u64) -> Self {
        Self::new(Order::Any, count, seed)
    }

    /// Draws any address, each always on its own email.
    pub(crate) fn pairs(count: u32, seed: u64) -> Self {
        Self::new(Order::Pairs, count, seed)
    }

    /// Draws any address on the email of number 0.
    pub(crate) fn one_email(count: u32, seed: u64) -> Self {
        Self::new(Order::OneEmail, count, seed)
    }

    /// Draws in any order.
    fn new(order: Order, count: u32, seed: u64) -> Self {
        Self { order, count, state: seed }
    }

    /// Returns the identities of the next login.
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

    /// Returns a random number below the count (SplitMix64, scaled).
    fn below(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (((mixed >> 32) * u64::from(self.count)) >> 32) as u32
    }
}
