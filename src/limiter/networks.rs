//! Listed networks, found by longest prefix.
//!
//! The tries are those of the `prefix-trie` crate: tree bitmaps (Eatherton, Varghese, Dittia, 2004) of five bits a
//! node, so that an IPv4 look-up reads at most 7 nodes of 16 bytes and an IPv6 one at most 26. The crate's `cover`
//! would return all networks around an address in one walk, but allocates for every node; longest match does not.

use crate::identity::{Cidr, ClientIp};
use crate::limiter::membership::{ListMatch, ListMembership};
use crate::table::Timestamp;
use prefix_trie::{Prefix, PrefixMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
