//! What an operator is told of refusals: whom a rule has begun to refuse, and who is refused most.
//!
//! All of it is in memory only: not replicated, not stored, not in the digest, and nothing is decided by it.
//! It is looked at when an attempt was refused, and there is none of it before the first refusal.

mod sketch;
mod told;

use crate::identity::Id;
use crate::limiter::attempt::{Attempt, Party};
use crate::limiter::judge::{Decision, RuleSet, Standing};
use crate::limiter::limiter::Limiter;
use crate::limiter::time::Timestamp;
use crate::policy::{Enforcement, Millis};
pub use sketch::MostRefused;
use sketch::Sketch;
pub(crate) use sketch::cut;
use told::ToldByRule;

/// What is remembered of a limiter's refusals.
#[derive(Clone, Default, Debug)]
pub(crate) struct Watch {
    told: ToldByRule,
    addresses: Sketch,
    emails: Sketch,
}

/// Something that begins with a refused attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beginning {
    /// What.
    pub kind: BeginningKind,
    /// The index of the rule in the policy.
    pub rule: usize,
    /// How long until the rule would admit the attempt if nobody tries.
    pub wait: Millis,
}

/// What begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BeginningKind {
    /// A rule refuses an identity that it could have admitted before.
    Refusal,
    /// A rule with `LOCK` shuts an identity.
    Lock,
    /// A rule that counts identities refuses: one address on too many emails, or too many on one.
    Spray,
}

/// What begins with a refused attempt, and how much of it there was no room to remember and so is not told.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Beginnings {
    /// What begins.
    pub told: Vec<Beginning>,
    /// How many further rules begin to refuse.
    pub untold: u64,
}

/// Whose most refused are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whom {
    /// The addresses.
    Addresses,
    /// The emails.
    Emails,
}

/// Address and email as received, where they may be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The address.
    pub ip: &'a [u8],
    /// The email.
    pub email: &'a [u8],
}

impl Limiter {
    /// What begins with `attempt`, on which `decision` was taken just now. A rule that refuses an identity
    /// is told once, and again only when it refuses after the wait that was told: hammering tells nothing.
    /// A lock is told whenever one begins, which takes that something was admitted since the last. Rules in
    /// shadow refuse nobody, and tell nothing; nor do the lists.
    pub fn beginnings(
        &mut self,
        attempt: &Attempt,
        decision: &Decision,
        clock: Timestamp,
    ) -> Beginnings {
        let mut beginnings = Beginnings::default();
        let refusing = self.enforced(decision);
        if refusing.is_empty() {
            return beginnings;
        }
        let now = self.ledger.now(clock).at;
        let party = &attempt.party;
        let ids = self.ledger.identities(party, &self.secret);
        let watch = self.watch.get_or_insert_default();
        for (rule, place) in self.ledger.places.iter().enumerate() {
            let Some(id) = ids.get(place.table).filter(|_| refusing.contains(rule)) else {
                continue;
            };
            let locks = decision.tripping.contains(rule);
            if !locks && watch.told.knows(rule, id, now) {
                continue;
            }
            let standing = Standing::of(&self.policy, &self.ledger, rule, party, &ids, now);
            let Some(standing) = standing else { continue };
            let wait = standing.before().retry_after;
            let mut tell = |kind| beginnings.told.push(Beginning { kind, rule, wait });
            let has_room = watch.told.remember(rule, id, now, now.plus(wait));
            if locks {
                tell(BeginningKind::Lock);
            }
            match standing.counts_identities() {
                true if has_room => tell(BeginningKind::Spray),
                false if locks => {}
                false if has_room => tell(BeginningKind::Refusal),
                _ => beginnings.untold = beginnings.untold.saturating_add(1),
            }
        }
        beginnings
    }

    /// Counts a refused attempt among those of its address and its email, and remembers `names` of the most
    /// refused where there are any.
    pub fn count_refusal(&mut self, attempt: &Attempt, names: Option<Names<'_>>, clock: Timestamp) {
        let now = self.ledger.now(clock).at;
        let Party { address, email, .. } = attempt.party;
        let watch = self.watch.get_or_insert_default();
        if address != Party::ABSENT {
            watch.addresses.count(address, names.map(|n| n.ip), now);
        }
        if email != Party::ABSENT {
            watch.emails.count(email, names.map(|n| n.email), now);
        }
    }

    /// The addresses or emails that this server has refused most often lately, the most refused first: of
    /// the last ten minutes or so, since counts are halved every ten minutes.
    #[must_use]
    pub fn most_refused(
        &self,
        whom: Whom,
        at_most: usize,
        clock: Timestamp,
    ) -> Vec<MostRefused<'_>> {
        let now = self.ledger.now(clock).at;
        let sketch = self.watch.as_ref().map(|watch| match whom {
            Whom::Addresses => &watch.addresses,
            Whom::Emails => &watch.emails,
        });
        sketch.map_or_else(Vec::new, |sketch| sketch.top(at_most, now))
    }

    /// Forgets the names of the most refused.
    pub fn forget_names(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.addresses.forget_names();
            watch.emails.forget_names();
        }
    }

    /// Forgets all that is remembered of refusals, as in a copy, which has refused nobody yet.
    pub fn forget_refusals(&mut self) {
        self.watch = None;
    }

    /// Gives back the memory of what has faded.
    pub(super) fn reclaim_watch(&mut self, now: Timestamp) {
        if self.watch.as_mut().is_some_and(|watch| watch.reclaim(now)) {
            self.watch = None;
        }
    }

    /// The enforced ones of the rules that refused.
    fn enforced(&self, decision: &Decision) -> RuleSet {
        let mut enforced = RuleSet::default();
        for (rule, settings) in self.policy.rules().iter().enumerate() {
            if settings.enforcement() == Enforcement::Enforced && decision.refusing.contains(rule) {
                enforced.insert(rule);
            }
        }
        enforced
    }
}

impl Watch {
    /// Forgets what was told of an identity, for which all begins anew.
    pub(crate) fn forget(&mut self, id: Id) {
        self.told.forget(id);
    }

    /// Forgets what was told by rules that are no longer those of the policy.
    pub(crate) fn forget_rules(&mut self) {
        self.told.clear();
    }

    /// Gives back the memory of what has faded; returns whether that was all.
    fn reclaim(&mut self, now: Timestamp) -> bool {
        self.told.reclaim(now);
        self.addresses.fade(now);
        self.emails.fade(now);
        self.told.is_empty() && self.addresses.is_empty() && self.emails.is_empty()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.told.bytes())
            .saturating_add(self.addresses.bytes())
            .saturating_add(self.emails.bytes())
    }
}

#[cfg(test)]
mod tests;
