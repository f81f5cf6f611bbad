//! The engine against a naive model, against its own replicas, against attackers, and against hostile bytes.
//!
//! `PROPTEST_CASES` sets how many random cases each property is tried with; by default few enough for every build.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, in its helper functions too"
)]

mod model;

use authlimit::limiter::{CHUNK_BYTES, ChunkError, Cost, Limiter, Part, Stamp, Timestamp, Verdict};
use authlimit::policy::{Capacity, Millis, Policy};
use model::steps::{
    Answer, EMAILS, EPOCHS, IPS, SUBJECTS, Step, all_requests, any_case, any_command, any_policy,
    any_request, any_set_back, any_wait, attempt, policy, secret, time,
};
use model::{Model, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::HashMap;

/// In our days.
const NOW: u64 = 1_700_000_000_000;

/// Room for more identities than any test has.
fn roomy() -> Capacity {
    Capacity::nearest(u32::MAX)
}

/// `cases` random cases, or as many as `PROPTEST_CASES` says.
fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => default.cases,
            None => cases,
        },
        // A failure prints its whole case; there is no folder to keep such cases in.
        failure_persistence: None,
        ..default
    }
}

/// A request of cost 1.
fn request(ip: &'static str, email: &'static str) -> Request {
    Request {
        ip,
        email,
        cost: 1,
        device: None,
    }
}

/// A limiter with the policy of these words.
fn limiter(words: &str) -> Limiter {
    Limiter::new(policy(words), secret())
}

/// The verdict on an attempt that is counted if it is admitted.
fn check(limiter: &mut Limiter, request: Request, clock: u64) -> Verdict {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.check(&attempt, time(clock), roomy(), |_| {})
}

/// How many attempts a success forgives.
fn reset(limiter: &mut Limiter, request: Request, clock: u64) -> usize {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.reset(&attempt, time(clock), |_| {})
}

/// The verdicts that PEEK gives on every request there is.
fn peeks(limiter: &Limiter, clock: u64) -> Vec<Option<Verdict>> {
    let verdict = |request| {
        let attempt = attempt(limiter, &request)?;
        Some(limiter.peek(&attempt, time(clock)))
    };
    all_requests().map(verdict).collect()
}

/// The longest window of any rule.
fn longest_window(policy: &Policy) -> u64 {
    let lengths = policy.rules().iter().map(|rule| rule.window().length());
    lengths.max().unwrap().get()
}

/// A limiter of what `original` stores.
fn restored(original: &Limiter) -> Limiter {
    let mut copy = Limiter::from_genesis(original.genesis()).unwrap();
    for (part, chunk) in original.chunks() {
        assert!(chunk.len() <= CHUNK_BYTES);
        copy.load_chunk(part, &chunk).unwrap();
    }
    copy
}

// The model.

