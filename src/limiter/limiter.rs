//! A limiter: its policy, its secret, its ledger, and what can be asked of it.

use crate::identity::{Address, AddressError, CanonicalEmail, Secret};
use crate::limiter::attempt::{Attempt, Cost};
use crate::limiter::chunk::{ChunkError, Chunks};
use crate::limiter::effect::{Effect, Genesis, TableGenesis};
use crate::limiter::judge::{Purpose, Verdict, judge};
use crate::limiter::ledger::{Ledger, SubjectTable};
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Policy, Rule, Subject};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// The value of one limiter key.
///
/// The methods that decide (`check`, `reset`, ...) carry out what they decided and return it as
/// [`Effect`]s to replicate; [`Limiter::apply`] carries out effects that another server decided.
#[derive(Clone, Debug)]
pub struct Limiter {
    policy: Policy,
    secret: Secret,
    ledger: Ledger,
    totals: Vec<RuleTotals>,
}

/// How often this server has decided by a rule. Kept in memory only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RuleTotals {
    /// Attempts that the rule admitted and that were counted.
    pub allowed: u64,
    /// Attempts refused with this as the binding rule.
    pub refused: u64,
}

/// What one subject takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubjectUsage {
    /// The subject.
    pub subject: Subject,
    /// Identities held, expired ones that were not reclaimed yet among them.
    pub identities: usize,
    /// Bytes of memory they take.
    pub bytes: usize,
}

/// Why an attempt cannot be judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttemptError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No email, and a rule needs it.
    #[error("email is empty, and the limiter's policy has a rule that needs it")]
    EmptyEmail,
    /// A cost that some rule could never admit.
    #[error("COST is above a limit of the policy, so no such attempt could ever be admitted")]
    UnreachableCost,
}

impl Limiter {
    /// A limiter that has counted nothing yet.
    #[must_use]
    pub fn new(policy: Policy, secret: Secret) -> Self {
        Self {
            totals: vec![RuleTotals::default(); policy.rules().len()],
            ledger: Ledger::new(&policy),
            policy,
            secret,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The words of the rule that `verdict` was given by.
    #[must_use]
    pub fn rule_words(&self, verdict: &Verdict) -> &str {
        self.policy
            .rules()
            .get(verdict.rule)
            .map_or("", Rule::words)
    }

    /// Makes an attempt of an address and an email as received.
    ///
    /// # Errors
    /// [`AttemptError`] if the address is none, if one of them is empty and a rule needs it, or if
    /// some rule could never admit `cost`.
    pub fn attempt(&self, ip: &[u8], email: &[u8], cost: Cost) -> Result<Attempt, AttemptError> {
        let options = self.policy.options();
        let address = if ip.is_empty() && !self.policy.needs_address() {
            Attempt::ABSENT
        } else {
            let address = Address::parse(ip, options.ipv6_prefix)?;
            self.secret.address_id(&address)
        };
        let email_id = if !email.is_empty() {
            let canonical = CanonicalEmail::of(email, options.plus_tags);
            self.secret.email_id(&canonical)
        } else if self.policy.needs_email() {
            return Err(AttemptError::EmptyEmail);
        } else {
            Attempt::ABSENT
        };
        let mut limits = self.policy.rules().iter().map(|rule| rule.limit().get());
        if limits.any(|limit| cost.get() > limit) {
            return Err(AttemptError::UnreachableCost);
        }
        Ok(Attempt {
            address,
            email: email_id,
            tag: self.secret.tag(address, email),
            cost,
        })
    }

    /// Decides whether `attempt` may go ahead when the server's clock shows `clock`, and counts it
    /// for every subject if so. Hands what changed to `emit`.
    pub fn check(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> Verdict {
        let at = self.read_clock(clock, &mut emit);
        let ids = self.ledger.identities(attempt, &self.secret);
        let verdict = judge(
            &self.policy,
            &self.ledger,
            &ids,
            attempt.cost,
            at,
            Purpose::Count,
        );
        if verdict.allowed {
            self.ledger.record(attempt, &ids, at);
            for totals in &mut self.totals {
                totals.allowed = totals.allowed.saturating_add(1);
            }
            emit(&Effect::Admit {
                at,
                attempt: *attempt,
            });
        } else if let Some(totals) = self.totals.get_mut(verdict.rule) {
            totals.refused = totals.refused.saturating_add(1);
        }
        verdict
    }

    /// What [`Limiter::check`] would decide, with nothing counted and the figures as they are.
    #[must_use]
    pub fn peek(&self, attempt: &Attempt, clock: Timestamp) -> Verdict {
        judge(
            &self.policy,
            &self.ledger,
            &self.ledger.identities(attempt, &self.secret),
            attempt.cost,
            self.ledger.now(clock).at,
            Purpose::Look,
        )
    }

    /// Forgives all attempts by this address on this email as spelled; returns how many still
    /// counted, an attempt of cost n as n.
    pub fn reset(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> usize {
        let at = self.read_clock(clock, &mut emit);
        let forgiven = self.forgive(attempt, usize::MAX, at);
        if forgiven > 0 {
            emit(&Effect::Reset {
                at,
                attempt: *attempt,
            });
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
        let refunded = self.forgive(attempt, attempt.cost.get() as usize, at);
        if refunded > 0 {
            emit(&Effect::Refund {
                at,
                attempt: *attempt,
            });
        }
        refunded
    }

    /// Changes over to `policy`. Subjects that both policies have keep their counts, as far as the
    /// identities stay comparable: another `IPV6-PREFIX` makes other identities of IPv6 addresses,
    /// another `PLUS-TAGS` of emails with a tag. What the old policy's windows had let go stays
    /// gone.
    pub fn change_policy(
        &mut self,
        policy: Policy,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) {
        if policy == self.policy {
            return;
        }
        let at = self.read_clock(clock, &mut emit);
        let effect = Effect::ChangePolicy { at, policy };
        emit(&effect);
        self.apply(effect);
    }

    /// Carries out what another server, or this one before a restart, has decided.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Admit { at, attempt } => {
                let ids = self.ledger.identities(&attempt, &self.secret);
                self.ledger.record(&attempt, &ids, at);
            }
            Effect::Reset { at, attempt } => {
                self.forgive(&attempt, usize::MAX, at);
            }
            Effect::Refund { at, attempt } => {
                self.forgive(&attempt, attempt.cost.get() as usize, at);
            }
            Effect::ChangePolicy { at, policy } => {
                self.ledger.change_policy(&policy, at);
                self.totals = carried_over(&self.policy, &self.totals, &policy);
                self.policy = policy;
            }
            Effect::ClockSetBack { lead } => self.ledger.lead = lead,
        }
    }

    /// All of this limiter but its identities.
    #[must_use]
    pub fn genesis(&self) -> Genesis {
        let tables = self.ledger.tables.iter().map(|table| TableGenesis {
            subject: table.subject,
            floor_millis: table.floor.as_millis(),
        });
        Genesis {
            policy: self.policy.clone(),
            secret: self.secret.clone(),
            newest: self.ledger.newest,
            lead: self.ledger.lead,
            tables: tables.collect(),
        }
    }

    /// A limiter as `genesis` says, its identities still to come by [`Limiter::load_chunk`].
    #[must_use]
    pub fn from_genesis(genesis: Genesis) -> Self {
        let mut limiter = Self::new(genesis.policy, genesis.secret);
        limiter.ledger.newest = genesis.newest;
        limiter.ledger.lead = genesis.lead;
        for table in &mut limiter.ledger.tables {
            let stored = genesis.tables.iter().find(|t| t.subject == table.subject);
            table.floor = stored.map_or(Cutoff::NEVER, |t| Cutoff::from_millis(t.floor_millis));
        }
        limiter
    }

    /// The identities as chunks of bytes, each with its subject.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks::new(&self.ledger)
    }

    /// Adds the identities of a chunk.
    ///
    /// # Errors
    /// [`ChunkError`] for bytes that [`Limiter::chunks`] does not write; the limiter is then
    /// unusable.
    pub fn load_chunk(&mut self, subject: Subject, chunk: &[u8]) -> Result<(), ChunkError> {
        self.ledger.load_chunk(subject, chunk)
    }

    /// How often this server has decided by each rule, in the policy's order.
    #[must_use]
    pub fn totals(&self) -> &[RuleTotals] {
        &self.totals
    }

    /// What each subject takes, in the order of the policy.
    pub fn usage(&self) -> impl Iterator<Item = SubjectUsage> + '_ {
        self.ledger.tables.iter().map(|table| SubjectUsage {
            subject: table.subject,
            identities: table.table.len(),
            bytes: table.table.bytes(),
        })
    }

