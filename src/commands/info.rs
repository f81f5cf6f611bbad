//! `AUTHLIMIT.INFO`

use crate::limiter::{Limiter, List};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;
use crate::table::Timestamp;

/// `AUTHLIMIT.INFO key`: the limiter's policy, what it holds and what it has decided.
///
/// Replies a map (in RESP2 an array of names and values in turn):
///
/// - `policy`: in the words that `AUTHLIMIT.POLICY` takes;
/// - `rules`: for each rule a map of `rule` (its words), `allowed` (attempts that it admitted and that
///   were counted), `refused` (attempts that it refused), `shadow_refused` (that it would have refused,
///   were it not in shadow) and `locks` (how often it has shut an identity), all of this server since
///   it started or loaded the limiter;
/// - `subjects`: for each subject a map of `subject` (a rule with `COUNT-DENIED` has a log of its own),
///   `identities` (held, expired ones that were not reclaimed yet among them) and `bytes`;
/// - `allow_entries`, `deny_entries`: how many networks and emails are on the lists;
/// - `bytes`: the memory of the whole limiter.
pub(crate) struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.INFO",
        flags: c"readonly",
        arity: 2,
        summary: c"Tells a limiter's policy, what it holds and what it has decided",
        complexity: c"O(R + N) for R rules in the policy and N entries on its lists",
        access: KeyAccess::Read,
        arguments: &[Argument::KEY],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        if call.arguments().len() != 1 {
            return Err(CommandError::Arity);
        }
        let key = call.open_key()?;
        let limiter = key.limiter().ok_or(CommandError::NoLimiter)?;
        reply(call, limiter, call.clock()?);
        Ok(())
    }
}

/// Replies what there is to tell of `limiter`.
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
    for usage in limiter.usage() {
        call.reply_map(3);
        call.reply_text("subject");
        match usage.kind.denied {
            None => call.reply_text(usage.kind.subject.word()),
            Some(_) => {
                call.reply_text(&format!("{} COUNT-DENIED", usage.kind.subject.word()));
            }
        }
        reply_number(call, "identities", usage.identities as u64);
        reply_number(call, "bytes", usage.bytes as u64);
    }
    let (lists, now) = limiter.lists(clock);
    let entries = |list| lists.cidrs(list, now).count().saturating_add(lists.emails(list, now));
    reply_number(call, "allow_entries", entries(List::Allow) as u64);
    reply_number(call, "deny_entries", entries(List::Deny) as u64);
    reply_number(call, "bytes", limiter.bytes() as u64);
}

/// Replies a name and its number.
fn reply_number(call: &CommandCall<'_>, name: &str, number: u64) {
    call.reply_text(name);
    call.reply_integer(number);
}
