//! The naive model of a limiter: a plain list of counted attempts, filtered anew for every question.
//!
//! It is written from the design (what the commands mean) and not from the engine, slow on purpose, and so simple
//! that it can be seen to be right. What the design leaves open follows the engine's documentation: how a clock that
//! was set back is gone on from, whose wait an admitted attempt is told, and what a rule in shadow says of a cost
//! above its limit.
//!
//! To add a subject: an arm in [`Who::identity`] and, if it counts different ones, in [`Who::mark`]. To add an
//! option of a rule: its meaning in [`Model::figures`] (what a rule sees), [`Model::trip`] (what a refusal does) or
//! [`Model::check`] (what is counted).

mod counting;
mod figures;
mod lists;
pub(crate) mod policies;
mod rules;
pub(crate) mod run;
pub(crate) mod steps;
pub(crate) mod support;
mod who;

use authlimit::limiter::{Binding, List, RuleTotals, Verdict};
use authlimit::policy::{Counting, Enforcement, Millis, Policy, Rule, Subject};
use figures::Figures;
use lists::{ListTarget, Lists};
use rules::{LogKind, all_series, counts_different_ones, is_enforced, lock_place, series_of, window};
pub(crate) use who::Request;
use who::{Identity, Mark, Who, address, canonical_email, grouped};

/// How far, in milliseconds, the clock may be behind the newest attempt before it counts as set back.
const CLOCK_TOLERANCE: u64 = 1_000;

/// One unit of a counted attempt in one series: an attempt of cost n is n of them.
#[derive(Clone, Debug)]
struct Unit {
    series: LogKind,
    identity: Identity,
    mark: Mark,
    /// How the email was spelled, by every attempt that this unit stands for; `None` if they differ.
    spelled: Option<&'static str>,
    at: u64,
}

/// What a rule with `LOCK` remembers of its last trip on an identity.
#[derive(Clone, Debug)]
struct Trip {
    series: LogKind,
    /// Which of the series' rules with `LOCK` it is.
    place: usize,
    identity: Identity,
    until: u64,
    length: u64,
    /// Whether the rule has admitted something since.
    is_armed: bool,
}

/// A limiter as a list.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    policy: Policy,
    /// Every unit counted and neither forgiven nor of no more use, in the order of counting.
    units: Vec<Unit>,
    /// The last trip of each rule and identity.
    trips: Vec<Trip>,
    lists: Lists,
    /// The time of the newest change.
    newest: u64,
    /// How far the ledger's time is ahead of the clock.
    lead: u64,
    totals: Vec<RuleTotals>,
}

