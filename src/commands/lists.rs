//! `AUTHLIMIT.ALLOW`, `AUTHLIMIT.DENY` and `AUTHLIMIT.LIST`

use crate::commands::check;
use crate::identity::Cidr;
use crate::limiter::{Effect, Limiter, List, ListKey, ListTarget};
use crate::policy::Millis;
use crate::redis::arguments::Arguments;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::error::CommandError;
use crate::redis::replication::Replication;
use crate::table::Timestamp;

/// The longest time to live: ten years, in seconds.
const MAX_TTL_SECONDS: u32 = 315_360_000;

/// `AUTHLIMIT.ALLOW key ADD|DEL|LIST [cidr-or-email] [TTL seconds]`: maintains the list of who is never refused.
///
/// See `docs/commands.md`.
pub(crate) struct Allow;

/// `AUTHLIMIT.DENY key ADD|DEL|LIST [cidr-or-email] [TTL seconds]`: maintains the list of who is always refused.
///
/// See `docs/commands.md`.
pub(crate) struct Deny;

/// `AUTHLIMIT.LIST key ALLOW|DENY`: returns what ALLOW and DENY return to LIST. A command is either for reading or for
/// writing, whatever its arguments are, so replicas and users who may only read need one of its own.
///
/// See `docs/commands.md`.
pub(crate) struct ShowList;

impl Command for Allow {
    const DOCS: Docs =
        Docs { summary: c"Maintains the list of networks and emails that are never refused", ..LIST_DOCS };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        ListCommand::parse(List::Allow, call.arguments())?.apply(call)
    }
}

impl Command for Deny {
    const DOCS: Docs =
        Docs { summary: c"Maintains the list of networks and emails that are always refused", ..LIST_DOCS };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        ListCommand::parse(List::Deny, call.arguments())?.apply(call)
    }
}

impl Command for ShowList {
    const DOCS: Docs = Docs {
        summary: c"Returns the networks on the allow or deny list, and how many emails are on it",
        complexity: c"O(N) for N entries",
        arguments: &[
            Argument::KEY,
            Argument::new(
                c"list",
                ArgumentKind::OneOf(&[Argument::word(c"allow", c"ALLOW"), Argument::word(c"deny", c"DENY")]),
            ),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        let mut arguments = call.arguments();
        let word = arguments.require()?;
        arguments.finish()?;
        let list = if word.eq_ignore_ascii_case(b"ALLOW") {
            List::Allow
        } else if word.eq_ignore_ascii_case(b"DENY") {
            List::Deny
        } else {
            return Err(CommandError::ListName);
        };
        let clock = call.clock()?;
        let key = call.open_key()?;
        reply_list(call, key.limiter(), list, clock)
    }
}

/// What ALLOW and DENY have in common.
const LIST_DOCS: Docs = Docs {
    summary: c"",
    complexity: c"O(1); LIST is O(N) for N entries",
    arguments: &[Argument::KEY, Argument::new(c"action", ArgumentKind::OneOf(ACTIONS))],
};

/// The network or email of an entry.
const TARGET: Argument = Argument::new(c"cidr-or-email", ArgumentKind::Text);

/// The actions.
const ACTIONS: &[Argument] = &[
    Argument::new(
        c"add",
        ArgumentKind::Block(&[
            Argument::word(c"add", c"ADD"),
            TARGET,
            Argument::new(c"seconds", ArgumentKind::Integer).after(c"TTL").optional(),
        ]),
    ),
    Argument::new(c"del", ArgumentKind::Block(&[Argument::word(c"del", c"DEL"), TARGET])),
    Argument::word(c"list", c"LIST"),
];

/// What to do with a list.
enum Action<'a> {
    /// Add an entry, or change its expiry.
    Add(Target<'a>, Option<Millis>),
    /// Remove an entry.
    Remove(Target<'a>),
    /// Reply what is on the list.
    List,
}

/// A network or an email as given; the id of an email depends on the limiter.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// A network.
    Network(Cidr),
    /// An email.
    Email(&'a [u8]),
}

/// One call of ALLOW or DENY.
struct ListCommand<'a> {
    list: List,
    action: Action<'a>,
}

impl<'a> ListCommand<'a> {
    /// Parses the arguments.
    fn parse(list: List, mut arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let word = arguments.require()?;
        let action = if word.eq_ignore_ascii_case(b"ADD") {
            let target = arguments.next();
            let ttl = parse_ttl(&mut arguments)?;
            Action::Add(Target::parse(target.ok_or(CommandError::Arity)?)?, ttl)
        } else if word.eq_ignore_ascii_case(b"DEL") {
            Action::Remove(Target::parse(arguments.require()?)?)
        } else if word.eq_ignore_ascii_case(b"LIST") {
            Action::List
        } else {
            return Err(CommandError::ListAction);
        };
        arguments.finish()?;
        Ok(Self { list, action })
    }