    /// Bytes of memory the limiter takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.usage()
            .map(|subject| subject.bytes)
            .fold(size_of::<Self>(), usize::saturating_add)
    }

    /// A number that two limiters share only if they hold the same: policy, secret, time, and the
    /// attempts that still count at the ledger's newest time. Expired ones that one of them has
    /// reclaimed already make no difference, nor does the layout in memory.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let mut hasher = SipHasher13::new();
        let policy = self.policy.to_string();
        hasher.write_usize(policy.len());
        hasher.write(policy.as_bytes());
        hasher.write(self.secret.as_bytes());
        hasher.write_u64(self.ledger.newest.as_millis());
        hasher.write_u64(self.ledger.lead.get());
        for table in &self.ledger.tables {
            hasher.write_u64(table.floor.as_millis());
            hasher.write_u128(self.table_digest(table));
        }
        hasher.finish128().as_u128()
    }

    /// The sum of the digests of a table's identities: the same in any order.
    fn table_digest(&self, table: &SubjectTable) -> u128 {
        let cutoff = table.cutoff(self.ledger.newest);
        let identities = table.table.iter().filter_map(|(id, log)| {
            let first = log.first_after(cutoff);
            (first < log.len()).then(|| {
                let mut hasher = SipHasher13::new();
                hasher.write_u64(id.raw());
                for stamp in log.iter_from(first) {
                    hasher.write_u64(stamp.raw());
                }
                hasher.finish128().as_u128()
            })
        });
        identities.fold(0, u128::wrapping_add)
    }

    /// The ledger's time when the server's clock shows `clock`; makes the ledger keep it if the
    /// clock was set back.
    fn read_clock(&mut self, clock: Timestamp, emit: &mut impl FnMut(&Effect)) -> Timestamp {
        let now = self.ledger.now(clock);
        if let Some(lead) = now.new_lead {
            let effect = Effect::ClockSetBack { lead };
            emit(&effect);
            self.apply(effect);
        }
        now.at
    }

    /// Forgives the newest `at_most` attempts like `attempt`; returns how many there were.
    fn forgive(&mut self, attempt: &Attempt, at_most: usize, at: Timestamp) -> usize {
        let ids = self.ledger.identities(attempt, &self.secret);
        self.ledger.forgive(attempt, &ids, at_most, at)
    }
}

/// The totals of the rules of `new`: a rule that `old` had in the same words keeps its own.
fn carried_over(old: &Policy, totals: &[RuleTotals], new: &Policy) -> Vec<RuleTotals> {
    let total_of = |rule: &Rule| {
        let index = old.rules().iter().position(|o| o.words() == rule.words())?;
        totals.get(index).copied()
    };
    new.rules()
        .iter()
        .map(|rule| total_of(rule).unwrap_or_default())
        .collect()
}
