//! Requests, their ids, and the identities that count them.

use authlimit::identity::PlusTags;
use authlimit::policy::{Options, Subject};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A request as sent by a client: IP, email, optional device, and cost.
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

/// The ids of an attempt. A missing IP or email is an identity of its own.
#[derive(Clone, Debug)]
pub(super) struct AttemptIds {
    /// The exact IP, for the lists.
    pub(super) ip: Option<IpAddr>,
    pub(super) address: Option<IpAddr>,
    pub(super) email: Option<String>,
    /// The forms of the email that may be listed: with its plus-tag, and as counted.
    pub(super) listed_emails: Vec<String>,
    pub(super) spelled: &'static str,
    pub(super) device: Option<&'static str>,
    /// Whether the device is counted instead of the email.
    pub(super) is_by_device: bool,
}

/// The identity that a subject counts.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Identity {
    Address(Option<IpAddr>),
    Email(Option<String>),
    Pair(Option<IpAddr>, Option<String>),
    All,
    Device(&'static str),
}

/// What distinguishes the attempts on one identity.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum EntryKey {
    /// The IP and the email as spelled, which RESET and REFUND match.
    Spelled(Option<IpAddr>, &'static str),
    /// The counted IP or email, for a subject that counts distinct identities.
    Distinct(Identity),
}

impl AttemptIds {
    /// The identity on which `subject` counts the attempt; `None` if it does not count it.
    pub(super) fn identity(&self, subject: Subject) -> Option<Identity> {
        let is_replaced = self.is_by_device && matches!(subject, Subject::Email | Subject::IpsPerEmail | Subject::Pair);
        self.any_identity(subject).filter(|_| !is_replaced)
    }

    /// The identity of `subject`, whether a device replaces it or not.
    pub(super) fn any_identity(&self, subject: Subject) -> Option<Identity> {
        let (address, email) = (self.address, self.email.clone());
        match subject {
            Subject::Ip | Subject::EmailsPerIp => Some(Identity::Address(address)),
            Subject::Email | Subject::IpsPerEmail => Some(Identity::Email(email)),
            Subject::Pair => Some(Identity::Pair(address, email)),
            Subject::All => Some(Identity::All),
            Subject::Device => self.device.map(Identity::Device),
        }
    }

    /// What distinguishes the attempt from others on the same identity.
    pub(super) fn entry_key(&self, subject: Subject) -> EntryKey {
        match subject {
            Subject::EmailsPerIp => EntryKey::Distinct(Identity::Email(self.email.clone())),
            Subject::IpsPerEmail => EntryKey::Distinct(Identity::Address(self.address)),
            _ => EntryKey::Spelled(self.address, self.spelled),
        }
    }
}

/// Parses an IP; IPv4 mapped into IPv6 becomes IPv4.
pub(super) fn address(ip: &str) -> IpAddr {
    let address: IpAddr = ip.parse().expect("a valid IP");
    address.to_canonical()
}

/// An IP as it is counted: IPv6 addresses are grouped by prefix.
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

/// The canonical email, for the simple spellings of these tests: lower case, no blanks, and no plus-tag if the policy
/// strips it.
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
