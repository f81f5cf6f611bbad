//! `AUTHLIMIT.INFO`

use crate::limiter::{Limiter, List, Timestamp};
use crate::policy::Keyword;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;
use crate::redis::session::Session;

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

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        if session.arguments().len() != 1 {
            return Err(CommandError::Arity);
        }
        let key = session.open_key()?;
        let limiter = key.limiter().ok_or(CommandError::NoLimiter)?;
        reply(session, limiter, session.clock()?);
        Ok(())
    }
}

/// Replies what there is to tell of `limiter`.
fn reply(session: &Session<'_>, limiter: &Limiter, clock: Timestamp) {
    session.reply_map(6);
    session.reply_text("policy");
    session.reply_text(&limiter.policy().to_string());
    session.reply_text("rules");
    session.reply_array(limiter.policy().rules().len());
    for (rule, totals) in limiter.policy().rules().iter().zip(limiter.totals()) {
        session.reply_map(5);
        session.reply_text("rule");
        session.reply_text(rule.words());
        reply_number(session, "allowed", totals.allowed);
        reply_number(session, "refused", totals.refused);
        reply_number(session, "shadow_refused", totals.shadow_refused);
        reply_number(session, "locks", totals.locks);
    }
    session.reply_text("subjects");
    session.reply_array(limiter.usage().count());
    for usage in limiter.usage() {
        session.reply_map(3);
        session.reply_text("subject");
        match usage.series.denied {
            None => session.reply_text(usage.series.subject.word()),
            Some(_) => {
                session.reply_text(&format!("{} COUNT-DENIED", usage.series.subject.word()));
            }
        }
        reply_number(session, "identities", usage.identities as u64);
        reply_number(session, "bytes", usage.bytes as u64);
    }
    let (lists, now) = limiter.lists(clock);
    let entries = |list| {
        lists
            .cidrs(list, now)
            .count()
            .saturating_add(lists.emails(list, now))
    };
    reply_number(session, "allow_entries", entries(List::Allow) as u64);
    reply_number(session, "deny_entries", entries(List::Deny) as u64);
    reply_number(session, "bytes", limiter.bytes() as u64);
}

/// Replies a name and its number.
fn reply_number(session: &Session<'_>, name: &str, number: u64) {
    session.reply_text(name);
    session.reply_integer(number);
}
