//! Sliding windows: no timing of attempts admits more than the limit.

use super::{SUBJECTS, check_text, email_number, ip_number, limiter_for, request_for};
use crate::model::run::{attempt, large_capacity, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, cases, check, limiter, request, restored};
use authlimit::limiter::{Effect, Limiter};
use authlimit::policy::Subject;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::HashMap;

/// Times of attempts: bursts around the moments when earlier attempts leave the window, and single random ones.
fn any_tries(window: u64) -> impl Strategy<Value = Vec<u64>> {
    let moments = (0..4).flat_map(|n| [n * window, n * window + window / 2, n * window + 1]);
    let moments: Vec<u64> = moments.collect();
    let bursts = vec((select(moments), -2..3_i64, 1..80_usize), 30);
    let jitter = vec(0..=4 * window, 60);
    (bursts, jitter).prop_map(|(bursts, jitter)| {
        let bursts = bursts
            .into_iter()
            .flat_map(|(at, offset, size)| std::iter::repeat_n(at.saturating_add_signed(offset), size));
        let mut tries: Vec<u64> = bursts.chain(jitter).collect();
        tries.sort_unstable();
        tries
    })
}

/// A limit, a window, and times of attempts.
fn any_timing() -> impl Strategy<Value = (usize, u64, Vec<u64>)> {
    let limit = prop_oneof![1..6_usize, 1..60_usize];
    let window = prop_oneof![1..20_u64, 1..100_000_u64];
    (limit, window).prop_flat_map(|(limit, window)| (Just(limit), Just(window), any_tries(window)))
}

proptest! {
    #![proptest_config(cases(128))]

    /// No window admits more than the limit, and no attempt is refused below it.
    #[test]
    fn no_timing_admits_more_than_the_limit_in_a_sliding_window(
        (limit, window, tries) in any_timing(),
        subject in select(SUBJECTS.to_vec()),
    ) {
        let mut limiter = limiter_for(subject, limit, window);
        let request = request_for(subject);
        let mut admitted: Vec<u64> = Vec::new();
        for at in tries {
            let newest_first = admitted.iter().rev();
            let in_window = newest_first.take_while(|t| **t + window > at).count();
            let is_allowed = check(&mut limiter, request, NOW + at).allowed;
            prop_assert_eq!(is_allowed, in_window < limit, "at {}", at);
            if is_allowed {
                admitted.push(at);
            }
        }
        for more_than_limit in admitted.windows(limit + 1) {
            prop_assert!(more_than_limit[limit] - more_than_limit[0] >= window);
        }
    }

    /// No window admits more distinct identities than the limit, in any order and with any repetition.
    #[test]
    fn no_timing_admits_more_distinct_identities_than_the_limit(
        (limit, window, tries) in any_timing(),
        identities in vec(0..60_usize, 1..200),
        subject in select(vec![Subject::EmailsPerIp, Subject::IpsPerEmail]),
    ) {
        let mut limiter = limiter_for(subject, limit, window);
        // When each identity was last admitted.
        let mut admitted: HashMap<usize, u64> = HashMap::new();
        for (at, identity) in tries.into_iter().zip(identities.into_iter().cycle()) {
            admitted.retain(|_, last| *last + window > at);
            let is_below_limit = admitted.contains_key(&identity) || admitted.len() < limit;
            let is_allowed = match subject {
                Subject::EmailsPerIp => check_text(&mut limiter, IPS[0], &email_number(identity), NOW + at),
                _ => check_text(&mut limiter, &ip_number(identity), EMAILS[0], NOW + at),
            };
            prop_assert_eq!(is_allowed, is_below_limit, "at {}", at);
            if is_allowed {
                admitted.insert(identity, at);
            }
        }
    }
}

/// A quota spent at one moment is available again exactly one window later, and not a millisecond earlier.
#[test]
fn a_spent_quota_is_available_again_after_exactly_one_window() {
    for limit in [1, 2, 3, 5, 10, 100] {
        for window in [1, 2, 10, 999, 60_000, 2_592_000_000] {
            for subject in SUBJECTS {
                let mut limiter = limiter_for(subject, limit, window);
                let request = request_for(subject);
                let mut verdicts_at = |at: u64| {
                    let verdicts = (0..2 * limit).map(|_| check(&mut limiter, request, at));
                    verdicts.collect::<Vec<_>>()
                };
                for round in 0..3 {
                    let start = NOW + round * window;
                    let spent = verdicts_at(start);
                    assert!(spent[..limit].iter().all(|verdict| verdict.allowed));
                    assert!(spent[limit..].iter().all(|verdict| !verdict.allowed));
                    assert_eq!(spent[limit].retry_after.unwrap().get(), window);
                    if window > 1 {
                        for verdict in verdicts_at(start + window - 1) {
                            assert_eq!((verdict.allowed, verdict.retry_after.unwrap().get()), (false, 1));
                        }
                    }
                }
            }
        }
    }
}

/// The clock is set back an hour, a refused attempt sees it, and it is set right: nothing more is admitted in the
/// window, here or by a replica that takes over and whose clock was right all along.
#[test]
fn a_clock_that_is_set_back_and_right_again_admits_no_more() {
    const HOUR: u64 = 3_600_000;
    for fails_over in [false, true] {
        let mut primary = limiter("PAIR 5/15m");
        let mut replica = restored(&primary);
        let guess = attempt(&primary, &request(IPS[0], EMAILS[0])).unwrap();
        let admitted = |primary: &mut Limiter, replica: &mut Limiter, clock: u64| {
            let send = |effect: &Effect| replica.apply(effect.clone()).unwrap();
            primary.check(&guess, time(clock), large_capacity(), send).allowed
        };
        for at in NOW..NOW + 5 {
            assert!(admitted(&mut primary, &mut replica, at));
        }
        assert!(!admitted(&mut primary, &mut replica, NOW - HOUR));
        if fails_over {
            std::mem::swap(&mut primary, &mut replica);
        }
        for right in [NOW + 2_000, NOW + 899_999] {
            assert!(!admitted(&mut primary, &mut replica, right), "{right}");
        }
        assert!(admitted(&mut primary, &mut replica, NOW + 900_010));
        assert_eq!(primary.digest(), replica.digest());
    }
}

/// Many small steps of a clock that stays behind are no step forward: time goes on as the clock does.
#[test]
fn a_clock_that_stays_behind_lets_attempts_leave_on_time() {
    let mut limiter = limiter("PAIR 1/15m");
    let guess = request(IPS[0], EMAILS[0]);
    assert!(check(&mut limiter, guess, NOW).allowed);
    let behind = NOW - 3_600_000;
    for second in 0..900 {
        let refused = check(&mut limiter, guess, behind + second * 1_000);
        assert_eq!(refused.retry_after.unwrap().get(), 900_000 - second * 1_000);
    }
    assert!(check(&mut limiter, guess, behind + 900_000).allowed);
}
