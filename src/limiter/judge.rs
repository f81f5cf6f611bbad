//! A rule against a log, and the binding rule of a policy.

use crate::limiter::attempt::{Cost, Party};
use crate::limiter::ledger::{Identities, Ledger};
use crate::limiter::locks::{self, LockState};
use crate::limiter::logs::{self, LogRef};
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Enforcement, Millis, Policy, Rule};
use std::cmp::Reverse;

/// The answer to an attempt: allowed or not, with the figures of what bound it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the attempt may go ahead.
    pub allowed: bool,
    /// The binding rule's limit.
    pub limit: u32,
    /// How many attempts the binding rule has left.
    pub remaining: u32,
    /// Zero when another attempt of the same cost would be admitted now, else how long until one
    /// would be if nobody tries meanwhile.
    pub retry_after: Millis,
    /// How long until the binding rule's quota is whole again if nobody tries.
    pub reset: Millis,
    /// What bound it.
    pub binding: Binding,
}

/// What a verdict was given by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// The rule at this index in the policy.
    Rule(usize),
    /// The list of those who are never refused.
    Allow,
    /// The list of those who are always refused.
    Deny,
}

/// Whether a judgement is to count the attempt it admits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// CHECK: the figures are those after counting.
    Count,
    /// PEEK: the figures are those before.
    Look,
}

/// A set of rules of one policy, by their index.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RuleSet(u32);

const _: () = assert!(crate::policy::MAX_RULES <= u32::BITS as usize);

impl RuleSet {
    /// The set with these bits, bit 0 standing for the first rule.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether no rule is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether rule number `rule` is in it.
    #[must_use]
    pub fn contains(self, rule: usize) -> bool {
        u32::try_from(rule)
            .ok()
            .and_then(|rule| 1_u32.checked_shl(rule))
            .is_some_and(|bit| self.0 & bit != 0)
    }

    /// Adds rule number `rule`.
    pub fn insert(&mut self, rule: usize) {
        let bit = u32::try_from(rule).ok().and_then(|r| 1_u32.checked_shl(r));
        self.0 |= bit.unwrap_or(0);
    }
}

/// What was decided, and what each rule said to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// The rules that the attempt concerns.
    pub(crate) concerned: RuleSet,
    /// The rules that refused, those in shadow among them.
    pub(crate) refusing: RuleSet,
    /// The rules with a lock that refused because their limit is reached rather than because they
    /// are shut, and that shut the identity for it.
    pub(crate) tripping: RuleSet,
}

/// What was decided about an attempt, and by which rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The rules that refused, those in shadow among them.
    pub refusing: RuleSet,
    /// Those of them that shut the identity for it.
    pub tripping: RuleSet,
}

impl Decision {
    /// The decision that no rule had a part in.
    pub(crate) fn without_rules(verdict: Verdict) -> Self {
        Self {
            verdict,
            refusing: RuleSet::default(),
            tripping: RuleSet::default(),
        }
    }
}

/// One rule's figures for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Figures {
    pub(crate) remaining: u32,
    pub(crate) retry_after: Millis,
    pub(crate) reset: Millis,
}

/// How one rule stands to one attempt.
pub(crate) struct Standing<'a> {
    rule: &'a Rule,
    log: Option<LogRef<'a>>,
    /// The index of the oldest stamp in the rule's window.
    first: usize,
    /// How many stamps are in the window.
    used: u32,
    /// How many more there are once the attempt is counted.
    units: u32,
    lock: Option<LockState>,
    now: Timestamp,
}