impl Model {
    /// A limiter that has counted nothing.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            totals: vec![RuleTotals::default(); policy.rules().len()],
            policy,
            units: Vec::new(),
            trips: Vec::new(),
            lists: Lists::default(),
            newest: 0,
            lead: 0,
        }
    }

    /// How often each rule has decided.
    pub(crate) fn totals(&self) -> &[RuleTotals] {
        &self.totals
    }

    /// CHECK: judges, and counts what is admitted; the figures are those after counting.
    /// `None` for a request that is an error.
    pub(crate) fn check(&mut self, request: &Request, clock: u64) -> Option<Verdict> {
        let who = self.who(request)?;
        let now = self.read_clock(clock);
        if let Some(verdict) = self.listed(&who, now) {
            return Some(verdict);
        }
        let cost = request.cost;
        let before = self.all_figures(&who, cost, now);
        let refuses = |index: usize| before[index].is_some_and(|figures| figures.wait > 0);
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
        for (index, figures) in before.iter().enumerate() {
            if figures.is_some_and(|figures| figures.is_full) {
                self.trip(index, &who, now);
            }
        }
        // Every rule counts what is admitted; `COUNT-DENIED` counts what only others refuse, too.
        let counts = |index: usize, rule: &Rule| {
            let also_denied = rule.counting() == Counting::AlsoDenied && !refuses(index);
            before[index].is_some() && (is_allowed || also_denied)
        };
        let rules = self.policy.rules().iter().enumerate();
        let counting = rules.filter(|(index, rule)| counts(*index, rule));
        let counting: Vec<usize> = counting.map(|(index, _)| index).collect();
        let refused = self.refusal(&who, cost, now);
        for index in counting.iter().copied().filter(|index| !refuses(*index)) {
            self.arm(index, &who);
        }
        self.count(&counting, &who, cost, now);
        Some(refused.unwrap_or_else(|| self.admission(&who, cost, now)))
    }

    /// PEEK: judges and changes nothing. `None` for a request that is an error.
    pub(crate) fn peek(&self, request: &Request, clock: u64) -> Option<Verdict> {
        let who = self.who(request)?;
        let now = self.ledger_time(clock);
        let verdict = self.listed(&who, now);
        let verdict = verdict.or_else(|| self.refusal(&who, request.cost, now));
        Some(verdict.unwrap_or_else(|| self.admission(&who, request.cost, now)))
    }

    /// PEEK ... RULES: each rule's figures; `None` for one that the attempt does not concern.
    /// `None` for a request that is an error.
    pub(crate) fn standings(&self, request: &Request, clock: u64) -> Option<Vec<Option<Figures>>> {
        let who = self.who(request)?;
        Some(self.all_figures(&who, request.cost, self.ledger_time(clock)))
    }

    /// RESET: forgives every attempt by this address on this email as spelled, and says how many there were.
    /// `None` for a request that is an error.
    pub(crate) fn reset(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let who = self.who(request)?;
        let now = self.read_clock(clock);
        Some(self.forgive(&who, usize::MAX, now, |_| true))
    }

    /// REFUND: takes the newest such attempt back, as many units as it cost, and says how many there were.
    /// Subjects that count different ones keep theirs. `None` for a request that is an error.
    pub(crate) fn refund(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let who = self.who(request)?;
        let now = self.read_clock(clock);
        let counts_attempts = |subject: Subject| !counts_different_ones(subject);
        Some(self.forgive(&who, request.cost as usize, now, counts_attempts))
    }

    /// UNLOCK: clears an address, an email, or with both also the pair, and says how many identities there were.
    pub(crate) fn unlock(&mut self, ip: Option<&str>, email: Option<&str>, clock: u64) -> usize {
        let now = self.read_clock(clock);
        let options = self.policy.options();
        let address = ip.map(|ip| grouped(address(ip), options));
        let email = email.map(|email| canonical_email(email, options));
        let mut cleared = 0;
        for series in all_series(&self.policy) {
            let whom = match series.0 {
                Subject::Ip | Subject::EmailsPerIp => address.map(|a| Identity::Address(Some(a))),
                Subject::Email | Subject::IpsPerEmail => email.clone().map(|email| Identity::Email(Some(email))),
                Subject::Pair => {
                    address.zip(email.clone()).map(|(address, email)| Identity::Pair(Some(address), Some(email)))
                }
                Subject::All | Subject::Device => None,
            };
            let Some(whom) = whom else { continue };
            // Once a lock is open and its strike forgotten there is nothing to clear of it.
            let is_lock = |trip: &Trip| trip.is_on(series, &whom) && trip.is_strike(now);
            let has_lock = self.trips.iter().any(is_lock);
            if !has_lock && !self.has_attempts(series, &whom, now) {
                continue;
            }
            cleared += 1;
            self.units.retain(|unit| !unit.is_on(series, &whom));
            self.trips.retain(|trip| !trip.is_on(series, &whom));
        }
        if cleared > 0 {
            self.newest = now;
        }
        cleared
    }

    /// ALLOW ADD or DENY ADD; says whether the entry is new.
    pub(crate) fn list_add(&mut self, list: List, entry: &str, ttl: Option<u64>, clock: u64) -> bool {
        let now = self.read_clock(clock);
        self.newest = now;
        let entry = self.entry(entry);
        self.lists.add(list, entry, ttl.map(|ttl| now + ttl), now)
    }

    /// ALLOW DEL or DENY DEL; says whether the entry was there.
    pub(crate) fn list_remove(&mut self, list: List, entry: &str, clock: u64) -> bool {
        let now = self.read_clock(clock);
        self.lists.remove(list, &self.entry(entry), now)
    }

    /// POLICY: what the old rules of a series had let go stays gone, a series that goes loses its counts, and
    /// one that comes has none; locks stay by the place of their rule among those with `LOCK`. The same policy
    /// again changes nothing.
    pub(crate) fn change_policy(&mut self, policy: &Policy, clock: u64) {
        if *policy == self.policy {
            return;
        }
        let now = self.read_clock(clock);
        self.newest = now;
        self.forget(now);
        let old = std::mem::replace(&mut self.policy, policy.clone());
        let series = all_series(policy);
        self.units.retain(|unit| series.contains(&unit.series));
        self.trips.retain(|trip| {
            let places = (0..policy.rules().len()).filter_map(|index| lock_place(policy, index));
            places.into_iter().any(|place| place == (trip.series, trip.place))
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

    /// The server loads what it has stored: how often it has decided is kept in memory only.
    pub(crate) fn restart(&mut self) {
        self.totals = vec![RuleTotals::default(); self.policy.rules().len()];
    }

    /// What the clock will show when something comes to its end, in order, none of it past: a counted attempt in
    /// some rule's window, a lock, a strike, an entry of a list.
    pub(crate) fn ends(&self, clock: u64) -> Vec<u64> {
        let now = self.ledger_time(clock);
        let rules = self.policy.rules().iter().enumerate();
        let leaves = rules.flat_map(|(index, rule)| {
            let series = series_of(&self.policy, index);
            let units = self.units.iter().filter(move |unit| unit.series == series);
            units.map(|unit| unit.at + window(rule))
        });
        let locks = self.trips.iter().map(|trip| trip.until);
        let strikes = self.trips.iter().map(|trip| trip.until + trip.length);
        let mut ends: Vec<u64> = leaves
            .chain(locks)
            .chain(strikes)
            .chain(self.lists.ends())
            .filter(|end| *end > now)
            .map(|end| end - self.lead)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Who a request is about; `None` if it is an error: an empty field that a rule needs, a cost that some
    /// enforced rule could never admit, or a device that is empty or that no rule is for.
    fn who(&self, request: &Request) -> Option<Who> {
        let Request { ip, email, device, cost } = *request;
        let rules = || self.policy.rules().iter();
        let lacks_address = ip.is_empty() && rules().any(|rule| rule.subject().needs_address());
        let lacks_email = email.is_empty() && rules().any(|rule| rule.subject().needs_email());
        let is_beyond = |rule: &Rule| {
            let counts_cost = !counts_different_ones(rule.subject());
            is_enforced(rule) && counts_cost && cost > rule.limit().get()
        };
        let is_device_rule = |rule: &&Rule| rule.subject() == Subject::Device;
        let has_bad_device = device.is_some_and(|device| device.is_empty() || !rules().any(|r| is_device_rule(&r)));
        if lacks_address || lacks_email || rules().any(is_beyond) || has_bad_device {
            return None;
        }
        let options = self.policy.options();
        let ip = (!ip.is_empty()).then(|| address(ip));
        Some(Who {
            ip,
            address: ip.map(|ip| grouped(ip, options)),
            email: (!email.is_empty()).then(|| canonical_email(email, options)),
            spelled: email,
            device,
            is_by_device: device.is_some() && rules().filter(is_device_rule).any(is_enforced),
        })
    }

    /// The verdict of the lists, which are asked before any rule.
    fn listed(&self, who: &Who, now: u64) -> Option<Verdict> {
        let (list, expires) = self.lists.find(who.ip, who.email.as_deref(), now)?;
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

    /// The entry of a list of this text; an email is told apart from another as it is now.
    fn entry(&self, text: &str) -> ListTarget {
        match text.split_once('/') {
            Some(network) => ListTarget::network(network),
            None => ListTarget::Email(canonical_email(text, self.policy.options())),
        }
    }

    /// The ledger's time: that of the clock, except that it never runs back.
    fn ledger_time(&self, clock: u64) -> u64 {
        (clock + self.lead).max(self.newest)
    }

    /// The ledger's time for a command that may change something. Such a command notices a clock that was set
    /// back by more than the tolerance: from then on the ledger's time goes on from its newest.
    fn read_clock(&mut self, clock: u64) -> u64 {
        if clock + self.lead + CLOCK_TOLERANCE < self.newest {
            self.lead = self.newest - clock;
        }
        self.ledger_time(clock)
    }
}
