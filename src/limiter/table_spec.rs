//! Which tables a policy needs, and which of them each rule reads.

use crate::policy::{Counting, Millis, Policy, Rule, Subject};

/// What the logs of one table hold.
///
/// Rules of one subject share the log of admitted attempts, since an admitted attempt counts for all of them. A rule
/// with `COUNT-DENIED` has its own log: what it counts besides depends on which rules refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogKind {
    /// Whose attempts.
    pub subject: Subject,
    /// `None` for admitted attempts; `Some(n)` for what the subject's rule number n (from 0) with `COUNT-DENIED`
    /// counts.
    pub denied: Option<u8>,
}

/// What the rules that read one table ask of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TableSpec {
    pub(crate) kind: LogKind,
    /// The longest window: no rule looks at anything older.
    pub(crate) retention: Millis,
    /// The greatest limit: how long until an attempt fits depends on the newest `limit` entries only.
    pub(crate) longest: usize,
    /// How many of the rules have a `LOCK`.
    pub(crate) locks: u8,
}

/// Where one rule finds its log and its lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuleSlot {
    /// The index of its table.
    pub(crate) table: usize,
    /// If it has a `LOCK`, which of its table's rules with one it is, from 0.
    pub(crate) lock: Option<u8>,
}

/// The tables of a policy in the order of first use, and each rule's slot, in the policy's order.
pub(crate) fn plan(policy: &Policy) -> (Vec<TableSpec>, Vec<RuleSlot>) {
    let mut tables: Vec<TableSpec> = Vec::new();
    let mut slots = Vec::with_capacity(policy.rules().len());
    for rule in policy.rules() {
        let kind = kind_of(rule, &tables);
        let table = tables.iter().position(|spec| spec.kind == kind).unwrap_or_else(|| {
            tables.push(TableSpec { kind, retention: Millis::ZERO, longest: 0, locks: 0 });
            tables.len().saturating_sub(1)
        });
        if let Some(spec) = tables.get_mut(table) {
            spec.retention = spec.retention.max(rule.window().length());
            spec.longest = spec.longest.max(rule.limit().get() as usize);
            let lock = rule.lock().map(|_| spec.locks);
            spec.locks = spec.locks.saturating_add(u8::from(lock.is_some()));
            slots.push(RuleSlot { table, lock });
        }
    }
    (tables, slots)
}

/// The kind of log that `rule` reads, after the rules that use `tables`.
fn kind_of(rule: &Rule, tables: &[TableSpec]) -> LogKind {
    let subject = rule.subject();
    let denied = match rule.counting() {
        Counting::AdmittedOnly => None,
        Counting::AlsoDenied => {
            let kinds = tables.iter().map(|spec| spec.kind);
            let earlier = kinds.filter(|kind| kind.subject == subject && kind.denied.is_some());
            Some(u8::try_from(earlier.count()).unwrap_or(u8::MAX))
        }
    };
    LogKind { subject, denied }
}
