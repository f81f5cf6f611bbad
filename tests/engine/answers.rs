//! The engine against a naive model, and with clocks that are set back.
//!
//! `PROPTEST_CASES` sets the number of random cases per property; the default is small enough for every build.

use crate::model::policies::{any_policy, has_devices, policy};
use crate::model::run::{Answer, attempt, rule_statuses, secret, time};
use crate::model::steps::{
    Case, EMAILS, EPOCHS, Step, Target, all_requests, any_case, any_command, any_set_back, any_wait,
};
use crate::model::support::{NOW, cases, check_property, limiter, longest_time, peeks, request};
use crate::model::{Model, Request};
use authlimit::identity::Tag;
use authlimit::limiter::Limiter;
use authlimit::policy::Millis;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use std::collections::HashMap;

/// Tags are 22-bit hashes. If two of them collided here, the engine could differ from the model without a bug.
#[test]
fn the_tags_of_the_tests_identities_do_not_collide() {
    for words in ["PAIR 1/1s", "PAIR 1/1s IPV6-PREFIX 48", "PAIR 1/1s IPV6-PREFIX 128 PLUS-TAGS strip"] {
        let limiter = limiter(words);
        let mut seen = HashMap::new();
        let (mut addresses, mut emails) = (HashMap::new(), HashMap::new());
        for request in all_requests().filter(|request| !request.ip.is_empty()) {
            let Some(attempt) = attempt(&limiter, &request) else {
                continue;
            };
            let ids = attempt.ids;
            let owner = (ids.address, request.email);
            assert_eq!(*seen.entry(ids.tag).or_insert(owner), owner);
            // A distinct entry stores `Tag::BITS` bits of the id of the IP or email.
            for (seen_ids, id) in [(&mut addresses, ids.address), (&mut emails, ids.email)] {
                let bits = id.raw() & ((1 << Tag::BITS) - 1);
                assert_eq!(*seen_ids.entry(bits).or_insert(id), id);
            }
        }
        assert!(seen.len() >= 3 * (EMAILS.len() - 1));
        assert!(addresses.len() >= 3 && emails.len() >= 2);
    }
}

proptest! {
    #![proptest_config(cases(48))]

    /// Every reply, every total and every rule's status equal the model's.
    #[test]
    fn every_verdict_and_count_matches_the_model(case in any_case(), epoch in select(EPOCHS.to_vec())) {
        check_property(case, |case| engine_matches_model(case, epoch))?;
    }

    /// A refused attempt is admitted after exactly its `retry_after`, and not a millisecond earlier.
    #[test]
    fn an_attempt_is_admitted_after_exactly_its_retry_after(
        case in any_case_of(|with_devices| prop_oneof![4 => any_command(with_devices), 1 => any_wait()]),
    ) {
        check_property(case, waits_are_exact)?;
    }
}

/// Checks that the engine and the model return the same for each step.
pub(crate) fn engine_matches_model(case: &Case, epoch: u64) -> Result<(), TestCaseError> {
    let mut limiter = Limiter::new(case.policy.clone(), secret());
    let mut model = Model::new(case.policy.clone());
    let mut clock = epoch;
    for (number, step) in case.steps.iter().enumerate() {
        clock = step.clock_after(clock, &model);
        let answer = step.run_on_engine(&mut limiter, clock, |_| {});
        let from_model = step.run_on_model(&mut model, clock);
        prop_assert_eq!(answer, from_model, "step {} at {}", number, clock);
        prop_assert_eq!(limiter.totals(), model.totals(), "step {} at {}", number, clock);
        if let Some(request) = step.request() {
            let [from_engine, from_model] = rule_statuses(&limiter, &model, &request, clock);
            prop_assert_eq!(from_engine, from_model, "step {} at {}", number, clock);
        }
    }
    for request in all_requests() {
        let attempt = attempt(&limiter, &request);
        let verdict = attempt.map(|attempt| limiter.peek(&attempt, time(clock)));
        prop_assert_eq!(verdict, model.peek(&request, clock), "{:?} at the end", request);
        let [from_engine, from_model] = rule_statuses(&limiter, &model, &request, clock);
        prop_assert_eq!(from_engine, from_model, "{:?} at the end", request);
    }
    Ok(())
}

