//! A naive model of a limiter: a plain list of counted attempts, filtered again for every command.
//!
//! It follows the design (what the commands mean), not the engine's code. It is slow on purpose, and so simple that it
//! is obviously right. Where the design leaves a choice, it follows the engine's documentation: which rule's wait an
//! admitted attempt returns, and what a rule in shadow reports for a cost above its limit.
//!
//! To add a subject, add an arm to [`AttemptIds::identity`] and, if it counts distinct identities, to
//! [`AttemptIds::entry_key`]. To add a modifier of a rule, add its meaning to [`Model::rule_status`] (what a rule
//! sees), [`Model::trip`] (how a lock begins) or [`Model::check`] (what is counted).

mod counting;
mod ids;
mod lists;
pub(crate) mod policies;
mod rules;
pub(crate) mod run;
mod status;
pub(crate) mod steps;
pub(crate) mod support;

use authlimit::identity::PlusTags;
use authlimit::limiter::{Binding, List, RuleTotals, Verdict};
use authlimit::policy::{Counting, Enforcement, Millis, Options, Policy, Rule, Subject};
pub(crate) use ids::Request;
use ids::{AttemptIds, EntryKey, Identity, address, canonical_email, grouped};
use lists::{ListTarget, Lists};
use rules::{LogKind, all_logs, counts_distinct, is_enforced, lock_slot, log_of, rule_key, window};
use status::ModelStatus;
use std::net::IpAddr;
use steps::Target;

