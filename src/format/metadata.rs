//! The header that every stored limiter begins with: its metadata.
//!
//! A header is a version (2 bytes, little-endian) and the fields of that version, written by bincode with fixed-width
//! little-endian numbers. The fields of a version never change; a new version is added beside it, and the old ones stay
//! readable.
//!
//! bincode is unmaintained (RUSTSEC-2025-0141). Of its releases 1.3.3 is the sound one. It is used in this file only,
//! with a limit on what it may read.

use crate::identity::{HashKey, Salted, SecretError, StoredSecret};
use crate::limiter::{LimiterMetadata, LogKind, MetadataError, TableMetadata};
use crate::policy::{Millis, Policy, PolicyError, Subject};
use crate::table::Timestamp;
use bincode::Options;
use serde::{Deserialize, Serialize};

/// The version that is written.
pub(super) const VERSION: u16 = 2;

/// The most bytes a header may have: far more than the words of the longest policy.
const MAX_BYTES: u64 = 64 * 1024;

/// The fields of versions 1 and 2, which differ in the chunks that follow.
#[derive(Serialize, Deserialize)]
struct FieldsV1 {
    /// The policy in its own words.
    policy: String,
    /// The SipHash key of the limiter's ids, or how it is derived.
    secret: SecretV1,
    /// The time of the latest effect, in milliseconds since the Unix epoch.
    latest: u64,
    /// How far the ledger's time is ahead of the server's clock, since that was set back, in milliseconds.
    debt: u64,
    /// One entry for each table that the policy needs.
    tables: Vec<TableV1>,
}

/// What is stored of a secret in version 1. bincode numbers the variants in 4 bytes: 0, 1.
#[derive(Serialize, Deserialize)]
enum SecretV1 {
    /// The key itself.
    Whole([u8; 16]),
    /// It is derived from `authlimit.hash-key` with this salt; the check value tells whether from the same one.
    Derived {
        /// The salt.
        salt: [u8; 16],
        /// The check value.
        check: [u8; 8],
    },
}

/// A table of version 1.
#[derive(Serialize, Deserialize)]
struct TableV1 {
    /// The code of its subject.
    subject: u8,
    /// Which of the subject's rules with `COUNT-DENIED` it is for, from 0; `None` if for the others.
    denied: Option<u8>,
    /// Attempts at or before this time no longer count, in milliseconds since the Unix epoch.
    floor: u64,
}

/// Why a header was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// It was written by a later authlimit.
    #[error("the limiter was stored by a newer authlimit, in format {0}; this one reads up to {VERSION}")]
    Newer(u16),
    /// The bytes are not the fields of their version.
    #[error("the limiter's header is damaged")]
    Damaged,
    /// An invalid policy.
    #[error("the limiter's stored policy is damaged: {0}")]
    Policy(#[from] PolicyError),
    /// The fields do not fit together.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// It was stored under another hash key.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// How bincode reads and writes a header.
fn encoding() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .with_limit(MAX_BYTES)
        .reject_trailing_bytes()
}

/// The header of a limiter.
pub(crate) fn encode(metadata: &LimiterMetadata) -> Vec<u8> {
    let table = |table: &TableMetadata| TableV1 {
        subject: table.kind.subject.code(),
        denied: table.kind.denied,
        floor: table.floor_millis,
    };
    let fields = FieldsV1 {
        policy: metadata.policy.to_string(),
        secret: match metadata.secret.stored() {
            StoredSecret::Whole(key) => SecretV1::Whole(key),
            StoredSecret::Derived(Salted { salt, check }) => SecretV1::Derived { salt, check },
        },
        latest: metadata.latest.as_millis(),
        debt: metadata.debt.get(),
        tables: metadata.tables.iter().map(table).collect(),
    };
    let mut bytes = VERSION.to_le_bytes().to_vec();
    // Writing to a Vec cannot fail, and no policy comes near the limit. A header without fields would be refused on
    // loading.
    bytes.extend(encoding().serialize(&fields).unwrap_or_default());
    bytes
}

