//! The text of a network (RFC 4632, RFC 4291 section 2.3), as the allow and deny lists accept it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::ip::{ClientIp, mask};

/// Longer text is refused unread: the longest IPv6 address has 45 bytes, a prefix length 4 more.
const MAX_TEXT_BYTES: usize = 64;

/// An IPv4 or IPv6 network: the clients whose addresses begin with the same bits.
///
/// It contains no client of the other family: `::/0` is all IPv6 clients and no IPv4 client, because a [`ClientIp`] in
/// an IPv6 form of an IPv4 address *is* that IPv4 address. Networks sort by their first address, IPv4 before IPv6, a
/// wider one before those in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address; all bits after the prefix are zero.
    first: ClientIp,
    prefix_len: u8,
}

/// Why a text is not a network. The messages never repeat client bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CidrError {
    /// The text is empty.
    #[error("the network is empty: pass one like 192.0.2.0/24, 2001:db8::/32 or a single address")]
    Empty,
    /// The text before the slash, or the whole text, is not an address.
    #[error(
        "the network is not one IPv4 or IPv6 address with an optional prefix length, like 192.0.2.0/24 or 2001:db8::/32"
    )]
    NotOneNetwork,
    /// It has a zone id, which names an interface of some machine.
    #[error("the network has a zone id: leave out the % and what follows it")]
    ZoneId,
    /// The text after the slash is not a prefix length of the family.
    #[error("the prefix length of the network is not a whole number of 0 to 32 for IPv4 or of 0 to 128 for IPv6")]
    PrefixLength,
    /// Bits after the prefix are set.
    #[error(
        "the network has bits set after its prefix: write its first address, or for a single address no prefix length"
    )]
    HostBits,
    /// It begins with IPv6 forms of IPv4 addresses and contains other IPv6 addresses.
    #[error(
        "the network is wider than the IPv6 forms of IPv4 addresses that it begins with: list the IPv4 network and the IPv6 network each by itself"
    )]
    MixedFamilies,
}

impl Cidr {
    /// Reads one network: an address as `std::net` accepts it, a slash and a decimal prefix length. Without them it is
    /// that address alone (`/32` or `/128`).
    ///
    /// # Errors
    ///
    /// Those of [`Cidr::new`], and [`CidrError`] for anything else: zone ids, leading zeros, net masks, spaces, lists.
    pub fn parse(text: &[u8]) -> Result<Cidr, CidrError> {
        if text.is_empty() {
            return Err(CidrError::Empty);
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(CidrError::NotOneNetwork);
        }
        let text = str::from_utf8(text).map_err(|_| CidrError::NotOneNetwork)?;
        if text.contains('%') {
            return Err(CidrError::ZoneId);
        }
        let (address, digits) = match text.split_once('/') {
            None => (text, None),
            Some((address, digits)) => (address, Some(digits)),
        };
        let first: IpAddr = address.parse().map_err(|_| CidrError::NotOneNetwork)?;
        let prefix_len = digits.map_or(Some(width(first)), parse_prefix_len);
        Cidr::new(first, prefix_len.ok_or(CidrError::PrefixLength)?)
    }

    /// The network of the addresses that begin with the first `prefix_len` bits of `first`.
    ///
    /// An IPv4-mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`) address makes an IPv4 network, whose prefix is
    /// shorter by 96: `::ffff:10.0.0.0/104` is `10.0.0.0/8`. Every other IPv6 address makes an IPv6 network, however
    /// wide.
    ///
    /// # Errors
    ///
    /// - [`CidrError::PrefixLength`] above 32 or 128.
    /// - [`CidrError::MixedFamilies`] for an IPv4-mapped or NAT64 prefix below 96: it would be of both families.
    /// - [`CidrError::HostBits`] if bits after the prefix are set: `10.1.2.3/8` may be meant as the one address, and a
    ///   list must not contain more than its operator meant.
    pub fn new(first: IpAddr, prefix_len: u8) -> Result<Cidr, CidrError> {
        if prefix_len > width(first) {
            return Err(CidrError::PrefixLength);
        }
        let client = ClientIp::of(first);
        // 96 for an IPv6 form of an IPv4 address, else 0.
        let bits_before = width(first).saturating_sub(width(client.get()));
        let prefix_len = prefix_len.checked_sub(bits_before).ok_or(CidrError::MixedFamilies)?;
        let cidr = Cidr { first: client, prefix_len };
        if cidr.contains(client) { Ok(cidr) } else { Err(CidrError::HostBits) }
    }

