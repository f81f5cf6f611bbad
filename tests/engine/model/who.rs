//! Who makes an attempt, and what it is counted on.

use authlimit::identity::PlusTags;
use authlimit::policy::{Options, Subject};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// What a client sends: address and email as received, the device if there is one, and the cost.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) ip: &'static str,
    pub(crate) email: &'static str,
    pub(crate) device: Option<&'static str>,
    pub(crate) cost: u32,
}

impl fmt::Debug for Request {
    /// In the words of a command, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ip, email, device, cost } = self;
        write!(f, "'{ip}' '{email}'")?;
        device.map_or(Ok(()), |device| write!(f, " DEVICE '{device}'"))?;
        match cost {
            1 => Ok(()),
            cost => write!(f, " COST {cost}"),
        }
    }
}

/// Who makes an attempt, and on whom; an address or email that is not given is one of its own.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The very address, for the lists.
    pub(super) ip: Option<IpAddr>,
    pub(super) address: Option<IpAddr>,
    pub(super) email: Option<String>,
    pub(super) spelled: &'static str,
    pub(super) device: Option<&'static str>,
    /// Whether the device takes the place of the email.
    pub(super) is_by_device: bool,
}

/// One subject's one instance.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Identity {
    Address(Option<IpAddr>),
    Email(Option<String>),
    Pair(Option<IpAddr>, Option<String>),
    Everybody,
    Device(&'static str),
}

/// What tells the attempts on one identity apart.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Mark {
    /// Who tried what as spelled, which forgiveness goes by.
    Spelled(Option<IpAddr>, &'static str),
    /// The other party, of a subject that counts different ones.
    Other(Identity),
}

impl Who {
    /// The identity that `subject` counts the attempt on; `None` if it does not concern it.
    pub(super) fn identity(&self, subject: Subject) -> Option<Identity> {
        let (address, email) = (self.address, self.email.clone());
        match subject {
            Subject::Ip | Subject::EmailsPerIp => Some(Identity::Address(address)),
            Subject::Email | Subject::IpsPerEmail if self.is_by_device => None,
            Subject::Email | Subject::IpsPerEmail => Some(Identity::Email(email)),
            Subject::Pair => Some(Identity::Pair(address, email)),
            Subject::All => Some(Identity::Everybody),
            Subject::Device => self.device.map(Identity::Device),
        }
    }

    /// What tells the attempt from others on the same identity.
    pub(super) fn mark(&self, subject: Subject) -> Mark {
        match subject {
            Subject::EmailsPerIp => Mark::Other(Identity::Email(self.email.clone())),
            Subject::IpsPerEmail => Mark::Other(Identity::Address(self.address)),
            _ => Mark::Spelled(self.address, self.spelled),
        }
    }
}

/// The address of this text: IPv4 in IPv6 is IPv4.
pub(super) fn address(ip: &str) -> IpAddr {
    let address: IpAddr = ip.parse().expect("the tests' addresses are addresses");
    address.to_canonical()
}

/// An address as it is counted: IPv6 goes by its block.
pub(super) fn grouped(address: IpAddr, options: Options) -> IpAddr {
    match address {
        IpAddr::V6(v6) => {
            let host_bits = 128 - u32::from(options.ipv6_prefix.bits());
            let block = v6.to_bits() >> host_bits << host_bits;
            IpAddr::V6(Ipv6Addr::from_bits(block))
        }
        v4 => v4,
    }
}

/// An email as it is counted, for the plain spellings that the tests use: lower case, no blanks, and no plus-tag
/// if the policy strips it.
pub(super) fn canonical_email(email: &str, options: Options) -> String {
    let plain = email.to_ascii_lowercase().replace(' ', "");
    match (options.plus_tags, plain.split_once('@')) {
        (PlusTags::Strip, Some((local, domain))) => {
            let untagged = local.split('+').next().unwrap_or(local);
            format!("{untagged}@{domain}")
        }
        _ => plain,
    }
}
