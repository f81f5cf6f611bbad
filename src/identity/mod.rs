//! Who an attempt is by and on whom it is: addresses and emails as a client spelled them, made canonical and
//! then kept only as keyed ids.
//!
//! An *identity* is one subject's one instance: this IPv4 address, this IPv6 /64, this mailbox, this address on
//! this mailbox. The steps are always these, in this order:
//!
//! 1. [`ClientIp::parse`] turns the text of an ip into bits: an IPv6 form of an IPv4 address becomes that IPv4
//!    address, and a zone id is dropped. Anything that is not exactly one address is an [`AddressError`]. This full
//!    address is only compared with the networks of the allow and deny lists ([`Cidr`]); what is counted goes by
//!    the [`Address`] made of it, in which IPv6 addresses are grouped by their [`Ipv6Prefix`].
//! 2. [`CanonicalEmail::of`] brings the many spellings of one email to one: case, compatibility forms, invisible
//!    characters, white space, the two forms of an international domain, and a plus-tag where [`PlusTags`] says
//!    so. It takes any bytes and has no error, so that no odd spelling gets an answer an application might fail
//!    open on.
//! 3. A limiter's [`Secret`] turns each into an [`Id`] of 64 bits, and the two ids into that of the pair. Nothing
//!    after this step knows an address or an email: without the secret an id cannot be guessed back.
//! 4. The [`Tag`] of 22 bits marks an attempt with the address and the email *exactly as spelled*. Counting goes
//!    by the canonical form and forgiving by the spelling, since an application may hold two spellings for two
//!    accounts, and owning one of them must not buy guesses at the other.
//!
//! A canonical email is a limiter's key and never an address to send to. Two mailboxes merged into one share a
//! limit, which their owners hardly notice; two spellings of one mailbox kept apart double an attacker's
//! guesses. So in doubt this layer merges: merging too much is harmless, merging too little is a bypass.
//!
//! This layer knows nothing of Redis, of policies or of time. What it makes is stored in files: an id, once
//! released, may never change for the same secret and input, and the golden values in the tests hold it to that.

#![forbid(unsafe_code)]

mod casefold;
mod cidr;
mod domain;
mod email;
mod hash_key;
mod id;
mod ip;

pub use cidr::{Cidr, CidrError};
pub use email::{CanonicalEmail, MAX_NORMALISED_BYTES, PlusTags};
pub use hash_key::{HashKey, HashKeyError, Salted, SecretError, StoredSecret};
pub use id::{Id, Secret, Tag};
pub use ip::{Address, AddressError, ClientIp, Ipv6Block, Ipv6Prefix};
