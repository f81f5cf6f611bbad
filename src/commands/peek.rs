//! `AUTHLIMIT.PEEK`

use crate::commands::attempt::{AttemptArguments, AttemptOption};
use crate::limiter::{Attempt, Limiter, Timestamp};
use crate::policy::Enforcement;
use crate::redis::command::{Argument, ArgumentCount, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::session::Session;

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
            Argument {
                count: ArgumentCount::Optional,
                ..Argument::token(c"rules", c"RULES")
            },
        ],
    };

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        let options = [
            AttemptOption::Cost,
            AttemptOption::Device,
            AttemptOption::Rules,
        ];
        let expected = "COST n, DEVICE id and RULES";
        Peek(AttemptArguments::parse(
            session.arguments(),
            &options,
            expected,
        )?)
        .apply(session)
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
        let attempt = self.0.attempt(limiter)?;
        if self.0.wants_rules {
            reply_rules(session, limiter, &attempt, clock);
        } else {
            session.reply_verdict(limiter, &limiter.peek(&attempt, clock));
        }
        Ok(())
    }
}

/// Replies one row for each rule.
fn reply_rules(session: &Session<'_>, limiter: &Limiter, attempt: &Attempt, clock: Timestamp) {
    session.reply_array(limiter.policy().rules().len());
    for standing in limiter.standings(attempt, clock) {
        session.reply_array(7);
        session.reply_text(standing.rule.words());
        session.reply_integer(u64::from(standing.rule.limit().get()));
        session.reply_integer(u64::from(standing.remaining));
        session.reply_millis(standing.retry_after);
        session.reply_millis(standing.reset);
        session.reply_millis(standing.locked_for);
        let in_shadow = standing.rule.enforcement() == Enforcement::Shadow;
        session.reply_integer(u64::from(in_shadow));
    }
}
