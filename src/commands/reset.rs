//! `AUTHLIMIT.RESET`

use crate::commands::attempt::{AttemptArguments, AttemptOption};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.RESET key ip email [DEVICE id]`: forgives, after a success, what this address has spent on this
/// email.
///
/// Exactly the attempts by this address on this email are forgiven, for every subject: nobody gets
/// back what they spent on somebody else's account by logging in to their own. With the last of a
/// pair's attempts goes its lock. Forgiveness goes by the email exactly as spelled, so give it, and
/// the `DEVICE`, as they were given to `AUTHLIMIT.CHECK`.
///
/// Replies how many attempts were forgiven.
pub(crate) struct Reset<'a>(AttemptArguments<'a>);

impl Command for Reset<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.RESET",
        flags: c"write fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Forgives, after a success, the attempts by this address on this email",
        complexity: c"O(N) for N attempts in the logs of whom it concerns; of ALL that is the whole limiter's",
        access: KeyAccess::Update,
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let options = [AttemptOption::Device];
        let expected = "DEVICE id";
        Reset(AttemptArguments::parse(call.arguments(), &options, expected)?).apply(call)
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
