//! `AUTHLIMIT.POLICY`

use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.POLICY key [rule ...] [PRESET name] [CAPACITY n] [IPV6-PREFIX n] [PLUS-TAGS keep|strip]`: gives the
/// limiter a policy, or creates it with one. See `docs/commands.md`.
pub(crate) struct SetPolicy(Policy);

impl Command for SetPolicy {
    const DOCS: Docs = Docs {
        summary: c"Sets a limiter's policy, and creates the limiter if it does not exist; counts are kept",
        complexity: c"O(R) for R rules; freeing a subject that the new policy does not have is O(N) in its identities",
        arguments: &[
            Argument::KEY,
            Argument::new(c"rule", ArgumentKind::Block(RULE)).any_number(),
            Argument::new(c"preset", ArgumentKind::OneOf(PRESETS)).after(c"PRESET").optional(),
            Argument::new(c"identities", ArgumentKind::Integer).after(c"CAPACITY").optional(),
            Argument::new(c"bits", ArgumentKind::Integer).after(c"IPV6-PREFIX").optional(),
            Argument::new(c"plus-tags", ArgumentKind::OneOf(PLUS_TAGS)).after(c"PLUS-TAGS").optional(),
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
    Argument::new(c"subject", ArgumentKind::OneOf(SUBJECTS)),
    Argument::new(c"limit/window", ArgumentKind::Text),
    Argument::new(c"d..max", ArgumentKind::Text).after(c"LOCK").optional(),
    Argument::word(c"shadow", c"SHADOW").optional(),
    Argument::word(c"count-denied", c"COUNT-DENIED").optional(),
];

/// The subjects.
const SUBJECTS: &[Argument] = &[
    Argument::word(c"ip", c"IP"),
    Argument::word(c"email", c"EMAIL"),
    Argument::word(c"pair", c"PAIR"),
    Argument::word(c"emails-per-ip", c"EMAILS-PER-IP"),
    Argument::word(c"ips-per-email", c"IPS-PER-EMAIL"),
    Argument::word(c"all", c"ALL"),
    Argument::word(c"device", c"DEVICE"),
];

/// The presets.
const PRESETS: &[Argument] = &[
    Argument::word(c"signin", c"signin"),
    Argument::word(c"signup", c"signup"),
    Argument::word(c"reset", c"reset"),
    Argument::word(c"otp", c"otp"),
    Argument::word(c"pci", c"pci"),
];

/// The values of `PLUS-TAGS`.
const PLUS_TAGS: &[Argument] = &[Argument::word(c"keep", c"keep"), Argument::word(c"strip", c"strip")];

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
