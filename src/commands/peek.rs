//! `AUTHLIMIT.PEEK`

use crate::commands::attempt::{AttemptArguments, AttemptOption};
use crate::limiter::{Attempt, Limiter};
use crate::policy::Enforcement;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentCount, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::table::Timestamp;

/// `AUTHLIMIT.PEEK key ip email [COST n] [DEVICE id] [RULES]`: what would `AUTHLIMIT.CHECK` say? Counts nothing.
///
/// Replies as CHECK does, with the figures as they are, before any counting. May be asked of a
/// replica. A limiter that is not there is judged as an empty one with the default policy, and is
/// not created.
///
/// `RULES` replies instead one row for each rule of the policy, for a support desk that is asked why
/// somebody cannot log in: its words, limit, remaining, retry_after_ms, reset_ms, for how many ms its
/// lock is still shut, and 1 if it is in shadow, else 0.
pub(crate) struct Peek<'a>(AttemptArguments<'a>);

impl Command for Peek<'_> {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.PEEK",
        flags: c"readonly fast no-monitor no-slowlog",
        arity: -4,
        summary: c"Tells what AUTHLIMIT.CHECK would decide, and counts nothing",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Read,
        arguments: &[
            Argument::KEY,
            Argument::IP,
            Argument::EMAIL,
            Argument::COST,
            Argument::DEVICE,
            Argument { count: ArgumentCount::Optional, ..Argument::token(c"rules", c"RULES") },
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let options = [AttemptOption::Cost, AttemptOption::Device, AttemptOption::Rules];
        let expected = "COST n, DEVICE id and RULES";
        Peek(AttemptArguments::parse(call.arguments(), &options, expected)?).apply(call)
    }
}

impl Peek<'_> {
    /// Judges the attempt and replies the verdict.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let key = call.open_key()?;
        let default;
        let limiter = match key.limiter() {
            Some(limiter) => limiter,
            None => {
                default = config::empty_default_limiter()?;
                &default
            }
        };
        let attempt = self.0.attempt(limiter)?;
        if self.0.wants_rules {
            reply_rules(call, limiter, &attempt, clock);
        } else {
            call.reply_verdict(limiter, &limiter.peek(&attempt, clock));
        }
        Ok(())
    }
}

/// Replies one row for each rule.
fn reply_rules(call: &CommandCall<'_>, limiter: &Limiter, attempt: &Attempt, clock: Timestamp) {
    call.reply_array(limiter.policy().rules().len());
    for standing in limiter.rule_statuses(attempt, clock) {
        call.reply_array(7);
        call.reply_text(standing.rule.words());
        call.reply_integer(u64::from(standing.rule.limit().get()));
        call.reply_integer(u64::from(standing.remaining));
        call.reply_millis(standing.retry_after);
        call.reply_millis(standing.reset);
        call.reply_millis(standing.locked_for);
        let in_shadow = standing.rule.enforcement() == Enforcement::Shadow;
        call.reply_integer(u64::from(in_shadow));
    }
}
