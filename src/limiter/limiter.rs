//! A limiter: its policy, its secret, its ledger and lists, and what can be asked of it.

use crate::identity::{AddressError, CanonicalEmail, ClientIp, Id, PlusTags, Secret};
use crate::limiter::access::{AccessLists, Entry, List, ListFull, Listing};
use crate::limiter::attempt::{Attempt, Cost, Party};
use crate::limiter::effect::Effect;
use crate::limiter::judge::{Binding, Verdict};
use crate::limiter::ledger::{Forgiveness, Identities, Ledger, LogTable};
use crate::limiter::locks::LockState;
use crate::limiter::reclaim::Sweep;
use crate::limiter::time::Timestamp;
use crate::limiter::watch::Watch;
use crate::policy::{Enforcement, Millis, Policy, Rule, Subject};

/// How many list entries that have ended are removed whenever one is added.
pub(super) const LIST_RECLAIM_STEP: usize = 4;

/// The value of one limiter key.
///
/// The methods that decide (`check`, `reset`, ...) carry out what they decided and hand it to `emit`
/// as [`Effect`]s to replicate; [`Limiter::apply`] carries out effects that another server decided.
/// What holds time is the server's clock, `clock`.
#[derive(Clone, Debug)]
pub struct Limiter {
    pub(super) policy: Policy,
    pub(super) secret: Secret,
    pub(super) ledger: Ledger,
    pub(super) access: AccessLists,
    pub(super) totals: Vec<RuleTotals>,
    /// Where reclaiming goes on.
    pub(super) sweep: Sweep,
    /// Tables that the policy does not need any more, until somebody takes them.
    leftovers: Vec<LogTable>,
    /// What is remembered of refusals; nothing is decided by it.
    pub(super) watch: Option<Box<Watch>>,
}

/// What a limiter does not need any more. Dropping it frees the memory, which may take long and may
/// be done in any thread.
#[derive(Debug)]
pub struct Leftovers(#[expect(dead_code, reason = "held to be dropped")] Vec<LogTable>);

/// How often this server has decided by a rule. Kept in memory only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RuleTotals {
    /// Attempts that the rule admitted and that were counted.
    pub allowed: u64,
    /// Attempts that the rule refused.
    pub refused: u64,
    /// Attempts that the rule, being in shadow, would have refused.
    pub shadow_refused: u64,
    /// How often it has shut an identity.
    pub locks: u64,
}

/// How one rule stands to one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleStanding<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// How many attempts are left.
    pub remaining: u32,
    /// How long until the rule would admit the attempt; zero if it does.
    pub retry_after: Millis,
    /// How long until the quota is whole again if nobody tries.
    pub reset: Millis,
    /// How much longer the rule's lock is shut; zero if it is not.
    pub locked_for: Millis,
}

/// Why an attempt cannot be judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttemptError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No email, and a rule needs it.
    #[error("the email is empty, and a rule of the limiter's policy needs it")]
    EmptyEmail,
    /// A cost that some rule could never admit.
    #[error("COST is above a limit of the policy, so no such attempt could ever be admitted")]
    UnreachableCost,
    /// A device without a rule for devices.
    #[error("the limiter's policy has no DEVICE rule, so an attempt cannot be by a device")]
    NoDeviceRule,
    /// A device without a name.
    #[error("the device's id is empty; leave DEVICE out for an attempt without one")]
    EmptyDevice,
}

/// An attempt as a command receives it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The address, as text.
    pub ip: &'a [u8],
    /// The email, as the user typed it.
    pub email: &'a [u8],
    /// The id of the device that the application has authenticated, if it has.
    pub device: Option<&'a [u8]>,
    /// How many attempts it counts as.
    pub cost: Cost,
}