/// Tags are hashes of 22 bits: were two of the tests' own alike, the engine would be right to differ from the model.
#[test]
fn the_tests_identities_have_tags_of_their_own() {
    for words in ["PAIR 1/1s", "PAIR 1/1s IPV6-PREFIX 48"] {
        let limiter = limiter(words);
        let mut seen = HashMap::new();
        for request in all_requests().filter(|request| !request.ip.is_empty()) {
            let Some(attempt) = attempt(&limiter, &request) else {
                continue;
            };
            let who = (attempt.party.address, request.email);
            assert_eq!(*seen.entry(attempt.party.tag).or_insert(who), who);
        }
        assert!(seen.len() >= 3 * (EMAILS.len() - 1));
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// Every answer is the model's, and so is every total.
    #[test]
    fn every_verdict_and_count_is_the_models(
        (policy, steps) in any_case(),
        epoch in select(EPOCHS.to_vec()),
    ) {
        let mut limiter = Limiter::new(policy.clone(), secret());
        let mut model = Model::new(policy);
        let mut clock = epoch;
        for (number, step) in steps.iter().enumerate() {
            clock = step.clock_after(clock, &model);
            let answer = step.ask(&mut limiter, clock, |_| {});
            prop_assert_eq!(answer, step.ask_model(&mut model, clock), "step {} at {}", number, clock);
        }
        prop_assert_eq!(limiter.totals(), model.totals());
        for request in all_requests() {
            let verdict = attempt(&limiter, &request).map(|attempt| limiter.peek(&attempt, time(clock)));
            prop_assert_eq!(verdict, model.peek(&request, clock), "{:?} in the end", request);
        }
    }

    /// A refused attempt that comes back after just the time it was told is admitted, and a millisecond before not.
    #[test]
    fn the_wait_that_is_told_is_the_wait(
        policy in any_policy(),
        steps in vec(prop_oneof![4 => any_command(), 1 => any_wait()], 200..300),
    ) {
        let mut limiter = Limiter::new(policy.clone(), secret());
        let mut model = Model::new(policy);
        let mut clock = NOW;
        for step in &steps {
            clock = step.clock_after(clock, &model);
            let answer = step.ask(&mut limiter, clock, |_| {});
            step.ask_model(&mut model, clock);
            if let (Step::Check(request), Answer::Verdict(verdict)) = (step, answer) {
                let again = attempt(&limiter, request).unwrap();
                let opens = clock + verdict.retry_after.get();
                prop_assert!(limiter.peek(&again, time(opens)).allowed);
                prop_assert!(opens == clock || !limiter.peek(&again, time(opens - 1)).allowed);
                prop_assert!(verdict.allowed || verdict.retry_after > Millis::ZERO);
            }
        }
    }
}

// Clocks that are set back.

proptest! {
    #![proptest_config(cases(40))]

    /// However a clock is set back, what is admitted would be admitted by a clock that was not, so no attempt has
    /// left early; and once a command has seen the clock, no attempt stays longer than its window and a second.
    #[test]
    fn a_clock_set_back_lets_nothing_out_early_and_locks_nobody_in(
        policy in any_policy(),
        steps in vec(prop_oneof![40 => any_command(), 10 => any_wait(), 2 => any_set_back()], 200..300),
    ) {
        let mut limiter = Limiter::new(policy.clone(), secret());
        // A model of a clock that shows the time that has really passed.
        let mut steady = Model::new(policy.clone());
        let (mut clock, mut elapsed) = (NOW, NOW);
        for step in &steps {
            if let Step::SetBack(_) = step {
                clock = step.clock_after(clock, &steady);
                continue;
            }
            let passed = step.clock_after(elapsed, &steady) - elapsed;
            clock += passed;
            elapsed += passed;
            match (step, step.ask(&mut limiter, clock, |_| {})) {
                (Step::Check(request), Answer::Verdict(verdict)) if verdict.allowed => {
                    prop_assert!(steady.check(request, elapsed).unwrap().allowed, "{request:?} left early");
                }
                (Step::Check(request), Answer::Verdict(verdict)) => {
                    let opens = clock + verdict.retry_after.get() + 1_000;
                    let again = attempt(&limiter, request).unwrap();
                    prop_assert!(limiter.peek(&again, time(opens)).allowed, "{request:?} is locked in");
                }
                (Step::Reset(_) | Step::Refund(_), _) => {
                    step.ask_model(&mut steady, elapsed);
                }
                _ => {}
            }
        }
        let stranger = attempt(&limiter, &request("192.0.2.1", "stranger@x.org")).unwrap();
        limiter.reset(&stranger, time(clock), |_| {});
        let later = clock + longest_window(&policy) + 1_000;
        for verdict in peeks(&limiter, later).into_iter().flatten() {
            prop_assert!(verdict.allowed);
            prop_assert_eq!((verdict.remaining, verdict.reset), (verdict.limit, Millis::ZERO));
        }
    }
}

// Replicas and stored copies.

proptest! {
    #![proptest_config(cases(16))]

    /// A replica that is sent the effects is as its primary after every step, and so is one that is made of what
    /// the primary stores at any moment and goes on from there.
    #[test]
    fn replicas_and_stored_copies_are_as_their_primary(
        (policy, steps) in any_case(),
        epoch in select(EPOCHS.to_vec()),
        restores in vec(any::<Index>(), 4),
    ) {
        let mut primary = Limiter::new(policy.clone(), secret());
        let mut replica = Limiter::from_genesis(primary.genesis()).unwrap();
        let mut model = Model::new(policy);
        let mut clock = epoch;
        let restores: Vec<usize> = restores.iter().map(|index| index.index(steps.len())).collect();
        for (number, step) in steps.iter().enumerate() {
            if restores.contains(&number) {
                replica = restored(&primary);
                prop_assert_eq!(replica.digest(), primary.digest(), "restored before step {}", number);
            }
            clock = step.clock_after(clock, &model);
            let before = primary.digest();
            let mut effects = Vec::new();
            step.ask(&mut primary, clock, |effect| effects.push(effect.clone()));
            step.ask_model(&mut model, clock);
            prop_assert_eq!(effects.is_empty(), primary.digest() == before, "step {}", number);
            for effect in effects {
                replica.apply(effect);
            }
            prop_assert_eq!(replica.digest(), primary.digest(), "step {}", number);
            prop_assert_eq!(peeks(&replica, clock), peeks(&primary, clock), "step {}", number);
        }
    }
}

/// What no longer counts is not stored, though it may still be in memory.
#[test]
fn only_what_still_counts_is_stored() {
    let mut limiter = limiter("IP 5/1s EMAIL 5/1h");
    for (ip, at) in [(IPS[0], 0), (IPS[2], 1), (IPS[3], 1_000)] {
        assert!(check(&mut limiter, request(ip, EMAILS[0]), NOW + at).allowed);
    }
    let stored = |table| {
        let chunks = limiter
            .chunks()
            .filter(move |(of, _)| *of == Part::Logs(table));
        let stamps = chunks.flat_map(|(_, chunk)| records(&chunk));
        stamps.map(|(_, stamps)| stamps.len()).sum::<usize>()
    };
    assert_eq!((stored(0), stored(1)), (2, 3));
}

// Adversaries.

/// When the attempts are admitted of somebody who tries at all these times, which are in order.
fn admitted(limiter: &mut Limiter, tries: &[u64]) -> Vec<u64> {
    let admits = |at: &&u64| check(limiter, request(IPS[0], EMAILS[0]), NOW + **at).allowed;
    tries.iter().filter(admits).copied().collect()
}

proptest! {
    #![proptest_config(cases(128))]

    /// In no window are more than the limit admitted, however the attempts are timed, and none is refused while
    /// there are fewer.
    #[test]
    fn no_timing_gets_more_than_the_limit_into_a_window(
        limit in prop_oneof![1..6_usize, 1..60_usize],
        window in prop_oneof![1..20_u64, 1..100_000_u64],
        subject in select(SUBJECTS.to_vec()),
        bursts in vec((any::<Index>(), -2..3_i64, 1..80_usize), 30),
        jitter in vec(any::<Index>(), 60),
    ) {
        let mut limiter = limiter(&format!("{} {limit}/{window}ms", subject.word()));
        // Bursts about the moments at which the attempts before leave, and single tries anywhere.
        let moments: Vec<u64> = (0..4).flat_map(|n| [n * window, n * window + window / 2, n * window + 1]).collect();
        let mut tries: Vec<u64> = bursts
            .iter()
            .flat_map(|(which, offset, size)| {
                let at = which.get(&moments).saturating_add_signed(*offset);
                std::iter::repeat_n(at, *size)
            })
            .chain(jitter.iter().map(|at| at.index(4 * window as usize + 1) as u64))
            .collect();
        tries.sort_unstable();
        let admitted = admitted(&mut limiter, &tries);
        for more_than_limit in admitted.windows(limit + 1) {
            prop_assert!(more_than_limit[limit] - more_than_limit[0] >= window);
        }
        for at in tries {
            let in_window = admitted.iter().filter(|t| **t <= at && **t + window > at).count();
            let tried_and_refused = !admitted.contains(&at);
            prop_assert!(!tried_and_refused || in_window == limit, "refused at {}", at);
        }
    }
}

/// A whole quota spent at one moment comes back whole at exactly one window later, and not a millisecond before.
#[test]
fn a_spent_quota_is_back_at_exactly_one_window() {
    for limit in [1, 2, 3, 5, 10, 100] {
        for window in [1, 2, 10, 999, 60_000, 2_592_000_000] {
            for subject in SUBJECTS {
                let mut limiter = limiter(&format!("{} {limit}/{window}ms", subject.word()));
                let mut verdicts_at = |at: u64| {
                    let verdicts =
                        (0..2 * limit).map(|_| check(&mut limiter, request(IPS[0], EMAILS[0]), at));
                    verdicts.collect::<Vec<_>>()
                };
                for round in 0..3 {
                    let start = NOW + round * window;
                    let spent = verdicts_at(start);
                    assert_eq!(
                        spent.iter().filter(|verdict| verdict.allowed).count(),
                        limit
                    );
                    assert!(spent[..limit].iter().all(|verdict| verdict.allowed));
                    assert_eq!(spent[limit].retry_after.get(), window);
                    let just_before = verdicts_at(start + window - 1);
                    if window > 1 {
                        assert!(just_before.iter().all(|verdict| !verdict.allowed));
                        assert!(
                            just_before
                                .iter()
                                .all(|verdict| verdict.retry_after.get() == 1)
                        );
                    }
                }
            }
        }
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

// Hostile bytes.

/// One thing done to the bytes of a chunk.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Overwrite(Index, [u8; 8]),
    Cut(Index),
    Repeat(Index, Index),
    Insert(Index, u8),
}

/// Any damage.
fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        2 => (any::<Index>(), any::<[u8; 8]>()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
    ]
}

impl Damage {
    /// Does it to `bytes`.
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        match self {
            Self::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Self::Overwrite(at, with) => {
                let at = at.index(len);
                let room = with.len().min(len - at);
                bytes[at..at + room].copy_from_slice(&with[..room]);
            }
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        }
    }
}

