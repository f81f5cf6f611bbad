//! Random policies and random steps for a limiter, and how the engine and the model take a step.

use super::{Model, Request};
use authlimit::identity::Secret;
use authlimit::limiter::{Attempt, Cost, Effect, Limiter, Received, Timestamp, Verdict};
use authlimit::policy::{Capacity, Policy, Subject};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Few addresses, some of them spellings of one, so that attempts collide. The two of IPv6 are one under /48.
pub(crate) const IPS: [&str; 7] = [
    "203.0.113.7",
    "::ffff:203.0.113.7",
    "203.0.113.8",
    "2001:db8:0:1::1",
    "2001:db8:0:1::2",
    "2001:db8:0:2::1",
    "",
];

/// Few emails, most of them spellings of one; the last but one has a plus-tag.
pub(crate) const EMAILS: [&str; 7] = [
    "victim@x.org",
    "Victim@x.org",
    "VICTIM @x.org",
    "own@x.org",
    "Own@X.org",
    "victim+tag@x.org",
    "",
];

/// The subjects.
pub(crate) const SUBJECTS: [Subject; 3] = [Subject::Ip, Subject::Email, Subject::Pair];

/// Short and long windows, two of them equal in length and not in words.
const WINDOWS: [&str; 10] = [
    "1ms", "7ms", "100ms", "999ms", "1500ms", "1m", "60s", "15m", "1h", "30d",
];

/// Where clocks begin: hardly above the earliest time there is, and in our days.
pub(crate) const EPOCHS: [u64; 2] = [1, 1_700_000_000_000];

/// One thing that happens to a limiter.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Check(Request),
    Peek(Request),
    Reset(Request),
    Refund(Request),
    ChangePolicy(Policy),
    /// The clock goes forward by some milliseconds.
    Wait(u64),
    /// The clock goes forward to some milliseconds before or after a moment at which an attempt leaves a window;
    /// the number picks the moment, 0 being the next.
    WaitForDeparture(usize, i64),
    /// The clock is set back by some milliseconds.
    SetBack(u64),
}

/// What a limiter answers to a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Answer {
    Verdict(Verdict),
    Count(usize),
    /// The request was an error.
    Error,
    /// The step asked nothing.
    Nothing,
}

/// The secret of every limiter in these tests.
pub(crate) fn secret() -> Secret {
    Secret::from_bytes(*b"a secret of test")
}

/// The policy of these words.
pub(crate) fn policy(words: &str) -> Policy {
    Policy::from_text(words).expect("the tests' policies are policies")
}

/// The point in time.
pub(crate) fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).expect("the tests' times are times")
}

/// What the engine makes of a request; `None` if it is an error.
pub(crate) fn attempt(limiter: &Limiter, request: &Request) -> Option<Attempt> {
    let cost = Cost::new(request.cost).expect("the tests' costs are costs");
    let (ip, email) = (request.ip.as_bytes(), request.email.as_bytes());
    let device = request.device.map(str::as_bytes);
    limiter
        .attempt(&Received {
            ip,
            email,
            device,
            cost,
        })
        .ok()
}

/// Every request of cost 1 that can be made of the tests' addresses and emails.
pub(crate) fn all_requests() -> impl Iterator<Item = Request> {
    let pairs = IPS
        .into_iter()
        .flat_map(|ip| EMAILS.map(|email| (ip, email)));
    pairs.map(|(ip, email)| Request {
        ip,
        email,
        cost: 1,
        device: None,
    })
}

/// A rule in words.
fn any_rule() -> impl Strategy<Value = String> {
    let subject = select(SUBJECTS.to_vec());
    let limit = prop_oneof![2 => 1..9_u32, 1 => 1..31_u32];
    (subject, limit, select(WINDOWS.to_vec()))
        .prop_map(|(subject, limit, window)| format!("{} {limit}/{window}", subject.word()))
}

/// Options in words.
fn any_options() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(""),
        1 => Just("PLUS-TAGS strip"),
        1 => Just("IPV6-PREFIX 48"),
    ]
}

/// Three policies of one to five rules, some of which they share.
fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    proptest::collection::btree_set(any_rule(), 6).prop_flat_map(|rules| {
        let rules: Vec<String> = rules.into_iter().collect();
        let some_rules = subsequence(rules, 1..6).prop_shuffle();
        let policy = (some_rules, any_options())
            .prop_map(|(rules, options)| policy(&format!("{} {options}", rules.join(" "))));
        proptest::collection::vec(policy, 3)
    })
}

/// One policy.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    any_policies().prop_map(|policies| policies[0].clone())
}

/// A request, most often by one address on one email, now and then without one of them.
pub(crate) fn any_request() -> impl Strategy<Value = Request> {
    let ip = prop_oneof![
        40 => select(IPS[..2].to_vec()),
        20 => select(IPS[2..6].to_vec()),
        1 => Just(""),
    ];
    let email = prop_oneof![
        40 => select(EMAILS[..2].to_vec()),
        20 => select(EMAILS[2..6].to_vec()),
        1 => Just(""),
    ];
    let cost = prop_oneof![30 => Just(1), 4 => 2..5_u32, 1 => 1..32_u32];
    (ip, email, cost).prop_map(|(ip, email, cost)| Request {
        ip,
        email,
        cost,
        device: None,
    })
}

