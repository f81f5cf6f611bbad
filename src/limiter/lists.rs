//! A limiter's allow and deny lists: who is never refused, and who always is.
//!
//! An entry is a network or an email's id, on one of the lists or on both, permanently or until a given time. For one
//! attempt:
//!
//! 1. Of the networks that contain the address and have a live entry, the one with the longest prefix decides.
//! 2. A network or email that is on both lists is denied.
//! 3. Between the address and the email, a denial wins. The same holds where the email with its plus-tag and the email
//!    without are both listed.
//!
//! An entry is live until just before it expires. Expired entries count as removed at once, and are deleted later, a
//! few at a time ([`Lists::reclaim`]).

#[cfg(test)]
mod tests;

use crate::identity::{Cidr, ClientIp, Id};
use crate::limiter::membership::{Expiry, ListMembership, Networks};
use crate::table::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

pub use crate::limiter::membership::{List, ListMatch};

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ListTarget {
    /// All clients of a network.
    Cidr(Cidr),
    /// One email, as hashed with the limiter's secret.
    Email(Id),
}

/// A list, and something that may be on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListKey {
    /// The list.
    pub list: List,
    /// What may be on it.
    pub target: ListTarget,
}

/// One entry of one list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListEntry {
    /// What is on which list.
    pub key: ListKey,
    /// The time from which it no longer counts; `None` is never.
    pub expires: Option<Timestamp>,
}

impl ListEntry {
    /// Whether it has not expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

/// No more entries fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the limiter's allow and deny lists are full: they have 100000 entries that have not expired")]
pub struct ListFull;

/// The allow and the deny list of a limiter.
#[derive(Clone, Default, Debug)]
pub struct Lists {
    networks: Networks,
    /// A tree and not a hash table: it never moves all entries at once.
    emails: BTreeMap<Id, ListMembership>,
    /// The entries that expire, the earliest first.
    expiring: BTreeSet<(Timestamp, ListKey)>,
    /// How many entries both lists have together.
    len: usize,
}

impl Lists {
    /// How many entries both lists may have together: few enough to copy them all in milliseconds.
    pub const MAX_ENTRIES: usize = 100_000;

    /// Puts an entry on a list, or changes its expiry. Returns whether it was not on the list at `now`. If the lists
    /// are full, an expired entry is deleted.
    ///
    /// So whether there is room depends on the live entries alone: a replica that has reclaimed fewer of the others
    /// than its primary never refuses what the primary took.
    ///
    /// # Errors
    /// [`ListFull`] if there is no room.
    pub fn add(&mut self, entry: ListEntry, now: Timestamp) -> Result<bool, ListFull> {
        self.add_up_to(Self::MAX_ENTRIES, entry, now)
    }

    /// [`Lists::add`] with another bound.
    fn add_up_to(&mut self, max_entries: usize, entry: ListEntry, now: Timestamp) -> Result<bool, ListFull> {
        let ListEntry { key, expires } = entry;
        let is_full = self.len >= max_entries;
        if is_full && !self.membership(&key.target).is_on(key.list) && self.reclaim(now, 1) == 0 {
            return Err(ListFull);
        }
        let before = self.set(key, Expiry::at(expires));
        Ok(!before.is_ahead_of(now))
    }

    /// Takes an entry off a list; returns whether it was there at `now`. An expired entry is left to be reclaimed: a
    /// copy of the lists whose time is behind still has it, and gets no effect for it.
    pub fn remove(&mut self, key: ListKey, now: Timestamp) -> bool {
        let is_there = self.membership(&key.target).live(key.list, now).is_some();
        if is_there {
            self.set(key, Expiry::NOT_LISTED);
        }
        is_there
    }

    /// What the lists say at `now` about an attempt by `ip` on an email with these ids, if anything.
    #[must_use]
    #[inline]
    pub fn find(&self, ip: Option<ClientIp>, email: impl IntoIterator<Item = Id>, now: Timestamp) -> Option<ListMatch> {
        if self.is_empty() {
            return None;
        }
        let by_ip = ip.and_then(|ip| self.networks.find(ip, now));
        let emails = email.into_iter();
        let by_email = emails.filter_map(|id| self.emails.get(&id)?.verdict(now));
        by_ip.into_iter().chain(by_email).reduce(ListMatch::stronger)
    }

