//! Keyed ids: all that remains of an address or an email after this layer.
//!
//! Every id is SipHash-2-4 (Aumasson and Bernstein, 2012) with 64 bits of output over one byte for the kind of what is
//! hashed, and then its fields: integers in little-endian order, and before a field of variable length its length. So
//! no two inputs, of one kind or of two, are the same bytes.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::email::CanonicalEmail;
use super::ip::Address;

/// What is hashed, as its first byte. Ids are stored in files: a value never changes and is never used again.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Address = 1,
    Email = 2,
    Pair = 3,
    Tag = 4,
    Device = 5,
}

/// The family of an address, as hashed.
const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;

/// Whether an email was normalised, as hashed: equal bytes of both sorts are two emails.
const EMAIL_AS_RECEIVED: u8 = 0;
const EMAIL_NORMALISED: u8 = 1;

/// One identity of one subject: 64 bits of keyed hash.
///
/// Two of n identities share an id, and then a limit, with a probability of about n²/2⁶⁵: 1 in 370,000 for ten million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// The id with these [`raw`](Self::raw) bits, read from a file or the replication stream.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Id {
        Id(raw)
    }

    /// The 64 bits, all of them in use.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// The mark of an attempt by one address on one spelling of an email.
///
/// It has 22 bits: what the time leaves of the 8 bytes of a log's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

impl Tag {
    /// How many bits a tag has.
    pub const BITS: u32 = 22;
    /// Ones in the bits of a tag.
    const MASK: u32 = u32::MAX >> (u32::BITS - Self::BITS);

    /// Stands for several tags, or for none. An attempt has it by chance once in four million, and then forgives
    /// nothing that depends on whose it was.
    pub const OF_SEVERAL: Tag = Tag(0);

    /// The tag in the lowest 22 bits; the others are ignored.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Tag {
        Tag(raw & Self::MASK)
    }

    /// Whether this is the tag of attempts with `tag`, and of no others.
    #[must_use]
    pub fn is_of(self, tag: Tag) -> bool {
        self == tag && self != Self::OF_SEVERAL
    }

    /// The bits, 0 to 2²² - 1.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }
}

/// What a limiter stores instead of a secret that is derived from the operator's hash key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salted {
    /// The salt of the derivation: random, different for each limiter.
    pub salt: [u8; 16],
    /// Shows whether a hash key is the right one, and reveals nothing about it or the secret.
    pub check: [u8; 8],
}

/// What is stored of a limiter's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StoredSecret {
    /// The secret itself.
    Whole([u8; 16]),
    /// What derives it again from the hash key.
    Derived(Salted),
}

/// The 128-bit key of a limiter's ids.
///
/// With it, one can try emails until one fits an id. Without it, an id reveals nothing, and nobody can choose emails
/// that collide.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: [u8; 16],
    /// How the key is derived from the operator's hash key, if it is.
    derivation: Option<Salted>,
}

