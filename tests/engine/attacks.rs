//! The engine against attackers: bursts at the worst moments, spraying, shutting others out, and the greatest costs.
//!
//! `PROPTEST_CASES` sets how many random cases each property is tried with; by default few enough for every build.

use crate::model::Request;
use crate::model::steps::{EMAILS, IPS, attempt, roomy, time};
use crate::model::support::{NOW, cases, check, limiter, request, reset, restored};
use authlimit::limiter::{Cost, Limiter, Received};
use authlimit::policy::Subject;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

// Timing.

/// The subjects that count attempts, those of one and the same request.
const SUBJECTS: [Subject; 5] = [
    Subject::Ip,
    Subject::Email,
    Subject::Pair,
    Subject::All,
    Subject::Device,
];

/// A request that concerns every subject.
fn by_device() -> Request {
    Request {
        device: Some("phone"),
        ..request(IPS[0], EMAILS[0])
    }
}

/// A limiter with one rule for `subject`, or with one more that never binds where that would be an error.
fn limiter_for(subject: Subject, limit: usize, window: u64) -> Limiter {
    let another = if subject == Subject::Device {
        " PAIR 100000/1ms"
    } else {
        ""
    };
    limiter(&format!("{} {limit}/{window}ms{another}", subject.word()))
}

/// A request that concerns `subject`.
fn request_for(subject: Subject) -> Request {
    if subject == Subject::Device {
        by_device()
    } else {
        request(IPS[0], EMAILS[0])
    }
}

/// Moments to try at: bursts about the moments at which the attempts before leave a window, and single tries
/// anywhere.
fn any_tries(window: u64) -> impl Strategy<Value = Vec<u64>> {
    let moments = (0..4).flat_map(|n| [n * window, n * window + window / 2, n * window + 1]);
    let moments: Vec<u64> = moments.collect();
    let bursts = vec((select(moments), -2..3_i64, 1..80_usize), 30);
    let jitter = vec(0..=4 * window, 60);
    (bursts, jitter).prop_map(|(bursts, jitter)| {
        let bursts = bursts.into_iter().flat_map(|(at, offset, size)| {
            std::iter::repeat_n(at.saturating_add_signed(offset), size)
        });
        let mut tries: Vec<u64> = bursts.chain(jitter).collect();
        tries.sort_unstable();
        tries
    })
}

/// A limit, a window, and moments to try at.
fn any_timing() -> impl Strategy<Value = (usize, u64, Vec<u64>)> {
    let limit = prop_oneof![1..6_usize, 1..60_usize];
    let window = prop_oneof![1..20_u64, 1..100_000_u64];
    (limit, window).prop_flat_map(|(limit, window)| (Just(limit), Just(window), any_tries(window)))
}

proptest! {
    #![proptest_config(cases(128))]

    /// In no window are more than the limit admitted, however the attempts are timed, and none is refused while
    /// there are fewer.
    #[test]
    fn no_timing_gets_more_than_the_limit_into_a_window(
        (limit, window, tries) in any_timing(),
        subject in select(SUBJECTS.to_vec()),
    ) {
        let mut limiter = limiter_for(subject, limit, window);
        let request = request_for(subject);
        let mut admitted: Vec<u64> = Vec::new();
        for at in tries {
            let in_window = admitted.iter().filter(|t| **t + window > at).count();
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

    /// In no window are more different ones than the limit admitted, however they are timed and whoever of them
    /// comes back.
    #[test]
    fn no_timing_gets_more_different_ones_into_a_window(
        (limit, window, tries) in any_timing(),
        whom in vec(0..60_usize, 1..200),
        subject in select(vec![Subject::EmailsPerIp, Subject::IpsPerEmail]),
    ) {
        let mut limiter = limiter_for(subject, limit, window);
        let mut admitted: Vec<(u64, usize)> = Vec::new();
        for (at, who) in tries.into_iter().zip(whom.into_iter().cycle()) {
            let mut others: Vec<usize> = admitted
                .iter()
                .filter(|(t, _)| *t + window > at)
                .map(|(_, who)| *who)
                .collect();
            others.sort_unstable();
            others.dedup();
            let is_allowed = match subject {
                Subject::EmailsPerIp => check_text(&mut limiter, IPS[0], &email_number(who), NOW + at),
                _ => check_text(&mut limiter, &ip_number(who), EMAILS[0], NOW + at),
            };
            prop_assert_eq!(is_allowed, others.contains(&who) || others.len() < limit, "at {}", at);
            if is_allowed {
                admitted.push((at, who));
            }
        }
    }
}

/// A whole quota spent at one moment comes back whole at exactly one window later, and not a millisecond before.
#[test]
fn a_spent_quota_is_back_at_exactly_one_window() {
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
                    assert_eq!(spent[limit].retry_after.get(), window);
                    if window > 1 {
                        for verdict in verdicts_at(start + window - 1) {
                            assert_eq!((verdict.allowed, verdict.retry_after.get()), (false, 1));
                        }
                    }
                }
            }
        }
    }
}

