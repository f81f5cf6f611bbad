//! The text of an ip, parsed to the bits that a limiter counts by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// Longer text is refused unread. An IPv6 address has at most 45 bytes, so this leaves room for a long zone id.
const MAX_TEXT_BYTES: usize = 128;

/// The upper 96 bits of `64:ff9b::/96`, the well-known NAT64 prefix (RFC 6052, section 2.1).
const NAT64_PREFIX: u128 = 0x0064_ff9b_0000_0000_0000_0000;

/// How many leading bits of an IPv6 address make one identity: 32 to 128.
///
/// The default is 64, the smallest network that a subscriber gets (RFC 4291, section 2.5.1; RFC 6177): an attacker has
/// all of its addresses. Some providers assign a /56 or a /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Prefix(u8);

impl Ipv6Prefix {
    /// The prefix of `bits`: from 32, what a provider itself gets, to 128, every address on its own.
    #[must_use]
    pub fn new(bits: u8) -> Option<Ipv6Prefix> {
        (32..=128).contains(&bits).then_some(Ipv6Prefix(bits))
    }

    /// The number of bits, 32 to 128.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl Default for Ipv6Prefix {
    /// One subnet: 64 bits.
    fn default() -> Self {
        Self(64)
    }
}

/// The IPv6 addresses that share a prefix, as the first of them. Only [`ClientIp::address`] makes one, so its host
/// bits are always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Block(u128);

impl Ipv6Block {
    /// The 128 bits of the block's first address, the first group of the text in the highest bits.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }
}

/// Where an attempt comes from, as far as a limiter distinguishes addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// All IPv6 addresses of one prefix.
    V6(Ipv6Block),
}

/// Why a text is not an address. The messages never repeat client bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The text is empty.
    #[error("the ip is empty: pass the address of the client")]
    Empty,
    /// The text is not exactly one address.
    #[error(
        "the ip is not one bare IPv4 or IPv6 address: cut off a port, brackets, spaces and all other addresses of a list first"
    )]
    NotOneAddress,
}

/// The full address of a client in its one form: IPv4 wherever an IPv6 form contains an IPv4 address, nothing masked.
///
/// It is never stored. The allow and deny lists are searched with it; rules count by the [`Address`] made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    /// Reads exactly one address, in any spelling that `std::net` accepts: IPv4 as four decimal numbers without
    /// leading zeros (RFC 6943, section 3.1.1, explains why), IPv6 as in RFC 4291, section 2.2.
    ///
    /// An IPv4-mapped address (`::ffff:0:0/96`, RFC 4291, section 2.5.5.2) and a NAT64 one (`64:ff9b::/96`, RFC
    /// 6052) are the IPv4 address that they contain.
    ///
    /// An IPv6 address may have a zone id (RFC 4007, section 11): a `%` and one or more of the characters
    /// `A-Z a-z 0-9 - . _ ~` that RFC 6874 allows. It names an interface of the receiving machine, so it is dropped.
    /// Other characters are refused there: a list could hide behind the `%`.
    ///
    /// # Errors
    ///
    /// [`AddressError::Empty`] for no text, [`AddressError::NotOneAddress`] for anything else: an address with a port,
    /// brackets or spaces, a list, a host name.
    pub fn parse(text: &[u8]) -> Result<ClientIp, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(AddressError::NotOneAddress);
        }
        if let Some(address) = plain_ipv4(text) {
            return Ok(ClientIp(IpAddr::V4(address)));
        }
        let text = str::from_utf8(text).map_err(|_| AddressError::NotOneAddress)?;
        parse_bits(text).map(ClientIp::of).ok_or(AddressError::NotOneAddress)
    }

    /// The one form of `ip`: the IPv4 address that an IPv6 form contains, or `ip` itself.
    #[must_use]
    pub fn of(ip: IpAddr) -> ClientIp {
        let inner = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => address.to_ipv4_mapped().or_else(|| nat64(address)),
        };
        ClientIp(inner.map_or(ip, IpAddr::V4))
    }

    /// The address itself; an IPv6 one is never IPv4-mapped or NAT64.
    #[must_use]
    pub fn get(self) -> IpAddr {
        self.0
    }

    /// The address by which a limiter counts that groups IPv6 addresses by `prefix`.
    ///
    /// An IPv4 address in an IPv6 form is not cut: all IPv4 clients behind a translator would be one identity.
    #[must_use]
    pub fn address(self, prefix: Ipv6Prefix) -> Address {
        match self.0 {
            IpAddr::V4(address) => Address::V4(address),
            IpAddr::V6(address) => Address::V6(Ipv6Block(address.to_bits() & mask(prefix.0))),
        }
    }
}

