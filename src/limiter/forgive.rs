//! RESET, REFUND and UNLOCK: what takes counted attempts back.

use crate::limiter::attempt::Attempt;
use crate::limiter::effect::{Effect, UnlockTarget};
use crate::limiter::ledger::Scope;
use crate::limiter::limiter::Limiter;
use crate::table::Timestamp;

impl Limiter {
    /// Forgives all attempts by this address on this email as spelled, with a device or without, and the locks that
    /// they began; returns how many still counted, where an attempt of cost n is n.
    pub fn reset(&mut self, attempt: &Attempt, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> usize {
        let (at, ids) = (self.read_clock(clock, &mut emit), attempt.ids);
        let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Forgiving, at);
        let forgiven = self.ledger.forgive(&ids, &table_ids, at);
        if forgiven.changed {
            emit(&Effect::Reset { at, ids });
        }
        forgiven.units
    }

    /// Takes back the newest such attempt, at most its cost, and a lock that it began; returns how many units still
    /// counted.
    pub fn refund(&mut self, attempt: &Attempt, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> usize {
        let (at, ids) = (self.read_clock(clock, &mut emit), attempt.ids);
        let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Counting, at);
        let refunded = self.ledger.refund(&ids, &table_ids, at);
        if refunded.changed {
            emit(&Effect::Refund { at, ids });
        }
        refunded.units
    }

    /// Clears identities: attempts, locks and strikes. Returns how many there were to clear; all pairs of an email
    /// together count as one, whether there were any or not.
    pub fn unlock(&mut self, target: UnlockTarget, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let cleared = self.clear(target, at);
        if cleared > 0 {
            emit(&Effect::Unlock { at, target });
        }
        cleared
    }
}
