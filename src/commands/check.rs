//! `AUTHLIMIT.CHECK`

use crate::commands::attempt::AttemptArguments;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::session::Session;

/// `AUTHLIMIT.CHECK key ip email [COST n]`: may this attempt go ahead? Counts it if so.
///
/// An attempt is admitted if every rule of the limiter's policy admits it, and is then counted once
/// (`COST n`: n times) for every subject; a refused one is counted nowhere. Ask before verifying the
/// password, so that parallel guesses cannot overtake the count, and call `AUTHLIMIT.RESET` when the
/// login has succeeded, or `AUTHLIMIT.REFUND` when it failed for a reason of your own.
///
/// `ip` is one bare address, `email` whatever the user typed; both are canonicalised here. A limiter
/// that is not there is created with `authlimit.default-policy`.
///
/// Replies six elements: allowed (1 or 0), and of the binding rule its limit, how many are
/// remaining, retry_after_ms, reset_ms, and its words. The binding rule is the refusing one with the
/// longest wait, else the one with the least remaining.
pub(crate) struct Check<'a>(AttemptArguments<'a>);

impl Command for Check<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.CHECK",
        flags: c"write deny-oom fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Decides whether this attempt by this address on this email may go ahead, and counts it if so",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Update,
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST],
    };

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        Check(AttemptArguments::parse_with_cost(session.arguments())?).apply(session)
    }
}

impl Check<'_> {
    /// Judges the attempt, counts it if it is admitted, and replies the verdict.
    fn apply(&self, session: &Session<'_>) -> Result<(), CommandError> {
        let clock = session.clock()?;
        let replication = session.replication()?;
        let mut key = session.open_writable_key()?;
        if key.limiter_mut().is_none() {
            let limiter = config::default_limiter(config::random_secret()?)?;
            // An attempt in error must not leave a limiter behind.
            self.0.attempt(&limiter)?;
            replication.create(&limiter.genesis());
            key.put(limiter);
        }
        let limiter = key.limiter_mut().ok_or(CommandError::Internal)?;
        let attempt = self.0.attempt(limiter)?;
        let verdict = limiter.check(&attempt, clock, |effect| replication.effect(effect));
        session.reply_verdict(limiter, &verdict);
        Ok(())
    }
}
