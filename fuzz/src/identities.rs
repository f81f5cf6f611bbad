//! Targets for the texts that clients send: emails, IPs, networks and policies.

use crate::model::run::secret;
use crate::model::support::restored;
use authlimit::identity::{CanonicalEmail, Cidr, ClientIp, MAX_NORMALISED_BYTES, PlusTags};
use authlimit::limiter::Limiter;
use authlimit::policy::{MAX_RULES, Policy};

/// The bytes as an email, an IP and a network: other spellings of the same one are equal.
pub fn identity(bytes: &[u8]) {
    email(bytes);
    if let Ok(ip) = ClientIp::parse(bytes) {
        assert_eq!(ClientIp::parse(ip.get().to_string().as_bytes()), Ok(ip));
        assert!(Cidr::single(ip).contains(ip));
    }
    if let Ok(network) = Cidr::parse(bytes) {
        assert_eq!(Cidr::parse(network.to_string().as_bytes()), Ok(network));
        assert!(network.contains(ClientIp::of(network.first())));
    }
}

/// The bytes as an email.
fn email(bytes: &[u8]) {
    let kept = CanonicalEmail::of(bytes, PlusTags::Keep);
    let stripped = CanonicalEmail::of(bytes, PlusTags::Strip);
    assert_eq!(kept.is_normalised(), stripped.is_normalised(), "whether it is normalised depends on plus-tags");
    if !kept.is_normalised() {
        return;
    }
    let shouted = bytes.to_ascii_uppercase();
    assert_eq!(CanonicalEmail::of(&shouted, PlusTags::Keep).as_bytes(), kept.as_bytes(), "case matters");
    let padded = [b" ", bytes, b"\t"].concat();
    let padded = CanonicalEmail::of(&padded, PlusTags::Keep);
    assert!(!padded.is_normalised() || padded.as_bytes() == kept.as_bytes(), "white space matters");
    // A longer one is hashed as received.
    if kept.as_bytes().len() <= MAX_NORMALISED_BYTES {
        let again = CanonicalEmail::of(kept.as_bytes(), PlusTags::Keep);
        assert_eq!(again.as_bytes(), kept.as_bytes(), "the canonical form has another canonical form");
        let stripped_later = CanonicalEmail::of(kept.as_bytes(), PlusTags::Strip);
        assert_eq!(stripped_later.as_bytes(), stripped.as_bytes(), "a tag is stripped only sometimes");
    }
}

/// The bytes as a policy: its own words are the same policy, and a limiter with it can be stored.
pub fn policy(bytes: &[u8]) {
    let Ok(policy) = Policy::parse(bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())) else {
        return;
    };
    assert!((1..=MAX_RULES).contains(&policy.rules().len()));
    assert_eq!(Policy::from_text(&policy.to_string()), Ok(policy.clone()));
    let limiter = Limiter::new(policy, secret());
    assert_eq!(restored(&limiter).digest(), limiter.digest());
}
