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

mod lists;
pub(crate) mod policies;
mod rules;
pub(crate) mod steps;
pub(crate) mod support;
mod who;

use authlimit::limiter::{Binding, List, RuleTotals, Verdict};
use authlimit::policy::{Counting, Enforcement, Lock as LockWords, Millis, Policy, Rule, Subject};
use lists::{Entry, Lists};
use rules::{
    Series, all_series, counts_different_ones, is_enforced, lock_place, series_of, window,
};
use std::cmp::Reverse;
pub(crate) use who::Request;
use who::{Identity, Mark, Who, address, canonical_email, grouped};

/// How far, in milliseconds, the clock may be behind the newest attempt before it counts as set back.
const CLOCK_TOLERANCE: u64 = 1_000;

/// One unit of a counted attempt in one series: an attempt of cost n is n of them.
#[derive(Clone, Debug)]
struct Unit {
    series: Series,
    identity: Identity,
    mark: Mark,
    /// How the email was spelled, by every attempt that this unit stands for; `None` if they differ.
    spelled: Option<&'static str>,
    at: u64,
}

/// What a rule with `LOCK` remembers of its last trip on an identity.
#[derive(Clone, Debug)]
struct Trip {
    series: Series,
    /// Which of the series' rules with `LOCK` it is.
    place: usize,
    identity: Identity,
    until: u64,
    length: u64,
    /// Whether the rule has admitted something since.
    is_armed: bool,
}

