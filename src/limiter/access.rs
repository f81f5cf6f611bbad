//! A limiter's allow and deny lists: who is never refused, and who always is.
//!
//! An entry is a network or an email's id, on one of the lists or on both, for ever or up to a time. What they say
//! of one attempt:
//!
//! 1. Of the networks that hold the address and have a live entry, the longest prefix decides.
//! 2. The same network or email on both lists is denied.
//! 3. Of the verdict by address and that by email, a denial wins; so it does where the email with its tag and the
//!    email without are both listed.
//!
//! An entry is live until just before the time it expires at. Expired ones are as good as gone at once and are
//! taken out later, a few at a time ([`AccessLists::reclaim`]).

mod networks;
mod standing;

#[cfg(test)]
mod tests;

use crate::identity::{Cidr, ClientIp, Id};
use crate::limiter::time::Timestamp;
use networks::Networks;
use standing::{Deadline, Standing};
use std::collections::{BTreeMap, BTreeSet};

/// One of the two lists; of two verdicts the greater wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum List {
    /// Admitted and counted nowhere.
    Allow,
    /// Refused.
    Deny,
}

impl List {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Deny];

    /// The number that stands for it in files and in the replication stream; it never changes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Allow => 1,
            Self::Deny => 2,
        }
    }

    /// The list of a code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.code() == code)
    }

    /// The word that a verdict by it has for a rule.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Entry {
    /// All clients of a network.
    Cidr(Cidr),
    /// One email, as the limiter's secret has hashed it.
    Email(Id),
}

/// One entry of one list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Listing {
    /// The list.
    pub list: List,
    /// What is on it.
    pub entry: Entry,
    /// From when on it is not; `None` is never.
    pub expires: Option<Timestamp>,
}

impl Listing {
    /// Whether it still is on the list.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

/// What the lists say of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The list that decides.
    pub list: List,
    /// When its entry expires; `None` is never.
    pub expires: Option<Timestamp>,
}

impl Listed {
    /// The one that decides if both are said of one attempt, by its address and by its email: a denial, and of two
    /// verdicts that are the same the one that lasts longer, as the attempt's fate will not change before.
    fn stronger(self, other: Self) -> Self {
        let rank = |listed: &Self| (listed.list, listed.expires.is_none(), listed.expires);
        std::cmp::max_by_key(self, other, rank)
    }
}

/// No more entries fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the limiter's allow and deny lists are full: they have 100000 entries that have not expired"
)]
pub struct ListFull;

/// The allow and the deny list of a limiter.
#[derive(Clone, Default, Debug)]
pub struct AccessLists {
    networks: Networks,
    /// A tree and not a hash table: it grows without ever moving all of it at once.
    emails: BTreeMap<Id, Standing>,
    /// The entries that expire, the first to do so first.
    expiring: BTreeSet<(Timestamp, List, Entry)>,
    /// How many entries both lists have together.
    len: usize,
}

impl AccessLists {
    /// How many entries both lists may have together: few enough for a copy of them all to take milliseconds.
    pub const MAX_ENTRIES: usize = 100_000;

