//! A naive model of the allow and deny lists: a plain list of entries.

use authlimit::limiter::List;
use std::net::IpAddr;

/// What an entry matches.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ListTarget {
    /// A network: its first address and the length of its prefix.
    Network(IpAddr, u32),
    /// A canonical email.
    Email(String),
}

/// One entry of one list; `None` as expiry makes it permanent.
#[derive(Clone, Debug)]
struct ListEntry {
    list: List,
    entry: ListTarget,
    expires: Option<u64>,
}

/// Both lists.
#[derive(Clone, Default, Debug)]
pub(crate) struct Lists(Vec<ListEntry>);

impl Lists {
    /// Adds an entry or changes its expiry; returns whether it is new.
    pub(crate) fn add(&mut self, list: List, entry: ListTarget, expires: Option<u64>, now: u64) -> bool {
        let was_there = self.remove(list, &entry, now);
        self.0.retain(|listing| listing.list != list || listing.entry != entry);
        self.0.push(ListEntry { list, entry, expires });
        !was_there
    }

    /// Removes an entry; returns whether it was listed.
    pub(crate) fn remove(&mut self, list: List, entry: &ListTarget, now: u64) -> bool {
        let is_it = |listing: &ListEntry| listing.list == list && listing.entry == *entry && listing.is_live(now);
        let before = self.0.len();
        self.0.retain(|listing| !is_it(listing));
        self.0.len() < before
    }

    /// Which list decides an attempt, and until when. The longest matching prefix decides for the IP, and DENY wins if
    /// both lists have it. Between IP and email DENY wins; on a tie the entry that expires later. `emails` are the
    /// forms of the email that may be listed.
    pub(crate) fn find(&self, ip: Option<IpAddr>, emails: &[String], now: u64) -> Option<(List, Option<u64>)> {
        let live = || self.0.iter().filter(|listing| listing.is_live(now));
        let is_denial = |listing: &ListEntry| listing.list == List::Deny;
        let by_address = live()
            .filter_map(|listing| Some((listing.matching_prefix(ip?)?, listing)))
            .max_by_key(|(prefix, listing)| (*prefix, is_denial(listing)))
            .map(|(_, listing)| listing);
        let by_email = live().filter(|listing| matches!(&listing.entry, ListTarget::Email(e) if emails.contains(e)));
        let deciding = by_address
            .into_iter()
            .chain(by_email)
            .max_by_key(|listing| (is_denial(listing), listing.expires.unwrap_or(u64::MAX)))?;
        Some((deciding.list, deciding.expires))
    }

    /// When entries expire.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|listing| listing.expires)
    }
}

impl ListTarget {
    /// The network with this first address and prefix length.
    pub(crate) fn network((first, prefix): (&str, &str)) -> Self {
        let first = first.parse().expect("a valid network");
        let prefix = prefix.parse().expect("a valid network");
        Self::Network(first, prefix)
    }
}

impl ListEntry {
    /// Whether the entry has not expired.
    fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    /// The prefix length of the network, if it contains the address.
    fn matching_prefix(&self, ip: IpAddr) -> Option<u32> {
        let ListTarget::Network(first, prefix) = self.entry else {
            return None;
        };
        let holds = match (first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                let differs = first.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= prefix
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                let differs = first.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= prefix
            }
            _ => false,
        };
        holds.then_some(prefix)
    }
}
