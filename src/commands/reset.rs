//! `AUTHLIMIT.RESET`

use crate::commands::attempt::{AttemptArguments, AttemptOption, AttemptOptions};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.RESET key ip email [DEVICE id]`: clears, after a success, what this address spent on this email.
///
/// See `docs/commands.md`.
pub(crate) struct Reset<'a>(AttemptArguments<'a>);

/// The options of RESET.
const OPTIONS: AttemptOptions = AttemptOptions { options: &[AttemptOption::Device], expected: "DEVICE id" };

impl Command for Reset<'_> {
    const DOCS: Docs = Docs {
        summary: c"Clears, after a successful login, the attempts by this address on this email",
        complexity:
            c"O(N) for N attempts in the logs of this address and email; the log of ALL has those of the whole limiter",
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Reset(AttemptArguments::parse(call.arguments(), &OPTIONS)?).apply(call)
    }
}

impl Reset<'_> {
    /// Forgives, and replies how many attempts.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let forgiven = match key.limiter_mut() {
            Some(limiter) => {
                let attempt = self.0.attempt(limiter)?;
                limiter.reset(&attempt, clock, |effect| replication.effect(effect))
            }
            None => {
                self.0.attempt(&config::empty_default_limiter()?)?;
                0
            }
        };
        call.reply_integer(forgiven as u64);
        Ok(())
    }
}
