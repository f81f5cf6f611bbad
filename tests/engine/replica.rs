//! The engine against its own replicas and stored copies.
//!
//! `PROPTEST_CASES` sets the number of random cases per property; the default is small enough for every build.

use crate::model::policies::policy;
use crate::model::run::{attempt, large_capacity, secret, tick, time};
use crate::model::steps::{Case, EMAILS, EPOCHS, IPS, Step, Target, any_case_with_servers};
use crate::model::support::{NOW, cases, check, check_property, limiter, peeks, records, request, restored};
use crate::model::{Model, Request};
use authlimit::format::Part;
use authlimit::limiter::{Effect, Limiter, List};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

proptest! {
    #![proptest_config(cases(32))]

    /// A replica that applies the effects equals its primary after every step, also across restarts and failovers.
    #[test]
    fn replicas_and_stored_copies_equal_their_primary(
        case in any::<bool>().prop_flat_map(any_case_with_servers),
        epoch in select(EPOCHS.to_vec()),
    ) {
        check_property(case, |case| replica_follows(case, epoch))?;
    }
}

/// Checks that a replica equals its primary after each step, and a stored copy its original.
pub(crate) fn replica_follows(case: &Case, epoch: u64) -> Result<(), TestCaseError> {
    let mut primary = Limiter::new(case.policy.clone(), secret());
    let mut replica = Limiter::from_metadata(primary.metadata()).unwrap();
    // Knows when something expires, for `Step::WaitForEnd`.
    let mut model = Model::new(case.policy.clone());
    let mut clock = epoch;
    for (number, step) in case.steps.iter().enumerate() {
        clock = step.clock_after(clock, &model);
        let before = primary.digest();
        let mut effects = Vec::new();
        step.run_on_engine(&mut primary, clock, |effect| effects.push(effect.clone()));
        step.run_on_model(&mut model, clock);
        match step {
            Step::Resync => replica = restored(&primary),
            Step::FailOver => std::mem::swap(&mut primary, &mut replica),
            _ => {}
        }
        let is_changed = primary.digest() != before;
        prop_assert!(!is_changed || !effects.is_empty(), "step {} is not replicated", number);
        prop_assert!(is_changed || effects.iter().all(may_change_nothing), "step {} does nothing", number);
        for effect in effects {
            replica.apply(effect).unwrap();
        }
        if matches!(step, Step::Tick) {
            tick(&mut replica, None, |_| panic!("a replica replicates nothing"));
        }
        prop_assert_eq!(replica.digest(), primary.digest(), "step {} at {}", number, clock);
        if let Some(attempt) = step.request().and_then(|request| attempt(&primary, &request)) {
            let [one, other] = [&primary, &replica].map(|limiter| limiter.peek(&attempt, time(clock)));
            prop_assert_eq!(one, other, "step {} at {}", number, clock);
        }
        if number % 16 == 0 {
            prop_assert_eq!(peeks(&replica, clock), peeks(&primary, clock), "step {}", number);
        }
    }
    prop_assert_eq!(restored(&primary).digest(), primary.digest(), "stored at the end");
    Ok(())
}

/// Whether an effect may leave the digest unchanged: within one millisecond, an attempt in a full log of a rule in
/// shadow, a distinct identity seen again, a list entry with the same expiry, or an email that is unlocked again; and
/// the eviction of an expired identity.
fn may_change_nothing(effect: &Effect) -> bool {
    let is_counted = matches!(effect, Effect::Admit { .. } | Effect::CountDenied { .. });
    is_counted || matches!(effect, Effect::Evict { .. } | Effect::ListAdd { .. } | Effect::Unlock { .. })
}

/// Checks that a replica follows these steps under the policy `words`.
fn assert_follows(words: &str, steps: Vec<Step>) {
    let policy = policy(words);
    replica_follows(&Case { policy, steps }, NOW).unwrap();
}

/// Clearing what has expired leaves primary and replica equal.
#[test]
fn clearing_what_has_expired_changes_nothing() {
    let counted = Step::Check(request(IPS[0], EMAILS[0]));
    let unlock = Step::Unlock(Target::Ip(IPS[0]));
    assert_follows("IP 3/1s", vec![counted, Step::Wait(1_000), unlock]);
    let network = "203.0.113.0/24";
    let listed = Step::ListAdd(List::Allow, network, Some(1_000));
    let removed = Step::ListRemove(List::Allow, network);
    assert_follows("IP 3/1s", vec![listed, Step::Wait(1_000), removed]);
}

/// UNLOCK ignores a lock that is over, since a replica may no longer have it.
#[test]
fn unlocking_a_lock_that_is_over_changes_nothing() {
    let victim = Step::Check(request(IPS[0], EMAILS[0]));
    let steps = vec![
        victim.clone(),
        victim,
        Step::Wait(3_600_000),
        Step::Check(request(IPS[2], EMAILS[0])),
        Step::Resync,
        Step::Wait(1),
        Step::Unlock(Target::Ip(IPS[0])),
    ];
    assert_follows("IP 1/1s LOCK 1s", steps);
}

/// A lock that is over is not stored, so it must not affect a server that still has it in memory.
#[test]
fn a_lock_is_over_after_its_time_also_in_memory() {
    let costly = Request { cost: 2, ..request(IPS[0], EMAILS[0]) };
    let steps = vec![
        Step::Check(costly),
        Step::Wait(3_600_000),
        Step::Check(request(IPS[2], EMAILS[0])),
        Step::Resync,
        Step::Check(costly),
    ];
    assert_follows("ALL 100/1h IP 1/1s LOCK 1s SHADOW", steps);
}

/// A refused attempt that only a COUNT-DENIED rule counts evicts only from that rule's log.
#[test]
fn a_refused_attempt_evicts_only_where_it_is_counted() {
    let words = "IP 5/1h EMAIL 1/1h EMAIL 9/1h COUNT-DENIED CAPACITY 2";
    let mut limiter = limiter(words);
    for (ip, email) in [(IPS[0], EMAILS[0]), (IPS[2], EMAILS[3])] {
        assert!(check(&mut limiter, request(ip, email), NOW).allowed);
    }
    let refused = attempt(&limiter, &request(IPS[3], EMAILS[0])).unwrap();
    let mut effects = Vec::new();
    let verdict = limiter.check(&refused, time(NOW), large_capacity(), |effect| {
        effects.push(effect.clone());
    });
    assert!(!verdict.allowed);
    assert!(matches!(effects[..], [Effect::CountDenied { .. }]), "{effects:?}");
}

/// Expired attempts are not stored, though they may still be in memory.
#[test]
fn expired_attempts_are_not_stored() {
    let mut limiter = limiter("IP 5/1s EMAIL 5/1h");
    for (ip, at) in [(IPS[0], 0), (IPS[2], 1), (IPS[3], 1_000)] {
        assert!(check(&mut limiter, request(ip, EMAILS[0]), NOW + at).allowed);
    }
    let stored = |table| {
        let chunks = limiter.chunks().filter(move |(of, _)| *of == Part::Logs(table));
        let logs = chunks.flat_map(|(_, chunk)| records(&chunk, 8));
        logs.map(|(_, entries)| entries.len()).sum::<usize>()
    };
    assert_eq!((stored(0), stored(1)), (2, 3));
}