    /// Puts an entry on a list; one that is there already gets the new expiry. Returns whether it was not there
    /// at `now`. If the lists are full, an expired entry makes way.
    ///
    /// So whether there is room depends on the live entries alone, and a replica that has reclaimed fewer of the
    /// others than its primary never refuses what the primary took.
    ///
    /// # Errors
    /// [`ListFull`] if there is no room.
    pub fn add(
        &mut self,
        list: List,
        entry: Entry,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, ListFull> {
        self.add_up_to(Self::MAX_ENTRIES, list, entry, expires, now)
    }

    /// [`AccessLists::add`] with another bound.
    fn add_up_to(
        &mut self,
        max_entries: usize,
        list: List,
        entry: Entry,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, ListFull> {
        let is_full = self.len >= max_entries;
        if is_full && !self.standing(&entry).is_on(list) && self.reclaim(now, 1) == 0 {
            return Err(ListFull);
        }
        let before = self.set(list, entry, Deadline::at(expires));
        Ok(!before.is_ahead_of(now))
    }

    /// Takes an entry off a list; returns whether it was there at `now`. One that had expired is left to be
    /// reclaimed: a copy of the lists whose time is behind still has it, and is told of nothing.
    pub fn remove(&mut self, list: List, entry: &Entry, now: Timestamp) -> bool {
        let is_there = self.standing(entry).live(list, now).is_some();
        if is_there {
            self.set(list, *entry, Deadline::NOT_LISTED);
        }
        is_there
    }

    /// What the lists say at `now` of an attempt by `ip` on an email that has these ids, if anything.
    #[must_use]
    #[inline]
    pub fn find(
        &self,
        ip: Option<ClientIp>,
        email: impl IntoIterator<Item = Id>,
        now: Timestamp,
    ) -> Option<Listed> {
        if self.is_empty() {
            return None;
        }
        let by_ip = ip.and_then(|ip| self.networks.find(ip, now));
        let emails = email.into_iter();
        let by_email = emails.filter_map(|id| self.emails.get(&id)?.verdict(now));
        by_ip.into_iter().chain(by_email).reduce(Listed::stronger)
    }

    /// The networks on `list` at `now` with their expiries: IPv4 before IPv6, by first address, a wider one before
    /// those in it.
    pub fn cidrs(
        &self,
        list: List,
        now: Timestamp,
    ) -> impl Iterator<Item = (Cidr, Option<Timestamp>)> {
        let standings = self.networks.iter();
        standings
            .filter_map(move |(cidr, standing)| Some((cidr, standing.live(list, now)?.expires)))
    }

    /// How many emails are on `list` at `now`.
    #[must_use]
    pub fn emails(&self, list: List, now: Timestamp) -> usize {
        let standings = self.emails.values();
        standings
            .filter_map(|standing| standing.live(list, now))
            .count()
    }

    /// All entries of both lists, those among them that have expired and were not reclaimed yet, in the same order
    /// for the same entries.
    pub fn iter(&self) -> impl Iterator<Item = Listing> {
        let networks = self.networks.iter().map(|(cidr, s)| (Entry::Cidr(cidr), s));
        let emails = self.emails.iter().map(|(id, s)| (Entry::Email(*id), *s));
        networks.chain(emails).flat_map(|(entry, standing)| {
            let listed = List::ALL
                .into_iter()
                .filter_map(move |list| standing.on(list));
            listed.map(move |Listed { list, expires }| Listing {
                list,
                entry,
                expires,
            })
        })
    }

    /// How many entries both lists have together, expired ones that were not reclaimed yet among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether both lists are empty.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory they take beside this struct, about; without what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What a tree takes: its nodes have room for 11 elements and on average hold 7 to 8.
        fn tree(len: usize, element: usize) -> usize {
            len.saturating_mul(element).saturating_mul(3) / 2
        }
        let email = size_of::<(Id, Standing)>();
        let expiry = size_of::<(Timestamp, List, Entry)>();
        self.networks
            .bytes()
            .saturating_add(tree(self.emails.len(), email))
            .saturating_add(tree(self.expiring.len(), expiry))
    }

    /// Whether some entry has expired at `now` and was not reclaimed yet.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiring.first().is_some_and(|(at, _, _)| *at <= now)
    }

    /// Takes out at most `at_most` entries that have expired at `now`; returns how many there were.
    pub fn reclaim(&mut self, now: Timestamp, at_most: usize) -> usize {
        for reclaimed in 0..at_most {
            match self.expiring.first() {
                Some((at, list, entry)) if *at <= now => {
                    self.set(*list, *entry, Deadline::NOT_LISTED);
                }
                _ => return reclaimed,
            }
        }
        at_most
    }

    /// Sets up to when an entry is on a list; returns up to when it was.
    fn set(&mut self, list: List, entry: Entry, deadline: Deadline) -> Deadline {
        let mut standing = self.standing(&entry);
        let before = standing.replace(list, deadline);
        match entry {
            Entry::Cidr(cidr) => self.networks.set(cidr, standing),
            Entry::Email(id) if standing.is_on_none() => drop(self.emails.remove(&id)),
            Entry::Email(id) => drop(self.emails.insert(id, standing)),
        }
        if let Some(at) = before.time() {
            self.expiring.remove(&(at, list, entry));
        }
        if let Some(at) = deadline.time() {
            self.expiring.insert((at, list, entry));
        }
        self.len = self
            .len
            .saturating_sub(usize::from(before.is_listed()))
            .saturating_add(usize::from(deadline.is_listed()));
        before
    }

    /// Which lists an entry is on.
    fn standing(&self, entry: &Entry) -> Standing {
        let standing = match entry {
            Entry::Cidr(cidr) => self.networks.get(*cidr),
            Entry::Email(id) => self.emails.get(id).copied(),
        };
        standing.unwrap_or_default()
    }
}