impl Limiter {
    /// A limiter that has counted nothing yet.
    #[must_use]
    pub fn new(policy: Policy, secret: Secret) -> Self {
        Self {
            totals: vec![RuleTotals::default(); policy.rules().len()],
            ledger: Ledger::new(&policy),
            access: AccessLists::default(),
            sweep: Sweep::default(),
            leftovers: Vec::new(),
            watch: None,
            policy,
            secret,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What `verdict` was given by, in the policy's words, or `ALLOW` or `DENY` for the lists.
    #[must_use]
    pub fn binding_words(&self, verdict: &Verdict) -> &str {
        match verdict.binding {
            Binding::Rule(rule) => self.policy.rules().get(rule).map_or("", Rule::words),
            Binding::Allow => List::Allow.word(),
            Binding::Deny => List::Deny.word(),
        }
    }

    /// Makes an attempt of what was received.
    ///
    /// # Errors
    /// [`AttemptError`] if the address is none, if the address or the email is empty and a rule
    /// needs it, if some rule could never admit the cost, or if there is a device and no rule for it.
    pub fn attempt(&self, received: &Received<'_>) -> Result<Attempt, AttemptError> {
        let ip = if received.ip.is_empty() && !self.policy.needs_address() {
            None
        } else {
            Some(ClientIp::parse(received.ip)?)
        };
        let address = ip.map_or(Party::ABSENT, |ip| self.address_id(ip));
        let email = match received.email {
            [] if self.policy.needs_email() => return Err(AttemptError::EmptyEmail),
            [] => Party::ABSENT,
            email => self.email_id(email),
        };
        let tagged_email = if self.access.is_empty() {
            None
        } else {
            self.tagged_email_id(received.email)
        };
        let device = received.device.map(|device| self.device_id(device));
        if !self.is_reachable(received.cost) {
            return Err(AttemptError::UnreachableCost);
        }
        let party = Party {
            address,
            email,
            device: device.transpose()?,
            tag: self.secret.tag(address, received.email),
            cost: received.cost,
        };
        Ok(Attempt {
            ip,
            tagged_email,
            party,
        })
    }

    /// The id of an address under this limiter's policy.
    #[must_use]
    pub fn address_id(&self, ip: ClientIp) -> Id {
        let prefix = self.policy.options().ipv6_prefix;
        self.secret.address_id(&ip.address(prefix))
    }

    /// The id of an email under this limiter's policy.
    #[must_use]
    pub fn email_id(&self, email: &[u8]) -> Id {
        let plus_tags = self.policy.options().plus_tags;
        self.secret.email_id(&CanonicalEmail::of(email, plus_tags))
    }

    /// The id that an email has where tags are kept, if this limiter's policy leaves them out. For one
    /// without a tag it is the same id.
    #[must_use]
    pub fn tagged_email_id(&self, email: &[u8]) -> Option<Id> {
        if self.policy.options().plus_tags == PlusTags::Keep {
            return None;
        }
        let tagged = CanonicalEmail::of(email, PlusTags::Keep);
        Some(self.secret.email_id(&tagged))
    }

    /// The id of a device.
    fn device_id(&self, device: &[u8]) -> Result<Id, AttemptError> {
        if !self.policy.has_subject(Subject::Device) {
            Err(AttemptError::NoDeviceRule)
        } else if device.is_empty() {
            Err(AttemptError::EmptyDevice)
        } else {
            Ok(self.secret.device_id(device))
        }
    }

    /// Whether every enforced rule could admit an attempt of `cost`. One that counts identities
    /// counts it as one whatever it costs.
    fn is_reachable(&self, cost: Cost) -> bool {
        self.policy.rules().iter().all(|rule| {
            rule.enforcement() == Enforcement::Shadow
                || rule.subject().is_distinct_count()
                || cost.get() <= rule.limit().get()
        })
    }

    /// Adds an entry to a list, for `ttl` or for good; one that is there gets this end. Returns
    /// whether it is new.
    ///
    /// # Errors
    /// [`ListFull`] if the lists hold as many entries as they may.
    pub fn list_add(
        &mut self,
        list: List,
        entry: Entry,
        ttl: Option<Millis>,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> Result<bool, ListFull> {
        let at = self.read_clock(clock, &mut emit);
        let expires = ttl.map(|ttl| at.plus(ttl));
        let entry = Listing {
            list,
            entry,
            expires,
        };
        let is_new = self.put_on_list(entry, at)?;
        emit(&Effect::ListAdd { at, entry });
        Ok(is_new)
    }

    /// Removes an entry from a list; returns whether it was there.
    pub fn list_remove(
        &mut self,
        list: List,
        entry: Entry,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> bool {
        let at = self.read_clock(clock, &mut emit);
        let removed = self.access.remove(list, &entry, at);
        if removed {
            let expires = None;
            let entry = Listing {
                list,
                entry,
                expires,
            };
            emit(&Effect::ListRemove { entry });
        }
        removed
    }

    /// The lists, and the ledger's time, by which entries end.
    #[must_use]
    pub fn lists(&self, clock: Timestamp) -> (&AccessLists, Timestamp) {
        (&self.access, self.ledger.now(clock).at)
    }

    /// Changes over to `policy`. Subjects that both policies have keep their counts, as far as the
    /// identities stay comparable: another `IPV6-PREFIX` makes other identities of IPv6 addresses,
    /// another `PLUS-TAGS` of emails with a tag. A rule that gains or loses `COUNT-DENIED` goes by
    /// another log. What the old policy's windows had let go stays gone.
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
        self.carry_out(Effect::ChangePolicy { at, policy }, &mut emit);
    }

    /// What changes of the policy have left over, if anything: to be dropped where that disturbs
    /// nobody.
    pub fn take_leftovers(&mut self) -> Option<Leftovers> {
        let leftovers = std::mem::take(&mut self.leftovers);
        (!leftovers.is_empty()).then_some(Leftovers(leftovers))
    }

    /// Carries out what another server, or this one before a restart, has decided.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Admit { at, party } | Effect::CountDenied { at, party, .. } => {
                let ids = self.ledger.identities(&party, &self.secret);
                let ids = self.counted_on(&effect, ids);
                self.count(&party, &ids, at);
            }
            Effect::Reset { at, party } => {
                self.forgive(&party, Forgiveness::All, at);
            }
            Effect::Refund { at, party } => {
                self.forgive(&party, Forgiveness::newest(&party), at);
            }
            Effect::Lock {
                at,
                table,
                rule,
                id,
                until,
                length,
            } => {
                let state = LockState {
                    until,
                    length,
                    armed: false,
                };
                self.ledger.lock(usize::from(table), rule, id, state, at);
            }
            Effect::Evict { table, id } => {
                if let Some(table) = self.ledger.tables.get_mut(usize::from(table)) {
                    table.logs.remove(id);
                    table.locks.remove(id);
                }
            }
            Effect::Unlock { at, address, email } => {
                self.clear(address, email, at);
            }
            Effect::ListAdd { at, entry } => {
                // Where the primary found room there is room: only live entries count for that.
                let _ = self.put_on_list(entry, at);
            }
            Effect::ListRemove { entry } => {
                self.access
                    .remove(entry.list, &entry.entry, self.ledger.newest);
            }
            Effect::ChangePolicy { at, policy } => {
                let leftovers = self.ledger.change_policy(&policy, at);
                self.leftovers.extend(leftovers);
                self.totals = carried_over(&self.policy, &self.totals, &policy);
                self.policy = policy;
                if let Some(watch) = &mut self.watch {
                    watch.forget_rules();
                }
            }
            Effect::TimePassed { at } => {
                self.ledger.advance(at);
            }
            Effect::ClockSetBack { lead } => self.ledger.lead = lead,
        }
    }

