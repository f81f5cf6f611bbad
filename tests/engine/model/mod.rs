//! A naive model of a limiter: a plain list of counted attempts, filtered again for every command.
//!
//! It follows the design (what the commands mean), not the engine's code. It is slow on purpose, and so simple that it
//! is obviously right. Where the design leaves a choice, it follows the engine's documentation: how time continues
//! after the clock was set back, which rule's wait an admitted attempt returns, and what a rule in shadow reports for a
//! cost above its limit.
//!
//! To add a subject, add an arm to [`AttemptIds::identity`] and, if it counts distinct identities, to
//! [`AttemptIds::entry_key`]. To add a modifier of a rule, add its meaning to [`Model::rule_status`] (what a rule
//! sees), [`Model::trip`] (what a refusal does) or [`Model::check`] (what is counted).

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
use rules::{LogKind, all_logs, counts_distinct, is_enforced, lock_slot, log_of, window};
use status::ModelStatus;

/// How many milliseconds the clock may be behind the latest change before it counts as set back.
const CLOCK_TOLERANCE: u64 = 1_000;

/// One unit of a counted attempt in one log. An attempt of cost n has n units.
#[derive(Clone, Debug)]
struct Unit {
    log: LogKind,
    identity: Identity,
    entry_key: EntryKey,
    /// How all attempts of this unit spelled the email; `None` if they differ.
    spelled: Option<&'static str>,
    at: u64,
}

