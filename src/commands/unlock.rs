//! `AUTHLIMIT.UNLOCK`

use crate::identity::ClientIp;
use crate::limiter::{AttemptError, Limiter, UnlockTarget};
use crate::redis::arguments::Arguments;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::error::CommandError;

/// `AUTHLIMIT.UNLOCK key IP ip | EMAIL email | IP ip EMAIL email | DEVICE id | ALL`: clears attempts, locks and
/// strikes.
///
/// An email is cleared with all its pairs; an address and an email together with their pair alone. See
/// `docs/commands.md`.
#[derive(Default)]
pub(crate) struct Unlock<'a> {
    ip: Option<ClientIp>,
    email: Option<&'a [u8]>,
    device: Option<&'a [u8]>,
    all: bool,
}

impl Command for Unlock<'_> {
    const DOCS: Docs = Docs {
        summary: c"Clears attempts, locks and strikes: of an address, of an email and its pairs, of both and their pair, of a device, or of ALL",
        complexity: c"O(R) for R rules in the policy",
        arguments: &[
            Argument::KEY,
            Argument::new(c"ip", ArgumentKind::Text).after(c"IP").optional(),
            Argument::new(c"email", ArgumentKind::Text).after(c"EMAIL").optional(),
            Argument::new(c"device", ArgumentKind::Text).after(c"DEVICE").optional(),
            Argument::word(c"all", c"ALL").optional(),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Unlock::parse(call.arguments())?.apply(call)
    }
}

impl<'a> Unlock<'a> {
    /// Parses the arguments.
    fn parse(mut arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let mut parsed = Unlock::default();
        while !arguments.is_empty() {
            let invalid = CommandError::UnlockTarget { position: arguments.next_position() };
            let word = arguments.require()?;
            let is_first = parsed.ip.is_none() && parsed.email.is_none() && parsed.device.is_none() && !parsed.all;
            if word.eq_ignore_ascii_case(b"ALL") && is_first {
                parsed.all = true;
                continue;
            }
            let value = arguments.next().ok_or(invalid)?;
            if word.eq_ignore_ascii_case(b"DEVICE") && is_first {
                parsed.device = Some(value);
            } else if parsed.all || parsed.device.is_some() {
                return Err(invalid);
            } else if word.eq_ignore_ascii_case(b"IP") && parsed.ip.is_none() {
                parsed.ip = Some(ClientIp::parse(value)?);
            } else if word.eq_ignore_ascii_case(b"EMAIL") && parsed.email.is_none() {
                parsed.email = Some(value);
            } else {
                return Err(invalid);
            }
        }
        match parsed {
            Unlock { email: Some([]), .. } => Err(CommandError::EmptyEmail),
            Unlock { device: Some([]), .. } => Err(AttemptError::EmptyDevice.into()),
            parsed => Ok(parsed),
        }
    }

    /// What is to be cleared, under the policy of `limiter`.
    fn target(&self, limiter: &Limiter) -> UnlockTarget {
        let address = self.ip.map(|ip| limiter.address_id(ip));
        let email = self.email.map(|email| limiter.email_id(email));
        let device = self.device.map(|device| limiter.device_id(device));
        match (address, email, device) {
            (Some(address), Some(email), _) => UnlockTarget::AddressAndEmail(address, email),
            (Some(address), None, _) => UnlockTarget::Address(address),
            (None, Some(email), _) => UnlockTarget::Email(email),
            (None, None, Some(device)) => UnlockTarget::Device(device),
            (None, None, None) => UnlockTarget::All,
        }
    }

    /// Clears, and replies how many identities.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let cleared = key.limiter_mut().map_or(0, |limiter| {
            let target = self.target(limiter);
            limiter.unlock(target, clock, |effect| replication.effect(effect))
        });
        call.reply_integer(cleared as u64);
        Ok(())
    }
}
