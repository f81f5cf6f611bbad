//! All logs of a limiter, one table per subject of its policy, and the ledger's own time.

use crate::identity::{Id, Secret};
use crate::limiter::attempt::Attempt;
use crate::limiter::log::Log;
use crate::limiter::stamp::Stamp;
use crate::limiter::table::Table;
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Millis, Policy, Subject};

/// A clock that is behind the newest attempt by no more than this is waited for: so far apart are
/// the clocks of a primary and the replica that takes over from it. One that is further behind was
/// set back, and the ledger's time goes on from where it was.
const CLOCK_TOLERANCE: Millis = Millis::new(1_000);

/// One subject's identities.
#[derive(Clone, Debug)]
pub(crate) struct SubjectTable {
    pub(crate) subject: Subject,
    /// The longest window of the subject's rules: what is older is of no use to any of them.
    pub(crate) retention: Millis,
    /// What an earlier policy with shorter windows had let go, and must not come back when a later
    /// one looks further into the past. Without it, what counts would depend on what happens not to
    /// have been reclaimed yet, which differs between a primary and its replica.
    pub(crate) floor: Cutoff,
    pub(crate) table: Table,
}

impl SubjectTable {
    /// An empty table for `subject`.
    pub(crate) fn new(subject: Subject, retention: Millis, floor: Cutoff) -> Self {
        Self {
            subject,
            retention,
            floor,
            table: Table::default(),
        }
    }

    /// What is of no use to any rule of the subject at `now`.
    pub(crate) fn cutoff(&self, now: Timestamp) -> Cutoff {
        self.floor.max(Cutoff::of(now, self.retention))
    }
}

/// An attempt's identity in each table, in the tables' order.
pub(crate) type Identities = [Id; Subject::EVERY.len()];

/// The tables and the time they have reached.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) tables: Vec<SubjectTable>,
    /// The time of the newest effect. No stamp is newer.
    pub(crate) newest: Timestamp,
    /// How far the ledger's time is ahead of the server's clock, since that was set back.
    pub(crate) lead: Millis,
}

/// The ledger's time at some reading of the server's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    /// The lead that the ledger must take over, if the clock was set back.
    pub(crate) new_lead: Option<Millis>,
}

impl Ledger {
    /// An empty ledger for `policy`.
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut ledger = Self {
            tables: Vec::new(),
            newest: Timestamp::MIN,
            lead: Millis::ZERO,
        };
        ledger.adopt(policy);
        ledger
    }

    /// The ledger's time when the server's clock shows `clock`: the clock, except that time never
    /// runs back. A stamp from the future would make its window longer by as much as the clock was
    /// set back; so the ledger keeps going from its newest stamp instead, and no attempt leaves
    /// early or is locked in.
    pub(crate) fn now(&self, clock: Timestamp) -> Now {
        let at = clock.plus(self.lead);
        let behind = self.newest.since(at);
        let new_lead = (behind > CLOCK_TOLERANCE)
            .then(|| Millis::new(self.lead.get().saturating_add(behind.get())));
        Now {
            at: at.max(self.newest),
            new_lead,
        }
    }

    /// The identity of `attempt` in each table.
    pub(crate) fn identities(&self, attempt: &Attempt, secret: &Secret) -> Identities {
        let mut ids = [Attempt::ABSENT; Subject::EVERY.len()];
        for (id, table) in ids.iter_mut().zip(&self.tables) {
            *id = match table.subject {
                Subject::Ip => attempt.address,
                Subject::Email => attempt.email,
                Subject::Pair => secret.pair_id(attempt.address, attempt.email),
            };
        }
        ids
    }

    /// The table of `subject` with its log for this attempt.
    pub(crate) fn find(
        &self,
        subject: Subject,
        ids: &Identities,
    ) -> Option<(&SubjectTable, Option<&Log>)> {
        self.tables
            .iter()
            .zip(ids)
            .find(|(table, _)| table.subject == subject)
            .map(|(table, id)| (table, table.table.get(*id)))
    }

    /// Counts `attempt` at `at` for every subject.
    pub(crate) fn record(&mut self, attempt: &Attempt, ids: &Identities, at: Timestamp) {
        let at = self.advance(at);
        let stamp = Stamp::new(at, attempt.tag);
        for (table, id) in self.tables.iter_mut().zip(ids) {
            let cutoff = table.cutoff(at);
            table
                .table
                .record(*id, stamp, attempt.cost.get() as usize, cutoff);
        }
    }

    /// Forgives the newest `at_most` attempts with the tag of `attempt` that still count at `at`,
    /// for every subject; returns how many that were in the subject that remembers most of them.
    /// If there were none, the ledger is unchanged, its time included.
    pub(crate) fn forgive(
        &mut self,
        attempt: &Attempt,
        ids: &Identities,
        at_most: usize,
        at: Timestamp,
    ) -> usize {
        let at = at.max(self.newest);
        let mut forgiven = 0;
        for (table, id) in self.tables.iter_mut().zip(ids) {
            let cutoff = table.cutoff(at);
            let removed = table.table.forgive(*id, attempt.tag, at_most, cutoff);
            forgiven = forgiven.max(removed);
        }
        if forgiven > 0 {
            self.advance(at);
        }
        forgiven
    }

    /// Changes over to `policy` at `at`: subjects that stay keep their counts.
    pub(crate) fn change_policy(&mut self, policy: &Policy, at: Timestamp) {
        let at = self.advance(at);
        for table in &mut self.tables {
            table.floor = table.cutoff(at);
        }
        self.adopt(policy);
    }

    /// Arranges the tables for the subjects of `policy`.
    fn adopt(&mut self, policy: &Policy) {
        let mut old = std::mem::take(&mut self.tables);
        for subject in policy.subjects() {
            let retention = policy.longest_window(subject).unwrap_or(Millis::ZERO);
            let kept = old.iter().position(|table| table.subject == subject);
            let table = match kept {
                Some(index) => SubjectTable {
                    retention,
                    ..old.swap_remove(index)
                },
                None => SubjectTable::new(subject, retention, Cutoff::NEVER),
            };
            self.tables.push(table);
        }
    }

    /// Moves the ledger's time on to `at`, and returns what it is then: never less than it was.
    fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.newest = self.newest.max(at);
        self.newest
    }
}
