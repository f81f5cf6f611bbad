//! How the engine and the model take a step, and what they answer.

use super::figures::Figures;
use super::steps::Step;
use super::support::restored;
use super::{Model, Request};
use authlimit::identity::{Cidr, ClientIp, Secret};
use authlimit::limiter::{Attempt, AttemptRequest, Effect, Limiter, ListKey, ListTarget, RuleStatus, Verdict};
use authlimit::policy::{Capacity, Cost, Millis, Rule};
use authlimit::table::Timestamp;

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

/// The point in time.
pub(crate) fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).expect("the tests' times are times")
}

/// Room for more identities than any test has.
pub(crate) fn roomy() -> Capacity {
    Capacity::nearest(u32::MAX)
}

/// What the engine makes of a request; `None` if it is an error.
pub(crate) fn attempt(limiter: &Limiter, request: &Request) -> Option<Attempt> {
    let received = AttemptRequest {
        ip: request.ip.as_bytes(),
        email: request.email.as_bytes(),
        device: request.device.map(str::as_bytes),
        cost: Cost::new(request.cost).expect("the tests' costs are costs"),
    };
    limiter.attempt(&received).ok()
}

/// How each rule stands to a request, as the engine and as the model say; `None` if it is an error. A rule that the
/// attempt does not concern stands as if untouched.
pub(crate) fn standings(limiter: &Limiter, model: &Model, request: &Request, clock: u64) -> [Option<Vec<Row>>; 2] {
    let attempt = attempt(limiter, request);
    let engines = attempt.map(|attempt| {
        let standings = limiter.rule_statuses(&attempt, time(clock));
        standings.map(|standing| Row::of_engine(&standing)).collect()
    });
    let models = model.standings(request, clock).map(|figures| {
        let rules = limiter.policy().rules().iter().zip(figures);
        let row = |(rule, figures): (&Rule, _)| Row::of_model(rule.limit().get(), figures);
        rules.map(row).collect()
    });
    [engines, models]
}

/// What one rule says: remaining, retry after, reset, locked for.
type Figure = (u32, u64, u64, u64);

/// One rule's row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Row(Figure);

impl Row {
    fn of_engine(standing: &RuleStatus<'_>) -> Self {
        Self((standing.remaining, standing.retry_after.get(), standing.reset.get(), standing.locked_for.get()))
    }

    fn of_model(limit: u32, figures: Option<Figures>) -> Self {
        Self(figures.map_or((limit, 0, 0, 0), |figures| {
            let Figures { remaining, wait, reset, locked_for, .. } = figures;
            (remaining, wait, reset, locked_for)
        }))
    }
}

/// Lets a limiter reclaim, for a whole round.
pub(crate) fn tick(limiter: &mut Limiter, clock: Option<Timestamp>, mut emit: impl FnMut(&Effect)) {
    while !limiter.reclaim(clock, &mut emit).is_round_done {}
}

/// The entry of this text in the lists of `limiter`.
fn entry(limiter: &Limiter, text: &str) -> ListTarget {
    if text.contains('/') {
        ListTarget::Cidr(Cidr::parse(text.as_bytes()).expect("the tests' networks are networks"))
    } else {
        ListTarget::Email(limiter.email_id(text.as_bytes()))
    }
}

impl Step {
    /// The request that it makes.
    pub(crate) fn request(&self) -> Option<Request> {
        match self {
            Self::Check(request) | Self::Peek(request) | Self::Reset(request) | Self::Refund(request) => Some(*request),
            _ => None,
        }
    }

    /// What a clock that shows `clock` shows after this step, of a limiter that `model` is in the state of.
    pub(crate) fn clock_after(&self, clock: u64, model: &Model) -> u64 {
        match *self {
            Self::Wait(millis) => clock + millis,
            Self::SetBack(millis) => clock.saturating_sub(millis).max(1),
            Self::WaitForEnd(which, offset) => {
                let ends = model.ends(clock);
                let end = ends.get(which % ends.len().max(1));
                end.map_or(clock, |end| clock.max(end.saturating_add_signed(offset)))
            }
            _ => clock,
        }
    }

    /// Lets the engine take this step, and hands every effect to `emit`.
    pub(crate) fn ask(&self, limiter: &mut Limiter, clock: u64, emit: impl FnMut(&Effect)) -> Answer {
        let clock = time(clock);
        let answer = match self {
            Self::Check(request) => {
                attempt(limiter, request).map(|attempt| Answer::Verdict(limiter.check(&attempt, clock, roomy(), emit)))
            }
            Self::Peek(request) => {
                attempt(limiter, request).map(|attempt| Answer::Verdict(limiter.peek(&attempt, clock)))
            }
            Self::Reset(request) => {
                attempt(limiter, request).map(|attempt| Answer::Count(limiter.reset(&attempt, clock, emit)))
            }
            Self::Refund(request) => {
                attempt(limiter, request).map(|attempt| Answer::Count(limiter.refund(&attempt, clock, emit)))
            }
            Self::Unlock(ip, email) => {
                let ip = ip.map(|ip| ClientIp::parse(ip.as_bytes()).expect("it is an address"));
                let address = ip.map(|ip| limiter.address_id(ip));
                let email = email.map(|email| limiter.email_id(email.as_bytes()));
                Some(Answer::Count(limiter.unlock(address, email, clock, emit)))
            }
            Self::ListAdd(list, text, ttl) => {
                let (entry, ttl) = (entry(limiter, text), ttl.map(Millis::new));
                let is_new = limiter.list_add(ListKey { list: *list, target: entry }, ttl, clock, emit);
                Some(Answer::Count(usize::from(is_new.expect("there is room"))))
            }
            Self::ListRemove(list, text) => {
                let entry = entry(limiter, text);
                let was_there = limiter.list_remove(ListKey { list: *list, target: entry }, clock, emit);
                Some(Answer::Count(usize::from(was_there)))
            }
            Self::ChangePolicy(policy) => {
                limiter.change_policy(policy.clone(), clock, emit);
                Some(Answer::Nothing)
            }
            Self::Tick => {
                tick(limiter, Some(clock), emit);
                Some(Answer::Nothing)
            }
            Self::Restart => {
                *limiter = restored(limiter);
                Some(Answer::Nothing)
            }
            _ => Some(Answer::Nothing),
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
            Self::Unlock(ip, email) => Some(Answer::Count(model.unlock(*ip, *email, clock))),
            Self::ListAdd(list, text, ttl) => {
                let is_new = model.list_add(*list, text, *ttl, clock);
                Some(Answer::Count(usize::from(is_new)))
            }
            Self::ListRemove(list, text) => {
                let was_there = model.list_remove(*list, text, clock);
                Some(Answer::Count(usize::from(was_there)))
            }
            Self::ChangePolicy(policy) => {
                model.change_policy(policy, clock);
                Some(Answer::Nothing)
            }
            Self::Restart => {
                model.restart();
                Some(Answer::Nothing)
            }
            _ => Some(Answer::Nothing),
        };
        answer.unwrap_or(Answer::Error)
    }
}
