//! `AUTHLIMIT.POLICY`

use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentCount, ArgumentKind, Command, KeyAccess, Spec};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.POLICY key [rule ...] [PRESET name] [CAPACITY n] [IPV6-PREFIX n] [PLUS-TAGS keep|strip]`:
/// gives the limiter a policy, or creates it with one.
///
/// A rule is a subject and `limit/window`: `PAIR 5/15m` admits five attempts by an address on an
/// email in any 15 minutes. Limits are 1 to 100000 (1000 for the two that count identities), windows
/// 1 ms to 30 d in `ms`, `s`, `m`, `h` or `d`; a subject may have several rules. The subjects:
///
/// - `IP`, `EMAIL`, `PAIR`: the attempts by an address, on an email, by this address on this email;
/// - `EMAILS-PER-IP`, `IPS-PER-EMAIL`: how many different emails an address tries, and how many
///   different addresses try an email;
/// - `ALL`: all attempts on this limiter;
/// - `DEVICE`: the attempts by a device that the application has authenticated (`DEVICE id`), to which
///   `EMAIL` and `IPS-PER-EMAIL` then do not apply.
///
/// After `limit/window` may stand, in any order:
///
/// - `LOCK d`: once the rule refuses, it shuts for `d`; `LOCK d..max` doubles that at each further
///   trip, up to `max`. Refusals meanwhile do not make it longer, it trips again only after it has
///   admitted something, and strikes are forgotten after as long a quiet as the last lock lasted;
/// - `SHADOW`: the rule counts and reports, and never refuses;
/// - `COUNT-DENIED`: the rule counts attempts that other rules refused, too.
///
/// `CAPACITY` is how many identities a subject holds (`authlimit.capacity` if not said): when it is
/// full, the least dangerous of a small sample makes room, and a locked one only above twice as many.
/// What is not said is at its default: the command replaces the whole policy.
///
/// Counts are kept for the subjects that stay: a limit lowered below what is used refuses at once.
/// Another `IPV6-PREFIX` or `PLUS-TAGS` makes other identities of the addresses and emails that it
/// concerns, and those begin anew; so does a rule that gains or loses `COUNT-DENIED`.
///
/// The words may also be one argument, as INFO tells them. Replies `OK`. Without rules it is an error: `AUTHLIMIT.INFO` tells the policy.
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
            Argument { count: ArgumentCount::Any, ..Argument::text(c"rule", ArgumentKind::Block(RULE)) },
            Argument {
                token: Some(c"PRESET"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"preset", ArgumentKind::OneOf(PRESETS))
            },
            Argument {
                token: Some(c"CAPACITY"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"identities", ArgumentKind::Integer)
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

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let arguments = call.arguments();
        if arguments.len() < 2 {
            return Err(CommandError::NoPolicyGiven);
        }
        // The words may come as one argument, too: as INFO tells them.
        let words = arguments.from(2).flat_map(|argument| {
            let words = argument.split(u8::is_ascii_whitespace);
            words.filter(|word| !word.is_empty())
        });
        Self(Policy::parse(words)?).apply(call)
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
            Argument::token(c"emails-per-ip", c"EMAILS-PER-IP"),
            Argument::token(c"ips-per-email", c"IPS-PER-EMAIL"),
            Argument::token(c"all", c"ALL"),
            Argument::token(c"device", c"DEVICE"),
        ]),
    ),
    Argument::text(c"limit/window", ArgumentKind::Text),
    Argument { token: Some(c"LOCK"), count: ArgumentCount::Optional, ..Argument::text(c"d..max", ArgumentKind::Text) },
    Argument { count: ArgumentCount::Optional, ..Argument::token(c"shadow", c"SHADOW") },
    Argument { count: ArgumentCount::Optional, ..Argument::token(c"count-denied", c"COUNT-DENIED") },
];

/// The presets there are.
const PRESETS: &[Argument] = &[
    Argument::token(c"signin", c"signin"),
    Argument::token(c"signup", c"signup"),
    Argument::token(c"reset", c"reset"),
    Argument::token(c"otp", c"otp"),
    Argument::token(c"pci", c"pci"),
];

/// What may be done with plus-tags.
const PLUS_TAGS: &[Argument] = &[Argument::token(c"keep", c"keep"), Argument::token(c"strip", c"strip")];

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
