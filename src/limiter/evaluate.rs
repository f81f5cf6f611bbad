//! One rule against one log, and the binding rule of a policy: the decision that CHECK and PEEK share.

use crate::identity::Tag;
use crate::limiter::attempt::AttemptIds;
use crate::limiter::effect::RuleSet;
use crate::limiter::ledger::{Ledger, TableIds};
use crate::limiter::locks::LockState;
use crate::limiter::subject_table::{AnyLog, RuleSlot, counted_id};
use crate::policy::{Counting, Enforcement, Millis, Policy, Rule};
use crate::table::{Cutoff, Timestamp};
use std::cmp::Reverse;

/// The answer to an attempt: allowed or not, with the figures of what binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the attempt may go ahead.
    pub allowed: bool,
    /// The binding rule's limit; `None` for the lists, which have none.
    pub limit: Option<u32>,
    /// How many attempts the binding rule has left; `None` for the lists.
    pub remaining: Option<u32>,
    /// Zero if another attempt of the same cost would be admitted now, else how long until one would be, without
    /// further attempts; `None` if none ever would.
    pub retry_after: Option<Millis>,
    /// How long until the binding rule's quota is whole again, without further attempts; `None` if it never is.
    pub reset: Option<Millis>,
    /// What binds.
    pub binding: Binding,
}

/// What determines a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// The rule at this index in the policy.
    Rule(usize),
    /// The allow list.
    Allow,
    /// The deny list.
    Deny,
}

/// A verdict, with the rules that led to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The rules that refused, including those in shadow.
    pub refusing: RuleSet,
    /// The rules that lock the identity from this attempt on, including those in shadow.
    pub tripping: RuleSet,
}

impl Decision {
    /// The decision of the lists, in which no rule took part.
    pub(crate) fn without_rules(verdict: Verdict) -> Self {
        Self { verdict, refusing: RuleSet::default(), tripping: RuleSet::default() }
    }
}

/// Everything that an evaluation depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EvaluationContext<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) ledger: &'a Ledger,
    pub(crate) ids: &'a AttemptIds,
    pub(crate) table_ids: &'a TableIds,
    pub(crate) now: Timestamp,
}

/// What was decided, and by which rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluation {
    pub(crate) verdict: Verdict,
    /// The rules that the attempt concerns.
    pub(crate) concerned: RuleSet,
    /// The rules that refused, including those in shadow.
    pub(crate) refusing: RuleSet,
    /// The rules with a lock whose last unit the attempt takes.
    pub(crate) tripping: RuleSet,
    /// How long the enforced rules that refused do so, before anything is counted.
    pub(crate) refused_for: Millis,
}

/// One rule's figures for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Figures {
    pub(crate) remaining: u32,
    pub(crate) retry_after: Millis,
    pub(crate) reset: Millis,
}

/// One rule applied to one attempt.
pub(crate) struct RuleEvaluation<'a> {
    rule: &'a Rule,
    log: Option<AnyLog<'a>>,
    /// The index of the oldest entry in the rule's window.
    first: usize,
    /// How many entries are in the window.
    used: u32,
    /// How many more there will be once the attempt is counted.
    units: u32,
    lock: Option<LockState>,
    now: Timestamp,
}

impl<'a> RuleEvaluation<'a> {
    /// Rule number `index` applied to an attempt; `None` if the attempt does not concern it.
    pub(crate) fn by_index(context: &EvaluationContext<'a>, index: usize) -> Option<Self> {
        let (rule, slot) = (context.policy.rules().get(index)?, context.ledger.slots.get(index)?);
        Self::of(context, rule, slot)
    }

    /// A rule applied to an attempt; `None` if the attempt does not concern it.
    #[inline]
    pub(crate) fn of(context: &EvaluationContext<'a>, rule: &'a Rule, slot: &RuleSlot) -> Option<Self> {
        let EvaluationContext { ledger, ids, table_ids, now, .. } = *context;
        let table = ledger.tables.get(slot.table)?;
        let who = table_ids.get(slot.table)?;
        let log = table.logs.get(who.id);
        let cutoff = table.floor.max(who.cleared).max(Cutoff::of(now, rule.window().length()));
        let (first, len) = log.map_or((0, 0), |log| (log.first_after(cutoff), log.len()));
        let units = if rule.subject().is_distinct_count() {
            let other = counted_id(rule.subject(), ids);
            let known = log.is_some_and(|log| log.has_seen(other, first));
            u32::from(!known)
        } else {
            ids.cost.get()
        };
        let used = u32::try_from(len.saturating_sub(first)).unwrap_or(u32::MAX);
        let lock = slot.lock.and_then(|lock| table.lock_state(who, lock.number, now)).copied();
        Some(Self { rule, log, first, used, units, lock, now })
    }