/// A record of a chunk: an id and its stamps.
fn record(id: u64, stamps: &[u64]) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((stamps.len() as u32).to_le_bytes());
    bytes.extend(stamps.iter().flat_map(|stamp| stamp.to_le_bytes()));
    bytes
}

/// The records of a chunk that the engine has written.
fn records(mut chunk: &[u8]) -> Vec<(u64, Vec<Stamp>)> {
    let mut records = Vec::new();
    while let Some((id, rest)) = chunk.split_first_chunk() {
        let (count, rest) = rest.split_first_chunk().unwrap();
        let (stamps, rest) = rest.split_at(8 * u32::from_le_bytes(*count) as usize);
        let stamps = stamps.as_chunks::<8>().0.iter();
        let stamps = stamps.map(|bytes| Stamp::from_raw(u64::from_le_bytes(*bytes)).unwrap());
        records.push((u64::from_le_bytes(*id), stamps.collect()));
        chunk = rest;
    }
    records
}

/// The table whose logs a chunk has.
fn table_of(part: Part) -> u8 {
    match part {
        Part::Logs(table) => table,
        other => panic!("{other:?} has no logs"),
    }
}

/// That the logs of `limiter` are in order, end by its newest time, and each belong to one identity.
fn assert_sane(limiter: &Limiter) {
    let newest = limiter.genesis().newest;
    let mut logs: HashMap<(u8, u64), Vec<Timestamp>> = HashMap::new();
    for (part, chunk) in limiter.chunks() {
        for (id, stamps) in records(&chunk) {
            assert!(!stamps.is_empty());
            logs.entry((table_of(part), id))
                .or_default()
                .extend(stamps.iter().map(|stamp| stamp.at()));
        }
    }
    for times in logs.values() {
        assert!(times.is_sorted() && *times.last().unwrap() <= newest);
    }
    for (index, usage) in (0..).zip(limiter.usage()) {
        let identities = logs.keys().filter(|(table, _)| *table == index).count();
        assert!(usage.identities >= identities);
    }
}

