//! `AUTHLIMIT.UNLOCK`

use crate::identity::ClientIp;
use crate::redis::call::{Arguments, CommandCall};
use crate::redis::command::{Argument, ArgumentCount, ArgumentKind, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;

/// `AUTHLIMIT.UNLOCK key [IP ip] [EMAIL email]`: lets an address or an email begin anew.
///
/// For support staff; keep it from applications by ACL. `IP` clears what the `IP` and
/// `EMAILS-PER-IP` rules know of the address, `EMAIL` what the `EMAIL` and `IPS-PER-EMAIL` rules know
/// of the email, attempts and locks alike; both together clear the pair, too.
///
/// Replies how many identities were cleared.
pub(crate) struct Unlock<'a> {
    ip: Option<ClientIp>,
    email: Option<&'a [u8]>,
}

impl Command for Unlock<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.UNLOCK",
        flags: c"write no-monitor no-slowlog",
        arity: -4,
        summary: c"Clears what the rules know of an address, an email, or with both also the pair",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Update,
        arguments: &[
            Argument::KEY,
            Argument {
                token: Some(c"IP"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"ip", ArgumentKind::Text)
            },
            Argument {
                token: Some(c"EMAIL"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"email", ArgumentKind::Text)
            },
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Unlock::parse(call.arguments())?.apply(call)
    }
}

impl<'a> Unlock<'a> {
    /// Parses the arguments.
    fn parse(arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let mut parsed = Unlock { ip: None, email: None };
        let mut position = 2;
        while let Some(word) = arguments.get(position) {
            let whom = CommandError::TopSubject { position };
            let value = arguments.get(position.saturating_add(1)).ok_or(whom)?;
            if word.eq_ignore_ascii_case(b"IP") && parsed.ip.is_none() {
                parsed.ip = Some(ClientIp::parse(value)?);
            } else if word.eq_ignore_ascii_case(b"EMAIL") && parsed.email.is_none() {
                parsed.email = Some(value);
            } else {
                return Err(whom);
            }
            position = position.saturating_add(2);
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
