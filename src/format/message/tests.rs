use super::*;
use crate::identity::{Cidr, Secret, Tag};
use crate::limiter::{Limiter, List, ListEntry, ListKey, ListTarget};
use crate::policy::Millis;
use proptest::prelude::*;

fn no_key() -> Option<HashKey> {
    None
}

fn time() -> impl Strategy<Value = Timestamp> {
    (1..1_u64 << 42).prop_map(|at| Timestamp::from_millis(at).unwrap())
}

fn id() -> impl Strategy<Value = Id> {
    any::<u64>().prop_map(Id::from_raw)
}

fn ids() -> impl Strategy<Value = AttemptIds> {
    let cost = prop_oneof![Just(1), 1..=100_000_u32];
    (id(), id(), proptest::option::of(id()), any::<u32>(), cost).prop_map(|(address, email, device, tag, cost)| {
        AttemptIds { address, email, device, tag: Tag::from_raw(tag), cost: Cost::new(cost).unwrap() }
    })
}

fn entry() -> impl Strategy<Value = ListEntry> {
    let cidr = ListTarget::Cidr(Cidr::parse(b"10.0.0.0/8").unwrap());
    let entry = prop_oneof![Just(cidr), id().prop_map(ListTarget::Email)];
    let list = prop_oneof![Just(List::Allow), Just(List::Deny)];
    (list, entry, proptest::option::of(time()))
        .prop_map(|(list, target, expires)| ListEntry { key: ListKey { list, target }, expires })
}

fn effects() -> impl Strategy<Value = Effect> {
    let policy = Policy::from_text("PAIR 5/15m LOCK 1m IPV6-PREFIX 56").unwrap();
    let span = || (0..1_u64 << 42).prop_map(Millis::new);
    prop_oneof![
        (time(), ids()).prop_map(|(at, ids)| Effect::Admit { at, ids }),
        (time(), ids(), 1..u32::MAX).prop_map(|(at, ids, bits)| {
            let rules = RuleSet::from_bits(bits);
            Effect::CountDenied { at, ids, rules }
        }),
        (time(), ids()).prop_map(|(at, ids)| Effect::Reset { at, ids }),
        (time(), ids()).prop_map(|(at, ids)| Effect::Refund { at, ids }),
        (time(), any::<u8>(), any::<u8>(), id(), time(), span())
            .prop_map(|(at, table, rule, id, until, length)| Effect::Lock { at, table, rule, id, until, length }),
        (any::<u8>(), id()).prop_map(|(table, id)| Effect::Evict { table, id }),
        (time(), id(), proptest::option::of(id())).prop_map(|(at, address, email)| {
            let address = Some(address);
            Effect::Unlock { at, address, email }
        }),
        (time(), id()).prop_map(|(at, email)| {
            let (address, email) = (None, Some(email));
            Effect::Unlock { at, address, email }
        }),
        (time(), entry()).prop_map(|(at, entry)| Effect::ListAdd { at, entry }),
        entry().prop_map(|entry| Effect::ListRemove { entry }),
        time().prop_map(move |at| Effect::ChangePolicy { at, policy: policy.clone() }),
        span().prop_map(|clock_offset| Effect::ClockSetBack { clock_offset }),
        time().prop_map(|at| Effect::TimePassed { at }),
    ]
}

proptest! {
    #[test]
    fn effects_come_back_whole(effect in effects()) {
        let mut bytes = Vec::new();
        encode_effect(&effect, &mut bytes);
        prop_assert_eq!(decode(&bytes, no_key), Ok(Message::Effect(effect)));
    }

    #[test]
    fn truncated_and_padded_effects_are_none(effect in effects(), padding: u8) {
        prop_assume!(!matches!(effect, Effect::ChangePolicy { .. }));
        let mut bytes = Vec::new();
        encode_effect(&effect, &mut bytes);
        for len in 0..bytes.len() {
            let shorter = decode(&bytes[..len], no_key);
            prop_assert_ne!(shorter, Ok(Message::Effect(effect.clone())));
        }
        bytes.push(padding);
        prop_assert_ne!(decode(&bytes, no_key), Ok(Message::Effect(effect)));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&bytes, no_key);
    }
}

#[test]
fn an_ordinary_attempt_takes_25_bytes() {
    let mut bytes = Vec::new();
    let ids = AttemptIds {
        address: Id::from_raw(0x0807_0605_0403_0201),
        email: Id::from_raw(2),
        device: None,
        tag: Tag::from_raw(3),
        cost: Cost::ONE,
    };
    let at = Timestamp::from_millis(1).unwrap();
    encode_effect(&Effect::Admit { at, ids }, &mut bytes);
    let mut expected = vec![5, 3, 0, 64, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    expected.extend(2_u64.to_le_bytes());
    assert_eq!(bytes, expected);
    assert_eq!(bytes.len(), 25);
}

#[test]
fn creating_and_chunks_come_back_whole() {
    let policy = Policy::from_text("PAIR 5/15m").unwrap();
    let limiter = Limiter::new(policy, Secret::from_bytes([1; 16]));
    let metadata = limiter.metadata();
    let bytes = encode_create(&metadata);
    assert_eq!(decode(&bytes, no_key), Ok(Message::Create(metadata)));
    for part in [Part::Logs(3), Part::Locks(0), Part::Lists] {
        let bytes = encode_chunk(part, b"abc");
        assert_eq!(decode(&bytes, no_key), Ok(Message::Chunk(part, b"abc")));
    }
}

#[test]
fn the_codes_are_those_that_the_page_names() {
    let page = include_str!("../format.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!([CREATE, LOGS, LOCKS, LISTS], [1, 2, 3, 4]);
    assert!(page.contains("Codes 1 to 4 build a limiter"));
    assert!(page.contains(&format!("The others, {ADMIT} to {TIME_PASSED},")));
    // The last code is the greatest there is.
    for code in TIME_PASSED + 1..=u8::MAX {
        for len in 0..64 {
            let message = [&[code][..], &vec![1; len]].concat();
            assert_eq!(decode(&message, no_key), Err(MessageError::Unknown), "code {code}");
        }
    }
}