    /// How often this server has decided by each rule, in the policy's order.
    #[must_use]
    pub fn totals(&self) -> &[RuleTotals] {
        &self.totals
    }

    /// The ledger's time when the server's clock shows `clock`; makes the ledger keep it if the
    /// clock was set back.
    pub(super) fn read_clock(
        &mut self,
        clock: Timestamp,
        emit: &mut impl FnMut(&Effect),
    ) -> Timestamp {
        let now = self.ledger.now(clock);
        if let Some(lead) = now.new_lead {
            self.carry_out(Effect::ClockSetBack { lead }, emit);
        }
        now.at
    }

    /// Replicates an effect and carries it out.
    pub(super) fn carry_out(&mut self, effect: Effect, emit: &mut impl FnMut(&Effect)) {
        emit(&effect);
        self.apply(effect);
    }

    /// Those of `ids` that `effect` counts an attempt on: all if it was admitted, else those of the
    /// rules that count it all the same.
    pub(super) fn counted_on(&self, effect: &Effect, mut ids: Identities) -> Identities {
        if let Effect::CountDenied { rules, .. } = effect {
            ids.retain(|table| {
                let mut places = self.ledger.places.iter().enumerate();
                places.any(|(rule, place)| place.table == table && rules.contains(rule))
            });
        }
        ids
    }

    /// Puts an entry on its list; returns whether it is new.
    fn put_on_list(&mut self, listing: Listing, at: Timestamp) -> Result<bool, ListFull> {
        let Listing {
            list,
            entry,
            expires,
        } = listing;
        let is_new = self.access.add(list, entry, expires, at)?;
        let at = self.ledger.advance(at);
        self.access.reclaim(at, LIST_RECLAIM_STEP);
        Ok(is_new)
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
