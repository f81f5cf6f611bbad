//! Which of the two lists a network or an email is on, and until when. Networks are found by longest prefix.
//!
//! The tries are those of the `prefix-trie` crate: tree bitmaps (Eatherton, Varghese, Dittia, 2004) of five bits a
//! node, so that an IPv4 look-up reads at most 7 nodes of 16 bytes and an IPv6 one at most 26. The crate's `cover`
//! would return all networks around an address in one walk, but allocates for every node; longest match does not.

use crate::identity::{Cidr, ClientIp};
use crate::table::Timestamp;
use prefix_trie::{Prefix, PrefixMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One of the two lists. Of two matches the greater wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum List {
    /// Admitted, and counted nowhere.
    Allow,
    /// Refused.
    Deny,
}

impl List {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Deny];

    /// The word that a verdict by it has in place of a rule.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

/// What the lists say about an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListMatch {
    /// The list that decides.
    pub list: List,
    /// When its entry expires; `None` is never.
    pub expires: Option<Timestamp>,
}

impl ListMatch {
    /// The one that decides if the address and the email of one attempt both match: a denial; of two matches on the
    /// same list the one that lasts longer, since the outcome does not change before that.
    pub(super) fn stronger(self, other: Self) -> Self {
        let rank = |found: &Self| (found.list, found.expires.is_none(), found.expires);
        std::cmp::max_by_key(self, other, rank)
    }
}

/// Until when an entry is on a list, in milliseconds since the Unix epoch. An entry that is not listed expired before
/// all times, so that one comparison tells whether it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Expiry(u64);

impl Expiry {
    /// Not on the list.
    pub(super) const NOT_LISTED: Self = Self(0);
    /// On the list permanently.
    const NEVER: Self = Self(u64::MAX);

    /// On the list until `expires`; `None` is permanently.
    pub(super) fn at(expires: Option<Timestamp>) -> Self {
        expires.map_or(Self::NEVER, |at| Self(at.as_millis()))
    }

    /// Whether the entry is on the list, expired or not.
    pub(super) fn is_listed(self) -> bool {
        self != Self::NOT_LISTED
    }

    /// Whether the entry is on the list and has not expired at `now`.
    pub(super) fn is_ahead_of(self, now: Timestamp) -> bool {
        now.as_millis() < self.0
    }

    /// The time, if there is one. The two special values are outside the range of a timestamp.
    pub(super) fn time(self) -> Option<Timestamp> {
        Timestamp::from_millis(self.0)
    }
}

/// Until when something is on each of the lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ListMembership {
    allow: Expiry,
    deny: Expiry,
}

impl Default for ListMembership {
    fn default() -> Self {
        Self { allow: Expiry::NOT_LISTED, deny: Expiry::NOT_LISTED }
    }
}

impl ListMembership {
    /// Whether it is on neither list, so that it need not be kept.
    pub(super) fn is_on_none(self) -> bool {
        self == Self::default()
    }

    /// Whether it is on `list`, expired or not.
    pub(super) fn is_on(self, list: List) -> bool {
        self.expiry(list).is_listed()
    }

    /// The match that an entry on `list` makes, expired or not.
    pub(super) fn on(self, list: List) -> Option<ListMatch> {
        let expiry = self.expiry(list);
        expiry.is_listed().then(|| ListMatch { list, expires: expiry.time() })
    }

    /// The match that an entry on `list` makes, unless it has expired at `now`.
    pub(super) fn live(self, list: List, now: Timestamp) -> Option<ListMatch> {
        self.on(list).filter(|_| self.expiry(list).is_ahead_of(now))
    }

    /// What applies to an attempt at `now`: something on both lists is denied.
    pub(super) fn verdict(self, now: Timestamp) -> Option<ListMatch> {
        self.live(List::Deny, now).or_else(|| self.live(List::Allow, now))
    }

    /// Changes until when it is on `list`; returns until when it was.
    pub(super) fn replace(&mut self, list: List, expiry: Expiry) -> Expiry {
        let place = match list {
            List::Allow => &mut self.allow,
            List::Deny => &mut self.deny,
        };
        std::mem::replace(place, expiry)
    }

    /// Until when it is on `list`.
    fn expiry(self, list: List) -> Expiry {
        match list {
            List::Allow => self.allow,
            List::Deny => self.deny,
        }
    }
}

/// An IPv4 network in the trie: its bits, and how many of them count.
type V4 = (u32, u8);
/// An IPv6 network in the trie.
type V6 = (u128, u8);

/// The networks that are on a list, each with the lists it is on.
#[derive(Clone, Default, Debug)]
pub(super) struct Networks {
    v4: PrefixMap<V4, ListMembership>,
    v6: PrefixMap<V6, ListMembership>,
}

impl Networks {
    /// The lists that exactly this network is on.
    pub(super) fn get(&self, cidr: Cidr) -> Option<ListMembership> {
        match cidr.first() {
            IpAddr::V4(first) => self.v4.get(&(first.to_bits(), cidr.prefix_len())),
            IpAddr::V6(first) => self.v6.get(&(first.to_bits(), cidr.prefix_len())),
        }
        .copied()
    }

    /// Sets the lists that a network is on; one that is on no list is removed.
    pub(super) fn set(&mut self, cidr: Cidr, membership: ListMembership) {
        match cidr.first() {
            IpAddr::V4(first) => set(&mut self.v4, (first.to_bits(), cidr.prefix_len()), membership),
            IpAddr::V6(first) => set(&mut self.v6, (first.to_bits(), cidr.prefix_len()), membership),
        }
    }

    /// What the longest network around `ip` with a live entry says at `now`.
    pub(super) fn find(&self, ip: ClientIp, now: Timestamp) -> Option<ListMatch> {
        match ip.get() {
            IpAddr::V4(ip) => longest_live(&self.v4, (ip.to_bits(), 32), now),
            IpAddr::V6(ip) => longest_live(&self.v6, (ip.to_bits(), 128), now),
        }
    }

    /// All networks in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cidr, ListMembership)> {
        let v4 = self.v4.iter().map(|((bits, len), m)| (Ipv4Addr::from_bits(bits).into(), len, *m));
        let v6 = self.v6.iter().map(|((bits, len), m)| (Ipv6Addr::from_bits(bits).into(), len, *m));
        // What came from a `Cidr` is always valid as one.
        v4.chain(v6).filter_map(|(first, len, membership)| Some((Cidr::new(first, len).ok()?, membership)))
    }

    /// Bytes of memory the tries take.
    pub(super) fn bytes(&self) -> usize {
        self.v4.mem_size().saturating_add(self.v6.mem_size())
    }
}

/// Sets the lists that a network of one family is on.
fn set<P: Prefix>(map: &mut PrefixMap<P, ListMembership>, network: P, membership: ListMembership) {
    if !membership.is_on_none() {
        map.insert(network, membership);
        return;
    }
    map.remove(&network);
    if map.is_empty() {
        // A trie keeps the memory of removed networks for later ones.
        *map = PrefixMap::new();
    }
}

/// What the longest network around `host` with a live entry says at `now`: usually the longest of all, else the next
/// shorter one, for as long as all entries found have expired.
fn longest_live<P: Prefix>(map: &PrefixMap<P, ListMembership>, host: P, now: Timestamp) -> Option<ListMatch> {
    let mut within = host;
    loop {
        let (network, membership) = map.get_lpm(&within)?;
        if let Some(found) = membership.verdict(now) {
            return Some(found);
        }
        let shorter = network.prefix_len().checked_sub(1)?;
        within = P::from_repr_len(network.repr(), shorter);
    }
}
