//! All logs of a limiter, one table for each kind of log that its policy needs, and the ledger's own time.

use crate::identity::{Id, Secret};
use crate::limiter::attempt::AttemptIds;
use crate::limiter::locks::{LockKey, LockState};
use crate::limiter::subject_table::{LogKind, RuleSlot, SubjectTable, TableSpec};
use crate::policy::{Counting, Enforcement, MAX_RULES, Millis, Policy, Rule, Subject};
use crate::table::Timestamp;

/// A clock that is behind the latest attempt by no more than this is waited for: the clocks of a primary and of the
/// replica that takes over may differ by so much. A clock further behind was set back, and the ledger's time continues
/// from where it was.
const CLOCK_TOLERANCE: Millis = Millis::new(1_000);

/// The identity that an attempt has in each table; absent in a table that it does not concern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableIds {
    ids: [Id; MAX_RULES],
    /// A bit for each table that it concerns.
    concerned: u32,
}

const _: () = assert!(MAX_RULES <= u32::BITS as usize);

impl TableIds {
    /// In no table.
    const NONE: Self = Self { ids: [Id::from_raw(0); MAX_RULES], concerned: 0 };

    /// The identity in table number `table`.
    pub(crate) fn get(&self, table: usize) -> Option<Id> {
        let id = self.ids.get(table)?;
        (self.concerned >> table & 1 == 1).then_some(*id)
    }

    /// Leaves out the tables that `keeps` does not name.
    pub(crate) fn retain(&mut self, keeps: impl Fn(usize) -> bool) {
        for table in (0..MAX_RULES).filter(|table| !keeps(*table)) {
            self.concerned &= !(1 << table);
        }
    }
}

/// How much is forgiven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Forgiveness {
    /// All, after a success; with the last attempt of a pair also its lock.
    All,
    /// This many of the newest, which should not have been counted. Distinct counts keep theirs: an earlier attempt may be
    /// why they are there.
    Newest(usize),
}

impl Forgiveness {
    /// The newest attempt of this cost.
    pub(crate) fn newest(ids: &AttemptIds) -> Self {
        Self::Newest(ids.cost.get() as usize)
    }
}

/// The tables, and the time they have reached.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) tables: Vec<SubjectTable>,
    /// Where each rule of the policy finds its log and its lock.
    pub(crate) slots: Vec<RuleSlot>,
    /// Whether an enforced rule for devices replaces those for the email.
    devices_replace_emails: bool,
    /// The time of the latest effect. No entry is newer.
    pub(crate) latest: Timestamp,
    /// How far the ledger's time is ahead of the server's clock, since that was set back.
    pub(crate) clock_offset: Millis,
}

/// The ledger's time at some reading of the server's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    /// The offset that the ledger must take over, if the clock was set back.
    pub(crate) new_offset: Option<Millis>,
}

