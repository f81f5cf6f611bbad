//! The engine against a naive model, and against clocks that are set back. `engine_replica.rs` has it against its own
//! replicas and copies, `engine_bytes.rs` against hostile bytes, `engine_attacks.rs` against attackers.
//!
//! `PROPTEST_CASES` sets how many random cases each property is tried with; by default few enough for every build.

use crate::model::policies::{any_policy, has_devices, policy};
use crate::model::run::{Answer, attempt, secret, standings, time};
use crate::model::steps::{Case, EMAILS, EPOCHS, Step, all_requests, any_case, any_command, any_set_back, any_wait};
use crate::model::support::{NOW, cases, hold, limiter, longest_time, peeks, request};
use crate::model::{Model, Request};
use authlimit::identity::Tag;
use authlimit::limiter::Limiter;
use authlimit::policy::{Counting, Millis, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use std::collections::HashMap;

// The model.

/// Tags are hashes of 22 bits: were two of the tests' own alike, the engine would be right to differ from the model.
#[test]
fn the_tests_identities_have_tags_of_their_own() {
    for words in ["PAIR 1/1s", "PAIR 1/1s IPV6-PREFIX 48", "PAIR 1/1s IPV6-PREFIX 128 PLUS-TAGS strip"] {
        let limiter = limiter(words);
        let mut seen = HashMap::new();
        let (mut addresses, mut emails) = (HashMap::new(), HashMap::new());
        for request in all_requests().filter(|request| !request.ip.is_empty()) {
            let Some(attempt) = attempt(&limiter, &request) else {
                continue;
            };
            let party = attempt.ids;
            let who = (party.address, request.email);
            assert_eq!(*seen.entry(party.tag).or_insert(who), who);
            // A subject that counts different ones keeps as many bits of the other party's id.
            for (ids, id) in [(&mut addresses, party.address), (&mut emails, party.email)] {
                let bits = id.raw() & ((1 << Tag::BITS) - 1);
                assert_eq!(*ids.entry(bits).or_insert(id), id);
            }
        }
        assert!(seen.len() >= 3 * (EMAILS.len() - 1));
        assert!(addresses.len() >= 3 && emails.len() >= 2);
    }
}

proptest! {
    #![proptest_config(cases(48))]

    /// Every answer is the model's, and so is every total and every row of what each rule says.
    #[test]
    fn every_verdict_and_count_is_the_models(case in any_case(), epoch in select(EPOCHS.to_vec())) {
        hold(case, |case| answers_are_the_models(case, epoch))?;
    }

    /// A refused attempt that comes back after just the time it was told is admitted, and a millisecond before not.
    #[test]
    fn the_wait_that_is_told_is_the_wait(
        case in any_case_of(|with_devices| prop_oneof![4 => any_command(with_devices), 1 => any_wait()]),
    ) {
        hold(case, waits_are_as_told)?;
    }
}

/// That the engine answers to each step as the model does.
fn answers_are_the_models(case: &Case, epoch: u64) -> Result<(), TestCaseError> {
    let mut limiter = Limiter::new(case.policy.clone(), secret());
    let mut model = Model::new(case.policy.clone());
    let mut clock = epoch;
    for (number, step) in case.steps.iter().enumerate() {
        clock = step.clock_after(clock, &model);
        let answer = step.ask(&mut limiter, clock, |_| {});
        let models = step.ask_model(&mut model, clock);
        prop_assert_eq!(answer, models, "step {} at {}", number, clock);
        prop_assert_eq!(limiter.totals(), model.totals(), "step {} at {}", number, clock);
        if let Some(request) = step.request() {
            let [engines, models] = standings(&limiter, &model, &request, clock);
            prop_assert_eq!(engines, models, "step {} at {}", number, clock);
        }
    }
    for request in all_requests() {
        let attempt = attempt(&limiter, &request);
        let verdict = attempt.map(|attempt| limiter.peek(&attempt, time(clock)));
        prop_assert_eq!(verdict, model.peek(&request, clock), "{:?} in the end", request);
        let [engines, models] = standings(&limiter, &model, &request, clock);
        prop_assert_eq!(engines, models, "{:?} in the end", request);
    }
    Ok(())
}

/// The model's answers to what the random cases come upon only now and then.
#[test]
fn rare_answers_are_the_models() {
    let (one, another) = (request("203.0.113.7", "own@x.org"), request("203.0.113.8", "own@x.org"));
    let costly = Request { cost: 2, ..one };
    let unlock = || Step::Unlock(Some(one.ip), None);
    let rows = [
        // The refusal that trips tells of the lock, in shadow too.
        ("PAIR 1/1ms LOCK 50ms SHADOW", vec![Step::Check(one), Step::Check(one)]),
        // A lock that is over is nothing to clear.
        ("IP 1/1s LOCK 1s", vec![Step::Check(one), Step::Check(one), Step::Wait(2_000), unlock()]),
        // A restart makes no difference to when a rule trips again.
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
        answers_are_the_models(&Case { policy, steps }, NOW).unwrap();
    }
}

/// That each CHECK tells for how long the next one like it is refused. Where a rule counts denied attempts, coming
/// back may take longer: the refused one counts for it.
fn waits_are_as_told(case: &Case) -> Result<(), TestCaseError> {
    let mut limiter = Limiter::new(case.policy.clone(), secret());
    let mut model = Model::new(case.policy.clone());
    let mut clock = NOW;
    for step in &case.steps {
        clock = step.clock_after(clock, &model);
        let answer = step.ask(&mut limiter, clock, |_| {});
        step.ask_model(&mut model, clock);
        if let (Step::Check(request), Answer::Verdict(verdict)) = (step, answer) {
            let again = attempt(&limiter, request).unwrap();
            let opens = clock + verdict.retry_after.get();
            prop_assert!(opens == clock || !limiter.peek(&again, time(opens - 1)).allowed);
            if verdict.allowed || !counts_denied(&case.policy) {
                prop_assert!(limiter.peek(&again, time(opens)).allowed);
            }
            prop_assert!(verdict.allowed || verdict.retry_after > Millis::ZERO);
        }
    }
    Ok(())
}

/// A policy, and steps of those that `step` makes for one with or without rules for devices.
fn any_case_of<S: Strategy<Value = Step> + 'static>(step: fn(bool) -> S) -> impl Strategy<Value = Case> {
    any_policy().prop_flat_map(move |policy| {
        let steps = vec(step(has_devices(&policy)), 1..400);
        (Just(policy), steps).prop_map(|(policy, steps)| Case { policy, steps })
    })
}

