//! `AUTHLIMIT.UNLOCK`

use crate::identity::ClientIp;
use crate::redis::arguments::Arguments;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::error::CommandError;

/// `AUTHLIMIT.UNLOCK key [IP ip] [EMAIL email]`: clears the attempts and locks of an address, an email, or with both
/// also the pair. See `docs/commands.md`.
pub(crate) struct Unlock<'a> {
    ip: Option<ClientIp>,
    email: Option<&'a [u8]>,
}

impl Command for Unlock<'_> {
    const DOCS: Docs = Docs {
        summary: c"Clears the attempts and locks of an address, an email, or with both also the pair",
        complexity: c"O(R) for R rules in the policy",
        arguments: &[
            Argument::KEY,
            Argument::new(c"ip", ArgumentKind::Text).after(c"IP").optional(),
            Argument::new(c"email", ArgumentKind::Text).after(c"EMAIL").optional(),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Unlock::parse(call.arguments())?.apply(call)
    }
}

impl<'a> Unlock<'a> {
    /// Parses the arguments.
    fn parse(mut arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let mut parsed = Unlock { ip: None, email: None };
        while !arguments.is_empty() {
            let invalid = CommandError::UnlockTarget { position: arguments.next_position() };
            let word = arguments.require()?;
            let value = arguments.next().ok_or(invalid)?;
            if word.eq_ignore_ascii_case(b"IP") && parsed.ip.is_none() {
                parsed.ip = Some(ClientIp::parse(value)?);
            } else if word.eq_ignore_ascii_case(b"EMAIL") && parsed.email.is_none() {
                parsed.email = Some(value);
            } else {
                return Err(invalid);
            }
        }
        match parsed.email {
            Some([]) => Err(CommandError::EmptyEmail),
            _ => Ok(parsed),
        }
    }

    /// Clears, and replies how many identities.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let cleared = key.limiter_mut().map_or(0, |limiter| {
            let address = self.ip.map(|ip| limiter.address_id(ip));
            let email = self.email.map(|email| limiter.email_id(email));
            limiter.unlock(address, email, clock, |effect| replication.effect(effect))
        });
        call.reply_integer(cleared as u64);
        Ok(())
    }
}
