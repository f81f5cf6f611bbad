//! The operator's hash key, from which the secrets of limiters are derived instead of being stored.
//!
//! A limiter then stores only a salt and a check value. Its files without the key reveal nothing about anybody, and
//! nobody can try emails against them.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use super::id::{Salted, Secret, StoredSecret};

/// Makes the derivation different from any other use of the key. Never changes.
const PURPOSE: &[u8] = b"authlimit 1: ids of a limiter, check value";

/// Why bytes are not a hash key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HashKeyError {
    /// Too short to resist guessing.
    #[error("a hash key must have at least 16 bytes; use 32 random bytes, written as 64 hex digits")]
    TooShort,
}

/// The operator's key. Only derived secrets leave it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Box<[u8]>);

impl fmt::Debug for HashKey {
    /// Writes nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

impl HashKey {
    /// The fewest bytes that a key may have.
    pub const MIN_BYTES: usize = 16;

    /// The key of these bytes.
    ///
    /// # Errors
    ///
    /// [`HashKeyError`] if they are too few.
    pub fn new(bytes: &[u8]) -> Result<Self, HashKeyError> {
        if bytes.len() < Self::MIN_BYTES {
            return Err(HashKeyError::TooShort);
        }
        Ok(Self(bytes.into()))
    }

    /// The secret of the limiter with this salt, by HKDF-SHA256 (RFC 5869).
    #[must_use]
    pub fn secret(&self, salt: [u8; 16]) -> Secret {
        let mut derived = [0; 24];
        // Fails only for more output than 255 hashes.
        let _ = Hkdf::<Sha256>::new(Some(&salt), &self.0).expand(PURPOSE, &mut derived);
        let [key @ .., _, _, _, _, _, _, _, _] = derived;
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, check @ ..] = derived;
        Secret::derived(key, Salted { salt, check })
    }
}

/// Why a stored secret cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// It is derived, and the server has no hash key.
    #[error("the limiter was stored under an authlimit.hash-key, and this server has none: set the same one")]
    NoHashKey,
    /// It is derived from another key.
    #[error("the limiter was stored under another authlimit.hash-key: set the one it was stored under")]
    OtherHashKey,
}

impl StoredSecret {
    /// The secret, derived again from `hash_key` if it was derived.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it was derived from another key.
    pub fn open(self, hash_key: Option<&HashKey>) -> Result<Secret, SecretError> {
        match self {
            Self::Whole(bytes) => Ok(Secret::from_bytes(bytes)),
            Self::Derived(salted) => {
                let secret = hash_key.ok_or(SecretError::NoHashKey)?.secret(salted.salt);
                if secret.stored() == self { Ok(secret) } else { Err(SecretError::OtherHashKey) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> HashKey {
        HashKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_stored_secret_opens_with_its_key_only() {
        let secret = key(1).secret([9; 16]);
        let stored = secret.stored();
        assert_eq!(stored.open(Some(&key(1))), Ok(secret));
        assert_eq!(stored.open(Some(&key(2))), Err(SecretError::OtherHashKey));
        assert_eq!(stored.open(None), Err(SecretError::NoHashKey));
    }

    #[test]
    fn a_secret_that_is_not_derived_needs_no_key() {
        let secret = Secret::from_bytes([5; 16]);
        for hash_key in [None, Some(&key(1))] {
            assert_eq!(secret.stored().open(hash_key), Ok(secret.clone()));
        }
    }

    /// Stored in RDB and AOF files: if this test fails, the code is wrong and not the test. The values come from
    /// another implementation of HKDF.
    #[test]
    fn the_derivation_is_pinned() {
        let secret = key(1).secret([9; 16]);
        assert_eq!(
            secret.as_bytes(),
            &[0xfc, 0xb1, 0x68, 0x88, 0x0e, 0x50, 0xa8, 0x7f, 0xf7, 0xe3, 0x5b, 0x0d, 0xa8, 0xf4, 0xab, 0xb3]
        );
        let expected = Salted { salt: [9; 16], check: [0xd5, 0x21, 0xdd, 0x1f, 0x9e, 0xf7, 0xfa, 0x91] };
        assert!(secret.stored() == StoredSecret::Derived(expected));
    }

    #[test]
    fn each_salt_gives_another_secret() {
        assert_ne!(key(1).secret([1; 16]), key(1).secret([2; 16]));
    }

    #[test]
    fn short_keys_are_refused_and_no_key_is_printed() {
        assert_eq!(HashKey::new(&[0; 15]), Err(HashKeyError::TooShort));
        assert_eq!(format!("{:?}", key(7)), "HashKey(..)");
    }
}
