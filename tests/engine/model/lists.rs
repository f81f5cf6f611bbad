//! The naive model of the allow and deny lists: a plain list of entries.

use authlimit::limiter::List;
use std::net::IpAddr;

/// What is listed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ListTarget {
    /// A network: its first address and the length of its prefix.
    Network(IpAddr, u32),
    /// An email as it is counted.
    Email(String),
}

/// One entry of one list; without an end it is there for good.
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
    /// Adds an entry, or gives it another end; says whether it was not there.
    pub(crate) fn add(&mut self, list: List, entry: ListTarget, expires: Option<u64>, now: u64) -> bool {
        let was_there = self.remove(list, &entry, now);
        self.0.retain(|listing| listing.list != list || listing.entry != entry);
        self.0.push(ListEntry { list, entry, expires });
        !was_there
    }

    /// Takes an entry off; says whether it was there.
    pub(crate) fn remove(&mut self, list: List, entry: &ListTarget, now: u64) -> bool {
        let is_it = |listing: &ListEntry| listing.list == list && listing.entry == *entry && listing.is_live(now);
        let before = self.0.len();
        self.0.retain(|listing| !is_it(listing));
        self.0.len() < before
    }

    /// What the lists say of an attempt, and until when: of the networks that hold the address the longest prefix,
    /// of the same network on both lists a denial; of the verdicts by address and email a denial, of two that are
    /// the same the one that lasts longer.
    pub(crate) fn find(&self, ip: Option<IpAddr>, email: Option<&str>, now: u64) -> Option<(List, Option<u64>)> {
        let live = || self.0.iter().filter(|listing| listing.is_live(now));
        let is_denial = |listing: &ListEntry| listing.list == List::Deny;
        let by_address = live()
            .filter_map(|listing| Some((listing.prefix_holding(ip?)?, listing)))
            .max_by_key(|(prefix, listing)| (*prefix, is_denial(listing)))
            .map(|(_, listing)| listing);
        let by_email = live()
            .filter(|listing| matches!(&listing.entry, ListTarget::Email(e) if Some(e.as_str()) == email))
            .max_by_key(|listing| is_denial(listing));
        let deciding = by_address
            .into_iter()
            .chain(by_email)
            .max_by_key(|listing| (is_denial(listing), listing.expires.unwrap_or(u64::MAX)))?;
        Some((deciding.list, deciding.expires))
    }

    /// When entries end.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|listing| listing.expires)
    }
}

impl ListTarget {
    /// The network of these words before and after the stroke.
    pub(crate) fn network((first, prefix): (&str, &str)) -> Self {
        let first = first.parse().expect("the tests' networks are networks");
        let prefix = prefix.parse().expect("the tests' networks are networks");
        Self::Network(first, prefix)
    }
}

impl ListEntry {
    /// Whether it is still on the list.
    fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    /// The length of the prefix of a network that holds the address.
    fn prefix_holding(&self, ip: IpAddr) -> Option<u32> {
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