/// Reads an IPv4 address in dotted decimal, ten times as fast as `std::net`: most clients have one.
fn plain_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut octet, mut digits, mut dots) = (0_u32, 0_u32, 0_u32, 0_u32);
    for byte in text {
        match byte {
            // No leading zeros: some systems read them as octal.
            b'0'..=b'9' if digits < 3 && (digits == 0 || octet != 0) => {
                octet = octet.wrapping_mul(10).wrapping_add(u32::from(byte & 0xf));
                digits = digits.wrapping_add(1);
            }
            b'.' if digits > 0 && octet <= 255 && dots < 3 => {
                address = address << 8 | octet;
                (octet, digits, dots) = (0, 0, dots.wrapping_add(1));
            }
            _ => return None,
        }
    }
    let is_whole = dots == 3 && digits > 0 && octet <= 255;
    is_whole.then(|| Ipv4Addr::from_bits(address << 8 | octet))
}

/// Reads an address as `std::net` does, and drops the zone id of an IPv6 address.
fn parse_bits(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        None => text.parse().ok(),
        Some((address, zone)) if is_zone_id(zone) => address.parse().ok().map(IpAddr::V6),
        Some(_) => None,
    }
}

/// Whether this is a zone id by RFC 6874, section 2: one or more of a URI's unreserved characters.
fn is_zone_id(zone: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !zone.is_empty() && zone.bytes().all(unreserved)
}

/// The IPv4 address in an address of the well-known NAT64 prefix: its lowest 32 bits (RFC 6052, section 2.2).
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.to_bits() >> 32 != NAT64_PREFIX {
        return None;
    }
    let [.., a, b, c, d] = address.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

