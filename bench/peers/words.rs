//! Commands as the protocol has them, written without allocating.

/// A command being written, word by word.
pub(super) struct Words<'a>(&'a mut Vec<u8>);

impl<'a> Words<'a> {
    /// Begins a command of so many words.
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
        let mut digits = Digits::default();
        digits.number(number);
        self.word(digits.as_bytes())
    }
}

/// Writes a number in decimal digits.
fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = Digits::default();
    digits.number(number);
    out.extend_from_slice(digits.as_bytes());
}

/// A key or a number on the stack: the client must never be what is measured.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    bytes: [u8; 64],
    len: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }
}

impl Digits {
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

    /// What was added.
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::ops::Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The key of an identity.
pub(super) fn key(prefix: &[u8], identity: &[u8]) -> Digits {
    let mut key = Digits::default();
    key.push(prefix);
    key.push(identity);
    key
}

/// The key of an identity's counter for one window.
pub(super) fn counter(prefix: &[u8], identity: &[u8], window: u64) -> Digits {
    let mut key = key(prefix, identity);
    key.push(b":");
    key.number(window);
    key
}
