//! RESET, REFUND and UNLOCK: what takes counted attempts back.

use crate::identity::Id;
use crate::limiter::attempt::{Attempt, Party};
use crate::limiter::effect::Effect;
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
        mut emit: impl FnMut(&Effect),
    ) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let party = attempt.party;
        let forgiven = self.forgive_all(&party, at);
        if forgiven > 0 {
            emit(&Effect::Reset { at, party });
        }
        forgiven
    }

    /// Takes the newest such attempt back (of the same cost); returns how many units still counted.
    pub fn refund(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let party = attempt.party;
        let refunded = self.forgive_newest(&party, at);
        if refunded > 0 {
            emit(&Effect::Refund { at, party });
        }
        refunded
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

    /// Forgives all attempts like `party`'s; returns how many there were.
    pub(super) fn forgive_all(&mut self, party: &Party, at: Timestamp) -> usize {
        let ids = self.ledger.identities(party, &self.secret);
        self.ledger.forgive(party, &ids, usize::MAX, at, |_| true)
    }

    /// Takes the newest attempt like `party`'s back; returns how many units there were. Subjects
    /// that count identities keep theirs: an earlier attempt may be what they remember.
    pub(super) fn forgive_newest(&mut self, party: &Party, at: Timestamp) -> usize {
        let ids = self.ledger.identities(party, &self.secret);
        let units = party.cost.get() as usize;
        let counts_attempts = |subject: Subject| !subject.is_distinct_count();
        self.ledger.forgive(party, &ids, units, at, counts_attempts)
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
            cleared = cleared.saturating_add(1);
        }
        if cleared > 0 {
            self.ledger.advance(at);
        }
        cleared
    }
}