/// Ones in the first `prefix_len` of 128 bits, zeros in the others.
pub(super) fn mask(prefix_len: u8) -> u128 {
    let host_bits = 128_u8.saturating_sub(prefix_len);
    u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The address of a text with the default prefix.
    fn parse(text: &str) -> Result<Address, AddressError> {
        parse_bytes(text.as_bytes(), Ipv6Prefix::default())
    }

    /// The address of any bytes.
    fn parse_bytes(text: &[u8], prefix: Ipv6Prefix) -> Result<Address, AddressError> {
        ClientIp::parse(text).map(|ip| ip.address(prefix))
    }

    proptest! {
        #[test]
        fn plain_ipv4_reads_what_std_net_reads(
            text in "([0-9]{1,4}[.]){0,4}[0-9.x]{0,4}",
            bits: u32,
        ) {
            prop_assert_eq!(plain_ipv4(text.as_bytes()), text.parse().ok());
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(plain_ipv4(address.to_string().as_bytes()), Some(address));
        }
    }

    #[test]
    fn spellings_of_one_address_are_one() {
        let groups: &[&[&str]] = &[
            &[
                "1.2.3.4",
                "::ffff:1.2.3.4",
                "::ffff:102:304",
                "::FFFF:102:304",
                "0:0:0:0:0:ffff:1.2.3.4",
                "0000:0000:0000:0000:0000:ffff:1.2.3.4",
                "::ffff:1.2.3.4%eth0",
                "64:ff9b::102:304",
                "64:ff9b::1.2.3.4",
                "0064:FF9B::1.2.3.4",
            ],
            &["5.6.7.8", "::ffff:5.6.7.8", "64:ff9b::506:708"],
            &["fe80::1", "fe80::1%eth0", "fe80::1%25eth0", "fe80::1%1", "fe80::1%br-lan.7", "FE80::2"],
            &["2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:DB8:0:0::"],
            &["2001:db8:0:1::1", "2001:db8:0:1:8000::"],
            &["::", "::1", "::1.2.3.4"],
            &["64:ff9b:1::102:304", "64:ff9b:1::"],
        ];
        let canonical: Vec<Address> = groups
            .iter()
            .map(|group| {
                let first = parse(group[0]).unwrap();
                for text in *group {
                    assert_eq!(parse(text), Ok(first), "{text}");
                }
                first
            })
            .collect();
        for (at, address) in canonical.iter().enumerate() {
            assert!(!canonical[..at].contains(address), "{:?}", groups[at]);
        }
    }

    #[test]
    fn what_is_not_one_bare_address_is_refused() {
        let refused: &[&[u8]] = &[
            b"010.0.0.1",
            b"1.2.3.4:80",
            b"[::1]:80",
            b"[::1]",
            b"a,b",
            b"1.1.1.1, 2.2.2.2",
            b"1.1.1.1,2.2.2.2",
            b"fe80::1%eth0, 1.2.3.4",
            b"unknown",
            b" 1.2.3.4",
            b"1.2.3.4 ",
            b"1.2.3.4\n",
            b"\t::1",
            b"::1 ",
            b"1.2.3.4\0",
            b"1.2\0.3.4",
            b"\0",
            b"fe80::1%et\0h0",
            b"1.2.3.4%eth0",
            b"fe80::1%",
            b"%eth0",
            b"%",
            b"1.2.3",
            b"1.2.3.4.5",
            b"16909060",
            b"0x1.2.3.4",
            b"256.1.1.1",
            b"+1.2.3.4",
            b"1.2.3.4/32",
            b"2001:db8::/32",
            b"::ffff:010.0.0.1",
            b"::12345",
            b":::",
            b"1::2::3",
            b"localhost",
            b"\xff\xfe",
            "１.2.3.4".as_bytes(),
        ];
        for text in refused {
            let outcome = parse_bytes(text, Ipv6Prefix::default());
            assert_eq!(outcome, Err(AddressError::NotOneAddress), "{text:?}");
        }
        assert_eq!(parse(""), Err(AddressError::Empty));
    }

    #[test]
    fn long_texts_are_refused() {
        let long_zone = format!("fe80::1%{}", "x".repeat(MAX_TEXT_BYTES - 8));
        assert_eq!(parse(&long_zone), parse("fe80::1"));
        assert_eq!(parse(&format!("{long_zone}x")), Err(AddressError::NotOneAddress));
        assert_eq!(parse(&"1".repeat(1 << 20)), Err(AddressError::NotOneAddress));
    }

    #[test]
    fn addresses_of_one_prefix_are_one() {
        let cases = [
            (32, "2001:db8:ffff::", "2001:db8::", true),
            (32, "2001:db9::", "2001:db8::", false),
            (56, "2001:db8:0:ff::1", "2001:db8::", true),
            (56, "2001:db8:0:100::1", "2001:db8::", false),
            (63, "2001:db8:0:1::", "2001:db8::", true),
            (64, "2001:db8:0:1::", "2001:db8::", false),
            (128, "2001:db8::1", "2001:db8::", false),
            (128, "2001:db8::1", "2001:db8:0::1", true),
            // IPv4 inside IPv6 is never grouped.
            (32, "::ffff:1.2.3.4", "::ffff:1.2.3.5", false),
            (32, "64:ff9b::1.2.3.4", "64:ff9b::1.2.3.5", false),
        ];
        for (bits, one, other, same) in cases {
            let prefix = Ipv6Prefix::new(bits).unwrap();
            let parse = |text: &str| parse_bytes(text.as_bytes(), prefix).unwrap();
            assert_eq!(parse(one) == parse(other), same, "{one} {other} /{bits}");
        }
    }

    #[test]
    fn a_prefix_has_32_to_128_bits() {
        for bits in 0..=u8::MAX {
            let allowed = (32..=128).contains(&bits);
            assert_eq!(Ipv6Prefix::new(bits).map(Ipv6Prefix::bits), allowed.then_some(bits));
        }
        assert_eq!(Ipv6Prefix::default().bits(), 64);
    }

    #[test]
    fn a_full_address_keeps_all_its_bits_and_has_one_form() {
        let cases = [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4%eth0", "1.2.3.4"),
            ("64:ff9b::1.2.3.4", "1.2.3.4"),
            ("2001:DB8::1:2:3:4", "2001:db8::1:2:3:4"),
            ("fe80::1%eth0", "fe80::1"),
            ("::1.2.3.4", "::102:304"),
        ];
        for (text, canonical) in cases {
            let ip = ClientIp::parse(text.as_bytes()).unwrap();
            assert_eq!(ip.get(), canonical.parse::<IpAddr>().unwrap(), "{text}");
            assert_eq!(Ok(ip.address(Ipv6Prefix::default())), parse(text), "{text}");
        }
    }

    #[test]
    fn messages_are_plain_ascii() {
        for error in [AddressError::Empty, AddressError::NotOneAddress] {
            let message = error.to_string();
            assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
        }
    }

    proptest! {
        #[test]
        fn every_ipv4_address_has_its_ipv6_spellings(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let [high, low] = [bits >> 16, bits & 0xffff];
            let spellings = [
                format!("{address}"),
                format!("::ffff:{address}"),
                format!("::ffff:{high:x}:{low:x}"),
                format!("64:ff9b::{high:x}:{low:x}"),
            ];
            for text in spellings {
                prop_assert_eq!(parse(&text), Ok(Address::V4(address)));
            }
        }

        #[test]
        fn host_bits_never_count(bits: u128, other: u128, prefix in 32u8..=128) {
            let prefix = Ipv6Prefix::new(prefix).unwrap();
            let sibling = (bits & mask(prefix.bits())) | (other & !mask(prefix.bits()));
            let block = |bits: u128| ClientIp::of(Ipv6Addr::from_bits(bits | 1 << 127).into()).address(prefix);
            prop_assert_eq!(block(bits), block(sibling));
        }

        #[test]
        fn any_bytes_are_an_address_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_bytes(&text, Ipv6Prefix::default());
        }
    }
}
