//! All logs of a limiter, one table per series of its policy, and the ledger's own time.

use crate::identity::{Id, Secret};
use crate::limiter::attempt::Party;
use crate::limiter::locks::{self, LockState, Locks};
use crate::limiter::logs::{LogRef, Logs};
use crate::limiter::series::{self, Needs, Place};
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Enforcement, MAX_RULES, Millis, Policy, Subject};

/// A clock that is behind the newest attempt by no more than this is waited for: so far apart are
/// the clocks of a primary and the replica that takes over from it. One that is further behind was
/// set back, and the ledger's time goes on from where it was.
const CLOCK_TOLERANCE: Millis = Millis::new(1_000);

/// One series' identities.
#[derive(Clone, Debug)]
pub(crate) struct LogTable {
    pub(crate) needs: Needs,
    /// What an earlier policy with shorter windows had let go, and must not come back when a later
    /// one looks further into the past. Without it, what counts would depend on what happens not to
    /// have been reclaimed yet, which differs between a primary and its replica.
    pub(crate) floor: Cutoff,
    pub(crate) logs: Logs,
    pub(crate) locks: Locks,
}

impl LogTable {
    /// An empty table.
    fn new(needs: Needs) -> Self {
        Self {
            needs,
            floor: Cutoff::NEVER,
            logs: Logs::new(needs.series.subject),
            locks: Locks::default(),
        }
    }

    /// What is of no use to any rule of the series at `now`.
    pub(crate) fn cutoff(&self, now: Timestamp) -> Cutoff {
        self.floor.max(Cutoff::of(now, self.needs.retention))
    }

    /// Counts an attempt on `id` at `at`.
    fn record(&mut self, party: &Party, id: Id, at: Timestamp) {
        let (subject, longest) = (self.needs.series.subject, self.needs.longest);
        let cutoff = self.cutoff(at);
        self.logs.record(subject, party, id, at, cutoff, longest);
    }

    /// Whether some attempt on `id` still counts at `now`.
    pub(crate) fn is_live(&self, id: Id, now: Timestamp) -> bool {
        let cutoff = self.cutoff(now);
        let log = self.logs.get(id);
        log.is_some_and(|log| log.first_after(cutoff) < log.len())
    }

    /// The locks that something may still depend on at `now`.
    pub(crate) fn live_locks(&self, now: Timestamp) -> impl Iterator<Item = (Id, u8, &LockState)> {
        self.locks
            .iter()
            .filter(move |(id, _, state)| !self.is_over(*id, state, now))
    }

    /// Whether some attempt on `id` still counts at `now`, or something may depend on a lock of it.
    pub(crate) fn remembers(&self, id: Id, now: Timestamp) -> bool {
        self.is_live(id, now) || self.remembers_lock(id, now)
    }

    /// Whether something may still depend on a lock of `id` at `now`.
    pub(crate) fn remembers_lock(&self, id: Id, now: Timestamp) -> bool {
        let mut locks = self.locks.of(id);
        locks.any(|(_, state)| !self.is_over(id, state, now))
    }

    /// Whether nothing depends on this lock of `id` any more: it is as good as gone at once, and taken
    /// out later.
    pub(crate) fn is_over(&self, id: Id, state: &LockState, now: Timestamp) -> bool {
        locks::is_over(state, now, || self.is_live(id, now))
    }
}

/// Which identity an attempt is on in each table; none in a table that it does not concern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identities {
    ids: [Id; MAX_RULES],
    /// A bit for each table that it concerns.
    concerned: u32,
}

const _: () = assert!(MAX_RULES <= u32::BITS as usize);

impl Identities {
    /// In no table.
    const NONE: Self = Self {
        ids: [Id::from_raw(0); MAX_RULES],
        concerned: 0,
    };

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
    /// The newest so many, which had better not been counted. What counts identities keeps them: an
    /// earlier attempt may be why they are there.
    Newest(usize),
}

impl Forgiveness {
    /// The newest attempt of `party`'s cost.
    pub(crate) fn newest(party: &Party) -> Self {
        Self::Newest(party.cost.get() as usize)
    }
}

