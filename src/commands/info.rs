//! `AUTHLIMIT.INFO`

use crate::limiter::Limiter;
use crate::redis::command::{Argument, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;
use crate::redis::session::Session;

/// `AUTHLIMIT.INFO key`: the limiter's policy, what it holds and what it has decided.
///
/// Replies a map (in RESP2 an array of names and values in turn):
///
/// - `policy`: in the words that `AUTHLIMIT.POLICY` takes;
/// - `rules`: for each rule a map of `rule` (its words), `allowed` and `refused`, the attempts that
///   this server has decided since it started or loaded the limiter; `refused` is counted for the
///   binding rule;
/// - `subjects`: for each subject a map of `subject`, `identities` (held, expired ones that were not
///   reclaimed yet among them) and `bytes`;
/// - `bytes`: the memory of the whole limiter.
pub(crate) struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.INFO",
        flags: c"readonly",
        arity: 2,
        summary: c"Tells a limiter's policy, what it holds and what it has decided",
        complexity: c"O(R) for R rules in the policy",
        access: KeyAccess::Read,
        arguments: &[Argument::KEY],
    };

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        if session.arguments().len() != 1 {
            return Err(CommandError::Arity);
        }
        let key = session.open_key()?;
        reply(session, key.limiter().ok_or(CommandError::NoLimiter)?);
        Ok(())
    }
}

/// Replies what there is to tell of `limiter`.
fn reply(session: &Session<'_>, limiter: &Limiter) {
    session.reply_map(4);
    session.reply_text("policy");
    session.reply_text(&limiter.policy().to_string());
    session.reply_text("rules");
    session.reply_array(limiter.policy().rules().len());
    for (rule, totals) in limiter.policy().rules().iter().zip(limiter.totals()) {
        session.reply_map(3);
        session.reply_text("rule");
        session.reply_text(rule.words());
        session.reply_text("allowed");
        session.reply_integer(totals.allowed);
        session.reply_text("refused");
        session.reply_integer(totals.refused);
    }
    session.reply_text("subjects");
    session.reply_array(limiter.usage().count());
    for usage in limiter.usage() {
        session.reply_map(3);
        session.reply_text("subject");
        session.reply_text(usage.subject.word());
        session.reply_text("identities");
        session.reply_integer(usage.identities as u64);
        session.reply_text("bytes");
        session.reply_integer(usage.bytes as u64);
    }
    session.reply_text("bytes");
    session.reply_integer(limiter.bytes() as u64);
}
