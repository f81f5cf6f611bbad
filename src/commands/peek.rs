//! `AUTHLIMIT.PEEK`

use crate::commands::attempt::AttemptArguments;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::session::Session;

/// `AUTHLIMIT.PEEK key ip email [COST n]`: what would `AUTHLIMIT.CHECK` say? Counts nothing.
///
/// Replies as CHECK does, with the figures as they are, before any counting. May be asked of a
/// replica. A limiter that is not there is judged as an empty one with the default policy, and is
/// not created.
pub(crate) struct Peek<'a>(AttemptArguments<'a>);

impl Command for Peek<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.PEEK",
        flags: c"readonly fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Tells what AUTHLIMIT.CHECK would decide, and counts nothing",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Read,
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST],
    };

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        Peek(AttemptArguments::parse_with_cost(session.arguments())?).apply(session)
    }
}

impl Peek<'_> {
    /// Judges the attempt and replies the verdict.
    fn apply(&self, session: &Session<'_>) -> Result<(), CommandError> {
        let clock = session.clock()?;
        let key = session.open_key()?;
        let default;
        let limiter = match key.limiter() {
            Some(limiter) => limiter,
            None => {
                default = config::empty_default_limiter()?;
                &default
            }
        };
        let verdict = limiter.peek(&self.0.attempt(limiter)?, clock);
        session.reply_verdict(limiter, &verdict);
        Ok(())
    }
}