/// Cases that the random tests reach only rarely.
#[test]
fn rare_cases_match_the_model() {
    let (one, another) = (request("203.0.113.7", "own@x.org"), request("203.0.113.8", "own@x.org"));
    let costly = Request { cost: 2, ..one };
    let unlock = || Step::Unlock(Target::Ip(one.ip));
    let rows = [
        // The refusal that sets the lock reports it, also in shadow.
        ("PAIR 1/1ms LOCK 50ms SHADOW", vec![Step::Check(one), Step::Check(one)]),
        // UNLOCK does not count a lock that is over.
        ("IP 1/1s LOCK 1s", vec![Step::Check(one), Step::Check(one), Step::Wait(2_000), unlock()]),
        // A restart does not change when a rule locks again.
        (
            "IP 1/15m LOCK 1500ms SHADOW",
            vec![Step::Check(costly), Step::Wait(3_600_000), Step::Check(another), Step::Check(costly)],
        ),
        (
            "IP 1/15m LOCK 1500ms SHADOW",
            vec![Step::Check(costly), Step::Wait(3_600_000), Step::Check(another), Step::Restart, Step::Check(costly)],
        ),
    ];
    for (words, steps) in rows {
        let policy = policy(words);
        engine_matches_model(&Case { policy, steps }, NOW).unwrap();
    }
}

/// Checks that `retry_after` is exactly how long the same attempt stays refused.
fn waits_are_exact(case: &Case) -> Result<(), TestCaseError> {
    let mut limiter = Limiter::new(case.policy.clone(), secret());
    let mut model = Model::new(case.policy.clone());
    let mut clock = NOW;
    for step in &case.steps {
        clock = step.clock_after(clock, &model);
        let answer = step.run_on_engine(&mut limiter, clock, |_| {});
        step.run_on_model(&mut model, clock);
        if let (Step::Check(request), Answer::Verdict(verdict)) = (step, answer) {
            let again = attempt(&limiter, request).unwrap();
            let wait = verdict.retry_after.unwrap();
            let opens = clock + wait.get();
            prop_assert!(opens == clock || !limiter.peek(&again, time(opens - 1)).allowed);
            prop_assert!(limiter.peek(&again, time(opens)).allowed);
            prop_assert!(verdict.allowed || wait > Millis::ZERO);
        }
    }
    Ok(())
}

/// A policy, and steps made by `step`, which gets whether the policy has DEVICE rules.
fn any_case_of<S: Strategy<Value = Step> + 'static>(step: fn(bool) -> S) -> impl Strategy<Value = Case> {
    any_policy().prop_flat_map(move |policy| {
        let steps = vec(step(has_devices(&policy)), 1..400);
        (Just(policy), steps).prop_map(|(policy, steps)| Case { policy, steps })
    })
}

proptest! {
    #![proptest_config(cases(40))]

    /// A clock that is set back admits nothing that a steady clock would refuse, and no attempt counts longer than its
    /// window and what the clock was set back in all.
    #[test]
    fn a_clock_set_back_expires_no_attempt_early_and_none_late(
        case in any_case_of(|with_devices| prop_oneof![
            40 => any_command(with_devices),
            10 => any_wait(),
            2 => any_set_back(),
        ]),
    ) {
        check_property(case, set_back_keeps_expiry_times)?;
    }
}

/// Checks that setting the clock back makes no attempt expire early or late.
fn set_back_keeps_expiry_times(case: &Case) -> Result<(), TestCaseError> {
    let policy = &case.policy;
    let mut limiter = Limiter::new(policy.clone(), secret());
    // A model whose clock shows the real elapsed time.
    let mut steady = Model::new(policy.clone());
    let (mut clock, mut elapsed, mut set_back) = (NOW, NOW, 0);
    for step in &case.steps {
        if let Step::SetBack(_) = step {
            let before = clock;
            clock = step.clock_after(clock, &steady);
            set_back += before - clock;
            continue;
        }
        let passed = step.clock_after(elapsed, &steady) - elapsed;
        clock += passed;
        elapsed += passed;
        // What REFUND takes depends on which attempts are of one time, and on what has left its window, later here.
        if matches!(step, Step::Refund(_)) {
            continue;
        }
        match (step, step.run_on_engine(&mut limiter, clock, |_| {})) {
            (Step::Check(request), Answer::Verdict(verdict)) if verdict.allowed => {
                let is_admitted = steady.check(request, elapsed).unwrap().allowed;
                prop_assert!(is_admitted, "{request:?} expired early");
            }
            (Step::Check(request), Answer::Verdict(verdict)) => {
                let opens = clock + verdict.retry_after.unwrap().get() + set_back;
                let again = attempt(&limiter, request).unwrap();
                let is_open = limiter.peek(&again, time(opens)).allowed;
                prop_assert!(is_open, "{request:?} is refused for too long");
            }
            (Step::Reset(_), _) => {
                step.run_on_model(&mut steady, elapsed);
            }
            _ => {}
        }
    }
    let other_user = attempt(&limiter, &request("192.0.2.1", "stranger@x.org")).unwrap();
    limiter.reset(&other_user, time(clock), |_| {});
    let later = clock + longest_time(policy) + set_back;
    for verdict in peeks(&limiter, later).into_iter().flatten() {
        prop_assert!(verdict.allowed);
        // PEEK counts the attempt itself.
        prop_assert_eq!(verdict.remaining.unwrap() + 1, verdict.limit.unwrap());
    }
    Ok(())
}