/// One rule's figures for one attempt, in milliseconds where they are times.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Figures {
    pub(crate) remaining: u32,
    pub(crate) wait: u64,
    pub(crate) reset: u64,
    pub(crate) locked_for: u64,
    /// Whether it is the window that has no room.
    is_full: bool,
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
                Subject::Email | Subject::IpsPerEmail => {
                    email.clone().map(|email| Identity::Email(Some(email)))
                }
                Subject::Pair => address
                    .zip(email.clone())
                    .map(|(address, email)| Identity::Pair(Some(address), Some(email))),
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
    pub(crate) fn list_add(
        &mut self,
        list: List,
        entry: &str,
        ttl: Option<u64>,
        clock: u64,
    ) -> bool {
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
            places
                .into_iter()
                .any(|place| place == (trip.series, trip.place))
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
        let Request {
            ip,
            email,
            device,
            cost,
        } = *request;
        let rules = || self.policy.rules().iter();
        let lacks_address = ip.is_empty() && rules().any(|rule| rule.subject().needs_address());
        let lacks_email = email.is_empty() && rules().any(|rule| rule.subject().needs_email());
        let is_beyond = |rule: &Rule| {
            let counts_cost = !counts_different_ones(rule.subject());
            is_enforced(rule) && counts_cost && cost > rule.limit().get()
        };
        let is_device_rule = |rule: &&Rule| rule.subject() == Subject::Device;
        let has_bad_device =
            device.is_some_and(|device| device.is_empty() || !rules().any(|r| is_device_rule(&r)));
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

    /// The numbers of the rules that may refuse.
    fn enforced(&self) -> impl Iterator<Item = usize> {
        let rules = self.policy.rules().iter().enumerate();
        let enforced = rules.filter(|(_, rule)| is_enforced(rule));
        enforced.map(|(index, _)| index)
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
    fn entry(&self, text: &str) -> Entry {
        match text.split_once('/') {
            Some(network) => Entry::network(network),
            None => Entry::Email(canonical_email(text, self.policy.options())),
        }
    }

    /// The verdict of the refusing rule with the longest wait, of equals the first; `None` if all rules admit.
    fn refusal(&self, who: &Who, cost: u32, now: u64) -> Option<Verdict> {
        let all = self.all_figures(who, cost, now);
        let concerned = self
            .enforced()
            .filter_map(|index| Some((index, all[index]?)));
        let (index, figures) = concerned
            .filter(|(_, figures)| figures.wait > 0)
            .min_by_key(|(index, figures)| (Reverse(figures.wait), *index))?;
        Some(self.verdict(false, index, figures))
    }

    /// The verdict of the rule with the fewest remaining, of equals the one with the longest reset, of equals the
    /// first; a rule in shadow only where there is no other. How long another attempt of the same cost would have
    /// to wait is for all rules that may refuse (another rule than the binding one may make it wait longer).
    fn admission(&self, who: &Who, cost: u32, now: u64) -> Verdict {
        let all = self.all_figures(who, cost, now);
        let enforced: Vec<usize> = self
            .enforced()
            .filter(|index| all[*index].is_some())
            .collect();
        let waits = enforced.iter().filter_map(|index| all[*index]);
        let wait = waits.map(|figures| figures.wait).max().unwrap_or(0);
        let (index, figures) = (0..all.len())
            .filter(|index| enforced.is_empty() || enforced.contains(index))
            .filter_map(|index| Some((index, all[index]?)))
            .min_by_key(|(index, figures)| (figures.remaining, Reverse(figures.reset), *index))
            .expect("every attempt concerns a rule");
        self.verdict(true, index, Figures { wait, ..figures })
    }

    /// The figures of every rule; `None` for one that the attempt does not concern.
    fn all_figures(&self, who: &Who, cost: u32, now: u64) -> Vec<Option<Figures>> {
        let rules = 0..self.policy.rules().len();
        rules
            .map(|index| self.figures(index, who, cost, now))
            .collect()
    }

    /// What rule number `index` says of an attempt: how many it has left, and how long until it would admit `cost`
    /// more and until it is unused, if nobody tries. `None` if the attempt does not concern it.
    fn figures(&self, index: usize, who: &Who, cost: u32, now: u64) -> Option<Figures> {
        let rule = &self.policy.rules()[index];
        let limit = rule.limit().get() as usize;
        let identity = who.identity(rule.subject())?;
        let series = series_of(&self.policy, index);
        // What is in the rule's window; each leaves it exactly one window after it was counted.
        let counted: Vec<&Unit> = self
            .units
            .iter()
            .filter(|unit| unit.is_on(series, &identity) && unit.at + window(rule) > now)
            .collect();
        let leaves = || counted.iter().map(|unit| unit.at + window(rule));
        let needed = if counts_different_ones(rule.subject()) {
            let mark = who.mark(rule.subject());
            usize::from(!counted.iter().any(|unit| unit.mark == mark))
        } else {
            cost as usize
        };
        let used_at = |moment: u64| leaves().filter(|leaves| *leaves > moment).count();
        let admits_at = |moment: &u64| needed == 0 || used_at(*moment) + needed <= limit;
        let moments = std::iter::once(now).chain(leaves());
        // A rule in shadow may be asked for more than its limit, and then says that it takes a window.
        let opens = moments
            .filter(admits_at)
            .min()
            .unwrap_or(now + window(rule));
        let whole = leaves().max().unwrap_or(now);
        let locked_for = lock_place(&self.policy, index)
            .and_then(|place| self.trips.iter().find(|trip| trip.is_of(place, &identity)))
            .map_or(0, |trip| trip.until.saturating_sub(now));
        let left = limit.saturating_sub(counted.len()) as u32;
        Some(Figures {
            remaining: if locked_for > 0 { 0 } else { left },
            wait: (opens - now).max(locked_for),
            reset: (whole - now).max(locked_for),
            locked_for,
            is_full: opens > now,
        })
    }

    /// The verdict of rule number `index`.
    fn verdict(&self, allowed: bool, index: usize, figures: Figures) -> Verdict {
        Verdict {
            allowed,
            limit: self.policy.rules()[index].limit().get(),
            remaining: figures.remaining,
            retry_after: Millis::new(figures.wait),
            reset: Millis::new(figures.reset),
            binding: Binding::Rule(index),
        }
    }

    /// Lets rule number `index`, which has refused because its window is full, shut if it has a `LOCK`: not while
    /// it is shut, and not again before it has admitted something.
    fn trip(&mut self, index: usize, who: &Who, now: u64) {
        let rule = &self.policy.rules()[index];
        let Some((place, lock)) = lock_place(&self.policy, index).zip(rule.lock()) else {
            return;
        };
        let identity = who.identity(rule.subject()).expect("it has refused");
        let last = self
            .trips
            .iter()
            .position(|trip| trip.is_of(place, &identity));
        let last = last.map(|at| self.trips[at].clone());
        // Once its strike is forgotten and nothing of the identity counts any more it is as if it never had tripped:
        // an attempt that costs more than the limit of a rule in shadow may refuse without anything admitted before.
        let has_attempts = self.has_attempts(place.0, &identity, now);
        let last = last.filter(|last| last.is_strike(now) || has_attempts);
        if last
            .as_ref()
            .is_some_and(|last| last.until > now || !last.is_armed)
        {
            return;
        }
        let length = lock_length(lock, last.filter(|last| last.is_strike(now)));
        self.trips.retain(|trip| !trip.is_of(place, &identity));
        self.trips.push(Trip {
            series: place.0,
            place: place.1,
            identity,
            until: now + length,
            length,
            is_armed: false,
        });
        self.totals[index].locks += 1;
        self.newest = now;
    }

    /// Remembers that rule number `index` has admitted an attempt.
    fn arm(&mut self, index: usize, who: &Who) {
        let subject = self.policy.rules()[index].subject();
        let place = lock_place(&self.policy, index);
        for trip in &mut self.trips {
            let is_its = place.zip(who.identity(subject));
            trip.is_armed |= is_its.is_some_and(|(place, identity)| trip.is_of(place, &identity));
        }
    }

    /// Counts an attempt in the series of the rules of these numbers, once in each.
    fn count(&mut self, rules: &[usize], who: &Who, cost: u32, now: u64) {
        let mut counted = Vec::new();
        for index in rules {
            let series = series_of(&self.policy, *index);
            let identity = who.identity(series.0).expect("it is of its concern");
            if counted.contains(&series) {
                continue;
            }
            counted.push(series);
            let mark = who.mark(series.0);
            let mut units = cost as usize;
            let mut spelled = Some(who.spelled);
            if counts_different_ones(series.0) {
                // One that is there moves to now. Seen by two spellings it is neither's to forgive.
                self.forget(now);
                let is_same = |unit: &Unit| unit.is_on(series, &identity) && unit.mark == mark;
                let earlier = self.units.iter().find(|unit| is_same(unit));
                if earlier.is_some_and(|unit| unit.spelled != spelled) {
                    spelled = None;
                }
                self.units.retain(|unit| !is_same(unit));
                units = 1;
            }
            let unit = Unit {
                series,
                identity,
                mark,
                spelled,
                at: now,
            };
            self.units.extend(std::iter::repeat_n(unit.clone(), units));
            self.keep_newest(series, &unit.identity);
            self.newest = now;
        }
        if !counted.is_empty() {
            self.forget(now);
        }
    }

    /// Lets go what is beyond the greatest limit of the series, the oldest first: a rule in shadow counts on, and
    /// how long until an attempt fits depends on the newest only.
    fn keep_newest(&mut self, series: Series, identity: &Identity) {
        let rules = self.policy.rules().iter().enumerate();
        let its_rules = rules.filter(|(index, _)| series_of(&self.policy, *index) == series);
        let longest = its_rules.map(|(_, rule)| rule.limit().get() as usize).max();
        let length = self
            .units
            .iter()
            .filter(|unit| unit.is_on(series, identity))
            .count();
        let mut surplus = length.saturating_sub(longest.expect("a series is of some rule"));
        self.units.retain(|unit| {
            let goes = surplus > 0 && unit.is_on(series, identity);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Lets go what is in no rule's window any more. Only for a command that changes something: time does not run
    /// back behind the newest change, but it may behind a question.
    fn forget(&mut self, now: u64) {
        let policy = self.policy.clone();
        self.units.retain(|unit| unit.is_remembered(&policy, now));
    }

    /// Whether something of `identity` is still in the window of some rule of `series`.
    fn has_attempts(&self, series: Series, identity: &Identity, now: u64) -> bool {
        let mut units = self.units.iter();
        units.any(|unit| unit.is_on(series, identity) && unit.is_remembered(&self.policy, now))
    }

    /// Forgives, for each series of the subjects that `goes_for` names, the newest `at_most` attempts by this
    /// address on this email as spelled that it still remembers; says how many that were for the one with most of
    /// them. With the last of a pair's attempts, if all are forgiven, goes its lock. None leaves all as it was.
    fn forgive(
        &mut self,
        who: &Who,
        at_most: usize,
        now: u64,
        goes_for: impl Fn(Subject) -> bool,
    ) -> usize {
        let mut most = 0;
        for series in all_series(&self.policy) {
            let Some(identity) = who.identity(series.0).filter(|_| goes_for(series.0)) else {
                continue;
            };
            let mark = who.mark(series.0);
            let mut forgiven = 0;
            let mut index = self.units.len();
            while index > 0 && forgiven < at_most {
                index -= 1;
                let unit = &self.units[index];
                let is_such = unit.is_on(series, &identity) && unit.mark == mark;
                let is_such = is_such && unit.spelled == Some(who.spelled);
                if is_such && unit.is_remembered(&self.policy, now) {
                    self.units.remove(index);
                    forgiven += 1;
                }
            }
            let is_left = self.has_attempts(series, &identity, now);
            let is_reset = at_most == usize::MAX;
            if is_reset && series.0 == Subject::Pair && forgiven > 0 && !is_left {
                self.trips.retain(|trip| !trip.is_on(series, &identity));
            }
            most = most.max(forgiven);
        }
        if most > 0 {
            self.newest = now;
        }
        most
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

impl Unit {
    /// Whether it is still in the window of some rule of its series.
    fn is_remembered(&self, policy: &Policy, now: u64) -> bool {
        let rules = policy.rules().iter().enumerate();
        let mut its_rules = rules.filter(|(index, _)| series_of(policy, *index) == self.series);
        its_rules.any(|(_, rule)| self.at + window(rule) > now)
    }

    fn is_on(&self, series: Series, identity: &Identity) -> bool {
        self.series == series && self.identity == *identity
    }
}

impl Trip {
    fn is_on(&self, series: Series, identity: &Identity) -> bool {
        self.series == series && self.identity == *identity
    }

    /// Whether it is of the rule at this place.
    fn is_of(&self, (series, place): (Series, usize), identity: &Identity) -> bool {
        self.is_on(series, identity) && self.place == place
    }

    /// Whether a trip at `now` would be another strike: strikes are forgotten after as long a quiet as the lock
    /// lasted.
    fn is_strike(&self, now: u64) -> bool {
        now < self.until + self.length
    }
}

/// How long a rule shuts: the first time, or twice as long as for the last strike.
fn lock_length(lock: LockWords, last: Option<Trip>) -> u64 {
    let (first, longest) = (lock.first().get(), lock.longest().get());
    last.map_or(first, |last| (2 * last.length).clamp(first, longest))
}
