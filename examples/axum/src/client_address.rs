//! The client's IP address: the peer's, or what a trusted proxy reports. Copy it with `limiter.rs`; it needs `ipnet`.

use std::net::IpAddr;

use ipnet::IpNet;

/// The proxies in front of the application, such as `127.0.0.1, 10.0.0.0/8`; can be empty.
#[derive(Clone, Debug)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses the setting.
    ///
    /// # Errors
    /// The word that is neither an IP address nor a network.
    pub fn parse(setting: &str) -> Result<Self, String> {
        let words = setting.split(',').map(str::trim).filter(|word| !word.is_empty());
        let network = |word: &str| word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
        words.map(|word| network(word).map_err(|_| word.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the first entry from the right that is not a proxy: the client can forge everything left of it.
    ///
    /// The entry is not parsed here: the module rejects anything that is not an IP address.
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a str>) -> String {
        let mut hops =
            forwarded_for.rev().flat_map(|line| line.rsplit(',')).map(str::trim).filter(|hop| !hop.is_empty());
        let mut address = peer.to_string();
        while self.holds(&address) {
            match hops.next() {
                Some(hop) => hop.clone_into(&mut address),
                None => break,
            }
        }
        address
    }

    /// Returns whether this is one of the proxies. On a dual-stack socket, an IPv4 proxy is `::ffff:10.0.0.1`.
    fn holds(&self, address: &str) -> bool {
        let address = address.parse::<IpAddr>().map(|address| address.to_canonical());
        address.is_ok_and(|address| self.0.iter().any(|network| network.contains(&address)))
    }
}
