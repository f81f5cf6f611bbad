//! Which logs a policy needs, and which of them each rule goes by.

use crate::policy::{Counting, Millis, Policy, Rule, Subject};

/// What one table's logs hold.
///
/// Rules of a subject share the log of what was admitted, since an admitted attempt counts for all
/// of them. A rule with `COUNT-DENIED` has a log of its own: what it counts beside that depends on
/// which rules refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Series {
    /// Whose attempts.
    pub subject: Subject,
    /// `None` for the admitted ones; `Some(n)` for those that the subject's rule number n (from 0)
    /// with `COUNT-DENIED` counts.
    pub denied: Option<u8>,
}

/// What the rules of one series ask of its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Needs {
    pub(crate) series: Series,
    /// The longest window: what is older is of no use to any of the rules.
    pub(crate) retention: Millis,
    /// The greatest limit. A longer log has nothing more to tell: how long until an attempt fits
    /// depends on the newest `limit` stamps only.
    pub(crate) longest: usize,
    /// How many of the rules have a `LOCK`.
    pub(crate) locks: u8,
}

/// Where one rule finds what it goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The index of its table.
    pub(crate) table: usize,
    /// If it has a `LOCK`, which of its table's rules with one it is, from 0.
    pub(crate) lock: Option<u8>,
}

/// The tables of a policy in the order of first need, and each rule's place, in the policy's order.
pub(crate) fn plan(policy: &Policy) -> (Vec<Needs>, Vec<Place>) {
    let mut tables: Vec<Needs> = Vec::new();
    let mut places = Vec::with_capacity(policy.rules().len());
    for rule in policy.rules() {
        let series = series_of(rule, &tables);
        let table = tables.iter().position(|needs| needs.series == series);
        let table = table.unwrap_or_else(|| {
            tables.push(Needs {
                series,
                retention: Millis::ZERO,
                longest: 0,
                locks: 0,
            });
            tables.len().saturating_sub(1)
        });
        if let Some(needs) = tables.get_mut(table) {
            needs.retention = needs.retention.max(rule.window().length());
            needs.longest = needs.longest.max(rule.limit().get() as usize);
            let lock = rule.lock().map(|_| needs.locks);
            needs.locks = needs.locks.saturating_add(u8::from(lock.is_some()));
            places.push(Place { table, lock });
        }
    }
    (tables, places)
}

/// The series that `rule` goes by, after the rules that need `tables`.
fn series_of(rule: &Rule, tables: &[Needs]) -> Series {
    let subject = rule.subject();
    let denied = match rule.counting() {
        Counting::AdmittedOnly => None,
        Counting::AlsoDenied => {
            let earlier = tables
                .iter()
                .filter(|needs| needs.series.subject == subject && needs.series.denied.is_some());
            Some(u8::try_from(earlier.count()).unwrap_or(u8::MAX))
        }
    };
    Series { subject, denied }
}