// Many parties.

/// Email number n.
fn email_number(number: usize) -> String {
    format!("user{number}@x.org")
}

/// Address number n.
fn ip_number(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

/// Whether an attempt is admitted; it is counted if so.
fn check_text(limiter: &mut Limiter, ip: &str, email: &str, clock: u64) -> bool {
    let received = Received {
        ip: ip.as_bytes(),
        email: email.as_bytes(),
        device: None,
        cost: Cost::ONE,
    };
    let attempt = limiter.attempt(&received).unwrap();
    limiter
        .check(&attempt, time(clock), roomy(), |_| {})
        .allowed
}

/// One address tries 10000 emails, once each.
#[test]
fn spraying_reaches_no_more_emails_than_the_limit() {
    let mut limiter = limiter("EMAILS-PER-IP 15/5m");
    let admits = |number: &usize| {
        check_text(
            &mut limiter,
            IPS[0],
            &email_number(*number),
            NOW + *number as u64,
        )
    };
    assert_eq!((0..10_000).filter(admits).count(), 15);
    // Those it has tried it may try again, and the first one only makes room when it is not tried any more.
    assert!(check_text(
        &mut limiter,
        IPS[0],
        &email_number(0),
        NOW + 10_000
    ));
    assert!(!check_text(
        &mut limiter,
        IPS[0],
        &email_number(100),
        NOW + 300_000
    ));
    assert!(check_text(
        &mut limiter,
        IPS[0],
        &email_number(100),
        NOW + 300_001
    ));
    assert!(check_text(
        &mut limiter,
        IPS[2],
        &email_number(101),
        NOW + 10_000
    ));
}

/// 10000 addresses try one email, once each.
#[test]
fn one_email_is_reached_by_no_more_addresses_than_the_limit() {
    let mut limiter = limiter("IPS-PER-EMAIL 20/1h");
    let admits = |number: &usize| {
        check_text(
            &mut limiter,
            &ip_number(*number),
            EMAILS[0],
            NOW + *number as u64,
        )
    };
    assert_eq!((0..10_000).filter(admits).count(), 20);
    assert!(check_text(
        &mut limiter,
        &ip_number(19),
        EMAILS[0],
        NOW + 10_000
    ));
    assert!(check_text(
        &mut limiter,
        &ip_number(20),
        EMAILS[3],
        NOW + 10_000
    ));
}

/// However many addresses fill the email's rules, its owner gets in with a device, and only with one.
#[test]
fn strangers_do_not_shut_out_an_owner_with_a_device() {
    let words = "EMAIL 20/1h LOCK 1h..24h IPS-PER-EMAIL 10/1h DEVICE 5/1h";
    let mut limiter = limiter(words);
    for number in 0..100 {
        check_text(&mut limiter, &ip_number(number), EMAILS[0], NOW);
    }
    let owner = request(IPS[0], EMAILS[0]);
    let with_device = Request {
        device: Some("phone"),
        ..owner
    };
    assert!(!check(&mut limiter, owner, NOW).allowed);
    let verdict = check(&mut limiter, with_device, NOW);
    assert_eq!(
        (verdict.allowed, verdict.limit, verdict.remaining),
        (true, 5, 4)
    );
    // It is counted on the device alone, which has a limit of its own.
    let before = check(&mut limiter, owner, NOW);
    for _ in 0..4 {
        assert!(check(&mut limiter, with_device, NOW).allowed);
    }
    assert!(!check(&mut limiter, with_device, NOW).allowed);
    assert_eq!(check(&mut limiter, owner, NOW), before);
    assert_eq!(reset(&mut limiter, with_device, NOW), 5);
    assert!(check(&mut limiter, with_device, NOW).allowed);
    // A device of somebody else's is a device all the same, and another one has its own log.
    let other = Request {
        device: Some("laptop"),
        ..owner
    };
    assert_eq!(check(&mut limiter, other, NOW).remaining, 4);
}

/// Rules for devices that are only tried out let nobody past the others.
#[test]
fn a_device_rule_in_shadow_takes_no_rules_place() {
    let mut limiter = limiter("EMAIL 1/1h DEVICE 5/1h SHADOW");
    assert!(check(&mut limiter, by_device(), NOW).allowed);
    assert!(!check(&mut limiter, by_device(), NOW).allowed);
}

// Locks.

/// Hammering a pair that is shut makes nothing longer, drains nobody's quota and is replicated nowhere.
#[test]
fn hammering_a_locked_pair_changes_nothing() {
    let mut limiter = limiter("IP 50/15m EMAIL 20/1h PAIR 5/15m LOCK 30m..24h");
    let attacker = request(IPS[0], EMAILS[0]);
    for _ in 0..5 {
        assert!(check(&mut limiter, attacker, NOW).allowed);
    }
    let attempt = attempt(&limiter, &attacker).unwrap();
    let mut effects = 0;
    let mut hammer = |limiter: &mut Limiter, at: u64| {
        limiter.check(&attempt, time(at), roomy(), |_| effects += 1)
    };
    // The refusal that trips tells the lock's wait.
    let tripping = hammer(&mut limiter, NOW + 1_000);
    assert_eq!(
        (tripping.allowed, tripping.retry_after.get()),
        (false, 1_800_000)
    );
    let digest = limiter.digest();
    for n in 0..10_000 {
        let verdict = hammer(&mut limiter, NOW + 1_000 + n * 179);
        assert!(!verdict.allowed);
        assert_eq!(verdict.retry_after.get(), 1_800_000 - n * 179);
        assert_eq!(verdict.remaining, 0);
    }
    assert_eq!((effects, limiter.digest()), (1, digest));
    let owner = check(&mut limiter, request(IPS[2], EMAILS[0]), NOW + 2_000);
    assert_eq!((owner.allowed, owner.remaining), (true, 4));
    let opens = NOW + 1_000 + 1_800_000;
    assert!(!limiter.peek(&attempt, time(opens - 1)).allowed);
    let open = limiter.peek(&attempt, time(opens));
    assert_eq!((open.allowed, open.remaining), (true, 5));
}

/// After ten failures an account stays shut for 30 minutes whatever is tried, then opens with a whole quota.
#[test]
fn a_pci_account_stays_shut_for_half_an_hour() {
    let mut limiter = limiter("PRESET pci");
    let half_an_hour = 1_800_000;
    for n in 0..10 {
        assert!(check_text(
            &mut limiter,
            &ip_number(n),
            EMAILS[0],
            NOW + n as u64 * 60_000
        ));
    }
    let shut = NOW + 10 * 60_000;
    for n in 0..1_800_u64 {
        let at = shut + n * 1_000;
        assert!(!check_text(
            &mut limiter,
            &ip_number(n as usize),
            EMAILS[n as usize % 3],
            at
        ));
        reset(&mut limiter, request(IPS[0], EMAILS[0]), at);
    }
    let victim = attempt(&limiter, &request(IPS[0], EMAILS[0])).unwrap();
    assert!(!limiter.peek(&victim, time(shut + half_an_hour - 1)).allowed);
    let open = limiter.peek(&victim, time(shut + half_an_hour));
    assert_eq!((open.allowed, open.remaining, open.limit), (true, 10, 10));
}

/// Locks double with each strike up to the longest, and strikes are forgotten after as long a quiet as the last
/// lock lasted.
#[test]
fn each_strike_shuts_for_twice_as_long() {
    let mut limiter = limiter("PAIR 1/1s LOCK 10s..35s");
    let attacker = request(IPS[0], EMAILS[0]);
    let mut strike_at = |at: u64| {
        assert!(check(&mut limiter, attacker, at).allowed);
        check(&mut limiter, attacker, at).retry_after.get()
    };
    let mut at = NOW;
    for length in [10_000, 20_000, 35_000, 35_000] {
        assert_eq!(strike_at(at), length);
        at += length;
    }
    // A millisecond short of as long a quiet, and just as long a one.
    at += 34_999;
    assert_eq!(strike_at(at), 35_000);
    assert_eq!(strike_at(at + 35_000 + 35_000), 10_000);
}

// Live policy.

/// A limit lowered from 10 to 5 with 8 used refuses at once; raised back it admits two.
#[test]
fn a_lowered_limit_refuses_at_once_and_a_raised_one_gives_back_what_is_left() {
    for subject in SUBJECTS {
        let mut limiter = limiter_for(subject, 10, 3_600_000);
        let request = request_for(subject);
        for _ in 0..8 {
            assert!(check(&mut limiter, request, NOW).allowed);
        }
        let [wide, narrow] =
            [10, 5].map(|limit| limiter_for(subject, limit, 3_600_000).policy().clone());
        limiter.change_policy(narrow, time(NOW), |_| {});
        assert!(!check(&mut limiter, request, NOW).allowed);
        limiter.change_policy(wide, time(NOW), |_| {});
        let admitted = (0..5).filter(|_| check(&mut limiter, request, NOW).allowed);
        assert_eq!(admitted.count(), 2, "{subject:?}");
    }
}

// Forgiveness and the attacker's own account.

/// How many guesses are admitted of somebody who, after every second one, logs in to an account of their own.
fn guesses_admitted(words: &str, guesses: &[Request], own: Option<Request>) -> usize {
    let mut limiter = limiter(words);
    let mut admitted = 0;
    for (number, guess) in guesses.iter().cycle().take(200).enumerate() {
        let clock = NOW + number as u64;
        admitted += usize::from(check(&mut limiter, *guess, clock).allowed);
        if let Some(own) = own.filter(|_| number % 2 == 1)
            && check(&mut limiter, own, clock).allowed
        {
            assert_eq!(reset(&mut limiter, own, clock), 1);
        }
    }
    admitted
}

/// Logging in to one's own account between guesses buys no guess more, whichever rule it is that runs out, though
/// the own account be another spelling of the victim's, and however the victim's is spelled.
#[test]
fn ones_own_success_buys_no_guesses() {
    let ip = IPS[0];
    let plain = [request(ip, "victim@x.org")];
    let alternating = [request(ip, "victim@x.org"), request(ip, "VICTIM @x.org")];
    let owns = [
        request(ip, "own@x.org"),
        request(ip, "Victim@x.org"),
        request(IPS[1], "Victim@x.org"),
    ];
    for (words, limit) in [
        ("IP 20/15m", 20),
        ("IP 21/15m", 21),
        ("EMAIL 20/1h", 20),
        ("PAIR 5/15m", 5),
        ("IP 20/15m EMAIL 50/1h PAIR 30/15m", 20),
        ("IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m", 5),
    ] {
        for guesses in [&plain[..], &alternating[..]] {
            assert_eq!(guesses_admitted(words, guesses, None), limit, "{words}");
            for own in owns {
                assert_eq!(
                    guesses_admitted(words, guesses, Some(own)),
                    limit,
                    "{words} {own:?}"
                );
            }
        }
    }
}

/// A success forgives what the address has spent on the email, for every subject, and nothing of anybody else's.
#[test]
fn a_success_forgives_exactly_its_own_attempts() {
    let mut limiter = limiter("IP 10/1h EMAIL 10/1h PAIR 10/1h");
    let [own, other_email, other_address] =
        [(0, 0), (0, 3), (2, 0)].map(|(ip, email)| request(IPS[ip], EMAILS[email]));
    for request in [own, own, own, other_email, other_address] {
        assert!(check(&mut limiter, request, NOW).allowed);
    }
    assert_eq!(reset(&mut limiter, own, NOW), 3);
    assert_eq!(reset(&mut limiter, own, NOW), 0);
    assert_eq!(reset(&mut limiter, other_email, NOW), 1);
    assert_eq!(reset(&mut limiter, other_address, NOW), 1);
    let empty = Limiter::from_genesis(limiter.genesis()).unwrap();
    assert_eq!(limiter.digest(), empty.digest());
}

// The greatest limit.

/// The policy of the greatest limits there are.
const GREATEST: &str = "IP 100000/30d EMAIL 100000/1h PAIR 100000/15m";

/// One attempt of the greatest cost fills the greatest limit, is refunded, counted again, stored and forgiven.
#[test]
fn the_greatest_cost_is_counted_and_forgiven_whole() {
    let mut limiter = limiter(GREATEST);
    let greatest = Request {
        cost: Cost::MAX.get(),
        ..request(IPS[0], EMAILS[0])
    };
    for _ in 0..3 {
        let verdict = check(&mut limiter, greatest, NOW);
        assert_eq!((verdict.allowed, verdict.remaining), (true, 0));
        assert!(!check(&mut limiter, request(IPS[0], EMAILS[0]), NOW).allowed);
        let attempt = attempt(&limiter, &greatest).unwrap();
        assert_eq!(limiter.refund(&attempt, time(NOW), |_| {}), 100_000);
    }
    assert!(check(&mut limiter, greatest, NOW).allowed);
    let copy = restored(&limiter);
    assert_eq!(copy.digest(), limiter.digest());
    assert!(copy.chunks().count() > 3 * 12);
    assert_eq!(reset(&mut limiter, greatest, NOW), 100_000);
}

/// A full log takes no longer for the next attempt than an empty one, and no more memory than its limit needs.
#[test]
fn a_long_log_costs_no_more_than_its_limit() {
    let mut limiter = limiter("IP 100000/100000ms");
    let single = request(IPS[0], EMAILS[0]);
    for at in 0..250_000 {
        let verdict = check(&mut limiter, single, NOW + at);
        assert!(verdict.allowed);
        assert_eq!(verdict.remaining == 0, at >= 99_999);
    }
    assert!(!check(&mut limiter, single, NOW + 249_999).allowed);
    assert!(limiter.bytes() < 100_000 * 8 * 5 / 4);
    assert_eq!(reset(&mut limiter, single, NOW + 249_999), 100_000);
}
