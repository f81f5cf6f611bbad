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

fn target() -> impl Strategy<Value = UnlockTarget> {
    prop_oneof![
        id().prop_map(UnlockTarget::Address),
        id().prop_map(UnlockTarget::Email),
        id().prop_map(UnlockTarget::EmailAlone),
        (id(), id()).prop_map(|(address, email)| UnlockTarget::AddressAndEmail(address, email)),
        id().prop_map(UnlockTarget::Device),
        Just(UnlockTarget::All),
    ]
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
        (time(), any::<u8>(), any::<u8>(), id(), span(), proptest::option::of((any::<u8>(), 0..1_u32 << 22))).prop_map(
            |(at, table, rule, id, length, strike)| {
                let (strikes, tag) = (strike.map(|(strikes, _)| strikes), strike.map_or(0, |(_, tag)| tag));
                Effect::Lock { at, table, rule, id, length, strikes, tag: Tag::from_raw(tag) }
            }
        ),
        (any::<u8>(), id()).prop_map(|(table, id)| Effect::Evict { table, id }),
        (time(), target()).prop_map(|(at, target)| Effect::Unlock { at, target }),
        (time(), entry()).prop_map(|(at, entry)| Effect::ListAdd { at, entry }),
        entry().prop_map(|entry| Effect::ListRemove { entry }),
        (time(), prop_oneof![Just(CarryOver::ByRule), Just(CarryOver::ByPlace)])
            .prop_map(move |(at, carry_over)| Effect::ChangePolicy { at, policy: policy.clone(), carry_over }),
        span().prop_map(|debt| Effect::ClockSet { debt }),
        time().prop_map(|at| Effect::TimePassed { at }),
        time().prop_map(|at| Effect::ClockRestored { at }),
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
    let parts = [Part::Logs(3), Part::Locks(0), Part::Lists, Part::Unlocks, Part::LogsV1(1), Part::LocksV1(2)];
    for part in parts {
        let bytes = encode_chunk(part, b"abc");
        assert_eq!(decode(&bytes, no_key), Ok(Message::Chunk(part, b"abc")));
    }
}

#[test]
fn the_codes_are_those_that_the_page_names() {
    let page = include_str!("../format.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!([CREATE, LISTS, LOGS, LOCKS, UNLOCKS], [1, 4, 17, 18, 19]);
    assert!(page.contains("Codes 1, 4 and 17 to 19 build a limiter"));
    assert_eq!([LOGS_V1, LOCKS_V1, LOCK_V1, CHANGE_POLICY_V1], [2, 3, 9, 14]);
    assert!(page.contains("codes 2, 3, 9 and 14 are no longer written"));
    // The last code is the greatest there is.
    for code in CLOCK_RESTORED + 1..=u8::MAX {
        for len in 0..64 {
            let message = [&[code][..], &vec![1; len]].concat();
            assert_eq!(decode(&message, no_key), Err(MessageError::Unknown), "code {code}");
        }
    }
}
