//! `AUTHLIMIT.REFUND`

use crate::commands::attempt::{AttemptArguments, AttemptOptions};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.REFUND key ip email [COST n] [DEVICE id]`: takes back the newest attempt by this address on this email,
/// after the endpoint failed for a reason of its own. See `docs/commands.md`.
pub(crate) struct Refund<'a>(AttemptArguments<'a>);

impl Command for Refund<'_> {
    const DOCS: Docs = Docs {
        summary: c"Takes back the newest attempt by this address on this email",
        complexity:
            c"O(N) for N attempts in the logs of this address and email; the log of ALL has those of the whole limiter",
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Refund(AttemptArguments::parse(call.arguments(), &AttemptOptions::COST_AND_DEVICE)?).apply(call)
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
