//! RESET, REFUND and UNLOCK: what takes counted attempts back.

use crate::identity::Id;
use crate::limiter::attempt::{Attempt, Party};
use crate::limiter::effect::Effect;
use crate::limiter::ledger::Forgiveness;
use crate::limiter::limiter::Limiter;
use crate::limiter::time::Timestamp;
use crate::policy::Subject;

impl Limiter {
    /// Forgives all attempts by this address on this email as spelled; returns how many still
    /// counted, an attempt of cost n as n.
    pub fn reset(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        emit: impl FnMut(&Effect),
    ) -> usize {
        let made = |at, party| Effect::Reset { at, party };
        self.take_back(attempt, Forgiveness::All, made, clock, emit)
    }

    /// Takes the newest such attempt back (of the same cost); returns how many units still counted.
    pub fn refund(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        emit: impl FnMut(&Effect),
    ) -> usize {
        let made = |at, party| Effect::Refund { at, party };
        let newest = Forgiveness::newest(&attempt.party);
        self.take_back(attempt, newest, made, clock, emit)
    }

    /// Clears an address, an email, or with both also the pair: attempts and locks. Returns how many
    /// identities there were to clear.
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

    /// Forgives attempts like this one, and replicates what `effect` makes of it if there were any;
    /// returns how many units there were.
    fn take_back(
        &mut self,
        attempt: &Attempt,
        forgiveness: Forgiveness,
        effect: fn(Timestamp, Party) -> Effect,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let forgiven = self.forgive(&attempt.party, forgiveness, at);
        if forgiven > 0 {
            emit(&effect(at, attempt.party));
        }
        forgiven
    }

    /// Forgives attempts like `party`'s; returns how many units there were.
    pub(super) fn forgive(
        &mut self,
        party: &Party,
        forgiveness: Forgiveness,
        at: Timestamp,
    ) -> usize {
        let ids = self.ledger.identities(party, &self.secret);
        self.ledger.forgive(party, &ids, forgiveness, at)
    }

    /// Clears identities; returns how many there were.
    pub(super) fn clear(&mut self, address: Option<Id>, email: Option<Id>, at: Timestamp) -> usize {
        let at = at.max(self.ledger.newest);
        let pair = address.zip(email);
        let pair = pair.map(|(address, email)| self.secret.pair_id(address, email));
        let mut cleared = 0_usize;
        for table in &mut self.ledger.tables {
            let id = match table.needs.series.subject {
                Subject::Ip | Subject::EmailsPerIp => address,
                Subject::Email | Subject::IpsPerEmail => email,
                Subject::Pair => pair,
                Subject::All | Subject::Device => None,
            };
            // What no longer counts stays to be reclaimed: it may be gone from a copy already, and
            // clearing it is nothing to replicate.
            let Some(id) = id.filter(|id| table.remembers(*id, at)) else {
                continue;
            };
            table.logs.remove(id);
            table.locks.remove(id);
            if let Some(watch) = &mut self.watch {
                watch.forget(id);
            }
            cleared = cleared.saturating_add(1);
        }
        if cleared > 0 {
            self.ledger.advance(at);
        }
        cleared
    }
}
