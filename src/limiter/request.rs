//! From the words of a command to the ids of an attempt.

use crate::identity::{AddressError, CanonicalEmail, ClientIp, Id, PlusTags};
use crate::limiter::attempt::{Attempt, AttemptIds};
use crate::limiter::limiter::Limiter;
use crate::policy::{Cost, Enforcement, Subject};

/// An attempt as a command receives it.
#[derive(Clone, Copy, Debug)]
pub struct AttemptRequest<'a> {
    /// The address, as text.
    pub ip: &'a [u8],
    /// The email, as the user typed it.
    pub email: &'a [u8],
    /// The id of the device that the application has authenticated, if any.
    pub device: Option<&'a [u8]>,
    /// How many attempts it counts as.
    pub cost: Cost,
}

/// Why an attempt cannot be evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttemptError {
    /// The address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No email, and a rule needs it.
    #[error("the email is empty, and a rule of the limiter's policy needs it")]
    EmptyEmail,
    /// A cost that some rule could never admit.
    #[error("COST is above a limit of the policy, so no such attempt could ever be admitted")]
    UnreachableCost,
    /// A device without a rule for devices.
    #[error("the limiter's policy has no DEVICE rule, so DEVICE cannot be given")]
    NoDeviceRule,
    /// A device without a name.
    #[error("the device's id is empty; omit DEVICE for an attempt without a device")]
    EmptyDevice,
}

impl Limiter {
    /// The attempt that a request describes, under this limiter's policy.
    ///
    /// # Errors
    /// [`AttemptError`] if the address is invalid, if the address or the email is empty and a rule needs it, if some
    /// rule could never admit the cost, or if there is a device and no rule for it.
    pub fn attempt(&self, request: &AttemptRequest<'_>) -> Result<Attempt, AttemptError> {
        let ip = if request.ip.is_empty() && !self.policy.needs_address() {
            None
        } else {
            Some(ClientIp::parse(request.ip)?)
        };
        let address = ip.map_or(AttemptIds::ABSENT, |ip| self.address_id(ip));
        let email = match request.email {
            [] if self.policy.needs_email() => return Err(AttemptError::EmptyEmail),
            [] => AttemptIds::ABSENT,
            email => self.email_id(email),
        };
        let tagged_email = if self.lists.is_empty() { None } else { self.tagged_email_id(request.email) };
        let device = request.device.map(|device| self.attempt_device(device));
        if !self.is_reachable(request.cost, device.is_some()) {
            return Err(AttemptError::UnreachableCost);
        }
        let tag = self.secret.tag(address, request.email);
        let ids = AttemptIds { address, email, device: device.transpose()?, tag, cost: request.cost };
        Ok(Attempt { ip, tagged_email, ids })
    }

    /// The id of an address under this limiter's policy.
    #[must_use]
    pub fn address_id(&self, ip: ClientIp) -> Id {
        let prefix = self.policy.options().ipv6_prefix;
        self.secret.address_id(&ip.address(prefix))
    }

    /// The id of an email under this limiter's policy.
    #[must_use]
    pub fn email_id(&self, email: &[u8]) -> Id {
        let plus_tags = self.policy.options().plus_tags;
        self.secret.email_id(&CanonicalEmail::of(email, plus_tags))
    }

    /// The id that an email has with its plus-tag, if this limiter's policy strips tags. An email without a tag has the
    /// same id.
    #[must_use]
    pub fn tagged_email_id(&self, email: &[u8]) -> Option<Id> {
        if self.policy.options().plus_tags == PlusTags::Keep {
            return None;
        }
        Some(self.secret.email_id(&CanonicalEmail::of(email, PlusTags::Keep)))
    }

    /// The id of a device.
    #[must_use]
    pub fn device_id(&self, device: &[u8]) -> Id {
        self.secret.device_id(device)
    }

    /// The id of an attempt's device.
    fn attempt_device(&self, device: &[u8]) -> Result<Id, AttemptError> {
        if !self.policy.has_subject(Subject::Device) {
            Err(AttemptError::NoDeviceRule)
        } else if device.is_empty() {
            Err(AttemptError::EmptyDevice)
        } else {
            Ok(self.device_id(device))
        }
    }

    /// Whether every enforced rule that concerns an attempt of `cost`, with a device or without, could admit it. A
    /// distinct count takes it as one.
    fn is_reachable(&self, cost: Cost, has_device: bool) -> bool {
        self.policy.rules().iter().all(|rule| {
            !self.ledger.concerns(rule.subject(), has_device)
                || rule.enforcement() == Enforcement::Shadow
                || rule.subject().is_distinct_count()
                || cost.get() <= rule.limit().get()
        })
    }
}
