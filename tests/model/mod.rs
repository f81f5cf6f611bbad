//! The naive model of a limiter: a plain list of counted attempts, filtered anew for every question.
//!
//! It is written from the design (what the commands mean) and not from the engine, slow on purpose, and so simple
//! that it can be seen to be right. What the design leaves open follows the engine's documentation: how a clock that
//! was set back is gone on from, and whose wait an admitted attempt is told.
//!
//! To add a subject: an arm in [`Who::is_same`]. To add an option of a rule: its meaning in [`Model::figures`]
//! (what a rule sees), [`Model::refusal`] (what a refusal does) or [`Model::count`] (what is counted).

pub(crate) mod steps;

use authlimit::identity::PlusTags;
use authlimit::limiter::{Binding, RuleTotals, Verdict};
use authlimit::policy::{Millis, Options, Policy, Rule, Subject};
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

/// How far, in milliseconds, the clock may be behind the newest attempt before it counts as set back.
const CLOCK_TOLERANCE: u64 = 1_000;

/// What a client sends: address and email as received, and the cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) ip: &'static str,
    pub(crate) email: &'static str,
    pub(crate) cost: u32,
    pub(crate) device: Option<&'static str>,
}

/// Who makes an attempt, and on whom; an address or email that is not given is one of its own.
#[derive(Clone, Debug)]
struct Who {
    address: Option<IpAddr>,
    email: Option<String>,
    spelled: &'static str,
}

/// One unit of a counted attempt: an attempt of cost n is n of them.
#[derive(Clone, Debug)]
struct Unit {
    at: u64,
    who: Who,
    /// The subjects that have neither forgiven it nor let it go.
    counted_for: Vec<Subject>,
}

/// One rule's figures for one attempt, in milliseconds where they are times.
#[derive(Clone, Copy, Debug)]
struct Figures {
    remaining: u32,
    wait: u64,
    reset: u64,
}

