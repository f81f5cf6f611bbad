//! `AUTHLIMIT.ALLOW` and `AUTHLIMIT.DENY`

use crate::commands::check;
use crate::identity::Cidr;
use crate::limiter::{Effect, Limiter, List, ListKey, ListTarget};
use crate::policy::Millis;
use crate::redis::call::{Arguments, CommandCall};
use crate::redis::command::{Argument, ArgumentCount, ArgumentKind, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;

/// The longest time to live: ten years, in seconds.
const MAX_TTL_SECONDS: u64 = 315_360_000;

/// `AUTHLIMIT.ALLOW key ADD|DEL|LIST [cidr-or-email] [TTL seconds]`: who is never refused.
///
/// An attempt by an address or on an email on this list is admitted and counted nowhere. Of networks
/// the one with the longest prefix decides, and `DENY` wins over `ALLOW` at the same length; so it
/// does where one list has the address and the other the email. An entry is a network
/// (`10.0.0.0/8`), an address, or an email, which is kept as an id only.
///
/// `ADD` replies 1 if the entry is new, 0 if it was there and got another end; `DEL` replies 1 if it
/// was there, else 0; `LIST` replies a map of `cidrs`, each with how many ms are left to it (-1: for
/// good), and `emails`, their number. `ADD` creates a limiter that is not there, as CHECK does.
pub(crate) struct Allow;

/// `AUTHLIMIT.DENY key ADD|DEL|LIST [cidr-or-email] [TTL seconds]`: who is always refused.
///
/// As [`Allow`], for the opposite: the refusal's retry_after_ms is how long the entry still lasts, 0
/// for one without an end.
pub(crate) struct Deny;

impl Command for Allow {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.ALLOW",
        summary: c"Keeps the list of networks and emails that are never refused",
        ..SPEC
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        ListCommand::parse(List::Allow, call.arguments())?.apply(call)
    }
}

impl Command for Deny {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.DENY",
        summary: c"Keeps the list of networks and emails that are always refused",
        ..SPEC
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        ListCommand::parse(List::Deny, call.arguments())?.apply(call)
    }
}

/// What the two commands have in common.
const SPEC: Spec = Spec {
    name: c"",
    flags: c"write deny-oom no-monitor no-slowlog",
    arity: -3,
    summary: c"",
    complexity: c"O(1); LIST is O(N) for N entries",
    access: KeyAccess::Update,
    arguments: &[
        Argument::KEY,
        Argument::text(
            c"action",
            ArgumentKind::OneOf(&[
                Argument::text(
                    c"add",
                    ArgumentKind::Block(&[
                        Argument::token(c"add", c"ADD"),
                        Argument::text(c"cidr-or-email", ArgumentKind::Text),
                        Argument {
                            token: Some(c"TTL"),
                            count: ArgumentCount::Optional,
                            ..Argument::text(c"seconds", ArgumentKind::Integer)
                        },
                    ]),
                ),
                Argument::text(
                    c"del",
                    ArgumentKind::Block(&[
                        Argument::token(c"del", c"DEL"),
                        Argument::text(c"cidr-or-email", ArgumentKind::Text),
                    ]),
                ),
                Argument::token(c"list", c"LIST"),
            ]),
        ),
    ],
};

/// What is to be done with a list.
enum Action<'a> {
    /// Adds an entry, or gives it another end.
    Add(Named<'a>, Option<Millis>),
    /// Removes an entry.
    Remove(Named<'a>),
    /// Tells what is on the list.
    Tell,
}

/// An entry as it was named; the id of an email depends on the limiter.
#[derive(Clone, Copy)]
enum Named<'a> {
    Network(Cidr),
    Email(&'a [u8]),
}

/// One call of either command.
struct ListCommand<'a> {
    list: List,
    action: Action<'a>,
}

