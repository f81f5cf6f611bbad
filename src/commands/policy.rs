//! `AUTHLIMIT.POLICY`

use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::redis::command::{Argument, ArgumentCount, ArgumentKind, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;
use crate::redis::session::Session;

/// `AUTHLIMIT.POLICY key [rule ...] [PRESET name] [IPV6-PREFIX n] [PLUS-TAGS keep|strip]`: gives the
/// limiter a policy, or creates it with one.
///
/// A rule is a subject and `limit/window`: `PAIR 5/15m` admits five attempts by an address on an
/// email in any 15 minutes. Subjects are `IP`, `EMAIL` and `PAIR`, limits 1 to 100000, windows 1 ms
/// to 30 d in `ms`, `s`, `m`, `h` or `d`; a subject may have several rules. What is not said is at
/// its default: the command replaces the whole policy.
///
/// Counts are kept for the subjects that stay: a limit lowered below what is used refuses at once.
/// Another `IPV6-PREFIX` or `PLUS-TAGS` makes other identities of the addresses and emails that it
/// concerns, and those begin anew.
///
/// Replies `OK`. Without rules it is an error: `AUTHLIMIT.INFO` tells the policy.
pub(crate) struct SetPolicy(Policy);

impl Command for SetPolicy {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.POLICY",
        flags: c"write deny-oom",
        arity: -2,
        summary: c"Gives a limiter its policy, creating it if need be; counts are kept",
        complexity: c"O(R) for R rules; freeing a subject that the new policy does not have is O(N) in its identities",
        access: KeyAccess::Update,
        arguments: &[
            Argument::KEY,
            Argument {
                count: ArgumentCount::Any,
                ..Argument::text(c"rule", ArgumentKind::Block(RULE))
            },
            Argument {
                token: Some(c"PRESET"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"preset", ArgumentKind::OneOf(PRESETS))
            },
            Argument {
                token: Some(c"IPV6-PREFIX"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"bits", ArgumentKind::Integer)
            },
            Argument {
                token: Some(c"PLUS-TAGS"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"plus-tags", ArgumentKind::OneOf(PLUS_TAGS))
            },
        ],
    };

    fn run(session: &Session<'_>) -> Result<(), CommandError> {
        let arguments = session.arguments();
        if arguments.len() < 2 {
            return Err(CommandError::NoPolicyGiven);
        }
        Self(Policy::parse(arguments.from(2))?).apply(session)
    }
}

/// What a rule is made of.
const RULE: &[Argument] = &[
    Argument::text(
        c"subject",
        ArgumentKind::OneOf(&[
            Argument::token(c"ip", c"IP"),
            Argument::token(c"email", c"EMAIL"),
            Argument::token(c"pair", c"PAIR"),
        ]),
    ),
    Argument::text(c"limit/window", ArgumentKind::Text),
];

/// The presets there are.
const PRESETS: &[Argument] = &[
    Argument::token(c"signin", c"signin"),
    Argument::token(c"signup", c"signup"),
    Argument::token(c"reset", c"reset"),
    Argument::token(c"otp", c"otp"),
];

/// What may be done with plus-tags.
const PLUS_TAGS: &[Argument] = &[
    Argument::token(c"keep", c"keep"),
    Argument::token(c"strip", c"strip"),
];

impl SetPolicy {
    /// Gives the limiter the policy.
    fn apply(self, session: &Session<'_>) -> Result<(), CommandError> {
        let clock = session.clock()?;
        let replication = session.replication()?;
        let mut key = session.open_writable_key()?;
        match key.limiter_mut() {
            Some(limiter) => {
                limiter.change_policy(self.0, clock, |effect| replication.effect(effect));
            }
            None => {
                let limiter = Limiter::new(self.0, config::random_secret()?);
                replication.create(&limiter.genesis());
                key.put(limiter);
            }
        }
        session.reply_ok();
        Ok(())
    }
}
