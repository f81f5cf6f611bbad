//! Identities: addresses and emails as clients send them, brought to one form and then kept only as keyed ids.
//!
//! An *identity* is one instance of a subject: this IPv4 address, this IPv6 /64, this mailbox, this address on this
//! mailbox. Four steps make it:
//!
//! 1. [`ClientIp::parse`] reads the text of an ip. An IPv6 form of an IPv4 address becomes that IPv4 address, and a
//!    zone id is dropped. Anything that is not exactly one address is an [`AddressError`]. The allow and deny lists
//!    compare this full address with their networks ([`Cidr`]); rules count by the [`Address`] made of it, which
//!    groups IPv6 addresses by their [`Ipv6Prefix`].
//! 2. [`CanonicalEmail::of`] brings all spellings of one email to one form: what databases take for one text, so case,
//!    accents, compatibility forms, invisible characters and white space, both forms of an international domain, and a
//!    plus-tag where [`PlusTags`] says so. It accepts any bytes, because an application might fail open on an error.
//! 3. A limiter's [`Secret`] turns each into an [`Id`] of 64 bits, and both ids into the id of the pair. After this
//!    step the address and the email are gone: without the secret nobody can guess them from an id.
//! 4. A [`Tag`] of 22 bits marks an attempt with the address and the email *exactly as spelled*. Rules count by the
//!    canonical form, but a success forgives by the spelling: an application may hold two spellings as two accounts,
//!    and owning one of them must not buy guesses at the other.
//!
//! In doubt, this layer merges. Two mailboxes merged into one share a limit, which their owners hardly notice; two
//! spellings of one mailbox kept apart double an attacker's guesses. So a canonical email is a key, never an address to
//! send to.
//!
//! | file | holds |
//! |---|---|
//! | `ip` | [`ClientIp`] and [`Address`]: the text of an ip to bits |
//! | `cidr` | [`Cidr`]: a listed network |
//! | `email` | [`CanonicalEmail`]: all spellings of an email to one form; ASCII is folded here |
//! | `fold` | folding of other text to the primary level of the Unicode Collation Algorithm, and of encoded domains |
//! | `id` | [`Id`], [`Tag`] and [`Secret`]: keyed hashes |
//! | `hash_key` | [`HashKey`]: derives secrets from the operator's key |
//!
//! This layer does not know Redis, policies or time. Ids are stored in files: once released, the id of the same secret
//! and input never changes. Golden values in the tests check that.

#![forbid(unsafe_code)]

mod cidr;
mod email;
mod fold;
mod hash_key;
mod id;
mod ip;

pub use cidr::{Cidr, CidrError};
pub use email::{CanonicalEmail, MAX_NORMALISED_BYTES, PlusTags};
pub use hash_key::{HashKey, HashKeyError, SecretError};
pub use id::{Id, Salted, Secret, StoredSecret, Tag};
pub use ip::{Address, AddressError, ClientIp, Ipv6Block, Ipv6Prefix};