/// A limiter that has counted these attempts, each so many milliseconds after the one before.
fn limiter_of(attempts: &[(Request, u64)]) -> Limiter {
    let mut limiter = limiter("IP 30/1h EMAIL 30/1h PAIR 30/1h");
    let mut clock = NOW;
    for (request, gap) in attempts {
        clock += gap;
        if let Some(attempt) = attempt(&limiter, request) {
            limiter.check(&attempt, time(clock), roomy(), |_| {});
        }
    }
    limiter
}

/// That `bytes` load or are refused, and that a limiter which loaded them works as one that never was damaged.
fn load(original: &Limiter, part: Part, bytes: &[u8]) -> Result<(), ChunkError> {
    let mut limiter = Limiter::from_genesis(original.genesis()).unwrap();
    limiter.load_chunk(part, bytes)?;
    assert_sane(&limiter);
    assert_eq!(restored(&limiter).digest(), limiter.digest());
    for request in all_requests() {
        if let Some(attempt) = attempt(&limiter, &request) {
            limiter.check(&attempt, time(NOW + 1_000), roomy(), |_| {});
            limiter.reset(&attempt, time(NOW + 2_000), |_| {});
        }
    }
    assert_sane(&limiter);
    assert_eq!(restored(&limiter).digest(), limiter.digest());
    Ok(())
}

