//! Runs a step on the engine and on the model.

use super::status::ModelStatus;
use super::steps::{Step, Target};
use super::support::restored;
use super::{Model, Request};
use authlimit::identity::{Cidr, ClientIp, Secret};
use authlimit::limiter::{
    Attempt, AttemptRequest, Effect, Limiter, ListKey, ListTarget, RuleStatus, UnlockTarget, Verdict,
};
use authlimit::policy::{Capacity, Cost, Millis, Rule};
use authlimit::table::Timestamp;

/// The result of a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Answer {
    Verdict(Verdict),
    Count(usize),
    /// The request was an error.
    Error,
    /// The step has no result.
    Nothing,
}

/// The secret of all limiters in these tests.
pub(crate) fn secret() -> Secret {
    Secret::from_bytes(*b"a secret of test")
}

/// A timestamp in milliseconds.
pub(crate) fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).expect("a valid time")
}

/// A capacity above the number of identities of any test.
pub(crate) fn large_capacity() -> Capacity {
    Capacity::nearest(u32::MAX)
}

/// Parses a request with the engine; `None` if it is an error.
pub(crate) fn attempt(limiter: &Limiter, request: &Request) -> Option<Attempt> {
    let received = AttemptRequest {
        ip: request.ip.as_bytes(),
        email: request.email.as_bytes(),
        device: request.device.map(str::as_bytes),
        cost: Cost::new(request.cost).expect("a valid cost"),
    };
    limiter.attempt(&received).ok()
}

/// The status of each rule for a request, from the engine and from the model; `None` if it is an error. A rule that
/// does not count the attempt reports its whole limit.
pub(crate) fn rule_statuses(limiter: &Limiter, model: &Model, request: &Request, clock: u64) -> [Option<Vec<Row>>; 2] {
    let attempt = attempt(limiter, request);
    let from_engine = attempt.map(|attempt| {
        let statuses = limiter.rule_statuses(&attempt, time(clock));
        statuses.map(|status| Row::of_engine(&status)).collect()
    });
    let from_model = model.rule_statuses(request, clock).map(|statuses| {
        let rules = limiter.policy().rules().iter().zip(statuses);
        let row = |(rule, status): (&Rule, _)| Row::of_model(rule.limit().get(), status);
        rules.map(row).collect()
    });
    [from_engine, from_model]
}

/// The fields of a rule's status: remaining, retry after, reset, locked for.
type Fields = (u32, u64, u64, u64);

/// A rule's status, comparable between engine and model.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Row(Fields);

impl Row {
    fn of_engine(status: &RuleStatus<'_>) -> Self {
        Self((status.remaining, status.retry_after.get(), status.reset.get(), status.locked_for.get()))
    }

    fn of_model(limit: u32, status: Option<ModelStatus>) -> Self {
        Self(status.map_or((limit, 0, 0, 0), |status| {
            let ModelStatus { remaining, wait, reset, locked_for, .. } = status;
            (remaining, wait, reset, locked_for)
        }))
    }
}

/// Runs a whole round of reclaiming.
pub(crate) fn tick(limiter: &mut Limiter, clock: Option<Timestamp>, mut emit: impl FnMut(&Effect)) {
    while !limiter.reclaim(clock, &mut emit).is_round_done {}
}

/// The list entry of this text.
fn entry(limiter: &Limiter, text: &str) -> ListTarget {
    if text.contains('/') {
        ListTarget::Cidr(Cidr::parse(text.as_bytes()).expect("a valid network"))
    } else {
        ListTarget::Email(limiter.email_id(text.as_bytes()))
    }
}

impl Step {
    /// The step's request, if it has one.
    pub(crate) fn request(&self) -> Option<Request> {
        match self {
            Self::Check(request) | Self::Peek(request) | Self::Reset(request) | Self::Refund(request) => Some(*request),
            _ => None,
        }
    }

    /// The clock after this step. `model` knows when something expires.
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

    /// Runs this step on the engine and passes every effect to `emit`.
    pub(crate) fn run_on_engine(&self, limiter: &mut Limiter, clock: u64, emit: impl FnMut(&Effect)) -> Answer {
        let clock = time(clock);
        let answer = match self {
            Self::Check(request) => attempt(limiter, request)
                .map(|attempt| Answer::Verdict(limiter.check(&attempt, clock, large_capacity(), emit))),
            Self::Peek(request) => {
                attempt(limiter, request).map(|attempt| Answer::Verdict(limiter.peek(&attempt, clock)))
            }
            Self::Reset(request) => {
                attempt(limiter, request).map(|attempt| Answer::Count(limiter.reset(&attempt, clock, emit)))
            }
            Self::Refund(request) => {
                attempt(limiter, request).map(|attempt| Answer::Count(limiter.refund(&attempt, clock, emit)))
            }
            Self::Unlock(target) => {
                let address = |ip: &str| limiter.address_id(ClientIp::parse(ip.as_bytes()).expect("a valid IP"));
                let email = |email: &str| limiter.email_id(email.as_bytes());
                let target = match *target {
                    Target::Ip(ip) => UnlockTarget::Address(address(ip)),
                    Target::Email(of) => UnlockTarget::Email(email(of)),
                    Target::Both(ip, of) => UnlockTarget::AddressAndEmail(address(ip), email(of)),
                    Target::Device(device) => UnlockTarget::Device(limiter.device_id(device.as_bytes())),
                    Target::All => UnlockTarget::All,
                };
                Some(Answer::Count(limiter.unlock(target, clock, emit)))
            }
            Self::ListAdd(list, text, ttl) => {
                let (entry, ttl) = (entry(limiter, text), ttl.map(Millis::new));
                let is_new = limiter.list_add(ListKey { list: *list, target: entry }, ttl, clock, emit);
                Some(Answer::Count(usize::from(is_new.expect("the lists are not full"))))
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

    /// Runs this step on the model.
    pub(crate) fn run_on_model(&self, model: &mut Model, clock: u64) -> Answer {
        let answer = match self {
            Self::Check(request) => model.check(request, clock).map(Answer::Verdict),
            Self::Peek(request) => model.peek(request, clock).map(Answer::Verdict),
            Self::Reset(request) => model.reset(request, clock).map(Answer::Count),
            Self::Refund(request) => model.refund(request, clock).map(Answer::Count),
            Self::Unlock(target) => Some(Answer::Count(model.unlock(*target, clock))),
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