impl Secret {
    /// The secret of these bytes, which must come from a cryptographic generator.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Secret {
        Secret { key: bytes, derivation: None }
    }

    /// The secret of these bytes, which were derived from a hash key.
    pub(super) fn derived(key: [u8; 16], derivation: Salted) -> Secret {
        Secret { key, derivation: Some(derivation) }
    }

    /// The bytes. Do not store them: see [`stored`](Self::stored).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.key
    }

    /// What to store of the secret.
    #[must_use]
    pub fn stored(&self) -> StoredSecret {
        self.derivation.map_or(StoredSecret::Whole(self.key), StoredSecret::Derived)
    }

    /// The id of an address.
    #[must_use]
    pub fn address_id(&self, address: &Address) -> Id {
        match address {
            Address::V4(address) => {
                let [a, b, c, d] = address.octets();
                self.id(&[Kind::Address as u8, FAMILY_V4, a, b, c, d])
            }
            Address::V6(block) => {
                let mut bytes = [Kind::Address as u8; 18];
                let [_, family, bits @ ..] = &mut bytes;
                *family = FAMILY_V6;
                // In network order, as an IPv4 address.
                *bits = block.bits().to_be_bytes();
                self.id(&bytes)
            }
        }
    }

    /// The id of an email.
    #[must_use]
    pub fn email_id(&self, email: &CanonicalEmail<'_>) -> Id {
        let class = if email.is_normalised() { EMAIL_NORMALISED } else { EMAIL_AS_RECEIVED };
        let [a, b, c, d, e, f, g, h] = length(email.as_bytes());
        let head = [Kind::Email as u8, class, a, b, c, d, e, f, g, h];
        self.id_of_two(&head, email.as_bytes())
    }

    /// The id of an address on an email.
    #[must_use]
    pub fn pair_id(&self, address: Id, email: Id) -> Id {
        let mut bytes = [Kind::Pair as u8; 17];
        let [_, ids @ ..] = &mut bytes;
        let (one, other) = ids.split_at_mut(8);
        one.copy_from_slice(&address.0.to_le_bytes());
        other.copy_from_slice(&email.0.to_le_bytes());
        self.id(&bytes)
    }

    /// The id of a device by the application's name for it, byte for byte.
    #[must_use]
    pub fn device_id(&self, device: &[u8]) -> Id {
        let [a, b, c, d, e, f, g, h] = length(device);
        let head = [Kind::Device as u8, a, b, c, d, e, f, g, h];
        self.id_of_two(&head, device)
    }

    /// The tag of an attempt, from its address and the email's bytes exactly as received: `Victim@x.org` and
    /// `victim@x.org` have one id and two tags.
    #[must_use]
    pub fn tag(&self, address: Id, email_as_spelled: &[u8]) -> Tag {
        let mut head = [Kind::Tag as u8; 17];
        let [_, fields @ ..] = &mut head;
        let (one, other) = fields.split_at_mut(8);
        one.copy_from_slice(&address.0.to_le_bytes());
        other.copy_from_slice(&length(email_as_spelled));
        let [a, b, c, d, ..] = self.id_of_two(&head, email_as_spelled).0.to_le_bytes();
        Tag::from_raw(u32::from_le_bytes([a, b, c, d]))
    }

    /// The hash of bytes.
    fn id(&self, bytes: &[u8]) -> Id {
        Id(SipHasher24::new_with_key(&self.key).hash(bytes))
    }

    /// The hash of `head` followed by `tail`.
    fn id_of_two(&self, head: &[u8], tail: &[u8]) -> Id {
        // Joined where that is short: hashing in two pieces takes twice as long.
        let mut whole = [0; 64];
        let len = head.len().saturating_add(tail.len());
        if let Some((front, back)) = whole.get_mut(..len).and_then(|w| w.split_at_mut_checked(head.len())) {
            front.copy_from_slice(head);
            back.copy_from_slice(tail);
            return self.id(whole.get(..len).unwrap_or(&[]));
        }
        let mut hasher = SipHasher24::new_with_key(&self.key);
        // Only `write`: the trait's other methods hash a number in this machine's byte order.
        hasher.write(head);
        hasher.write(tail);
        Id(hasher.finish())
    }
}