impl<'a> Standing<'a> {
    /// How rule number `index` stands to an attempt at `now`; `None` if the attempt does not concern
    /// it.
    pub(crate) fn of(
        policy: &'a Policy,
        ledger: &'a Ledger,
        index: usize,
        party: &Party,
        ids: &Identities,
        now: Timestamp,
    ) -> Option<Self> {
        let rule = policy.rules().get(index)?;
        let place = *ledger.places.get(index)?;
        let table = ledger.tables.get(place.table)?;
        ids.get(place.table)?;
        let log = ledger.log(place, ids);
        let cutoff = table.floor.max(Cutoff::of(now, rule.window().length()));
        let (first, len) = log.map_or((0, 0), |log| (log.first_after(cutoff), log.len()));
        let units = if rule.subject().is_distinct_count() {
            let other = logs::other_party(rule.subject(), party);
            let known = log.is_some_and(|log| log.has_seen(other, first));
            u32::from(!known)
        } else {
            party.cost.get()
        };
        Some(Self {
            rule,
            log,
            first,
            used: u32::try_from(len.saturating_sub(first)).unwrap_or(u32::MAX),
            units,
            lock: ledger.lock_state(place, ids, now).copied(),
            now,
        })
    }

    /// The figures as they are, with the wait of this attempt.
    pub(crate) fn before(&self) -> Figures {
        Figures {
            remaining: self.remaining(self.used),
            retry_after: self.wait(self.used, self.units),
            reset: self.until_left(self.used).max(self.locked_for()),
        }
    }

    /// The figures once the attempt is counted, with the wait of another one like it.
    fn after(&self) -> Figures {
        let another = if self.rule.subject().is_distinct_count() {
            0
        } else {
            self.units
        };
        let used = self.used.saturating_add(self.units);
        Figures {
            remaining: self.remaining(used),
            retry_after: self.wait(used, another),
            // The newest is of now, also where it only refreshed one that was there.
            reset: self.rule.window().length().max(self.locked_for()),
        }
    }

    /// Whether the rule refuses the attempt: its window has no room for it, or it has shut the
    /// identity.
    fn refuses(&self) -> bool {
        !self.has_room() || self.locked_for() > Millis::ZERO
    }

    /// Whether the rule counts the different identities that there are, and not attempts.
    pub(crate) fn counts_identities(&self) -> bool {
        self.rule.subject().is_distinct_count()
    }

    /// How much longer the rule has shut the identity.
    pub(crate) fn locked_for(&self) -> Millis {
        self.lock.map_or(Millis::ZERO, |lock| lock.left(self.now))
    }

    /// Whether the window has room for the attempt; a lock may refuse it all the same.
    pub(crate) fn has_room(&self) -> bool {
        self.must_leave(self.used, self.units) == 0
    }

    /// The state of the lock that the rule shuts the identity with, if it refuses the attempt and
    /// trips.
    pub(crate) fn trip(&self) -> Option<LockState> {
        let lock = self.rule.lock().filter(|_| !self.has_room())?;
        locks::trip(lock, self.lock.as_ref(), self.now)
    }

    /// The same standing once the rule has shut the identity.
    fn shut_by(self, state: LockState) -> Self {
        Self {
            lock: Some(state),
            ..self
        }
    }

    /// How many more the rule would admit with `used` stamps in the window.
    fn remaining(&self, used: u32) -> u32 {
        if self.locked_for() > Millis::ZERO {
            0
        } else {
            self.rule.limit().get().saturating_sub(used)
        }
    }

    /// How long an attempt of `units` must wait when `used` stamps are in the window.
    fn wait(&self, used: u32, units: u32) -> Millis {
        self.until_left(self.must_leave(used, units))
            .max(self.locked_for())
    }

    /// How many of `used` stamps must leave before `units` more fit. None for no more.
    fn must_leave(&self, used: u32, units: u32) -> u32 {
        if units == 0 {
            return 0;
        }
        used.saturating_add(units)
            .saturating_sub(self.rule.limit().get())
    }

    /// How long until the oldest `count` stamps have left the window; zero for none. Those beyond
    /// the log are of `now`.
    fn until_left(&self, count: u32) -> Millis {
        let Some(last) = count.checked_sub(1) else {
            return Millis::ZERO;
        };
        let window = self.rule.window().length();
        let index = self.first.saturating_add(last as usize);
        match self.log.and_then(|log| log.at(index)) {
            Some(at) => {
                let age = self.now.since(at);
                Millis::new(window.get().saturating_sub(age.get()))
            }
            None => window,
        }
    }
}

