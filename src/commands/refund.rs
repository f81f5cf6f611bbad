//! `AUTHLIMIT.REFUND`

use crate::commands::attempt::{AttemptArguments, AttemptOption};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.REFUND key ip email [COST n] [DEVICE id]`: takes back the newest attempt by this address on this
/// email, after the endpoint failed for a reason that is not the user's.
///
/// Give the `COST` and `DEVICE` that were given to `AUTHLIMIT.CHECK`, and the email as it was spelled
/// there. `EMAILS-PER-IP` and `IPS-PER-EMAIL` keep what they have: an earlier attempt may be why.
///
/// Replies 1 if there was such an attempt, else 0.
pub(crate) struct Refund<'a>(AttemptArguments<'a>);

impl Command for Refund<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.REFUND",
        flags: c"write fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Takes back the newest attempt by this address on this email",
        complexity: c"O(N) for N attempts in the logs of whom it concerns; of ALL that is the whole limiter's",
        access: KeyAccess::Update,
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let options = [AttemptOption::Cost, AttemptOption::Device];
        let expected = "COST n and DEVICE id";
        Refund(AttemptArguments::parse(call.arguments(), &options, expected)?).apply(call)
    }
}

impl Refund<'_> {
    /// Takes the attempt back, and replies whether there was one.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let refunded = match key.limiter_mut() {
            Some(limiter) => {
                let attempt = self.0.attempt(limiter)?;
                limiter.refund(&attempt, clock, |effect| replication.effect(effect))
            }
            None => {
                self.0.attempt(&config::empty_default_limiter()?)?;
                0
            }
        };
        call.reply_integer(u64::from(refunded > 0));
        Ok(())
    }
}
