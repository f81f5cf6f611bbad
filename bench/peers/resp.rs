//! Commands and keys in the server's protocol (RESP), written without allocating.

use super::peer::Login;

/// Writes a command, word by word.
pub(super) struct CommandWriter<'a>(&'a mut Vec<u8>);

impl<'a> CommandWriter<'a> {
    /// Begins a command with this number of words.
    pub(super) fn new(words: u64, out: &'a mut Vec<u8>) -> Self {
        out.push(b'*');
        decimal(words, out);
        out.extend_from_slice(b"\r\n");
        Self(out)
    }

    /// Writes a word.
    pub(super) fn word(self, word: &[u8]) -> Self {
        self.0.push(b'$');
        decimal(word.len() as u64, self.0);
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Writes a number.
    pub(super) fn number(self, number: u64) -> Self {
        let mut text = ShortText::default();
        text.number(number);
        self.word(&text)
    }
}

/// Writes a number in decimal digits.
fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut text = ShortText::default();
    text.number(number);
    out.extend_from_slice(&text);
}

/// A key or a number on the stack: allocations of the client would be measured too.
#[derive(Clone, Copy)]
pub(super) struct ShortText {
    bytes: [u8; 64],
    len: usize,
}

impl Default for ShortText {
    /// Returns an empty text.
    fn default() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }
}

impl ShortText {
    /// Adds bytes.
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
    }

    /// Adds a number in decimal digits.
    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }
}

impl std::ops::Deref for ShortText {
    type Target = [u8];

    /// Returns the bytes.
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Returns the identities of a login, with the prefixes of their keys.
pub(super) fn subjects<'a>(login: &Login<'a>) -> [(&'static [u8], &'a [u8]); 2] {
    [(b"a:", login.address), (b"e:", login.email)]
}

/// Returns the key of an identity.
pub(super) fn key(prefix: &[u8], identity: &[u8]) -> ShortText {
    let mut key = ShortText::default();
    key.push(prefix);
    key.push(identity);
    key
}

/// Returns the key of an identity's counter for one window.
pub(super) fn counter(prefix: &[u8], identity: &[u8], window: u64) -> ShortText {
    let mut key = key(prefix, identity);
    key.push(b":");
    key.number(window);
    key
}