impl<'a> ListCommand<'a> {
    /// Parses the arguments.
    fn parse(list: List, arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let word = arguments.require(2)?;
        let (action, most) = if word.eq_ignore_ascii_case(b"ADD") {
            let ttl = parse_ttl(arguments)?;
            (Action::Add(Named::parse(arguments.require(3)?)?, ttl), 5)
        } else if word.eq_ignore_ascii_case(b"DEL") {
            (Action::Remove(Named::parse(arguments.require(3)?)?), 3)
        } else if word.eq_ignore_ascii_case(b"LIST") {
            (Action::Tell, 2)
        } else {
            return Err(CommandError::ListAction);
        };
        if arguments.len() > most {
            return Err(CommandError::Arity);
        }
        Ok(Self { list, action })
    }

    /// Does it, and replies.
    fn apply(self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let list = self.list;
        match self.action {
            Action::Add(named, ttl) => {
                check::create_if_missing(call, &mut key, |_| Ok(()))?;
                let limiter = key.limiter_mut().ok_or(CommandError::Internal)?;
                let entry = named.entry(limiter);
                let is_new = limiter.list_add(ListKey { list, target: entry }, ttl, clock, |effect| {
                    replication.effect(effect);
                })?;
                call.reply_integer(u64::from(is_new));
            }
            Action::Remove(named) => {
                let removed = key.limiter_mut().is_some_and(|limiter| {
                    let entries = named.entries(limiter).into_iter().flatten();
                    let removed = entries.map(|entry| {
                        let emit = |effect: &Effect| replication.effect(effect);
                        limiter.list_remove(ListKey { list, target: entry }, clock, emit)
                    });
                    removed.fold(false, |any, one| any | one)
                });
                call.reply_integer(u64::from(removed));
            }
            Action::Tell => {
                let limiter = key.limiter_mut().ok_or(CommandError::NoLimiter)?;
                let (lists, now) = limiter.lists(clock);
                call.reply_map(2);
                call.reply_text("cidrs");
                call.reply_array(lists.cidrs(list, now).count());
                for (cidr, expires) in lists.cidrs(list, now) {
                    call.reply_array(2);
                    call.reply_text(&cidr.to_string());
                    match expires {
                        Some(expires) => call.reply_millis(expires.since(now)),
                        None => call.reply_for_good(),
                    }
                }
                call.reply_text("emails");
                call.reply_integer(lists.emails(list, now) as u64);
            }
        }
        Ok(())
    }
}

impl<'a> Named<'a> {
    /// Tells a network from an email, which has an `@`.
    fn parse(named: &'a [u8]) -> Result<Self, CommandError> {
        if named.contains(&b'@') {
            Ok(Self::Email(named))
        } else {
            let cidr = Cidr::parse(named).map_err(CommandError::ListEntry)?;
            Ok(Self::Network(cidr))
        }
    }

    /// The entries in the lists of `limiter` that it may be: an email with a tag also the one that was
    /// put on a list before the policy left tags out.
    fn entries(self, limiter: &Limiter) -> [Option<ListTarget>; 2] {
        let tagged = match self {
            Self::Network(_) => None,
            Self::Email(email) => limiter.tagged_email_id(email).map(ListTarget::Email),
        };
        [Some(self.entry(limiter)), tagged]
    }

    /// The entry in the lists of `limiter`.
    fn entry(self, limiter: &Limiter) -> ListTarget {
        match self {
            Self::Network(cidr) => ListTarget::Cidr(cidr),
            Self::Email(email) => ListTarget::Email(limiter.email_id(email)),
        }
    }
}

/// Parses `TTL seconds` after an entry, if it is there.
fn parse_ttl(arguments: Arguments<'_>) -> Result<Option<Millis>, CommandError> {
    let Some(word) = arguments.get(4) else {
        return Ok(None);
    };
    if !word.eq_ignore_ascii_case(b"TTL") {
        return Err(CommandError::UnknownOption { position: 4, expected: "TTL seconds" });
    }
    let digits = arguments.get(5).filter(|d| d.iter().all(u8::is_ascii_digit));
    let seconds = digits
        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
        .filter(|seconds| (1..=MAX_TTL_SECONDS).contains(seconds));
    let seconds: u64 = seconds.ok_or(CommandError::Ttl { position: 5 })?;
    Ok(Some(Millis::new(seconds.saturating_mul(1_000))))
}
