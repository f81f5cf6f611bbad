//! RESET, REFUND and UNLOCK: what takes counted attempts back.

use crate::identity::Id;
use crate::limiter::attempt::Attempt;
use crate::limiter::effect::Effect;
use crate::limiter::ledger::Forgiveness;
use crate::limiter::limiter::Limiter;
use crate::table::Timestamp;

impl Limiter {
    /// Forgives all attempts by this address on this email as spelled; returns how many still counted, where an attempt
    /// of cost n is n.
    pub fn reset(&mut self, attempt: &Attempt, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> usize {
        let (at, ids) = (self.read_clock(clock, &mut emit), attempt.ids);
        let forgiven = self.forgive(&ids, Forgiveness::All, at);
        if forgiven > 0 {
            emit(&Effect::Reset { at, ids });
        }
        forgiven
    }

    /// Takes back the newest such attempt (of the same cost); returns how many units still counted.
    pub fn refund(&mut self, attempt: &Attempt, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> usize {
        let (at, ids) = (self.read_clock(clock, &mut emit), attempt.ids);
        let forgiven = self.forgive(&ids, Forgiveness::newest(&ids), at);
        if forgiven > 0 {
            emit(&Effect::Refund { at, ids });
        }
        forgiven
    }

    /// Clears an address, an email, or with both also the pair: attempts and locks. Returns how many identities there
    /// were to clear.
    pub fn unlock(
        &mut self,
        address: Option<Id>,
        email: Option<Id>,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let cleared = self.clear(address, email, at);
        if cleared > 0 {
            emit(&Effect::Unlock { at, address, email });
        }
        cleared
    }
}
