//! What a limiter reports to operators: how each rule stands, what it holds, and what it refuses.

use crate::limiter::attempt::Attempt;
use crate::limiter::effect::RuleSet;
use crate::limiter::evaluate::{Decision, EvaluationContext, RuleEvaluation};
use crate::limiter::ledger::Scope;
use crate::limiter::limiter::{Limiter, RuleTotals};
use crate::limiter::refusals::{
    ClearText, MostRefused, RefusalEvent, RefusalEventKind, RefusalEvents, TopCounters, TopSubject,
};
use crate::limiter::subject_table::LogKind;
use crate::policy::{Enforcement, Millis, Rule};
use crate::table::Timestamp;

/// About how many bytes a log takes that is too long for its slot.
const TYPICAL_RING_BYTES: usize = 64;

/// How one rule stands for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleStatus<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// How many attempts are left.
    pub remaining: u32,
    /// How long until the rule would admit the attempt; zero if it does.
    pub retry_after: Millis,
    /// How long until the quota is whole again, without further attempts.
    pub reset: Millis,
    /// How much longer the rule's lock lasts; zero if there is none.
    pub locked_for: Millis,
}

/// What one table takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// What its logs hold.
    pub kind: LogKind,
    /// Identities held, including expired ones that are not reclaimed yet.
    pub identities: usize,
    /// Bytes of memory they take.
    pub bytes: usize,
}