impl Ledger {
    /// An empty ledger for `policy`.
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut ledger = Self {
            tables: Vec::new(),
            slots: Vec::new(),
            devices_replace_emails: false,
            latest: Timestamp::MIN,
            clock_offset: Millis::ZERO,
        };
        ledger.adopt(policy);
        ledger
    }

    /// The ledger's time when the server's clock shows `clock`: the clock, except that time never runs back. An entry
    /// from the future would make its window longer by as much as the clock was set back. So the ledger continues from
    /// its latest entry, and no attempt leaves early or stays locked in.
    pub(crate) fn now(&self, clock: Timestamp) -> Now {
        let at = clock.plus(self.clock_offset);
        let behind = self.latest.since(at);
        let new_offset =
            (behind > CLOCK_TOLERANCE).then(|| Millis::new(self.clock_offset.get().saturating_add(behind.get())));
        Now { at: at.max(self.latest), new_offset }
    }

    /// The identity of an attempt in each table. An attempt by a device that the application has authenticated counts
    /// on the device, and not on what strangers can fill: the email and its addresses (OWASP, "Slow Down Online
    /// Guessing Attacks with Device Cookies"). If all rules for devices are in shadow, they change nothing.
    pub(crate) fn table_ids(&self, ids: &AttemptIds, secret: &Secret) -> TableIds {
        let by_device = ids.device.is_some() && self.devices_replace_emails;
        let on_email = (!by_device).then_some(ids.email);
        let mut table_ids = TableIds::NONE;
        let mut bit = 1;
        for (id, table) in table_ids.ids.iter_mut().zip(&self.tables) {
            let concerned = match table.spec.kind.subject {
                Subject::Ip | Subject::EmailsPerIp => Some(ids.address),
                Subject::Email | Subject::IpsPerEmail => on_email,
                Subject::Pair => Some(secret.pair_id(ids.address, ids.email)),
                Subject::All => Some(AttemptIds::ABSENT),
                Subject::Device => ids.device,
            };
            if let Some(concerned) = concerned {
                *id = concerned;
                table_ids.concerned |= bit;
            }
            bit <<= 1;
        }
        table_ids
    }

    /// Has the slots of `table_ids` fetched into the cache, all at once. Each is a cold line that takes as long as the
    /// rest of a CHECK. Loads that do not depend on each other overlap; evaluating the rules one by one would wait for
    /// each in turn.
    pub(crate) fn prefetch(&self, table_ids: &TableIds) {
        let tables = self.tables.iter().zip(&table_ids.ids);
        let bits = tables.map(|(table, id)| table.logs.prefetch(*id));
        std::hint::black_box(bits.fold(0, |all, bits| all ^ bits));
    }

    /// Counts an attempt on `table_ids` at `at`.
    pub(crate) fn record(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) {
        let at = self.advance(at);
        for (index, table) in self.tables.iter_mut().enumerate() {
            if let Some(id) = table_ids.get(index) {
                table.record(ids, id, at);
            }
        }
    }

    /// Forgives attempts like this one that still count at `at`; returns how many there were in the table that
    /// remembers most of them. If there were none, the ledger is unchanged, including its time.
    pub(crate) fn forgive(
        &mut self,
        ids: &AttemptIds,
        table_ids: &TableIds,
        forgiveness: Forgiveness,
        at: Timestamp,
    ) -> usize {
        let at = at.max(self.latest);
        let mut forgiven = 0;
        for (index, table) in self.tables.iter_mut().enumerate() {
            let subject = table.spec.kind.subject;
            let Some(id) = table_ids.get(index) else { continue };
            let at_most = match forgiveness {
                Forgiveness::All => usize::MAX,
                Forgiveness::Newest(_) if subject.is_distinct_count() => continue,
                Forgiveness::Newest(units) => units,
            };
            let removed = table.forgive(ids, id, at_most, at);
            forgiven = forgiven.max(removed);
            // The last of a pair's attempts takes its lock with it. The lock of an address or an email stays: others
            // may have caused it.
            let lifts = forgiveness == Forgiveness::All && subject == Subject::Pair;
            if lifts && removed > 0 && !table.is_live(id, at) {
                table.locks.remove(id);
            }
        }
        if forgiven > 0 {
            self.advance(at);
        }
        forgiven
    }

    /// Stores that a rule has locked an identity.
    pub(crate) fn lock(&mut self, table: usize, key: LockKey, state: LockState, at: Timestamp) {
        let at = self.advance(at);
        let Some(table) = self.tables.get_mut(table) else { return };
        let mut locks = std::mem::take(&mut table.locks);
        locks.put(key, state, |id, state| table.is_over(id, state, at));
        table.locks = locks;
    }

    /// Changes to `policy` at `at`: tables that both policies need keep their counts. Returns the tables that are no
    /// longer needed, which may take long to free.
    pub(crate) fn change_policy(&mut self, policy: &Policy, at: Timestamp) -> Vec<SubjectTable> {
        let at = self.advance(at);
        for table in &mut self.tables {
            table.floor = table.cutoff(at);
        }
        self.adopt(policy)
    }

    /// Arranges the tables for `policy`; returns those that it does not need.
    fn adopt(&mut self, policy: &Policy) -> Vec<SubjectTable> {
        let (specs, slots) = plan(policy);
        let mut old = std::mem::take(&mut self.tables);
        let table_for = |spec: TableSpec| {
            let kept = old.iter().position(|table| table.spec.kind == spec.kind);
            match kept.map(|index| old.swap_remove(index)) {
                Some(mut table) => {
                    table.spec = spec;
                    table.locks.truncate(spec.locks);
                    table
                }
                None => SubjectTable::new(spec),
            }
        };
        self.tables = specs.into_iter().map(table_for).collect();
        self.slots = slots;
        let replaces = |subject, enforcement| subject == Subject::Device && enforcement == Enforcement::Enforced;
        self.devices_replace_emails = policy.rules().iter().any(|rule| replaces(rule.subject(), rule.enforcement()));
        old
    }

    /// The lock that rule number `rule` has for its identity, to change.
    pub(crate) fn lock_state_mut(&mut self, rule: usize, table_ids: &TableIds) -> Option<&mut LockState> {
        let slot = *self.slots.get(rule)?;
        let table = self.tables.get_mut(slot.table)?;
        table.locks.get_mut((table_ids.get(slot.table)?, slot.lock?))
    }

    /// Moves the ledger's time to `at`, and returns the new time: never less than before.
    pub(crate) fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.latest = self.latest.max(at);
        self.latest
    }
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
