//! A key of the operator's, from which the secrets of limiters are derived instead of being stored.
//!
//! A limiter then stores a salt and a check value only, and whoever holds its files without the key can neither
//! tell whom they are about nor try out emails.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use super::Secret;

/// What else the derivation depends on: that it is this one. Never changes.
const PURPOSE: &[u8] = b"authlimit 1: ids of a limiter, check value";

/// Why bytes are no hash key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HashKeyError {
    /// Too short to withstand guessing.
    #[error("a hash key has at least 16 bytes, best 32 random ones written as 64 hex digits")]
    TooShort,
}

/// The operator's key. Only the derived secrets leave it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Box<[u8]>);

impl fmt::Debug for HashKey {
    /// Prints that there is a key, and nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

impl HashKey {
    /// The fewest bytes a key may have.
    pub const MIN_BYTES: usize = 16;

    /// The key of these bytes.
    ///
    /// # Errors
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

/// What is stored of a secret that is derived from a hash key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salted {
    /// What the derivation is salted with: random, another one for each limiter.
    pub salt: [u8; 16],
    /// What tells whether a key is the one it was derived from. It says nothing about either.
    pub check: [u8; 8],
}

/// What is stored of a limiter's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StoredSecret {
    /// The secret itself.
    Whole([u8; 16]),
    /// What it takes to derive it again from the hash key.
    Derived(Salted),
}

/// Why a stored secret cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// It is derived, and there is nothing to derive it from.
    #[error("the limiter was stored under an authlimit.hash-key, and this server has none: set the same one")]
    NoHashKey,
    /// It is derived from another key.
    #[error("the limiter was stored under another authlimit.hash-key: set the one it was stored under")]
    OtherHashKey,
}

impl StoredSecret {
    /// The secret.
    ///
    /// # Errors
    /// [`SecretError`] if `hash_key` is not the one that it is derived from.
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
    fn a_secret_of_its_own_needs_no_key() {
        let secret = Secret::from_bytes([5; 16]);
        for hash_key in [None, Some(&key(1))] {
            assert_eq!(secret.stored().open(hash_key), Ok(secret.clone()));
        }
    }

    /// Stored in RDB and AOF files: if this test fails, the code is wrong and not the test. The figures were
    /// worked out with another implementation of HKDF.
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
    fn short_keys_are_refused_and_none_is_printed() {
        assert_eq!(HashKey::new(&[0; 15]), Err(HashKeyError::TooShort));
        assert_eq!(format!("{:?}", key(7)), "HashKey(..)");
    }
}