/// One unit of a counted attempt in one log. An attempt of cost n has n units.
#[derive(Clone, Debug)]
struct Unit {
    log: LogKind,
    identity: Identity,
    entry_key: EntryKey,
    /// How the email was spelled; `None` if in several ways.
    spelled: Option<&'static str>,
    at: u64,
    /// For a distinct identity: when and how it was last spelled otherwise.
    earlier: Option<(u64, Option<&'static str>)>,
}

/// The last time a rule with `LOCK` locked an identity.
#[derive(Clone, Debug)]
struct Trip {
    /// Which rule it is: its log, and its place among the log's rules with `LOCK`.
    slot: (LogKind, usize),
    identity: Identity,
    until: u64,
    length: u64,
    strikes: u32,
    /// Whose attempt began it, if that is known.
    by: Option<(Option<IpAddr>, &'static str)>,
    last_counted: u64,
}

/// A limiter as a list of units.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    policy: Policy,
    /// Every live unit, in the order of counting.
    units: Vec<Unit>,
    /// The last trip of each rule and identity.
    trips: Vec<Trip>,
    lists: Lists,
    /// The time of the latest change.
    latest: u64,
    /// How far the clock was set back and not forward again.
    debt: u64,
    totals: Vec<RuleTotals>,
}

impl Model {
    /// A limiter without attempts.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            totals: vec![RuleTotals::default(); policy.rules().len()],
            policy,
            units: Vec::new(),
            trips: Vec::new(),
            lists: Lists::default(),
            latest: 0,
            debt: 0,
        }
    }

    /// How often each rule has decided.
    pub(crate) fn totals(&self) -> &[RuleTotals] {
        &self.totals
    }

    /// CHECK: evaluates the rules and counts the attempt; the verdict is the state after counting.
    /// `None` if the request is an error.
    pub(crate) fn check(&mut self, request: &Request, clock: u64) -> Option<Verdict> {
        let ids = self.ids(request)?;
        let now = self.read_clock(clock);
        if let Some(verdict) = self.list_verdict(&ids, request.cost, now) {
            return Some(verdict);
        }
        let cost = request.cost;
        let before = self.all_statuses(&ids, cost, now);
        let refuses = |index: usize| before[index].is_some_and(|status| status.wait > 0);
        let is_allowed = !self.enforced().any(refuses);
        for (index, rule) in self.policy.rules().iter().enumerate() {
            let totals = &mut self.totals[index];
            match (rule.enforcement(), refuses(index)) {
                (Enforcement::Enforced, true) => totals.refused += 1,
                (Enforcement::Shadow, true) => totals.shadow_refused += 1,
                (_, false) if before[index].is_none() => {}
                (_, false) => totals.allowed += u64::from(is_allowed),
            }
        }
        // Every rule counts admitted attempts. `COUNT-DENIED` also counts attempts that only other rules refuse.
        let counts = |index: usize, rule: &Rule| {
            let also_denied = rule.counting() == Counting::AlsoDenied && !refuses(index);
            before[index].is_some() && (is_allowed || also_denied)
        };
        let rules = self.policy.rules().iter().enumerate();
        let counting = rules.filter(|(index, rule)| counts(*index, rule));
        let counting: Vec<usize> = counting.map(|(index, _)| index).collect();
        let takes_last = |index: &usize| before[*index].is_some_and(|status| status.takes_last);
        let tripping: Vec<usize> = counting.iter().copied().filter(takes_last).collect();
        let trips: Vec<Trip> = tripping.into_iter().filter_map(|index| self.trip(index, &ids, now)).collect();
        self.count(&counting, &ids, cost, now);
        for trip in trips {
            self.trips.retain(|known| !known.is_of(trip.slot, &trip.identity));
            self.trips.push(trip);
        }
        let verdict = if is_allowed { None } else { self.refusal(&ids, cost, now) };
        Some(verdict.unwrap_or_else(|| self.admission(&ids, cost, now)))
    }

    /// PEEK: what CHECK would return. `None` if the request is an error.
    pub(crate) fn peek(&self, request: &Request, clock: u64) -> Option<Verdict> {
        self.clone().check(request, clock)
    }

    /// PEEK ... RULES: the status of each rule; `None` for one that does not count the attempt.
    /// `None` if the request is an error.
    pub(crate) fn rule_statuses(&self, request: &Request, clock: u64) -> Option<Vec<Option<ModelStatus>>> {
        let ids = self.ids(request)?;
        Some(self.all_statuses(&ids, request.cost, self.ledger_time(clock)))
    }

    /// RESET: forgives every attempt by this IP on this email as spelled, and returns how many.
    /// `None` if the request is an error.
    pub(crate) fn reset(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let ids = self.ids(request)?;
        let now = self.read_clock(clock);
        Some(self.forgive_all(&ids, now))
    }

    /// REFUND: forgives the latest such attempt, as many units as it cost, and returns how many.
    /// Subjects that count distinct identities keep theirs. `None` if the request is an error.
    pub(crate) fn refund(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let ids = self.ids(request)?;
        let now = self.read_clock(clock);
        Some(self.take_back(&ids, request.cost as usize, now))
    }

    /// UNLOCK: returns how many identities it cleared; all pairs of an email count as one.
    pub(crate) fn unlock(&mut self, target: Target, clock: u64) -> usize {
        let now = self.read_clock(clock);
        let options = self.policy.options();
        let address_of = |ip: &str| Some(grouped(address(ip), options));
        let email_of = |email: &str| Some(canonical_email(email, options));
        let mut cleared = 0;
        for log in all_logs(&self.policy) {
            let identity = match (log.0, target) {
                (Subject::Ip | Subject::EmailsPerIp, Target::Ip(ip) | Target::Both(ip, _)) => {
                    Identity::Address(address_of(ip))
                }
                (Subject::Email | Subject::IpsPerEmail, Target::Email(email) | Target::Both(_, email)) => {
                    Identity::Email(email_of(email))
                }
                (Subject::Pair, Target::Both(ip, email)) => Identity::Pair(address_of(ip), email_of(email)),
                (Subject::Device, Target::Device(device)) => Identity::Device(device),
                (Subject::All, Target::All) => Identity::All,
                _ => continue,
            };
            // A lock that is over and no longer doubles is not counted as cleared.
            let is_lock = |trip: &Trip| trip.is_on(log, &identity) && !self.is_forgotten(trip, now);
            let has_lock = self.trips.iter().any(is_lock);
            if !has_lock && !self.has_attempts(log, &identity, now) {
                continue;
            }
            cleared += 1;
            self.units.retain(|unit| !unit.is_on(log, &identity));
            self.trips.retain(|trip| !trip.is_on(log, &identity));
        }
        if let (Target::Email(email), true) = (target, self.policy.has_subject(Subject::Pair)) {
            cleared += 1;
            let is_pair = |identity: &Identity| matches!(identity, Identity::Pair(_, of) if *of == email_of(email));
            self.units.retain(|unit| !(is_pair(&unit.identity) && unit.at < now));
            self.trips.retain(|trip| !(is_pair(&trip.identity) && trip.until - trip.length < now));
        }
        if cleared > 0 {
            self.latest = now;
        }
        cleared
    }

    /// ALLOW ADD or DENY ADD; returns whether the entry is new.
    pub(crate) fn list_add(&mut self, list: List, entry: &str, ttl: Option<u64>, clock: u64) -> bool {
        let now = self.read_clock(clock);
        self.latest = now;
        let entry = self.entry(entry);
        self.lists.add(list, entry, ttl.map(|ttl| now + ttl), now)
    }

    /// ALLOW DEL or DENY DEL; returns whether the entry was listed.
    pub(crate) fn list_remove(&mut self, list: List, entry: &str, clock: u64) -> bool {
        let now = self.read_clock(clock);
        self.lists.remove(list, &self.entry(entry), now)
    }

    /// POLICY: expired attempts stay expired, a removed log loses its counts, and a new one starts empty. Locks, and
    /// the logs of rules with `COUNT-DENIED`, stay with the rule of the same subject, limit, window and `COUNT-DENIED`.
    /// The same policy again changes nothing.
    pub(crate) fn change_policy(&mut self, policy: &Policy, clock: u64) {
        if *policy == self.policy {
            return;
        }
        let now = self.read_clock(clock);
        self.latest = now;
        self.drop_expired(now);
        let trips = std::mem::take(&mut self.trips).into_iter();
        self.trips = trips.filter(|trip| !self.is_forgotten(trip, now)).collect();
        let old = std::mem::replace(&mut self.policy, policy.clone());
        let old_rules = || 0..old.rules().len();
        let successor = |old_index: usize| {
            let key = rule_key(&old.rules()[old_index]);
            policy.rules().iter().position(|rule| rule_key(rule) == key)
        };
        let log_after = |log: LogKind| match log {
            (_, None) => all_logs(policy).contains(&log).then_some(log),
            (_, Some(_)) => {
                let old_index = old_rules().find(|index| log_of(&old, *index) == log)?;
                Some(log_of(policy, successor(old_index)?))
            }
        };
        let slot_after = |slot| {
            let old_index = old_rules().find(|index| lock_slot(&old, *index) == Some(slot))?;
            lock_slot(policy, successor(old_index)?)
        };
        let units = std::mem::take(&mut self.units).into_iter();
        self.units = units.filter_map(|unit| Some(Unit { log: log_after(unit.log)?, ..unit })).collect();
        let trips = std::mem::take(&mut self.trips).into_iter();
        self.trips = trips.filter_map(|trip| Some(Trip { slot: slot_after(trip.slot)?, ..trip })).collect();
        let old_totals = std::mem::take(&mut self.totals);
        self.totals = policy
            .rules()
            .iter()
            .map(|rule| {
                let same = old.rules().iter().position(|o| o.words() == rule.words());
                same.map_or_else(RuleTotals::default, |index| old_totals[index])
            })
            .collect();
    }

    /// The server restarts from its stored state, without the totals, which are kept only in memory.
    pub(crate) fn restart(&mut self) {
        self.totals = vec![RuleTotals::default(); self.policy.rules().len()];
    }

    /// The future clock times at which something expires, sorted: an attempt in a rule's window, a lock, the doubling
    /// of a lock, a list entry.
    pub(crate) fn ends(&self, clock: u64) -> Vec<u64> {
        let now = self.ledger_time(clock);
        let rules = self.policy.rules().iter().enumerate();
        let leaves = rules.flat_map(|(index, rule)| {
            let log = log_of(&self.policy, index);
            let units = self.units.iter().filter(move |unit| unit.log == log);
            units.map(|unit| unit.at + window(rule))
        });
        let locks = self.trips.iter().map(|trip| trip.until);
        let doublings = self.trips.iter().map(|trip| self.forgotten_at(trip));
        let mut ends: Vec<u64> = leaves
            .chain(locks)
            .chain(doublings)
            .chain(self.lists.expiries())
            .filter(|end| *end > now)
            .map(|end| end.saturating_sub(self.debt))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// The ids of a request; `None` if it is an error: an empty field that a rule needs, a cost that an enforced rule
    /// could never admit, an empty device, or a device without a DEVICE rule.
    fn ids(&self, request: &Request) -> Option<AttemptIds> {
        let Request { ip, email, device, cost } = *request;
        let rules = || self.policy.rules().iter();
        let lacks_address = ip.is_empty() && rules().any(|rule| rule.subject().needs_address());
        let lacks_email = email.is_empty() && rules().any(|rule| rule.subject().needs_email());
        let is_device_rule = |rule: &&Rule| rule.subject() == Subject::Device;
        let is_by_device = device.is_some() && rules().filter(is_device_rule).any(is_enforced);
        let is_beyond = |rule: &Rule| {
            let concerns = match rule.subject() {
                Subject::Device => device.is_some(),
                Subject::Email | Subject::IpsPerEmail | Subject::Pair => !is_by_device,
                Subject::Ip | Subject::EmailsPerIp | Subject::All => true,
            };
            let counts_cost = concerns && !counts_distinct(rule.subject());
            is_enforced(rule) && counts_cost && cost > rule.limit().get()
        };
        let has_bad_device = device.is_some_and(|device| device.is_empty() || !rules().any(|r| is_device_rule(&r)));
        if lacks_address || lacks_email || rules().any(is_beyond) || has_bad_device {
            return None;
        }
        let options = self.policy.options();
        let ip = (!ip.is_empty()).then(|| address(ip));
        let forms = [Options { plus_tags: PlusTags::Keep, ..options }, options];
        let listed_emails = forms.into_iter().filter(|_| !email.is_empty()).map(|form| canonical_email(email, form));
        Some(AttemptIds {
            ip,
            address: ip.map(|ip| grouped(ip, options)),
            email: (!email.is_empty()).then(|| canonical_email(email, options)),
            listed_emails: listed_emails.collect(),
            spelled: email,
            device,
            is_by_device,
        })
    }

    /// The verdict of the lists, which decide before any rule. A denial is no shorter than what the rules refuse.
    fn list_verdict(&self, ids: &AttemptIds, cost: u32, now: u64) -> Option<Verdict> {
        let (list, expires) = self.lists.find(ids.ip, &ids.listed_emails, now)?;
        let (allowed, wait, binding) = match list {
            List::Allow => (true, Some(Millis::ZERO), Binding::Allow),
            List::Deny => {
                let refused = self.refusal(ids, cost, now);
                let refused_for = refused.and_then(|verdict| verdict.retry_after).unwrap_or(Millis::ZERO);
                (false, expires.map(|at| Millis::new(at - now).max(refused_for)), Binding::Deny)
            }
        };
        Some(Verdict { allowed, limit: None, remaining: None, retry_after: wait, reset: wait, binding })
    }

    /// The list entry of this text; an email is canonical under the current policy.
    fn entry(&self, text: &str) -> ListTarget {
        match text.split_once('/') {
            Some(network) => ListTarget::network(network),
            None => ListTarget::Email(canonical_email(text, self.policy.options())),
        }
    }

    /// The ledger's time, and the debt after reading the clock: it stands still when the clock steps back, by which the
    /// debt grows. A step forward of at least half the debt pays it before time advances.
    fn time_and_debt(&self, clock: u64) -> (u64, u64) {
        let last_clock = self.latest.saturating_sub(self.debt);
        if clock < last_clock {
            return (self.latest, self.debt + (last_clock - clock));
        }
        let step = clock - last_clock;
        let paid = if 2 * step >= self.debt { step.min(self.debt) } else { 0 };
        (self.latest + step - paid, self.debt - paid)
    }

    /// The ledger's time.
    fn ledger_time(&self, clock: u64) -> u64 {
        self.time_and_debt(clock).0
    }

    /// The ledger's time for a command that may change something. While there is a debt, even a refused attempt lets
    /// time pass, at least each eighth of the debt, so that many small steps are not taken for a large one.
    fn read_clock(&mut self, clock: u64) -> u64 {
        let (now, debt) = self.time_and_debt(clock);
        let is_passing = debt == self.debt && debt > 0 && 8 * (now - self.latest) >= debt;
        if is_passing {
            self.latest = now;
        }
        self.debt = debt;
        now
    }
}
