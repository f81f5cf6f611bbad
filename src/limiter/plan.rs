//! Which tables a policy needs, where each of its rules finds its log and its lock, and how long things are remembered.

use crate::limiter::subject_table::{LockSlot, LogKind, RuleSlot, TableSpec};
use crate::policy::{Counting, Enforcement, Millis, Policy, Rule, Subject, Window};

/// The number that the lock of rule number `number` of the old table gets in the new one; `None` if the new table has
/// no such rule with a lock. Each side is the index of the table, and the slots of the policy.
pub(crate) fn renumbered(number: u8, old: (usize, &[RuleSlot]), new: (usize, &[RuleSlot])) -> Option<u8> {
    let is_it = |slot: &&RuleSlot| slot.table == old.0 && slot.lock.is_some_and(|lock| lock.number == number);
    let key = old.1.iter().find(is_it)?.key;
    new.1.iter().find(|slot| slot.table == new.0 && slot.key == key)?.lock.map(|lock| lock.number)
}

/// The most that [`pair_memory`] is: a window, a lock and a quiet, each of the longest.
pub(crate) const MAX_PAIR_MEMORY: Millis = Millis::new(3 * Window::MAX.get());

/// The longest window of any enforced rule.
fn longest_window(policy: &Policy) -> Millis {
    let enforced = policy.rules().iter().filter(|rule| rule.enforcement() == Enforcement::Enforced);
    enforced.map(|rule| rule.window().length()).max().unwrap_or(Millis::ZERO)
}

/// How long a pair can have anything of an attempt: as long as its longest window, and with a lock as long as the
/// longest of any policy and the quiet after it: at most [`MAX_PAIR_MEMORY`]. `None` if no rule counts pairs.
pub(crate) fn pair_memory(policy: &Policy) -> Option<Millis> {
    let quiet = longest_window(policy);
    let pairs = policy.rules().iter().filter(|rule| rule.subject() == Subject::Pair);
    let memories = pairs.map(|rule| {
        // A lock that runs keeps the length that an earlier policy gave it.
        let lock = rule.lock().map_or(Millis::ZERO, |_| {
            let longest = Window::MAX;
            Millis::new(longest.get().saturating_add(longest.max(quiet).get()))
        });
        // Before the lock comes the window of the attempts that lead to it.
        Millis::new(rule.window().length().get().saturating_add(lock.get()))
    });
    memories.max()
}

/// The tables of a policy in the order of first use, and each rule's slot, in the policy's order.
pub(crate) fn plan(policy: &Policy) -> (Vec<TableSpec>, Vec<RuleSlot>) {
    let longest_window = longest_window(policy);
    let mut tables: Vec<TableSpec> = Vec::new();
    let mut slots = Vec::with_capacity(policy.rules().len());
    for rule in policy.rules() {
        let kind = kind_of(rule, &tables);
        let table = tables.iter().position(|spec| spec.kind == kind).unwrap_or_else(|| {
            tables.push(TableSpec { kind, retention: Millis::ZERO, longest: 0, locks: 0, longest_window });
            tables.len().saturating_sub(1)
        });
        if let Some(spec) = tables.get_mut(table) {
            spec.retention = spec.retention.max(rule.window().length());
            spec.longest = spec.longest.max(rule.limit().get() as usize);
            let lock = rule.lock().map(|times| LockSlot { number: spec.locks, times });
            spec.locks = spec.locks.saturating_add(u8::from(lock.is_some()));
            slots.push(RuleSlot { table, lock, key: rule.key() });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_once_for_each_kind_of_log_in_the_order_of_first_use() {
        let policy = Policy::from_text("PAIR 1/1s IP 1/1s PAIR 2/1s IP 2/1s PAIR 1/1m COUNT-DENIED").unwrap();
        let (specs, slots) = plan(&policy);
        let kinds: Vec<_> = specs.iter().map(|spec| (spec.kind.subject, spec.kind.denied)).collect();
        assert_eq!(kinds, [(Subject::Pair, None), (Subject::Ip, None), (Subject::Pair, Some(0))]);
        let tables: Vec<_> = slots.iter().map(|slot| slot.table).collect();
        assert_eq!(tables, [0, 1, 0, 1, 2]);
    }

    #[test]
    fn a_table_keeps_the_longest_window_in_time() {
        let policy = Policy::from_text("IP 1/2h IP 1/119m EMAIL 1/1s IP 1/1ms").unwrap();
        let kept: Vec<_> = plan(&policy).0.iter().map(|spec| spec.retention.get()).collect();
        assert_eq!(kept, [7_200_000, 1_000]);
    }
}
