//! `AUTHLIMIT.POLICY`

use crate::identity::PlusTags;
use crate::limiter::Limiter;
use crate::policy::{Keyword, Policy, Preset, Subject};
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;
use std::ffi::CStr;

/// `AUTHLIMIT.POLICY key [rule ...] [PRESET name] [CAPACITY n] [IPV6-PREFIX n] [PLUS-TAGS keep|strip]`: gives the
/// limiter a policy, or creates it with one. See `docs/commands.md`.
pub(crate) struct SetPolicy(Policy);

impl Command for SetPolicy {
    const TIPS: &'static CStr = c"";

    const DOCS: Docs = Docs {
        summary: c"Sets a limiter's policy, and creates the limiter if it does not exist; counts are kept",
        complexity: c"O(R) for R rules; freeing a subject that the new policy does not have is O(N) in its identities",
        arguments: &[
            Argument::KEY,
            Argument::new(c"rule", ArgumentKind::Block(RULE)).any_number(),
            Argument::new(c"preset", ArgumentKind::OneWordOf(Preset::all_words)).after(c"PRESET").optional(),
            Argument::new(c"identities", ArgumentKind::Integer).after(c"CAPACITY").optional(),
            Argument::new(c"bits", ArgumentKind::Integer).after(c"IPV6-PREFIX").optional(),
            Argument::new(c"plus-tags", ArgumentKind::OneWordOf(PlusTags::all_words)).after(c"PLUS-TAGS").optional(),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let arguments = call.arguments();
        if arguments.is_empty() {
            return Err(CommandError::NoPolicyGiven);
        }
        // The words may also be one argument, as INFO returns them.
        let words = arguments.flat_map(|argument| argument.split(u8::is_ascii_whitespace));
        Self(Policy::parse(words.filter(|word| !word.is_empty()))?).apply(call)
    }
}

/// The parts of a rule.
const RULE: &[Argument] = &[
    Argument::new(c"subject", ArgumentKind::OneWordOf(Subject::all_words)),
    Argument::new(c"limit/window", ArgumentKind::Text),
    Argument::new(c"d..max", ArgumentKind::Text).after(c"LOCK").optional(),
    Argument::word(c"shadow", c"SHADOW").optional(),
    Argument::word(c"count-denied", c"COUNT-DENIED").optional(),
];

impl SetPolicy {
    /// Gives the limiter the policy.
    fn apply(self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        match key.limiter_mut() {
            Some(limiter) => {
                limiter.change_policy(self.0, clock, |effect| replication.effect(effect));
                key.free_retired_tables();
            }
            None => {
                let limiter = Limiter::new(self.0, config::new_secret()?);
                let metadata = limiter.metadata();
                key.put(limiter)?;
                replication.create(&metadata);
            }
        }
        call.reply_ok();
        Ok(())
    }
}
