//! `AUTHLIMIT.PEEK`

use crate::commands::attempt::{AttemptArguments, AttemptOption, AttemptOptions};
use crate::limiter::{Attempt, Limiter};
use crate::policy::Enforcement;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::table::Timestamp;

/// `AUTHLIMIT.PEEK key ip email [COST n] [DEVICE id] [RULES]`: returns what CHECK would return, without counting.
///
/// See `docs/commands.md`.
pub(crate) struct Peek<'a>(AttemptArguments<'a>);

/// The options of PEEK.
const OPTIONS: AttemptOptions = AttemptOptions {
    options: &[AttemptOption::Cost, AttemptOption::Device, AttemptOption::Rules],
    expected: "COST n, DEVICE id and RULES",
};

impl Command for Peek<'_> {
    const DOCS: Docs = Docs {
        summary: c"Returns what AUTHLIMIT.CHECK would return, without counting",
        complexity: c"O(R) for R rules in the policy",
        arguments: &[
            Argument::KEY,
            Argument::IP,
            Argument::EMAIL,
            Argument::COST,
            Argument::DEVICE,
            Argument::word(c"rules", c"RULES").optional(),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Peek(AttemptArguments::parse(call.arguments(), &OPTIONS)?).apply(call)
    }
}

impl Peek<'_> {
    /// Evaluates the attempt and replies the verdict.
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
    for status in limiter.rule_statuses(attempt, clock) {
        call.reply_array(7);
        call.reply_text(status.rule.words());
        call.reply_integer(u64::from(status.rule.limit().get()));
        call.reply_integer(u64::from(status.remaining));
        call.reply_millis(status.retry_after);
        call.reply_millis(status.reset);
        call.reply_millis(status.locked_for);
        let in_shadow = status.rule.enforcement() == Enforcement::Shadow;
        call.reply_integer(u64::from(in_shadow));
    }
}
