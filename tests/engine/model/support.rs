//! Helpers that the tests of the engine share.

use super::Request;
use super::policies::policy;
use super::run::{attempt, large_capacity, secret, time};
use super::steps::{Case, all_requests};
use authlimit::format::CHUNK_BYTES;
use authlimit::limiter::{Limiter, Verdict};
use authlimit::policy::{Policy, Rule};
use authlimit::table::AttemptEntry;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};

/// A recent time.
pub(crate) const NOW: u64 = 1_700_000_000_000;

/// `cases` random cases, or the number in `PROPTEST_CASES`.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => default.cases,
            None => cases,
        },
        // A failure prints its whole case, so no file is needed.
        failure_persistence: None,
        // Proptest cannot shrink steps that depend on a random policy; `check_property` does.
        max_shrink_iters: 0,
        ..default
    }
}

/// A request of cost 1 without a device.
pub(crate) fn request(ip: &'static str, email: &'static str) -> Request {
    Request { ip, email, device: None, cost: 1 }
}

/// A limiter with this policy.
pub(crate) fn limiter(words: &str) -> Limiter {
    Limiter::new(policy(words), secret())
}

/// Checks an attempt and returns the verdict.
pub(crate) fn check(limiter: &mut Limiter, request: Request, clock: u64) -> Verdict {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.check(&attempt, time(clock), large_capacity(), |_| {})
}

/// Resets a request and returns how many attempts were forgiven.
pub(crate) fn reset(limiter: &mut Limiter, request: Request, clock: u64) -> usize {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.reset(&attempt, time(clock), |_| {})
}

/// The verdict of PEEK for each of `all_requests`.
pub(crate) fn peeks(limiter: &Limiter, clock: u64) -> Vec<Option<Verdict>> {
    let verdict = |request| {
        let attempt = attempt(limiter, &request)?;
        Some(limiter.peek(&attempt, time(clock)))
    };
    all_requests().map(verdict).collect()
}

/// The longest window or lock of any rule.
pub(crate) fn longest_time(policy: &Policy) -> u64 {
    let rules = policy.rules().iter();
    let times = rules.flat_map(|rule| {
        let lock = rule.lock().map(|lock| lock.longest());
        [Some(rule.window().length()), lock]
    });
    times.flatten().max().unwrap().get()
}

/// A copy of a limiter, loaded from what `original` stores.
pub(crate) fn restored(original: &Limiter) -> Limiter {
    let mut copy = Limiter::from_metadata(original.metadata()).unwrap();
    for (part, chunk) in original.chunks() {
        assert!(chunk.len() <= CHUNK_BYTES);
        copy.load_chunk(part, &chunk).unwrap();
    }
    copy
}

/// Checks `property` for a case. If it fails, the error shows the smallest failing case found by removing steps and
/// rules.
pub(crate) fn check_property(
    case: Case,
    property: impl Fn(&Case) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let Err(mut error) = property(&case) else {
        return Ok(());
    };
    let mut smallest = case;
    loop {
        let smaller = smaller_cases(&smallest).find_map(|case| Some((property(&case).err()?, case)));
        match smaller {
            Some((its_error, case)) => (error, smallest) = (its_error, case),
            None => {
                return Err(TestCaseError::fail(format!("{error}\nin the case:\n{smallest:?}")));
            }
        }
    }
}

/// The case without a run of its steps, longest runs first, then without one of its rules.
fn smaller_cases(case: &Case) -> impl Iterator<Item = Case> {
    let len = case.steps.len();
    let lengths = std::iter::successors(Some(len), |length| Some(length / 2));
    let runs = lengths
        .take_while(|length| *length > 0)
        .flat_map(move |length| (0..len).step_by(length).map(move |start| (start, length)));
    let fewer_steps = runs.map(move |(start, length)| {
        let mut fewer = case.clone();
        fewer.steps.drain(start..len.min(start + length));
        fewer
    });
    let rules = case.policy.rules().iter();
    let words: Vec<&str> = rules.map(Rule::words).collect();
    let all = case.policy.to_string();
    let options = all.trim_start_matches(&words.join(" ")).to_owned();
    let fewer_rules = (0..words.len()).filter_map(move |index| {
        let mut fewer = words.clone();
        fewer.remove(index);
        let policy = Policy::from_text(&(fewer.join(" ") + &options)).ok()?;
        let steps = case.steps.clone();
        Some(Case { policy, steps })
    });
    fewer_steps.chain(fewer_rules)
}

/// The bytes of a log entry in table number `table`: 8, or 24 where distinct identities are counted, with the id of
/// the counted IP or email last.
pub(crate) fn entry_bytes(limiter: &Limiter, table: u8) -> usize {
    let usage = limiter.usage().nth(usize::from(table)).expect("a table");
    if usage.kind.subject.is_distinct_count() { 24 } else { 8 }
}

/// The records of a chunk of logs written by the engine: each id with its entries.
pub(crate) fn records(mut chunk: &[u8], entry_bytes: usize) -> Vec<(u64, Vec<AttemptEntry>)> {
    let mut records = Vec::new();
    while let Some((id, rest)) = chunk.split_first_chunk() {
        let (count, rest) = rest.split_first_chunk().unwrap();
        let (bytes, rest) = rest.split_at(entry_bytes * u32::from_le_bytes(*count) as usize);
        let entries = bytes.chunks(entry_bytes).map(|entry| {
            let attempt = entry.first_chunk().expect("an entry starts with its attempt");
            AttemptEntry::from_raw(u64::from_le_bytes(*attempt)).unwrap()
        });
        records.push((u64::from_le_bytes(*id), entries.collect()));
        chunk = rest;
    }
    records
}