impl Limiter {
    /// How each rule stands for `attempt`, in the policy's order. A rule that the attempt does not concern stands as if
    /// unused.
    pub fn rule_statuses(&self, attempt: &Attempt, clock: Timestamp) -> impl Iterator<Item = RuleStatus<'_>> {
        let at = self.ledger.now(clock).at;
        let ids = attempt.ids;
        let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Counting, at);
        let rules = self.policy.rules().iter().enumerate();
        rules.map(move |(index, rule)| {
            let evaluated = RuleEvaluation::by_index(&self.context(&ids, &table_ids, at), index);
            let figures = evaluated.as_ref().map(RuleEvaluation::before);
            RuleStatus {
                rule,
                remaining: figures.map_or(rule.limit().get(), |f| f.remaining),
                retry_after: figures.map_or(Millis::ZERO, |f| f.retry_after),
                reset: figures.map_or(Millis::ZERO, |f| f.reset),
                locked_for: evaluated.map_or(Millis::ZERO, |rule| rule.locked_for()),
            }
        })
    }

    /// How often this server has decided by each rule, in the policy's order.
    #[must_use]
    pub fn totals(&self) -> &[RuleTotals] {
        &self.totals
    }

    /// What each table takes, in the order in which the policy needs them.
    pub fn usage(&self) -> impl Iterator<Item = Usage> + '_ {
        self.ledger.tables.iter().map(|table| Usage {
            kind: table.spec.kind,
            identities: table.logs.len(),
            bytes: table.logs.bytes().saturating_add(table.locks.bytes()),
        })
    }

    /// Bytes of memory the limiter takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.usage()
            .map(|table| table.bytes)
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.lists.bytes())
            .saturating_add(self.ledger.unlocks.bytes())
            .saturating_add(self.monitor.as_ref().map_or(0, |monitor| monitor.bytes()))
    }

    /// About how many blocks of memory the limiter takes: what freeing it costs.
    #[must_use]
    pub fn blocks(&self) -> usize {
        let tables = self.ledger.tables.iter().map(|table| {
            let spilled = table.logs.log_bytes() / TYPICAL_RING_BYTES;
            table.logs.segments().saturating_add(spilled).saturating_add(table.locks.len())
        });
        tables.fold(self.lists.len().saturating_add(self.ledger.unlocks.len()), usize::saturating_add)
    }

    /// What begins with `attempt`, on which `decision` was just taken. A rule that refuses an identity is an event
    /// once, and again only when it refuses after the reported wait: repeated refusals are no further events. A lock is
    /// an event whenever it begins. Rules in shadow and the lists make no events.
    pub fn refusal_events(&mut self, attempt: &Attempt, decision: &Decision, clock: Timestamp) -> RefusalEvents {
        let mut found = RefusalEvents::default();
        let beginning = self.enforced(decision.refusing.or(decision.tripping));
        if beginning.is_empty() {
            return found;
        }
        let now = self.ledger.now(clock).at;
        let ids = &attempt.ids;
        let table_ids = self.ledger.table_ids(ids, &self.secret, Scope::Counting, now);
        let monitor = self.monitor.get_or_insert_default();
        let context = EvaluationContext { policy: &self.policy, ledger: &self.ledger, ids, table_ids: &table_ids, now };
        for (rule, slot) in self.ledger.slots.iter().enumerate() {
            let Some(id) = table_ids.get(slot.table).filter(|_| beginning.contains(rule)).map(|who| who.id) else {
                continue;
            };
            let locks = decision.tripping.contains(rule);
            if !locks && monitor.filter.is_suppressed(rule, id, now) {
                continue;
            }
            let Some(evaluated) = RuleEvaluation::by_index(&context, rule) else { continue };
            let wait = evaluated.before().retry_after;
            let mut publish = |kind| found.events.push(RefusalEvent { kind, rule, wait });
            let has_room = monitor.filter.remember(rule, id, now, now.plus(wait));
            if locks {
                publish(RefusalEventKind::Lock);
            }
            match evaluated.is_distinct_count() {
                true if has_room => publish(RefusalEventKind::Spray),
                false if locks => {}
                false if has_room => publish(RefusalEventKind::Refusal),
                _ => found.dropped = found.dropped.saturating_add(1),
            }
        }
        found
    }

    /// Counts a refused attempt for its address and its email, and remembers the clear text of the most refused if
    /// given.
    pub fn count_refusal(&mut self, attempt: &Attempt, clear_text: Option<ClearText<'_>>, clock: Timestamp) {
        let now = self.ledger.now(clock).at;
        let monitor = self.monitor.get_or_insert_default();
        if let Some(address) = attempt.ids.present_address() {
            monitor.addresses.count(address, clear_text.map(|text| text.ip), now);
        }
        if let Some(email) = attempt.ids.present_email() {
            monitor.emails.count(email, clear_text.map(|text| text.email), now);
        }
    }

    /// The addresses or emails that this server has refused most often lately, the most refused first: in about the
    /// last ten minutes, since counts are halved every ten minutes.
    #[must_use]
    pub fn most_refused(&self, subject: TopSubject, at_most: usize, clock: Timestamp) -> Vec<MostRefused<'_>> {
        let now = self.ledger.now(clock).at;
        let counters: Option<&TopCounters> = self.monitor.as_ref().map(|monitor| match subject {
            TopSubject::Addresses => &monitor.addresses,
            TopSubject::Emails => &monitor.emails,
        });
        counters.map_or_else(Vec::new, |counters| counters.top(at_most, now))
    }

    /// Forgets addresses and emails in clear text.
    pub fn forget_clear_text(&mut self) {
        if let Some(monitor) = &mut self.monitor {
            monitor.forget_clear_text();
        }
    }

    /// Forgets everything about refusals, as in a copy, which has refused nothing yet.
    pub fn forget_refusals(&mut self) {
        self.monitor = None;
    }

    /// How many locks begin with an attempt on which `decision` was taken, by rules that are enforced.
    #[must_use]
    pub fn locks_begun(&self, decision: &Decision) -> u64 {
        self.enforced(decision.tripping).iter().count() as u64
    }

    /// The enforced ones of these rules.
    fn enforced(&self, rules: RuleSet) -> RuleSet {
        let mut enforced = RuleSet::default();
        for (index, rule) in self.policy.rules().iter().enumerate() {
            if rule.enforcement() == Enforcement::Enforced && rules.contains(index) {
                enforced.insert(index);
            }
        }
        enforced
    }
}
