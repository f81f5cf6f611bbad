//! What the tests of the engine share beside the model.

use super::Request;
use super::policies::policy;
use super::run::{attempt, roomy, secret, time};
use super::steps::{Case, all_requests};
use authlimit::format::CHUNK_BYTES;
use authlimit::limiter::{Limiter, Verdict};
use authlimit::policy::{Policy, Rule};
use authlimit::table::AttemptEntry;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};

/// In our days.
pub(crate) const NOW: u64 = 1_700_000_000_000;

/// `cases` random cases, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => default.cases,
            None => cases,
        },
        // A failure prints its whole case; there is no folder to keep such cases in.
        failure_persistence: None,
        // Proptest cannot shrink what depends on a random policy; `hold` does.
        max_shrink_iters: 0,
        ..default
    }
}

/// A request of cost 1, by no device.
pub(crate) fn request(ip: &'static str, email: &'static str) -> Request {
    Request { ip, email, device: None, cost: 1 }
}

/// A limiter with the policy of these words.
pub(crate) fn limiter(words: &str) -> Limiter {
    Limiter::new(policy(words), secret())
}

/// The verdict on an attempt that is counted if it is admitted.
pub(crate) fn check(limiter: &mut Limiter, request: Request, clock: u64) -> Verdict {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.check(&attempt, time(clock), roomy(), |_| {})
}

/// How many attempts a success forgives.
pub(crate) fn reset(limiter: &mut Limiter, request: Request, clock: u64) -> usize {
    let attempt = attempt(limiter, &request).unwrap();
    limiter.reset(&attempt, time(clock), |_| {})
}

/// The verdicts that PEEK gives on every request there is.
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

/// A limiter of what `original` stores.
pub(crate) fn restored(original: &Limiter) -> Limiter {
    let mut copy = Limiter::from_metadata(original.metadata()).unwrap();
    for (part, chunk) in original.chunks() {
        assert!(chunk.len() <= CHUNK_BYTES);
        copy.load_chunk(part, &chunk).unwrap();
    }
    copy
}

/// Tries `property` on a case. If it fails, the error tells of the smallest case found by leaving steps and rules
/// out for which it still does.
pub(crate) fn hold(case: Case, property: impl Fn(&Case) -> Result<(), TestCaseError>) -> Result<(), TestCaseError> {
    let Err(mut error) = property(&case) else {
        return Ok(());
    };
    let mut smallest = case;
    loop {
        let smaller = smaller_cases(&smallest).find_map(|case| Some((property(&case).err()?, case)));
        match smaller {
            Some((its_error, case)) => (error, smallest) = (its_error, case),
            None => {
                return Err(TestCaseError::fail(format!("{error}\nof the case:\n{smallest:?}")));
            }
        }
    }
}

/// The case without some run of its steps, longest runs first, then the case without one of its rules.
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

/// How many bytes a mark takes in the logs of table number `table`: a stamp, and where different ones are counted
/// the other party's id after it.
pub(crate) fn mark_bytes(limiter: &Limiter, table: u8) -> usize {
    let usage = limiter.usage().nth(usize::from(table)).expect("a table");
    if usage.kind.subject.is_distinct_count() { 16 } else { 8 }
}

/// The records of a chunk of logs that the engine has written, by id and stamps.
pub(crate) fn records(mut chunk: &[u8], mark_bytes: usize) -> Vec<(u64, Vec<AttemptEntry>)> {
    let mut records = Vec::new();
    while let Some((id, rest)) = chunk.split_first_chunk() {
        let (count, rest) = rest.split_first_chunk().unwrap();
        let (marks, rest) = rest.split_at(mark_bytes * u32::from_le_bytes(*count) as usize);
        let stamps = marks.chunks(mark_bytes).map(|mark| {
            let stamp = mark.first_chunk().expect("a mark begins with its stamp");
            AttemptEntry::from_raw(u64::from_le_bytes(*stamp)).unwrap()
        });
        records.push((u64::from_le_bytes(*id), stamps.collect()));
        chunk = rest;
    }
    records
}