/// The last time a rule with `LOCK` locked an identity.
#[derive(Clone, Debug)]
struct Trip {
    log: LogKind,
    /// Which of the log's rules with `LOCK` it is.
    slot: usize,
    identity: Identity,
    until: u64,
    length: u64,
    /// Whether the rule has admitted an attempt since.
    is_armed: bool,
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
    /// How far the ledger's time is ahead of the clock.
    clock_offset: u64,
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
            clock_offset: 0,
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
        if let Some(verdict) = self.list_verdict(&ids, now) {
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
        for (index, status) in before.iter().enumerate() {
            if status.is_some_and(|status| status.is_full) {
                self.trip(index, &ids, now);
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
        let refused = self.refusal(&ids, cost, now);
        for index in counting.iter().copied().filter(|index| !refuses(*index)) {
            self.arm(index, &ids);
        }
        self.count(&counting, &ids, cost, now);
        Some(refused.unwrap_or_else(|| self.admission(&ids, cost, now)))
    }

    /// PEEK: evaluates the rules and changes nothing. `None` if the request is an error.
    pub(crate) fn peek(&self, request: &Request, clock: u64) -> Option<Verdict> {
        let ids = self.ids(request)?;
        let now = self.ledger_time(clock);
        let verdict = self.list_verdict(&ids, now);
        let verdict = verdict.or_else(|| self.refusal(&ids, request.cost, now));
        Some(verdict.unwrap_or_else(|| self.admission(&ids, request.cost, now)))
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
        Some(self.forgive(&ids, usize::MAX, now, |_| true))
    }

    /// REFUND: forgives the latest such attempt, as many units as it cost, and returns how many.
    /// Subjects that count distinct identities keep theirs. `None` if the request is an error.
    pub(crate) fn refund(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let ids = self.ids(request)?;
        let now = self.read_clock(clock);
        let counts_attempts = |subject: Subject| !counts_distinct(subject);
        Some(self.forgive(&ids, request.cost as usize, now, counts_attempts))
    }

    /// UNLOCK: clears an IP, an email, or with both also the pair, and returns how many identities it cleared.
    pub(crate) fn unlock(&mut self, ip: Option<&str>, email: Option<&str>, clock: u64) -> usize {
        let now = self.read_clock(clock);
        let options = self.policy.options();
        let address = ip.map(|ip| grouped(address(ip), options));
        let email = email.map(|email| canonical_email(email, options));
        let mut cleared = 0;
        for log in all_logs(&self.policy) {
            let identity = match log.0 {
                Subject::Ip | Subject::EmailsPerIp => address.map(|a| Identity::Address(Some(a))),
                Subject::Email | Subject::IpsPerEmail => email.clone().map(|email| Identity::Email(Some(email))),
                Subject::Pair => {
                    address.zip(email.clone()).map(|(address, email)| Identity::Pair(Some(address), Some(email)))
                }
                Subject::All | Subject::Device => None,
            };
            let Some(identity) = identity else { continue };
            // A lock that is over and no longer doubles is not counted as cleared.
            let is_lock = |trip: &Trip| trip.is_on(log, &identity) && trip.doubles_lock(now);
            let has_lock = self.trips.iter().any(is_lock);
            if !has_lock && !self.has_attempts(log, &identity, now) {
                continue;
            }
            cleared += 1;
            self.units.retain(|unit| !unit.is_on(log, &identity));
            self.trips.retain(|trip| !trip.is_on(log, &identity));
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

    /// POLICY: expired attempts stay expired, a removed log loses its counts, and a new one starts empty. Locks stay
    /// with the slot of their rule among the rules with `LOCK`. The same policy again changes nothing.
    pub(crate) fn change_policy(&mut self, policy: &Policy, clock: u64) {
        if *policy == self.policy {
            return;
        }
        let now = self.read_clock(clock);
        self.latest = now;
        self.drop_expired(now);
        let old = std::mem::replace(&mut self.policy, policy.clone());
        let logs = all_logs(policy);
        self.units.retain(|unit| logs.contains(&unit.log));
        self.trips.retain(|trip| {
            let slots = (0..policy.rules().len()).filter_map(|index| lock_slot(policy, index));
            slots.into_iter().any(|slot| slot == (trip.log, trip.slot))
        });
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
        let doublings = self.trips.iter().map(|trip| trip.until + trip.length);
        let mut ends: Vec<u64> = leaves
            .chain(locks)
            .chain(doublings)
            .chain(self.lists.expiries())
            .filter(|end| *end > now)
            .map(|end| end - self.clock_offset)
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
        let is_beyond = |rule: &Rule| {
            let counts_cost = !counts_distinct(rule.subject());
            is_enforced(rule) && counts_cost && cost > rule.limit().get()
        };
        let is_device_rule = |rule: &&Rule| rule.subject() == Subject::Device;
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
            is_by_device: device.is_some() && rules().filter(is_device_rule).any(is_enforced),
        })
    }

    /// The verdict of the lists, which decide before any rule.
    fn list_verdict(&self, ids: &AttemptIds, now: u64) -> Option<Verdict> {
        let (list, expires) = self.lists.find(ids.ip, &ids.listed_emails, now)?;
        let (allowed, binding) = match list {
            List::Allow => (true, Binding::Allow),
            List::Deny => (false, Binding::Deny),
        };
        let left = expires.filter(|_| !allowed).map_or(0, |at| at - now);
        Some(Verdict {
            allowed,
            limit: 0,
            remaining: 0,
            retry_after: Millis::new(left),
            reset: Millis::new(left),
            binding,
        })
    }

    /// The list entry of this text; an email is canonical under the current policy.
    fn entry(&self, text: &str) -> ListTarget {
        match text.split_once('/') {
            Some(network) => ListTarget::network(network),
            None => ListTarget::Email(canonical_email(text, self.policy.options())),
        }
    }

    /// The ledger's time: the clock's, except that it never runs back.
    fn ledger_time(&self, clock: u64) -> u64 {
        (clock + self.clock_offset).max(self.latest)
    }

    /// The ledger's time for a command that may change something. If the clock was set back by more than the
    /// tolerance, the ledger's time continues from the latest change.
    fn read_clock(&mut self, clock: u64) -> u64 {
        if clock + self.clock_offset + CLOCK_TOLERANCE < self.latest {
            self.clock_offset = self.latest - clock;
        }
        self.ledger_time(clock)
    }
}