    /// The network of one address.
    #[must_use]
    pub fn single(ip: ClientIp) -> Cidr {
        Cidr { first: ip, prefix_len: width(ip.get()) }
    }

    /// The first address of the network.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first.get()
    }

    /// How many leading bits its addresses share: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// Whether the address is in the network; an address of the other family never is.
    #[must_use]
    pub fn contains(self, ip: ClientIp) -> bool {
        // Masking keeps the family, and addresses of two families are never equal.
        masked(ip.get(), self.prefix_len) == self.first.get()
    }
}

impl fmt::Display for Cidr {
    /// Writes the canonical form (RFC 5952 for IPv6), always with the prefix length. It parses to the same network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix_len)
    }
}

/// Reads a prefix length: one to three digits, without leading zeros or a sign.
fn parse_prefix_len(digits: &str) -> Option<u8> {
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    canonical.then(|| digits.parse().ok()).flatten()
}

/// How many bits an address of this family has.
fn width(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits after the first `prefix_len` set to zero.
fn masked(ip: IpAddr, prefix_len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & (mask(prefix_len) >> 96) as u32).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & mask(prefix_len)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Cidr, CidrError> {
        Cidr::parse(text.as_bytes())
    }

    fn ip(text: &str) -> ClientIp {
        ClientIp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn networks_and_their_canonical_form() {
        let cases = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("1.2.3.4", "1.2.3.4/32"),
            ("1.2.3.4/32", "1.2.3.4/32"),
            ("2001:DB8:0:0::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::/0", "::/0"),
            ("::/80", "::/80"),
            ("::/96", "::/96"),
            ("::1/128", "::1/128"),
            ("64::/16", "64::/16"),
            ("64:ff9b:1::/48", "64:ff9b:1::/48"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:1.2.3.4", "1.2.3.4/32"),
            ("::FFFF:102:304/128", "1.2.3.4/32"),
            ("64:ff9b::/96", "0.0.0.0/0"),
            ("64:ff9b::10.0.0.0/104", "10.0.0.0/8"),
            ("64:ff9b::1.2.3.4", "1.2.3.4/32"),
        ];
        for (text, canonical) in cases {
            let cidr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(cidr.to_string(), canonical, "{text}");
            assert_eq!(parse(canonical), Ok(cidr), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_network_is_refused_and_why() {
        use CidrError::*;
        let cases: &[(&[u8], CidrError)] = &[
            (b"", Empty),
            (b"/", NotOneNetwork),
            (b"/8", NotOneNetwork),
            (b"localhost", NotOneNetwork),
            (b"10/8", NotOneNetwork),
            (b"10.0.0.0.0/8", NotOneNetwork),
            (b"010.0.0.0/8", NotOneNetwork),
            (b" 10.0.0.0/8", NotOneNetwork),
            (b"10.0.0.0 /8", NotOneNetwork),
            (b"[::1]/128", NotOneNetwork),
            (b"10.0.0.0:80/8", NotOneNetwork),
            (b"1.1.1.1,2.2.2.2", NotOneNetwork),
            (b"10.0.0.0-10.0.0.255", NotOneNetwork),
            (b"10.0.0.0\0", NotOneNetwork),
            (b"\xff/8", NotOneNetwork),
            ("１0.0.0.0/8".as_bytes(), NotOneNetwork),
            (&[b'1'; MAX_TEXT_BYTES + 1], NotOneNetwork),
            (b"fe80::1%eth0", ZoneId),
            (b"fe80::%1/64", ZoneId),
            (b"fe80::/64%eth0", ZoneId),
            (b"1.2.3.4%eth0", ZoneId),
            (b"10.0.0.0/", PrefixLength),
            (b"10.0.0.0/33", PrefixLength),
            (b"10.0.0.0/256", PrefixLength),
            (b"10.0.0.0/99999999999", PrefixLength),
            (b"10.0.0.0/08", PrefixLength),
            (b"0.0.0.0/00", PrefixLength),
            (b"10.0.0.0/+8", PrefixLength),
            (b"10.0.0.0/-8", PrefixLength),
            (b"10.0.0.0/8/8", PrefixLength),
            (b"10.0.0.0/ 8", PrefixLength),
            (b"10.0.0.0/8 ", PrefixLength),
            (b"10.0.0.0/8\n", PrefixLength),
            (b"10.0.0.0/255.0.0.0", PrefixLength),
            (b"10.0.0.0/8, 11.0.0.0/8", PrefixLength),
            (b"2001:db8::/129", PrefixLength),
            (b"::ffff:10.0.0.0/129", PrefixLength),
            (b"10.1.2.3/8", HostBits),
            (b"1.2.3.5/31", HostBits),
            (b"1.2.3.4/0", HostBits),
            (b"2001:db8::1/64", HostBits),
            (b"::1/0", HostBits),
            (b"::ffff:10.1.2.3/104", HostBits),
            (b"64:ff9b::1.2.3.4/100", HostBits),
            (b"::ffff:10.0.0.0/8", MixedFamilies),
            (b"::ffff:0:0/95", MixedFamilies),
            (b"::ffff:1.2.3.4/0", MixedFamilies),
            (b"64:ff9b::/64", MixedFamilies),
            (b"64:ff9b::/95", MixedFamilies),
        ];
        for (text, error) in cases {
            assert_eq!(Cidr::parse(text), Err(*error), "{}", text.escape_ascii());
            let message = error.to_string();
            assert!(message.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }

    #[test]
    fn what_a_network_contains() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "64:ff9b::10.1.2.3", true),
            ("10.0.0.0/8", "a00::", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::", false),
            ("::/0", "ffff::", true),
            ("::/0", "1.2.3.4", false),
            ("::/0", "::ffff:1.2.3.4", false),
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.5", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::1", "2001:db8::1%eth0", true),
            ("2001:db8::1", "2001:db8::2", false),
        ];
        for (network, address, within) in cases {
            let cidr = parse(network).unwrap();
            assert_eq!(cidr.contains(ip(address)), within, "{network} {address}");
        }
    }

    #[test]
    fn a_wider_network_comes_before_those_in_it() {
        let sorted =
            ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "11.0.0.0/8", "::/0", "::1/128", "2001:db8::/32"];
        assert!(sorted.map(|text| parse(text).unwrap()).is_sorted());
    }

    proptest! {
        #[test]
        fn the_text_of_a_network_is_read_back(bits: u128, prefix_len in 0u8..=128, v4: bool) {
            let (ip, prefix_len) = if v4 {
                (IpAddr::from(Ipv4Addr::from_bits(bits as u32)), prefix_len / 4)
            } else {
                (Ipv6Addr::from_bits(bits).into(), prefix_len)
            };
            let first = masked(ip, prefix_len);
            if let Ok(cidr) = Cidr::new(first, prefix_len) {
                prop_assert_eq!(Cidr::parse(cidr.to_string().as_bytes()), Ok(cidr));
                prop_assert!(cidr.contains(ClientIp::of(ip)));
            }
        }

        #[test]
        fn any_text_is_a_network_or_an_error(text in "[0-9a-f:./%]{0,70}") {
            if let Ok(cidr) = parse(&text) {
                prop_assert_eq!(parse(&cidr.to_string()), Ok(cidr));
            }
        }

        #[test]
        fn any_bytes_are_a_network_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Cidr::parse(&text);
        }
    }
}
