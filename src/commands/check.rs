//! `AUTHLIMIT.CHECK`

use crate::commands::attempt::{AttemptArguments, AttemptOptions};
use crate::limiter::Limiter;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::events::Refusal;
use crate::redis::key::WritableLimiterKey;
use crate::redis::stats;

/// `AUTHLIMIT.CHECK key ip email [COST n] [DEVICE id]`: decides whether an attempt may go ahead, and counts it if so.
///
/// See `docs/commands.md`.
pub(crate) struct Check<'a>(AttemptArguments<'a>);

impl Command for Check<'_> {
    const DOCS: Docs = Docs {
        summary: c"Decides whether this attempt by this address on this email may go ahead, and counts it if so",
        complexity: c"O(R) for R rules in the policy",
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Check(AttemptArguments::parse(call.arguments(), &AttemptOptions::COST_AND_DEVICE)?).apply(call)
    }
}

impl Check<'_> {
    /// Evaluates the attempt, counts it if it is admitted, and replies the verdict.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        // An invalid attempt must not create a limiter.
        create_if_missing(call, &mut key, |limiter| Ok(self.0.attempt(limiter).map(drop)?))?;
        let limiter = key.limiter_mut().ok_or(CommandError::Internal)?;
        let attempt = self.0.attempt(limiter)?;
        let decision = limiter.decide(&attempt, clock, config::capacity(), |effect| replication.effect(effect));
        call.reply_verdict(limiter, &decision.verdict);
        stats::count_decision(limiter, &decision);
        if decision.verdict.allowed && decision.tripping.is_empty() {
            return Ok(());
        }
        let refusal = Refusal { attempt: &attempt, request: &self.0.request, decision: &decision, clock };
        let events = call.observe_refusal(limiter, &refusal);
        // A subscriber may use the limiter at once.
        drop(key);
        call.publish(&events);
        Ok(())
    }
}

/// Puts a limiter with the default policy at a key that has none, unless `validate` fails for it.
pub(super) fn create_if_missing(
    call: &CommandCall<'_>,
    key: &mut WritableLimiterKey<'_>,
    validate: impl FnOnce(&Limiter) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    if key.limiter_mut().is_none() {
        let limiter = config::default_limiter(config::new_secret()?)?;
        validate(&limiter)?;
        let metadata = limiter.metadata();
        key.put(limiter)?;
        call.replication()?.create(&metadata);
        call.log_autocreated();
    }
    Ok(())
}