/// A command that asks or forgives.
pub(crate) fn any_command() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => any_request().prop_map(Step::Check),
        2 => any_request().prop_map(Step::Peek),
        1 => any_request().prop_map(Step::Reset),
        2 => any_request().prop_map(Step::Refund),
    ]
}

/// Time that passes; often none does between two commands.
pub(crate) fn any_wait() -> impl Strategy<Value = Step> {
    let which = prop_oneof![3 => Just(0), 2 => 0..5_usize, 1 => any::<usize>()];
    prop_oneof![
        12 => (0..4_u64).prop_map(Step::Wait),
        4 => (0..2_000_u64).prop_map(Step::Wait),
        1 => (0..4_000_000_u64).prop_map(Step::Wait),
        1 => select(vec![86_400_000, 2_592_000_001]).prop_map(Step::Wait),
        12 => (which, -1..2_i64).prop_map(|(which, offset)| Step::WaitForDeparture(which, offset)),
    ]
}

/// A clock that is set back: by little, which is waited for, or by much.
pub(crate) fn any_set_back() -> impl Strategy<Value = Step> {
    let little = prop_oneof![0..1_000_u64, select(vec![999, 1_000])];
    let much = prop_oneof![1_001..5_000_u64, 1_001..100_000_000_u64];
    prop_oneof![little, much].prop_map(Step::SetBack)
}

/// A policy to begin with, and 200 to 300 steps of every kind. In half of the cases the clock is never set back.
pub(crate) fn any_case() -> impl Strategy<Value = (Policy, Vec<Step>)> {
    (any_policies(), any::<bool>()).prop_flat_map(|(policies, is_set_back)| {
        let first = policies[0].clone();
        let step = prop_oneof![
            120 => any_command(),
            40 => any_wait(),
            1 => select(policies).prop_map(Step::ChangePolicy),
            2 * u32::from(is_set_back) => any_set_back(),
        ];
        (Just(first), proptest::collection::vec(step, 200..300))
    })
}

impl Step {
    /// What a clock that shows `clock` shows after this step, of a limiter that `model` is in the state of.
    pub(crate) fn clock_after(&self, clock: u64, model: &Model) -> u64 {
        match *self {
            Self::Wait(millis) => clock + millis,
            Self::SetBack(millis) => clock.saturating_sub(millis).max(1),
            Self::WaitForDeparture(which, offset) => {
                let moments = model.departures(clock);
                let moment = moments.get(which % moments.len().max(1));
                moment.map_or(clock, |moment| {
                    clock.max(moment.saturating_add_signed(offset))
                })
            }
            _ => clock,
        }
    }

    /// Lets the engine take this step, and hands every effect to `emit`.
    pub(crate) fn ask(
        &self,
        limiter: &mut Limiter,
        clock: u64,
        emit: impl FnMut(&Effect),
    ) -> Answer {
        let clock = time(clock);
        let answer = match self {
            Self::Check(request) => attempt(limiter, request).map(|attempt| {
                Answer::Verdict(limiter.check(&attempt, clock, Capacity::nearest(u32::MAX), emit))
            }),
            Self::Peek(request) => attempt(limiter, request)
                .map(|attempt| Answer::Verdict(limiter.peek(&attempt, clock))),
            Self::Reset(request) => attempt(limiter, request)
                .map(|attempt| Answer::Count(limiter.reset(&attempt, clock, emit))),
            Self::Refund(request) => attempt(limiter, request)
                .map(|attempt| Answer::Count(limiter.refund(&attempt, clock, emit))),
            Self::ChangePolicy(policy) => {
                limiter.change_policy(policy.clone(), clock, emit);
                Some(Answer::Nothing)
            }
            Self::Wait(_) | Self::WaitForDeparture(..) | Self::SetBack(_) => Some(Answer::Nothing),
        };
        answer.unwrap_or(Answer::Error)
    }

    /// Lets the model take this step.
    pub(crate) fn ask_model(&self, model: &mut Model, clock: u64) -> Answer {
        let answer = match self {
            Self::Check(request) => model.check(request, clock).map(Answer::Verdict),
            Self::Peek(request) => model.peek(request, clock).map(Answer::Verdict),
            Self::Reset(request) => model.reset(request, clock).map(Answer::Count),
            Self::Refund(request) => model.refund(request, clock).map(Answer::Count),
            Self::ChangePolicy(policy) => {
                model.change_policy(policy, clock);
                Some(Answer::Nothing)
            }
            Self::Wait(_) | Self::WaitForDeparture(..) | Self::SetBack(_) => Some(Answer::Nothing),
        };
        answer.unwrap_or(Answer::Error)
    }
}