/// The tables and the time they have reached.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) tables: Vec<LogTable>,
    /// Where each rule of the policy finds what it goes by.
    pub(crate) places: Vec<Place>,
    /// Whether an enforced rule for devices takes the place of those for the email.
    devices_stand_in: bool,
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
            places: Vec::new(),
            devices_stand_in: false,
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

    /// Which identity `party` is in each table. An attempt by a device that the application has
    /// authenticated is counted on the device instead of on what strangers can fill from outside:
    /// the email and its addresses (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
    /// Not so where the rules for devices are all in shadow: those change nothing.
    pub(crate) fn identities(&self, party: &Party, secret: &Secret) -> Identities {
        let by_device = party.device.is_some() && self.devices_stand_in;
        let on_email = (!by_device).then_some(party.email);
        let mut identities = Identities::NONE;
        let mut bit = 1;
        for (id, table) in identities.ids.iter_mut().zip(&self.tables) {
            let concerned = match table.needs.series.subject {
                Subject::Ip | Subject::EmailsPerIp => Some(party.address),
                Subject::Email | Subject::IpsPerEmail => on_email,
                Subject::Pair => Some(secret.pair_id(party.address, party.email)),
                Subject::All => Some(Party::ABSENT),
                Subject::Device => party.device,
            };
            if let Some(concerned) = concerned {
                *id = concerned;
                identities.concerned |= bit;
            }
            bit <<= 1;
        }
        identities
    }

    /// Has the slots of `ids` fetched into the cache, all at once. Each is a cold line that takes as
    /// long to come as all the rest of a CHECK does; loads that do not depend on each other wait
    /// together, where judging the rules one by one would wait for each in turn.
    pub(crate) fn touch(&self, ids: &Identities) {
        let tables = self.tables.iter().zip(&ids.ids);
        let bits = tables.map(|(table, id)| table.logs.touch(*id));
        std::hint::black_box(bits.fold(0, |all, bits| all ^ bits));
    }

    /// Counts an attempt on `ids` at `at`.
    pub(crate) fn record(&mut self, party: &Party, ids: &Identities, at: Timestamp) {
        let at = self.advance(at);
        for (index, table) in self.tables.iter_mut().enumerate() {
            if let Some(id) = ids.get(index) {
                table.record(party, id, at);
            }
        }
    }

    /// Forgives attempts like `party`'s that still count at `at`; returns how many that were in the
    /// table that remembers most of them. If there were none, the ledger is unchanged, its time
    /// included.
    pub(crate) fn forgive(
        &mut self,
        party: &Party,
        ids: &Identities,
        forgiveness: Forgiveness,
        at: Timestamp,
    ) -> usize {
        let at = at.max(self.newest);
        let mut forgiven = 0;
        for (index, table) in self.tables.iter_mut().enumerate() {
            let subject = table.needs.series.subject;
            let Some(id) = ids.get(index) else { continue };
            let at_most = match forgiveness {
                Forgiveness::All => usize::MAX,
                Forgiveness::Newest(_) if subject.is_distinct_count() => continue,
                Forgiveness::Newest(units) => units,
            };
            let cutoff = table.cutoff(at);
            let removed = table.logs.forgive(subject, party, id, at_most, cutoff);
            forgiven = forgiven.max(removed);
            // With the last of a pair's attempts goes its lock. The lock of an address or an email
            // is not its to lift: others may have brought it about.
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

    /// Remembers that a rule has shut an identity.
    pub(crate) fn lock(&mut self, table: usize, rule: u8, id: Id, state: LockState, at: Timestamp) {
        let at = self.advance(at);
        let Some(table) = self.tables.get_mut(table) else {
            return;
        };
        let mut locks = std::mem::take(&mut table.locks);
        locks.put(id, rule, state, |id, state| table.is_over(id, state, at));
        table.locks = locks;
    }

    /// Changes over to `policy` at `at`: series that stay keep their counts. Returns the tables that
    /// nobody needs any more, whose freeing may take long.
    pub(crate) fn change_policy(&mut self, policy: &Policy, at: Timestamp) -> Vec<LogTable> {
        let at = self.advance(at);
        for table in &mut self.tables {
            table.floor = table.cutoff(at);
        }
        self.adopt(policy)
    }

    /// Arranges the tables for `policy`; returns those left over.
    fn adopt(&mut self, policy: &Policy) -> Vec<LogTable> {
        let (needs, places) = series::plan(policy);
        let mut old = std::mem::take(&mut self.tables);
        let table_for = |needs: Needs| {
            let kept = old.iter().position(|t| t.needs.series == needs.series);
            match kept.map(|index| old.swap_remove(index)) {
                Some(mut table) => {
                    table.needs = needs;
                    table.locks.truncate(needs.locks);
                    table
                }
                None => LogTable::new(needs),
            }
        };
        self.tables = needs.into_iter().map(table_for).collect();
        self.places = places;
        self.devices_stand_in = policy.rules().iter().any(|rule| {
            rule.subject() == Subject::Device && rule.enforcement() == Enforcement::Enforced
        });
        old
    }

    /// The log that the rule at `place` goes by.
    pub(crate) fn log(&self, place: Place, ids: &Identities) -> Option<LogRef<'_>> {
        self.tables
            .get(place.table)?
            .logs
            .get(ids.get(place.table)?)
    }

    /// What the rule at `place` remembers at `now` of having shut the identity.
    pub(crate) fn lock_state(
        &self,
        place: Place,
        ids: &Identities,
        now: Timestamp,
    ) -> Option<&LockState> {
        let table = self.tables.get(place.table)?;
        if table.locks.is_empty() {
            return None;
        }
        let id = ids.get(place.table)?;
        let state = table.locks.get(id, place.lock?)?;
        (!table.is_over(id, state, now)).then_some(state)
    }

    /// As [`Ledger::lock_state`] for rule number `rule`, to change.
    pub(crate) fn lock_state_mut(
        &mut self,
        rule: usize,
        ids: &Identities,
    ) -> Option<&mut LockState> {
        let place = *self.places.get(rule)?;
        let table = self.tables.get_mut(place.table)?;
        table.locks.get_mut(ids.get(place.table)?, place.lock?)
    }

    /// Moves the ledger's time on to `at`, and returns what it is then: never less than it was.
    pub(crate) fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.newest = self.newest.max(at);
        self.newest
    }
}