proptest! {
    #![proptest_config(cases(64))]

    /// Damaged chunks load or are refused, and never leave a limiter in disorder.
    #[test]
    fn damaged_chunks_load_in_order_or_are_refused(
        attempts in vec((any_request(), 0..100_u64), 1..60),
        damages in vec(vec(any_damage(), 1..6), 8),
    ) {
        let limiter = limiter_of(&attempts);
        for (part, chunk) in limiter.chunks() {
            load(&limiter, part, &chunk).unwrap();
            for damage in &damages {
                let mut bytes = chunk.clone();
                damage.iter().for_each(|damage| damage.apply(&mut bytes));
                let _ = load(&limiter, part, &bytes);
            }
        }
    }

    /// So do random bytes.
    #[test]
    fn random_bytes_load_in_order_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = load(&limiter_of(&[]), Part::Logs(0), &bytes);
    }

    /// A chunk that ends early is refused, except between two records.
    #[test]
    fn a_chunk_cut_within_a_record_is_refused(attempts in vec((any_request(), 0..100_u64), 1..30)) {
        let limiter = limiter_of(&attempts);
        for (part, chunk) in limiter.chunks() {
            let mut ends = vec![0];
            for (_, stamps) in records(&chunk) {
                ends.push(ends[ends.len() - 1] + 12 + 8 * stamps.len());
            }
            for end in 0..=chunk.len() {
                let expected = if ends.contains(&end) { Ok(()) } else { Err(ChunkError::Truncated) };
                let mut empty = Limiter::from_genesis(limiter.genesis()).unwrap();
                prop_assert_eq!(empty.load_chunk(part, &chunk[..end]), expected);
            }
        }
    }
}

/// Each way of lying has its error.
#[test]
fn forged_chunks_are_refused_for_their_own_reason() {
    let limiter = limiter_of(&[(request(IPS[0], EMAILS[0]), 0)]);
    let stamp = |at: u64| at << 22;
    let forged = |chunk: Vec<u8>| load(&limiter, Part::Logs(0), &chunk);
    assert_eq!(forged(record(1, &[stamp(NOW)])), Ok(()));
    assert_eq!(forged(record(1, &[])), Err(ChunkError::EmptyLog));
    assert_eq!(forged(record(1, &[7])), Err(ChunkError::NoTime));
    assert_eq!(
        forged(record(1, &[stamp(NOW + 1)])),
        Err(ChunkError::FromTheFuture)
    );
    assert_eq!(
        forged(record(1, &[stamp(NOW), stamp(NOW - 1)])),
        Err(ChunkError::OutOfOrder)
    );
    let twice = [record(1, &[stamp(NOW)]), record(1, &[stamp(NOW - 1)])].concat();
    assert_eq!(forged(twice), Err(ChunkError::OutOfOrder));
    let crowd = (0..20_000_u64)
        .flat_map(|id| record(id << 20, &[stamp(NOW)]))
        .collect();
    assert_eq!(forged(crowd), Err(ChunkError::Skewed));
    let mut claims_too_many = record(1, &[stamp(NOW)]);
    claims_too_many[8..12].fill(0xff);
    assert_eq!(forged(claims_too_many), Err(ChunkError::Truncated));
    let mut no_pairs = limiter_without_pairs();
    let foreign = no_pairs.load_chunk(Part::Logs(2), &record(1, &[stamp(NOW)]));
    assert_eq!(foreign, Err(ChunkError::ForeignTable));
}

/// A limiter whose policy has no PAIR.
fn limiter_without_pairs() -> Limiter {
    limiter("IP 1/1s EMAIL 1/1s")
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
