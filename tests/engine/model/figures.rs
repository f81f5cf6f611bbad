//! What the model says of an attempt: each rule's figures, and the verdict that they make.

use super::rules::{counts_different_ones, is_enforced, lock_place, series_of, window};
use super::who::Who;
use super::{Model, Unit};
use authlimit::limiter::{Binding, Verdict};
use authlimit::policy::Millis;
use std::cmp::Reverse;

/// One rule's figures for one attempt, in milliseconds where they are times.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Figures {
    pub(crate) remaining: u32,
    pub(crate) wait: u64,
    pub(crate) reset: u64,
    pub(crate) locked_for: u64,
    /// Whether it is the window that has no room.
    pub(super) is_full: bool,
}

impl Model {
    /// The numbers of the rules that may refuse.
    pub(super) fn enforced(&self) -> impl Iterator<Item = usize> {
        let rules = self.policy.rules().iter().enumerate();
        let enforced = rules.filter(|(_, rule)| is_enforced(rule));
        enforced.map(|(index, _)| index)
    }

    /// The verdict of the refusing rule with the longest wait, of equals the first; `None` if all rules admit.
    pub(super) fn refusal(&self, who: &Who, cost: u32, now: u64) -> Option<Verdict> {
        let all = self.all_figures(who, cost, now);
        let concerned = self.enforced().filter_map(|index| Some((index, all[index]?)));
        let (index, figures) = concerned
            .filter(|(_, figures)| figures.wait > 0)
            .min_by_key(|(index, figures)| (Reverse(figures.wait), *index))?;
        Some(self.verdict(false, index, figures))
    }

    /// The verdict of the rule with the fewest remaining, of equals the one with the longest reset, of equals the
    /// first; a rule in shadow only where there is no other. How long another attempt of the same cost would have
    /// to wait is for all rules that may refuse (another rule than the binding one may make it wait longer).
    pub(super) fn admission(&self, who: &Who, cost: u32, now: u64) -> Verdict {
        let all = self.all_figures(who, cost, now);
        let enforced: Vec<usize> = self.enforced().filter(|index| all[*index].is_some()).collect();
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
    pub(super) fn all_figures(&self, who: &Who, cost: u32, now: u64) -> Vec<Option<Figures>> {
        let rules = 0..self.policy.rules().len();
        rules.map(|index| self.figures(index, who, cost, now)).collect()
    }

    /// What rule number `index` says of an attempt: how many it has left, and how long until it would admit `cost`
    /// more and until it is unused, if nobody tries. `None` if the attempt does not concern it.
    pub(super) fn figures(&self, index: usize, who: &Who, cost: u32, now: u64) -> Option<Figures> {
        let rule = &self.policy.rules()[index];
        let limit = rule.limit().get() as usize;
        let identity = who.identity(rule.subject())?;
        let series = series_of(&self.policy, index);
        // What is in the rule's window; each leaves it exactly one window after it was counted.
        let counted: Vec<&Unit> =
            self.units.iter().filter(|unit| unit.is_on(series, &identity) && unit.at + window(rule) > now).collect();
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
        let opens = moments.filter(admits_at).min().unwrap_or(now + window(rule));
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
    pub(super) fn verdict(&self, allowed: bool, index: usize, figures: Figures) -> Verdict {
        Verdict {
            allowed,
            limit: self.policy.rules()[index].limit().get(),
            remaining: figures.remaining,
            retry_after: Millis::new(figures.wait),
            reset: Millis::new(figures.reset),
            binding: Binding::Rule(index),
        }
    }
}