/// A limiter as a list.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    policy: Policy,
    /// Every unit ever counted and not forgiven, in the order of counting.
    units: Vec<Unit>,
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
        if let Some(refused) = self.refusal(&who, request.cost, now) {
            for (index, figures) in self.all_figures(&who, request.cost, now) {
                self.totals[index].refused += u64::from(figures.wait > 0);
            }
            return Some(refused);
        }
        self.count(&who, request.cost, now);
        for totals in &mut self.totals {
            totals.allowed += 1;
        }
        Some(self.admission(&who, request.cost, now))
    }

    /// PEEK: judges and changes nothing. `None` for a request that is an error.
    pub(crate) fn peek(&self, request: &Request, clock: u64) -> Option<Verdict> {
        let who = self.who(request)?;
        let now = self.ledger_time(clock);
        let refused = self.refusal(&who, request.cost, now);
        Some(refused.unwrap_or_else(|| self.admission(&who, request.cost, now)))
    }

    /// RESET: forgives every attempt by this address on this email as spelled, and says how many there were.
    /// `None` for a request that is an error.
    pub(crate) fn reset(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let who = self.who(request)?;
        let now = self.read_clock(clock);
        Some(self.forgive(&who, usize::MAX, now))
    }

    /// REFUND: takes the newest such attempt back, as many units as it cost, and says how many there were.
    /// `None` for a request that is an error.
    pub(crate) fn refund(&mut self, request: &Request, clock: u64) -> Option<usize> {
        let who = self.who(request)?;
        let now = self.read_clock(clock);
        Some(self.forgive(&who, request.cost as usize, now))
    }

    /// POLICY: what the old rules of a subject had let go stays gone, a subject that goes loses its counts, and
    /// one that comes has none. The same policy again changes nothing.
    pub(crate) fn change_policy(&mut self, policy: &Policy, clock: u64) {
        if *policy == self.policy {
            return;
        }
        let now = self.read_clock(clock);
        self.newest = now;
        let old = std::mem::replace(&mut self.policy, policy.clone());
        for unit in &mut self.units {
            let at = unit.at;
            unit.counted_for
                .retain(|subject| remembers(&old, *subject, at, now) && has(policy, *subject));
        }
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

    /// What the clock will show when some counted attempt leaves some rule's window, in order, none of it past.
    pub(crate) fn departures(&self, clock: u64) -> Vec<u64> {
        let now = self.ledger_time(clock);
        let mut moments: Vec<u64> = self
            .policy
            .rules()
            .iter()
            .flat_map(|rule| self.units.iter().map(move |unit| (rule, unit)))
            .filter(|(rule, unit)| unit.counted_for.contains(&rule.subject()))
            .map(|(rule, unit)| unit.at + window(rule))
            .filter(|leaves| *leaves > now)
            .map(|leaves| leaves - self.lead)
            .collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// Who a request is about; `None` if it is an error: an empty field that a rule needs, or a cost that some
    /// rule could never admit.
    fn who(&self, request: &Request) -> Option<Who> {
        let Request {
            ip, email, cost, ..
        } = *request;
        let subjects = || self.policy.rules().iter().map(Rule::subject);
        let lacks_address = ip.is_empty() && subjects().any(Subject::needs_address);
        let lacks_email = email.is_empty() && subjects().any(Subject::needs_email);
        let mut limits = self.policy.rules().iter().map(|rule| rule.limit().get());
        if lacks_address || lacks_email || limits.any(|limit| cost > limit) {
            return None;
        }
        let options = self.policy.options();
        Some(Who {
            address: (!ip.is_empty()).then(|| canonical_address(ip, options)),
            email: (!email.is_empty()).then(|| canonical_email(email, options)),
            spelled: email,
        })
    }

    /// The verdict of the refusing rule with the longest wait, of equals the first; `None` if all rules admit.
    fn refusal(&self, who: &Who, cost: u32, now: u64) -> Option<Verdict> {
        let mut binding: Option<(usize, Figures)> = None;
        for (index, figures) in self.all_figures(who, cost, now) {
            let is_longer = binding.is_none_or(|(_, other)| figures.wait > other.wait);
            if figures.wait > 0 && is_longer {
                binding = Some((index, figures));
            }
        }
        let (index, figures) = binding?;
        Some(self.verdict(false, index, figures))
    }

    /// The verdict of the rule with the fewest remaining, of equals the one with the longest reset, of equals the
    /// first. How long another attempt of the same cost would have to wait is for all rules (the engine's
    /// refinement: another rule than the binding one may make it wait longer).
    fn admission(&self, who: &Who, cost: u32, now: u64) -> Verdict {
        let all = self.all_figures(who, cost, now);
        let wait = all.iter().map(|(_, figures)| figures.wait).max();
        let (index, figures) = all
            .into_iter()
            .min_by_key(|(index, figures)| (figures.remaining, Reverse(figures.reset), *index))
            .expect("a policy has a rule");
        let wait = wait.expect("a policy has a rule");
        self.verdict(true, index, Figures { wait, ..figures })
    }

    /// The figures of every rule, with its place in the policy.
    fn all_figures(&self, who: &Who, cost: u32, now: u64) -> Vec<(usize, Figures)> {
        let rules = self.policy.rules().iter().enumerate();
        rules
            .map(|(index, rule)| (index, self.figures(rule, who, cost, now)))
            .collect()
    }

    /// What `rule` says of an attempt: how many it has left, and how long until it would admit `cost` more and
    /// until it is unused, if nobody tries.
    fn figures(&self, rule: &Rule, who: &Who, cost: u32, now: u64) -> Figures {
        let limit = rule.limit().get() as usize;
        // When each attempt that is in the rule's window leaves it: exactly one window after it was counted.
        let leaves: Vec<u64> = self
            .units
            .iter()
            .filter(|unit| unit.counted_for.contains(&rule.subject()))
            .filter(|unit| unit.who.is_same(rule.subject(), who))
            .map(|unit| unit.at + window(rule))
            .filter(|leaves| *leaves > now)
            .collect();
        let used_at = |moment: u64| leaves.iter().filter(|leaves| **leaves > moment).count();
        let admits_at = |moment: &u64| used_at(*moment) + cost as usize <= limit;
        let opens = std::iter::once(now)
            .chain(leaves.iter().copied())
            .filter(admits_at)
            .min()
            .expect("no cost is above a limit");
        let whole = leaves.iter().copied().max().unwrap_or(now);
        Figures {
            remaining: limit.saturating_sub(leaves.len()) as u32,
            wait: opens - now,
            reset: whole - now,
        }
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

    /// Counts an attempt for every subject of the policy.
    fn count(&mut self, who: &Who, cost: u32, now: u64) {
        let unit = Unit {
            at: now,
            who: who.clone(),
            counted_for: self.policy.subjects().collect(),
        };
        self.units.extend(std::iter::repeat_n(unit, cost as usize));
        self.newest = now;
    }

    /// Forgives, for each subject, the newest `at_most` attempts by this address on this email as spelled that it
    /// still remembers; says how many that were for the subject with most of them. None leaves all as it was.
    fn forgive(&mut self, who: &Who, at_most: usize, now: u64) -> usize {
        let mut most = 0;
        for subject in self.policy.subjects() {
            let mut forgiven = 0;
            for unit in self.units.iter_mut().rev() {
                let is_such = unit.counted_for.contains(&subject)
                    && remembers(&self.policy, subject, unit.at, now)
                    && unit.who.is_same(subject, who)
                    && unit.who.is_forgiven_with(who);
                if is_such && forgiven < at_most {
                    unit.counted_for.retain(|other| *other != subject);
                    forgiven += 1;
                }
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

impl Who {
    /// Whether `subject` counts the two together.
    fn is_same(&self, subject: Subject, other: &Self) -> bool {
        match subject {
            Subject::Ip => self.address == other.address,
            Subject::Email => self.email == other.email,
            Subject::Pair => self.address == other.address && self.email == other.email,
            _ => unimplemented!(),
        }
    }

    /// Whether a success of `other` forgives this one's attempts: same address, email spelled the same.
    fn is_forgiven_with(&self, other: &Self) -> bool {
        self.address == other.address && self.spelled == other.spelled
    }
}

/// Whether some rule of `policy` counts for `subject`.
fn has(policy: &Policy, subject: Subject) -> bool {
    policy.rules().iter().any(|rule| rule.subject() == subject)
}

/// Whether an attempt of `at` is still in the window of some rule for `subject`.
fn remembers(policy: &Policy, subject: Subject, at: u64, now: u64) -> bool {
    let mut rules = policy.rules().iter();
    rules.any(|rule| rule.subject() == subject && at + window(rule) > now)
}

/// The length of a rule's window in milliseconds.
fn window(rule: &Rule) -> u64 {
    rule.window().length().get()
}

/// An address as it is counted: IPv4 in IPv6 is IPv4, other IPv6 goes by its block.
fn canonical_address(ip: &str, options: Options) -> IpAddr {
    let address: IpAddr = ip.parse().expect("the tests' addresses are addresses");
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let host_bits = 128 - u32::from(options.ipv6_prefix.bits());
            let block = v6.to_bits() >> host_bits << host_bits;
            IpAddr::V6(Ipv6Addr::from_bits(block))
        }
        v4 => v4,
    }
}

/// An email as it is counted, for the plain spellings that the tests use: lower case, no blanks, and no plus-tag
/// if the policy strips it.
fn canonical_email(email: &str, options: Options) -> String {
    let plain = email.to_ascii_lowercase().replace(' ', "");
    match (options.plus_tags, plain.split_once('@')) {
        (PlusTags::Strip, Some((local, domain))) => {
            let untagged = local.split('+').next().unwrap_or(local);
            format!("{untagged}@{domain}")
        }
        _ => plain,
    }
}