    /// The figures before counting, with the wait of this attempt.
    pub(crate) fn before(&self) -> Figures {
        Figures {
            remaining: self.remaining(self.used),
            retry_after: self.wait(self.used, self.units),
            reset: self.until_left(self.used).max(self.locked_for()),
        }
    }

    /// The figures after counting, with the wait of another attempt like this one.
    fn after(&self) -> Figures {
        let another = if self.rule.subject().is_distinct_count() { 0 } else { self.units };
        let used = self.used.saturating_add(self.units);
        Figures {
            remaining: self.remaining(used),
            retry_after: self.wait(used, another),
            // The newest entry is of now, also where it only refreshed an earlier one.
            reset: self.rule.window().length().max(self.locked_for()),
        }
    }

    /// Whether the rule refuses the attempt: its window has no room for it, or the identity is locked.
    fn refuses(&self) -> bool {
        !self.has_room() || self.locked_for() > Millis::ZERO
    }

    /// Whether the rule counts different identities, and not attempts.
    pub(crate) fn is_distinct_count(&self) -> bool {
        self.rule.subject().is_distinct_count()
    }

    /// How much longer the rule locks the identity.
    pub(crate) fn locked_for(&self) -> Millis {
        self.lock.map_or(Millis::ZERO, |lock| lock.left(self.now))
    }

    /// Whether the window has room for the attempt; a lock may refuse it all the same.
    fn has_room(&self) -> bool {
        self.must_leave(self.used, self.units) == 0
    }

    /// The rule's lock once the attempt is counted, if that takes the last of the quota. What is there already takes
    /// nothing.
    pub(crate) fn trip(&self, tag: Tag) -> Option<LockState> {
        let takes_last = self.units > 0 && self.used.saturating_add(self.units) == self.rule.limit().get();
        let lock = self.rule.lock().filter(|_| takes_last && !self.refuses())?;
        Some(LockState::next(lock, self.lock.as_ref(), self.now, tag))
    }

    /// The same evaluation once the rule has locked the identity.
    fn locked_by(self, state: LockState) -> Self {
        Self { lock: Some(state), ..self }
    }

    /// How many more the rule would admit with `used` entries in the window.
    fn remaining(&self, used: u32) -> u32 {
        if self.locked_for() > Millis::ZERO { 0 } else { self.rule.limit().get().saturating_sub(used) }
    }

    /// How long an attempt of `units` must wait when `used` entries are in the window.
    fn wait(&self, used: u32, units: u32) -> Millis {
        self.until_left(self.must_leave(used, units)).max(self.locked_for())
    }

    /// How many of `used` entries must leave before `units` more fit.
    fn must_leave(&self, used: u32, units: u32) -> u32 {
        if units == 0 {
            return 0;
        }
        used.saturating_add(units).saturating_sub(self.rule.limit().get())
    }