impl fmt::Debug for Secret {
    /// Writes nothing of the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The length of a field of variable length, hashed before it so that the field's end is certain.
fn length(field: &[u8]) -> [u8; 8] {
    // No target has addresses of more than 64 bits.
    u64::try_from(field.len()).unwrap_or(u64::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{ClientIp, Ipv6Prefix, PlusTags};
    use proptest::prelude::*;

    /// The key of the SipHash paper's test vectors.
    fn secret() -> Secret {
        Secret::from_bytes(std::array::from_fn(|at| at as u8))
    }

    /// The id of an address under that key.
    fn address_id(text: &str) -> Id {
        secret().address_id(&ClientIp::parse(text.as_bytes()).unwrap().address(Ipv6Prefix::default()))
    }

    /// The id of an email under that key, its tags kept.
    fn email_id(raw: &[u8]) -> Id {
        secret().email_id(&CanonicalEmail::of(raw, PlusTags::Keep))
    }

    #[test]
    fn siphash_is_that_of_the_paper() {
        let mut hasher = SipHasher24::new_with_key(secret().as_bytes());
        let input: Vec<u8> = (0..15).collect();
        // In pieces, as long emails are: the place of the cut must not matter.
        hasher.write(&input[..1]);
        hasher.write(&input[1..10]);
        hasher.write(&input[10..]);
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
    }

    /// Stored in RDB and AOF files: if this test fails, the code is wrong and not the test.
    #[test]
    fn ids_are_pinned() {
        assert_eq!(address_id("203.0.113.7").raw(), 0xc4a9_4bb6_b4ee_8553);
        assert_eq!(address_id("2001:db8::1").raw(), 0xaae0_4f25_3b7a_7372);
        assert_eq!(email_id(b"Alice@Example.com").raw(), 0xdbcd_7530_3722_4d1d);
        assert_eq!(email_id("André@Bücher.рф".as_bytes()).raw(), 0x5d3a_52f2_c4d7_22cb);
        assert_eq!(email_id(b"\xff@x.org").raw(), 0xcf89_3a75_2443_03b3);
        assert_eq!(email_id(b"").raw(), 0x49c5_79e5_7e9e_241e);
        let (address, email) = (address_id("203.0.113.7"), email_id(b"alice@example.com"));
        assert_eq!(secret().pair_id(address, email).raw(), 0xf3e9_cc83_af8f_1b1d);
        assert_eq!(secret().tag(address, b"Alice@Example.com").raw(), 0x30_1e20);
    }

    #[test]
    fn equal_bytes_of_different_kinds_have_different_ids() {
        let long = [b'a'; 400];
        let ids = [
            address_id("0.0.0.0"),
            address_id("::"),
            email_id(b""),
            email_id(b"0000"),
            email_id(b"a"),
            email_id(&long),
            secret().pair_id(Id(0), Id(0)),
            secret().pair_id(Id(0), Id(1)),
            secret().pair_id(Id(1), Id(0)),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
    }

    #[test]
    fn a_normalised_form_and_the_same_bytes_as_received_differ() {
        let raw = "\u{fdfa}".repeat(106);
        let grown = CanonicalEmail::of(raw.as_bytes(), PlusTags::Keep);
        assert_ne!(secret().email_id(&grown), email_id(grown.as_bytes()));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let pair = |one: &[u8], other: &[u8]| secret().pair_id(email_id(one), email_id(other));
        assert_ne!(pair(b"a:b", b"c"), pair(b"a", b"b:c"));
        assert_ne!(pair(b"ab", b""), pair(b"a", b"b"));
        assert_ne!(secret().tag(Id(1), b""), secret().tag(Id(1), b"\0"));
    }

    #[test]
    fn spellings_share_an_id_and_not_a_tag() {
        let address = address_id("::ffff:203.0.113.7");
        assert_eq!(address, address_id("203.0.113.7"));
        assert_eq!(email_id(b"Victim@x.org"), email_id("ⓥictim@x.org ".as_bytes()));
        assert_ne!(secret().tag(address, b"Victim@x.org"), secret().tag(address, b"victim@x.org"));
        let other = address_id("203.0.113.8");
        assert_ne!(secret().tag(address, b"victim@x.org"), secret().tag(other, b"victim@x.org"));
    }

    #[test]
    fn any_email_has_a_stable_id_of_its_own() {
        let (long, huge) = (vec![b'a'; 321], vec![b'a'; 1 << 20]);
        let raws: &[&[u8]] = &[b"\xff", b"\xfe", b"@", b"none", &long[1..], &long, &huge, &huge[1..]];
        for (at, raw) in raws.iter().enumerate() {
            assert_eq!(email_id(raw), email_id(raw));
            assert!(raws[..at].iter().all(|other| email_id(other) != email_id(raw)), "{at}");
        }
    }

    #[test]
    fn another_secret_gives_other_ids() {
        let other = Secret::from_bytes([7; 16]);
        let address = ClientIp::parse(b"1.2.3.4").unwrap().address(Ipv6Prefix::default());
        assert_ne!(other.address_id(&address), secret().address_id(&address));
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", secret()), "Secret(..)");
    }

    proptest! {
        #[test]
        fn raw_forms_come_back(id: u64, tag: u32) {
            prop_assert_eq!(Id::from_raw(id).raw(), id);
            prop_assert_eq!(Tag::from_raw(tag).raw(), tag % (1 << Tag::BITS));
            prop_assert_eq!(Tag::from_raw(Tag::from_raw(tag).raw()), Tag::from_raw(tag));
        }

        #[test]
        fn tags_have_22_bits(address: u64, raw in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(secret().tag(Id(address), &raw).raw() < 1 << 22);
        }

        #[test]
        fn different_emails_have_different_ids(one in "[a-z]{1,9}@[a-wyz]{1,9}", other in "[a-z]{1,9}@[a-wyz]{1,9}") {
            prop_assert_eq!(one == other, email_id(one.as_bytes()) == email_id(other.as_bytes()));
        }
    }
}
