//! `AUTHLIMIT.INFO`

use crate::limiter::{Limiter, List, Usage};
use crate::policy::Keyword;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, Docs};
use crate::redis::error::CommandError;
use crate::table::Timestamp;

/// `AUTHLIMIT.INFO key`: returns the limiter's policy, its size, and its totals.
///
/// See `docs/commands.md`.
pub(crate) struct Info;

impl Command for Info {
    const DOCS: Docs = Docs {
        summary: c"Returns a limiter's policy, its size, and how often each rule has allowed and refused",
        complexity: c"O(R + N) for R rules in the policy and N entries on its lists",
        arguments: &[Argument::KEY],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        call.arguments().finish()?;
        let key = call.open_key()?;
        let limiter = key.limiter().ok_or(CommandError::NoLimiter)?;
        reply(call, limiter, call.clock()?);
        Ok(())
    }
}

/// Replies what there is to know about `limiter`.
fn reply(call: &CommandCall<'_>, limiter: &Limiter, clock: Timestamp) {
    call.reply_map(6);
    call.reply_text("policy");
    call.reply_text(&limiter.policy().to_string());
    call.reply_text("rules");
    call.reply_array(limiter.policy().rules().len());
    for (rule, totals) in limiter.policy().rules().iter().zip(limiter.totals()) {
        call.reply_map(5);
        call.reply_text("rule");
        call.reply_text(rule.words());
        reply_number(call, "allowed", totals.allowed);
        reply_number(call, "refused", totals.refused);
        reply_number(call, "shadow_refused", totals.shadow_refused);
        reply_number(call, "locks", totals.locks);
    }
    call.reply_text("subjects");
    call.reply_array(limiter.usage().count());
    limiter.usage().for_each(|usage| reply_usage(call, usage));
    let (lists, now) = limiter.lists(clock);
    let entries = |list| lists.cidrs(list, now).count().saturating_add(lists.emails(list, now));
    reply_number(call, "allow_entries", entries(List::Allow) as u64);
    reply_number(call, "deny_entries", entries(List::Deny) as u64);
    reply_number(call, "bytes", limiter.bytes() as u64);
}

/// Replies what one table takes.
fn reply_usage(call: &CommandCall<'_>, usage: Usage) {
    call.reply_map(3);
    call.reply_text("subject");
    let subject = usage.kind.subject.word();
    match usage.kind.denied {
        None => call.reply_text(subject),
        Some(_) => call.reply_text(&format!("{subject} COUNT-DENIED")),
    }
    reply_number(call, "identities", usage.identities as u64);
    reply_number(call, "bytes", usage.bytes as u64);
}

/// Replies a name and its number.
fn reply_number(call: &CommandCall<'_>, name: &str, number: u64) {
    call.reply_text(name);
    call.reply_integer(number);
}