    /// The networks on `list` at `now` with their expiries: IPv4 before IPv6, by first address, a wider one before
    /// those in it.
    pub fn cidrs(&self, list: List, now: Timestamp) -> impl Iterator<Item = (Cidr, Option<Timestamp>)> {
        let memberships = self.networks.iter();
        memberships.filter_map(move |(cidr, membership)| Some((cidr, membership.live(list, now)?.expires)))
    }

    /// How many emails are on `list` at `now`.
    #[must_use]
    pub fn emails(&self, list: List, now: Timestamp) -> usize {
        self.emails.values().filter_map(|membership| membership.live(list, now)).count()
    }

    /// All entries of both lists, including expired ones that are not reclaimed yet. The same entries always come in
    /// the same order.
    pub fn iter(&self) -> impl Iterator<Item = ListEntry> {
        let networks = self.networks.iter().map(|(cidr, m)| (ListTarget::Cidr(cidr), m));
        let emails = self.emails.iter().map(|(id, m)| (ListTarget::Email(*id), *m));
        networks.chain(emails).flat_map(|(target, membership)| {
            let matches = List::ALL.into_iter().filter_map(move |list| membership.on(list));
            matches.map(move |ListMatch { list, expires }| ListEntry { key: ListKey { list, target }, expires })
        })
    }

    /// How many entries both lists have together, including expired ones that are not reclaimed yet.
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

    /// About how many bytes of memory they take besides this struct, without what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What a tree takes: its nodes have room for 11 elements and hold 7 to 8 on average.
        fn tree(len: usize, element: usize) -> usize {
            len.saturating_mul(element).saturating_mul(3) / 2
        }
        let email = size_of::<(Id, ListMembership)>();
        let expiry = size_of::<(Timestamp, ListKey)>();
        self.networks
            .bytes()
            .saturating_add(tree(self.emails.len(), email))
            .saturating_add(tree(self.expiring.len(), expiry))
    }

    /// Whether some entry has expired at `now` and is not reclaimed yet.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiring.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Puts every expiry as far after `to` as it is after `from`.
    pub(crate) fn move_in_time(&mut self, from: Timestamp, to: Timestamp) {
        self.reclaim(from, usize::MAX);
        let entries: Vec<_> = self.iter().collect();
        for ListEntry { key, expires } in entries {
            self.set(key, Expiry::at(expires.map(|at| to.plus(at.since(from)))));
        }
    }

    /// Deletes at most `at_most` entries that have expired at `now`; returns how many.
    pub fn reclaim(&mut self, now: Timestamp, at_most: usize) -> usize {
        for reclaimed in 0..at_most {
            match self.expiring.first() {
                Some((at, key)) if *at <= now => {
                    self.set(*key, Expiry::NOT_LISTED);
                }
                _ => return reclaimed,
            }
        }
        at_most
    }

    /// Sets until when an entry is on a list; returns until when it was.
    fn set(&mut self, key: ListKey, expiry: Expiry) -> Expiry {
        let mut membership = self.membership(&key.target);
        let before = membership.replace(key.list, expiry);
        match key.target {
            ListTarget::Cidr(cidr) => self.networks.set(cidr, membership),
            ListTarget::Email(id) if membership.is_on_none() => drop(self.emails.remove(&id)),
            ListTarget::Email(id) => drop(self.emails.insert(id, membership)),
        }
        if let Some(at) = before.time() {
            self.expiring.remove(&(at, key));
        }
        if let Some(at) = expiry.time() {
            self.expiring.insert((at, key));
        }
        let (was, is) = (usize::from(before.is_listed()), usize::from(expiry.is_listed()));
        self.len = self.len.saturating_sub(was).saturating_add(is);
        before
    }

    /// Which lists something is on.
    fn membership(&self, target: &ListTarget) -> ListMembership {
        let found = match target {
            ListTarget::Cidr(cidr) => self.networks.get(*cidr),
            ListTarget::Email(id) => self.emails.get(id).copied(),
        };
        found.unwrap_or_default()
    }
}
