//! The model's status of each rule for an attempt, and the verdict from these statuses.

use super::ids::AttemptIds;
use super::rules::{counts_distinct, is_enforced, lock_slot, log_of, window};
use super::{Model, Unit};
use authlimit::limiter::{Binding, Verdict};
use authlimit::policy::Millis;
use std::cmp::Reverse;

/// The status of one rule for one attempt. All times are in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ModelStatus {
    pub(crate) remaining: u32,
    pub(crate) wait: u64,
    pub(crate) reset: u64,
    pub(crate) locked_for: u64,
    /// Whether the attempt would take the last of the quota.
    pub(super) takes_last: bool,
}

impl Model {
    /// The numbers of the enforced rules.
    pub(super) fn enforced(&self) -> impl Iterator<Item = usize> {
        let rules = self.policy.rules().iter().enumerate();
        let enforced = rules.filter(|(_, rule)| is_enforced(rule));
        enforced.map(|(index, _)| index)
    }

    /// The verdict of the refusing rule with the longest wait, the first on a tie; `None` if all rules admit.
    pub(super) fn refusal(&self, ids: &AttemptIds, cost: u32, now: u64) -> Option<Verdict> {
        let all = self.all_statuses(ids, cost, now);
        let statuses = self.enforced().filter_map(|index| Some((index, all[index]?)));
        let (index, status) = statuses
            .filter(|(_, status)| status.wait > 0)
            .min_by_key(|(index, status)| (Reverse(status.wait), *index))?;
        Some(self.verdict(false, index, status))
    }

    /// The verdict of the rule with the fewest remaining; on a tie the one with the longest reset, then the first. A
    /// rule in shadow counts only if no rule is enforced. The wait for another attempt of the same cost is the longest
    /// of all enforced rules, not only of the binding one.
    pub(super) fn admission(&self, ids: &AttemptIds, cost: u32, now: u64) -> Verdict {
        let all = self.all_statuses(ids, cost, now);
        let enforced: Vec<usize> = self.enforced().filter(|index| all[*index].is_some()).collect();
        let waits = enforced.iter().filter_map(|index| all[*index]);
        let wait = waits.map(|status| status.wait).max().unwrap_or(0);
        let (index, status) = (0..all.len())
            .filter(|index| enforced.is_empty() || enforced.contains(index))
            .filter_map(|index| Some((index, all[index]?)))
            .min_by_key(|(index, status)| (status.remaining, Reverse(status.reset), *index))
            .expect("some rule counts every attempt");
        self.verdict(true, index, ModelStatus { wait, ..status })
    }

    /// The status of every rule; `None` for one that does not count the attempt.
    pub(super) fn all_statuses(&self, ids: &AttemptIds, cost: u32, now: u64) -> Vec<Option<ModelStatus>> {
        let rules = 0..self.policy.rules().len();
        rules.map(|index| self.rule_status(index, ids, cost, now)).collect()
    }

    /// The status of rule number `index` for an attempt: what remains, the wait until it would admit `cost` more, and
    /// the time until it is unused if no attempt follows. `None` if the rule does not count the attempt.
    pub(super) fn rule_status(&self, index: usize, ids: &AttemptIds, cost: u32, now: u64) -> Option<ModelStatus> {
        let rule = &self.policy.rules()[index];
        let limit = rule.limit().get() as usize;
        let identity = ids.identity(rule.subject())?;
        let log = log_of(&self.policy, index);
        // The units in the rule's window. Each leaves it exactly one window after it was counted.
        let counted: Vec<&Unit> =
            self.units.iter().filter(|unit| unit.is_on(log, &identity) && unit.at + window(rule) > now).collect();
        let leaves = || counted.iter().map(|unit| unit.at + window(rule));
        let needed = if counts_distinct(rule.subject()) {
            let entry_key = ids.entry_key(rule.subject());
            usize::from(!counted.iter().any(|unit| unit.entry_key == entry_key))
        } else {
            cost as usize
        };
        let used_at = |moment: u64| leaves().filter(|leaves| *leaves > moment).count();
        let admits_at = |moment: &u64| needed == 0 || used_at(*moment) + needed <= limit;
        let moments = std::iter::once(now).chain(leaves());
        // A rule in shadow may get a cost above its limit, and then reports a wait of one window.
        let opens = moments.filter(admits_at).min().unwrap_or(now + window(rule));
        let unused_at = leaves().max().unwrap_or(now);
        let locked_for = lock_slot(&self.policy, index)
            .and_then(|slot| self.trips.iter().find(|trip| trip.is_of(slot, &identity)))
            .filter(|trip| !self.is_forgotten(trip, now))
            .map_or(0, |trip| trip.until.saturating_sub(now));
        let left = limit.saturating_sub(counted.len()) as u32;
        Some(ModelStatus {
            remaining: if locked_for > 0 { 0 } else { left },
            wait: (opens - now).max(locked_for),
            reset: (unused_at - now).max(locked_for),
            locked_for,
            takes_last: opens == now && locked_for == 0 && needed > 0 && counted.len() + needed == limit,
        })
    }

    /// The verdict of rule number `index`.
    pub(super) fn verdict(&self, allowed: bool, index: usize, status: ModelStatus) -> Verdict {
        Verdict {
            allowed,
            limit: Some(self.policy.rules()[index].limit().get()),
            remaining: Some(status.remaining),
            retry_after: Some(Millis::new(status.wait)),
            reset: Some(Millis::new(status.reset)),
            binding: Binding::Rule(index),
        }
    }
}