/// The metadata in a header, on a server with this hash key.
///
/// # Errors
/// [`HeaderError`] for bytes that are not a header of a version that this code knows, or one that was stored under
/// another hash key.
pub(crate) fn decode(bytes: &[u8], hash_key: Option<&HashKey>) -> Result<LimiterMetadata, HeaderError> {
    let (version, fields) = bytes.split_first_chunk().ok_or(HeaderError::Damaged)?;
    match u16::from_le_bytes(*version) {
        0 => Err(HeaderError::Damaged),
        1 | 2 => decode_fields(fields, hash_key),
        newer => Err(HeaderError::Newer(newer)),
    }
}

/// The metadata in the fields of version 1 or 2.
fn decode_fields(bytes: &[u8], hash_key: Option<&HashKey>) -> Result<LimiterMetadata, HeaderError> {
    let fields: FieldsV1 = encoding().deserialize(bytes).map_err(|_| HeaderError::Damaged)?;
    let secret = match fields.secret {
        SecretV1::Whole(key) => StoredSecret::Whole(key),
        SecretV1::Derived { salt, check } => StoredSecret::Derived(Salted { salt, check }),
    };
    let tables = fields.tables.iter().map(|table| {
        let subject = Subject::from_code(table.subject).ok_or(MetadataError::Tables)?;
        let kind = LogKind { subject, denied: table.denied };
        Ok(TableMetadata { kind, floor_millis: table.floor })
    });
    Ok(LimiterMetadata {
        secret: secret.open(hash_key)?,
        policy: Policy::from_text(&fields.policy)?,
        latest: Timestamp::from_millis(fields.latest).ok_or(MetadataError::Time)?,
        debt: Millis::new(fields.debt),
        tables: tables.collect::<Result<Vec<_>, MetadataError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Secret;
    use proptest::prelude::*;

    fn metadata() -> LimiterMetadata {
        LimiterMetadata {
            policy: Policy::from_text("PAIR 5/15m IP 50/900s COUNT-DENIED PLUS-TAGS strip").unwrap(),
            secret: Secret::from_bytes([7; 16]),
            latest: Timestamp::from_millis(1_000).unwrap(),
            debt: Millis::new(3),
            tables: vec![
                TableMetadata { kind: LogKind { subject: Subject::Pair, denied: None }, floor_millis: 0 },
                TableMetadata { kind: LogKind { subject: Subject::Ip, denied: Some(0) }, floor_millis: 1_000 },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(decode(&encode(&metadata()), None), Ok(metadata()));
    }

    #[test]
    fn a_derived_secret_is_not_written_and_derived_again() {
        let key = HashKey::new(b"a key of the operator's").unwrap();
        let derived = LimiterMetadata { secret: key.secret([9; 16]), ..metadata() };
        let bytes = encode(&derived);
        let secret = derived.secret.as_bytes();
        assert!(bytes.windows(16).all(|window| window != secret));
        assert_eq!(decode(&bytes, Some(&key)), Ok(derived));
        assert_eq!(decode(&bytes, None), Err(SecretError::NoHashKey.into()));
    }

    #[test]
    fn version_2_is_these_bytes_for_good_and_version_1_the_same_ones() {
        let mut expected = vec![2, 0, 50, 0, 0, 0, 0, 0, 0, 0];
        expected.extend(b"PAIR 5/15m IP 50/900s COUNT-DENIED PLUS-TAGS strip");
        expected.extend([0; 4]);
        expected.extend([7; 16]);
        expected.extend(1_000_u64.to_le_bytes());
        expected.extend(3_u64.to_le_bytes());
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([1, 1, 0, 232, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode(&metadata()), expected);
        expected[0] = 1;
        assert_eq!(decode(&expected, None), Ok(metadata()));
    }

    #[test]
    fn a_newer_version_is_named() {
        assert_eq!(decode(&[3, 0, 1, 2, 3], None), Err(HeaderError::Newer(3)));
    }

    #[test]
    fn truncated_and_padded_headers_are_refused() {
        let bytes = encode(&metadata());
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], None).is_err(), "{len}");
        }
        assert_eq!(decode(&[bytes.as_slice(), &[0]].concat(), None), Err(HeaderError::Damaged));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            position in 0..120_usize, value: u8, bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = decode(&bytes, None);
            let mut mutated = encode(&metadata());
            if let Some(byte) = mutated.get_mut(position) {
                *byte = value;
            }
            let _ = decode(&mutated, None);
        }
    }
}