    /// How long until the oldest `count` entries have left the window. Those beyond the log are of `now`.
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

/// Replaces `candidate` if the given rule comes before it by `order`; of equals the first in the policy stays.
fn prefer<K: Ord>(candidate: &mut Candidate, rule: usize, figures: Figures, order: fn(&Figures) -> K) {
    if candidate.as_ref().is_none_or(|(_, best)| order(&figures) < order(best)) {
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

/// The candidates for the binding rule.
struct Candidates {
    refusing: Candidate,
    /// Those that will refuse once they have counted an attempt that others refuse.
    filled: Candidate,
    admitting: Candidate,
    shadow: Candidate,
    longest_wait: Millis,
}

impl Candidates {
    /// No rule yet.
    const NONE: Self = Self { refusing: None, filled: None, admitting: None, shadow: None, longest_wait: Millis::ZERO };

    /// Adds a rule that refuses, with its figures before the attempt.
    fn add_refusing(&mut self, index: usize, figures: Figures) {
        prefer(&mut self.refusing, index, figures, longest_wait_first);
    }

    /// Adds a rule that does not refuse or is in shadow, with its figures once it has counted the attempt.
    fn add_counting(&mut self, index: usize, rule: &Rule, figures: Figures) {
        if rule.enforcement() == Enforcement::Shadow {
            prefer(&mut self.shadow, index, figures, least_remaining_first);
            return;
        }
        self.longest_wait = self.longest_wait.max(figures.retry_after);
        prefer(&mut self.admitting, index, figures, least_remaining_first);
        if rule.counting() == Counting::AlsoDenied && figures.retry_after > Millis::ZERO {
            prefer(&mut self.filled, index, figures, longest_wait_first);
        }
    }

    /// The verdict: an attempt is admitted if every enforced rule admits it. If one refuses, the longest wait binds,
    /// also that of a rule which counts this very attempt.
    fn verdict(self, policy: &Policy) -> Verdict {
        if let Some((rule, figures)) = self.refusing {
            let order = |(rule, figures): &(usize, Figures)| (longest_wait_first(figures), *rule);
            let binding = self.filled.filter(|filled| order(filled) < order(&(rule, figures)));
            let (rule, figures) = binding.unwrap_or((rule, figures));
            return verdict(policy, false, rule, figures);
        }
        match self.admitting.or(self.shadow) {
            Some((rule, figures)) => {
                // If several rules are used up, the one with the longest reset binds, but another may make the next
                // attempt wait longer. A rule in shadow makes none wait.
                let retry_after = self.longest_wait;
                verdict(policy, true, rule, Figures { retry_after, ..figures })
            }
            None => unconcerned(),
        }
    }
}

/// Evaluates an attempt: the verdict counts what the attempt itself will have counted.
pub(crate) fn evaluate(context: &EvaluationContext<'_>) -> Evaluation {
    let mut concerned = RuleSet::default();
    let (mut refusing, mut tripping) = (RuleSet::default(), RuleSet::default());
    let mut candidates = Candidates::NONE;
    for (index, (rule, slot)) in context.policy.rules().iter().zip(&context.ledger.slots).enumerate() {
        let Some(evaluated) = RuleEvaluation::of(context, rule, slot) else { continue };
        concerned.insert(index);
        if evaluated.refuses() {
            refusing.insert(index);
            if rule.enforcement() == Enforcement::Enforced {
                candidates.add_refusing(index, evaluated.before());
                continue;
            }
        }
        let evaluated = match evaluated.trip(context.ids.tag) {
            Some(state) => {
                tripping.insert(index);
                evaluated.locked_by(state)
            }
            None => evaluated,
        };
        candidates.add_counting(index, rule, evaluated.after());
    }
    let refused_for = candidates.refusing.map_or(Millis::ZERO, |(_, figures)| figures.retry_after);
    let verdict = candidates.verdict(context.policy);
    if !verdict.allowed {
        tripping = tripping.and(counting_denied(context.policy, concerned, refusing));
    }
    Evaluation { verdict, concerned, refusing, tripping, refused_for }
}

/// The rules that count an attempt although others refuse it.
pub(crate) fn counting_denied(policy: &Policy, concerned: RuleSet, refusing: RuleSet) -> RuleSet {
    let mut counting = RuleSet::default();
    for (index, rule) in policy.rules().iter().enumerate() {
        if rule.counting() == Counting::AlsoDenied && concerned.contains(index) && !refusing.contains(index) {
            counting.insert(index);
        }
    }
    counting
}

/// The verdict of rule number `rule` with `figures`.
fn verdict(policy: &Policy, allowed: bool, rule: usize, figures: Figures) -> Verdict {
    Verdict {
        allowed,
        limit: policy.rules().get(rule).map(|rule| rule.limit().get()),
        remaining: Some(figures.remaining),
        retry_after: Some(figures.retry_after),
        reset: Some(figures.reset),
        binding: Binding::Rule(rule),
    }
}

/// The verdict on an attempt that no rule concerns.
fn unconcerned() -> Verdict {
    Verdict {
        allowed: true,
        limit: None,
        remaining: None,
        retry_after: Some(Millis::ZERO),
        reset: Some(Millis::ZERO),
        binding: Binding::Allow,
    }
}
