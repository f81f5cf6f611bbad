//! A rule against a log, and the binding rule of a policy.

use crate::limiter::attempt::Cost;
use crate::limiter::ledger::{Identities, Ledger};
use crate::limiter::log::Log;
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Millis, Policy, Rule};
use std::cmp::Reverse;

/// The answer to an attempt: allowed or not, with the figures of the binding rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the attempt may go ahead.
    pub allowed: bool,
    /// The binding rule's limit.
    pub limit: u32,
    /// How many attempts the binding rule has left.
    pub remaining: u32,
    /// Zero when another attempt of the same cost would be admitted now, else how long until one
    /// would be if nobody tries meanwhile.
    pub retry_after: Millis,
    /// How long until the binding rule's quota is whole again if nobody tries.
    pub reset: Millis,
    /// The binding rule's index in the policy.
    pub rule: usize,
}

/// Whether a judgement is to count the attempt it admits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// CHECK: the figures are those after counting.
    Count,
    /// PEEK: the figures are those before.
    Look,
}

/// One rule's figures for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Figures {
    remaining: u32,
    retry_after: Millis,
    reset: Millis,
}

/// One rule with the log it goes by.
struct Standing<'a> {
    rule: &'a Rule,
    log: Option<&'a Log>,
    /// The index of the oldest stamp in the rule's window.
    first: usize,
    /// How many stamps are in the window.
    used: u32,
    now: Timestamp,
}

impl<'a> Standing<'a> {
    /// How `rule` stands at `now` with `log`, of which nothing up to `floor` counts.
    fn new(rule: &'a Rule, log: Option<&'a Log>, floor: Cutoff, now: Timestamp) -> Self {
        let cutoff = floor.max(Cutoff::of(now, rule.window().length()));
        let (first, len) = log.map_or((0, 0), |log| (log.first_after(cutoff), log.len()));
        Self {
            rule,
            log,
            first,
            used: u32::try_from(len.saturating_sub(first)).unwrap_or(u32::MAX),
            now,
        }
    }

    /// The figures for an attempt of `cost` when `counted` further stamps of `now` are in the log.
    fn figures(&self, cost: Cost, counted: u32) -> Figures {
        let limit = self.rule.limit().get();
        let used = self.used.saturating_add(counted);
        let must_leave = used.saturating_add(cost.get()).saturating_sub(limit);
        Figures {
            remaining: limit.saturating_sub(used),
            retry_after: self.until_left(must_leave),
            reset: self.until_left(used),
        }
    }

    /// How long until the oldest `count` stamps have left the window; zero for none. Those beyond
    /// the log are of `now`.
    fn until_left(&self, count: u32) -> Millis {
        let Some(last) = count.checked_sub(1) else {
            return Millis::ZERO;
        };
        let window = self.rule.window().length();
        let index = self.first.saturating_add(last as usize);
        match self.log.and_then(|log| log.get(index)) {
            Some(stamp) => {
                let age = self.now.since(stamp.at());
                Millis::new(window.get().saturating_sub(age.get()))
            }
            None => window,
        }
    }
}

/// Judges an attempt with these identities: the one decision that CHECK and PEEK share. It is
/// admitted if every rule admits it.
pub(crate) fn judge(
    policy: &Policy,
    ledger: &Ledger,
    ids: &Identities,
    cost: Cost,
    now: Timestamp,
    purpose: Purpose,
) -> Verdict {
    let standings = || {
        policy.rules().iter().enumerate().map(|(index, rule)| {
            let (floor, log) = ledger
                .find(rule.subject(), ids)
                .map_or((Cutoff::NEVER, None), |(table, log)| (table.floor, log));
            (index, Standing::new(rule, log, floor, now))
        })
    };
    let refusing = standings()
        .map(|(index, standing)| (index, standing.figures(cost, 0)))
        .filter(|(_, figures)| figures.retry_after > Millis::ZERO)
        // Of equals the first in the policy: max_by_key would take the last.
        .min_by_key(|(_, figures)| Reverse(figures.retry_after));
    if let Some((rule, figures)) = refusing {
        return verdict(policy, false, rule, figures);
    }
    let counted = match purpose {
        Purpose::Count => cost.get(),
        Purpose::Look => 0,
    };
    let mut longest_wait = Millis::ZERO;
    let binding = standings()
        .map(|(index, standing)| (index, standing.figures(cost, counted)))
        .inspect(|(_, figures)| longest_wait = longest_wait.max(figures.retry_after))
        .min_by_key(|(_, figures)| (figures.remaining, Reverse(figures.reset)));
    let (rule, figures) = binding.unwrap_or((0, Figures::UNUSED));
    // With several rules used up, the one with the longest reset binds, but another may make the
    // next attempt wait longer.
    let figures = Figures {
        retry_after: longest_wait,
        ..figures
    };
    verdict(policy, true, rule, figures)
}

impl Figures {
    /// What a policy without rules would give; there is none.
    const UNUSED: Self = Self {
        remaining: 0,
        retry_after: Millis::ZERO,
        reset: Millis::ZERO,
    };
}

/// The verdict that rule number `rule` gives with `figures`.
fn verdict(policy: &Policy, allowed: bool, rule: usize, figures: Figures) -> Verdict {
    Verdict {
        allowed,
        limit: policy.rules().get(rule).map_or(0, |r| r.limit().get()),
        remaining: figures.remaining,
        retry_after: figures.retry_after,
        reset: figures.reset,
        rule,
    }
}
