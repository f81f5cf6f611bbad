//! `AUTHLIMIT.CHECK`

use crate::commands::attempt::{AttemptArguments, AttemptOption};
use crate::limiter::Limiter;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::events::RefusedAttempt;
use crate::redis::key::WritableLimiterKey;
use crate::redis::stats;

/// `AUTHLIMIT.CHECK key ip email [COST n] [DEVICE id]`: may this attempt go ahead? Counts it if so.
///
/// An attempt is admitted if every rule of the limiter's policy admits it, and is then counted once
/// (`COST n`: n times) for every subject; a refused one is counted nowhere. Ask before verifying the
/// password, so that parallel guesses cannot overtake the count, and call `AUTHLIMIT.RESET` when the
/// login has succeeded, or `AUTHLIMIT.REFUND` when it failed for a reason of your own.
///
/// `ip` is one bare address, `email` whatever the user typed; both are canonicalised here. A limiter
/// that is not there is created with `authlimit.default-policy`.
///
/// `DEVICE id` says that the application has authenticated the device, say by a signed cookie from an
/// earlier success: the attempt is then counted on the device instead of by the `EMAIL` and
/// `IPS-PER-EMAIL` rules, which strangers can fill. It takes a `DEVICE` rule in the policy.
///
/// Replies six elements: allowed (1 or 0), and of the binding rule its limit, how many are
/// remaining, retry_after_ms, reset_ms, and its words (`ALLOW` or `DENY` for the lists). The binding
/// rule is the refusing one with the longest wait, else the one with the least remaining.
pub(crate) struct Check<'a>(AttemptArguments<'a>);

impl Command for Check<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.CHECK",
        flags: c"write deny-oom fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Decides whether this attempt by this address on this email may go ahead, and counts it if so",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Update,
        arguments: &[Argument::KEY, Argument::IP, Argument::EMAIL, Argument::COST, Argument::DEVICE],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let options = [AttemptOption::Cost, AttemptOption::Device];
        let expected = "COST n and DEVICE id";
        Check(AttemptArguments::parse(call.arguments(), &options, expected)?).apply(call)
    }
}

impl Check<'_> {
    /// Judges the attempt, counts it if it is admitted, and replies the verdict.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        // An attempt in error must not leave a limiter behind.
        create_if_missing(call, &mut key, |limiter| Ok(self.0.attempt(limiter).map(drop)?))?;
        let limiter = key.limiter_mut().ok_or(CommandError::Internal)?;
        let attempt = self.0.attempt(limiter)?;
        let decision = limiter.decide(&attempt, clock, config::capacity(), |effect| {
            replication.effect(effect);
        });
        call.reply_verdict(limiter, &decision.verdict);
        stats::count_verdict(limiter, &decision.verdict);
        if decision.verdict.allowed {
            return Ok(());
        }
        let refused = RefusedAttempt { attempt: &attempt, received: self.0.received(), decision: &decision };
        let events = call.observe_refusal(limiter, &refused, clock);
        // Whoever hears of the events may use the limiter at once.
        drop(key);
        call.publish(&events);
        Ok(())
    }
}

/// Puts a limiter with the default policy at a key that has none, if `admits` has no objection.
pub(super) fn create_if_missing(
    call: &CommandCall<'_>,
    key: &mut WritableLimiterKey<'_>,
    admits: impl FnOnce(&Limiter) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    if key.limiter_mut().is_none() {
        let limiter = config::default_limiter(config::new_secret()?)?;
        admits(&limiter)?;
        let metadata = limiter.metadata();
        key.put(limiter)?;
        call.replication()?.create(&metadata);
    }
    Ok(())
}