/// The rule that binds so far, with its figures.
type Candidate = Option<(usize, Figures)>;

/// Keeps `candidate` unless the rule at hand comes before it by `order`; of equals the first in the
/// policy stays.
fn prefer<K: Ord>(
    candidate: &mut Candidate,
    rule: usize,
    figures: Figures,
    order: fn(&Figures) -> K,
) {
    if candidate
        .as_ref()
        .is_none_or(|(_, best)| order(&figures) < order(best))
    {
        *candidate = Some((rule, figures));
    }
}

/// The order of refusing rules: the longest wait binds.
fn longest_wait_first(figures: &Figures) -> Reverse<Millis> {
    Reverse(figures.retry_after)
}

/// The order of admitting rules: the least remaining binds, then the longest reset.
fn least_remaining_first(figures: &Figures) -> (u32, Reverse<Millis>) {
    (figures.remaining, Reverse(figures.reset))
}

/// Judges an attempt with these identities: the one decision that CHECK and PEEK share. It is
/// admitted if every rule admits it, those in shadow aside.
pub(crate) fn judge(
    policy: &Policy,
    ledger: &Ledger,
    party: &Party,
    ids: &Identities,
    now: Timestamp,
    purpose: Purpose,
) -> Judgement {
    let mut concerned = RuleSet::default();
    let (mut refusing, mut tripping) = (RuleSet::default(), RuleSet::default());
    let (mut refused_by, mut admitted_by, mut shadow) = (None, None, None);
    let mut longest_wait = Millis::ZERO;
    for (index, rule) in policy.rules().iter().enumerate() {
        let Some(standing) = Standing::of(policy, ledger, index, party, ids, now) else {
            continue;
        };
        concerned.insert(index);
        let refuses = standing.refuses();
        if refuses {
            refusing.insert(index);
        }
        let standing = match standing.trip().filter(|_| purpose == Purpose::Count) {
            Some(state) => {
                tripping.insert(index);
                standing.shut_by(state)
            }
            None => standing,
        };
        let is_enforced = rule.enforcement() == Enforcement::Enforced;
        let figures = match purpose {
            Purpose::Count if !(refuses && is_enforced) => standing.after(),
            _ => standing.before(),
        };
        match rule.enforcement() {
            Enforcement::Enforced if refuses => {
                prefer(&mut refused_by, index, figures, longest_wait_first);
            }
            Enforcement::Enforced => {
                longest_wait = longest_wait.max(figures.retry_after);
                prefer(&mut admitted_by, index, figures, least_remaining_first);
            }
            Enforcement::Shadow => {
                prefer(&mut shadow, index, figures, least_remaining_first);
            }
        }
    }
    let verdict = match (refused_by, admitted_by.or(shadow)) {
        (Some((rule, figures)), _) => verdict(policy, false, rule, figures),
        (None, Some((rule, figures))) => {
            // With several rules used up, the one with the longest reset binds, but another may
            // make the next attempt wait longer. A rule in shadow makes none wait.
            let figures = Figures {
                retry_after: longest_wait,
                ..figures
            };
            verdict(policy, true, rule, figures)
        }
        (None, None) => unconcerned(),
    };
    Judgement {
        verdict,
        concerned,
        refusing,
        tripping,
    }
}

/// The verdict that rule number `rule` gives with `figures`.
fn verdict(policy: &Policy, allowed: bool, rule: usize, figures: Figures) -> Verdict {
    Verdict {
        allowed,
        limit: policy.rules().get(rule).map_or(0, |r| r.limit().get()),
        remaining: figures.remaining,
        retry_after: figures.retry_after,
        reset: figures.reset,
        binding: Binding::Rule(rule),
    }
}

/// The verdict on an attempt that no rule concerns, as one without a device under a policy that has
/// rules for devices only.
fn unconcerned() -> Verdict {
    Verdict {
        allowed: true,
        limit: Cost::MAX.get(),
        remaining: Cost::MAX.get(),
        retry_after: Millis::ZERO,
        reset: Millis::ZERO,
        binding: Binding::Allow,
    }
}