/// Whether some rule counts what others refused.
fn counts_denied(policy: &Policy) -> bool {
    let mut rules = policy.rules().iter();
    rules.any(|rule| rule.counting() == Counting::AlsoDenied)
}

// Clocks that are set back.

proptest! {
    #![proptest_config(cases(40))]

    /// However a clock is set back, what is admitted would be admitted by a clock that was not, so no attempt has
    /// left early; and once a command has seen the clock, no attempt stays longer than its window and a second.
    #[test]
    fn a_clock_set_back_lets_nothing_out_early_and_locks_nobody_in(
        case in any_case_of(|with_devices| prop_oneof![
            40 => any_command(with_devices),
            10 => any_wait(),
            2 => any_set_back(),
        ]),
    ) {
        hold(case, set_back_does_no_harm)?;
    }
}

/// That setting the clock back lets nothing out early and locks nobody in.
fn set_back_does_no_harm(case: &Case) -> Result<(), TestCaseError> {
    let policy = &case.policy;
    let mut limiter = Limiter::new(policy.clone(), secret());
    // A model of a clock that shows the time that has really passed.
    let mut steady = Model::new(policy.clone());
    let (mut clock, mut elapsed) = (NOW, NOW);
    for step in &case.steps {
        if let Step::SetBack(_) = step {
            clock = step.clock_after(clock, &steady);
            continue;
        }
        let passed = step.clock_after(elapsed, &steady) - elapsed;
        clock += passed;
        elapsed += passed;
        match (step, step.ask(&mut limiter, clock, |_| {})) {
            (Step::Check(request), Answer::Verdict(verdict)) if verdict.allowed => {
                let is_admitted = steady.check(request, elapsed).unwrap().allowed;
                prop_assert!(is_admitted, "{request:?} left early");
            }
            (Step::Check(request), Answer::Verdict(verdict)) => {
                let opens = clock + verdict.retry_after.get() + 1_000;
                let again = attempt(&limiter, request).unwrap();
                let is_open = limiter.peek(&again, time(opens)).allowed;
                // A refused attempt that some rule counts may make the next one wait longer.
                prop_assert!(is_open || counts_denied(policy), "{request:?} is locked in");
            }
            (Step::Reset(_) | Step::Refund(_), _) => {
                step.ask_model(&mut steady, elapsed);
            }
            _ => {}
        }
    }
    let stranger = attempt(&limiter, &request("192.0.2.1", "stranger@x.org")).unwrap();
    limiter.reset(&stranger, time(clock), |_| {});
    let later = clock + longest_time(policy) + 1_000;
    for verdict in peeks(&limiter, later).into_iter().flatten() {
        prop_assert!(verdict.allowed);
        prop_assert_eq!((verdict.remaining, verdict.reset), (verdict.limit, Millis::ZERO));
    }
    Ok(())
}