    /// Does it, and replies.
    fn apply(self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let replication = call.replication()?;
        let mut key = call.open_writable_key()?;
        let list = self.list;
        match self.action {
            Action::Add(target, ttl) => {
                check::create_if_missing(call, &mut key, |_| Ok(()))?;
                let limiter = key.limiter_mut().ok_or(CommandError::Internal)?;
                let target = target.resolve(limiter);
                let emit = |effect: &Effect| replication.effect(effect);
                let is_new = limiter.list_add(ListKey { list, target }, ttl, clock, emit)?;
                call.reply_integer(u64::from(is_new));
            }
            Action::Remove(target) => {
                let removed = key.limiter_mut().is_some_and(|limiter| target.remove(list, limiter, clock, replication));
                call.reply_integer(u64::from(removed));
            }
            Action::List => reply_list(call, key.limiter_mut().as_deref(), list, clock)?,
        }
        Ok(())
    }
}

impl<'a> Target<'a> {
    /// Parses an email, which has an `@`, or a network.
    fn parse(text: &'a [u8]) -> Result<Self, CommandError> {
        if text.contains(&b'@') {
            Ok(Self::Email(text))
        } else {
            Cidr::parse(text).map(Self::Network).map_err(CommandError::ListEntry)
        }
    }

    /// What it is in the lists of `limiter`.
    fn resolve(self, limiter: &Limiter) -> ListTarget {
        match self {
            Self::Network(cidr) => ListTarget::Cidr(cidr),
            Self::Email(email) => ListTarget::Email(limiter.email_id(email)),
        }
    }

    /// Removes it from a list; returns whether it was there. An email with a plus-tag may also have been listed before
    /// the policy stripped tags.
    fn remove(self, list: List, limiter: &mut Limiter, clock: Timestamp, replication: Replication<'_>) -> bool {
        let tagged = match self {
            Self::Network(_) => None,
            Self::Email(email) => limiter.tagged_email_id(email).map(ListTarget::Email),
        };
        let targets = [Some(self.resolve(limiter)), tagged].into_iter().flatten();
        let removed = targets.map(|target| {
            limiter.list_remove(ListKey { list, target }, clock, |effect: &Effect| replication.effect(effect))
        });
        removed.fold(false, |any, one| any | one)
    }
}

/// Replies what is on a list: the networks, each with how long until it expires, and how many emails.
fn reply_list(
    call: &CommandCall<'_>,
    limiter: Option<&Limiter>,
    list: List,
    clock: Timestamp,
) -> Result<(), CommandError> {
    let limiter = limiter.ok_or(CommandError::NoLimiter)?;
    let (lists, now) = limiter.lists(clock);
    call.reply_map(2);
    call.reply_text("cidrs");
    call.reply_array(lists.cidrs(list, now).count());
    for (cidr, expires) in lists.cidrs(list, now) {
        call.reply_array(2);
        call.reply_text(&cidr.to_string());
        match expires {
            Some(expires) => call.reply_millis(expires.since(now)),
            None => call.reply_no_end(),
        }
    }
    call.reply_text("emails");
    call.reply_integer(lists.emails(list, now) as u64);
    Ok(())
}

/// Parses `TTL seconds`, if it is there.
fn parse_ttl(arguments: &mut Arguments<'_>) -> Result<Option<Millis>, CommandError> {
    let position = arguments.next_position();
    let Some(word) = arguments.next() else {
        return Ok(None);
    };
    if !word.eq_ignore_ascii_case(b"TTL") {
        return Err(CommandError::UnknownOption { position, expected: "TTL seconds" });
    }
    let position = arguments.next_position();
    let seconds = arguments.number().filter(|seconds| (1..=MAX_TTL_SECONDS).contains(seconds));
    let seconds = seconds.ok_or(CommandError::Ttl { position })?;
    Ok(Some(Millis::new(u64::from(seconds).saturating_mul(1_000))))
}
