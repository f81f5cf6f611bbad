//! Networks to their standing, found by longest prefix.
//!
//! The tries are those of the `prefix-trie` crate: tree bitmaps (Eatherton, Varghese, Dittia, 2004) of five bits a
//! node, so that an IPv4 look-up reads at most 7 nodes of 16 bytes and an IPv6 one at most 26. Its `cover`, which
//! would give all networks around an address in one walk, allocates for every node; the longest match does not.

use super::Listed;
use super::standing::Standing;
use crate::identity::{Cidr, ClientIp};
use crate::limiter::time::Timestamp;
use prefix_trie::{Prefix, PrefixMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 network to the trie: its bits and how many of them count.
type V4 = (u32, u8);
/// An IPv6 network to the trie.
type V6 = (u128, u8);

/// The networks that are on a list, each with the lists it is on.
#[derive(Clone, Default, Debug)]
pub(super) struct Networks {
    v4: PrefixMap<V4, Standing>,
    v6: PrefixMap<V6, Standing>,
}

impl Networks {
    /// The standing of exactly this network.
    pub(super) fn get(&self, cidr: Cidr) -> Option<Standing> {
        match cidr.first() {
            IpAddr::V4(first) => self.v4.get(&(first.to_bits(), cidr.prefix_len())),
            IpAddr::V6(first) => self.v6.get(&(first.to_bits(), cidr.prefix_len())),
        }
        .copied()
    }

    /// Gives a network another standing; with none it is not kept.
    pub(super) fn set(&mut self, cidr: Cidr, standing: Standing) {
        match cidr.first() {
            IpAddr::V4(first) => {
                set(&mut self.v4, (first.to_bits(), cidr.prefix_len()), standing);
            }
            IpAddr::V6(first) => {
                set(&mut self.v6, (first.to_bits(), cidr.prefix_len()), standing);
            }
        }
    }

    /// What the longest network around `ip` with a live entry says at `now`.
    pub(super) fn find(&self, ip: ClientIp, now: Timestamp) -> Option<Listed> {
        match ip.get() {
            IpAddr::V4(ip) => longest_live(&self.v4, (ip.to_bits(), 32), now),
            IpAddr::V6(ip) => longest_live(&self.v6, (ip.to_bits(), 128), now),
        }
    }

    /// All networks in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cidr, Standing)> {
        let v4 = self
            .v4
            .iter()
            .map(|((bits, len), s)| (Ipv4Addr::from_bits(bits).into(), len, *s));
        let v6 = self
            .v6
            .iter()
            .map(|((bits, len), s)| (Ipv6Addr::from_bits(bits).into(), len, *s));
        // What came from a `Cidr` is one again.
        v4.chain(v6)
            .filter_map(|(first, len, standing)| Some((Cidr::new(first, len).ok()?, standing)))
    }

    /// Bytes of memory the tries take.
    pub(super) fn bytes(&self) -> usize {
        self.v4.mem_size().saturating_add(self.v6.mem_size())
    }
}

/// Gives a network of one family another standing.
fn set<P: Prefix>(map: &mut PrefixMap<P, Standing>, network: P, standing: Standing) {
    if !standing.is_on_none() {
        map.insert(network, standing);
        return;
    }
    map.remove(&network);
    if map.is_empty() {
        // A trie keeps the room of what was removed for what will be added; here is none to keep it for.
        *map = PrefixMap::new();
    }
}

/// What the longest network around `host` with a live entry says at `now`: the longest of all, as a rule, and then
/// the next shorter one as long as all entries of it have expired.
fn longest_live<P: Prefix>(
    map: &PrefixMap<P, Standing>,
    host: P,
    now: Timestamp,
) -> Option<Listed> {
    let mut within = host;
    loop {
        let (network, standing) = map.get_lpm(&within)?;
        if let Some(listed) = standing.verdict(now) {
            return Some(listed);
        }
        let shorter = network.prefix_len().checked_sub(1)?;
        within = P::from_repr_len(network.repr(), shorter);
    }
}
