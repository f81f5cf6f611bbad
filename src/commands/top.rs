//! `AUTHLIMIT.TOP`

use crate::limiter::TopSubject;
use crate::redis::call::{Arguments, CommandCall};
use crate::redis::command::{Argument, ArgumentCount, ArgumentKind, Command, KeyAccess, Spec};
use crate::redis::error::CommandError;
use crate::redis::events::hex;

/// How many rows without `COUNT`.
const DEFAULT_COUNT: usize = 10;

/// How many rows at most.
const MAX_COUNT: usize = 100;

/// `AUTHLIMIT.TOP key IP|EMAIL [COUNT n]`: the addresses or emails that were refused most lately.
///
/// Replies rows of who it is and about how many of their attempts were refused, the most refused first;
/// 10 unless `COUNT` says another number from 1 to 100. Every refused attempt counts for its address and
/// for its email, whichever rule or list refused it.
///
/// Who it is, is an id of 16 hexadecimal digits, the same as in events; with `authlimit.events full` it is
/// the address or email as received, cut at 320 bytes, where it was refused while that was set.
///
/// Lately: all numbers are halved every ten minutes. Only the 128 most refused are kept apart, so a number may
/// be too high, by no more than one 128th of all refusals lately, and never too low by more than the halving
/// rounds away. It is this server's, in memory only: a restart begins anew, and a replica has nothing to tell.
pub(crate) struct Top {
    whom: TopSubject,
    count: usize,
}

impl Command for Top {
    const SPEC: Spec = Spec {
        name: c"AUTHLIMIT.TOP",
        flags: c"readonly",
        arity: -3,
        summary: c"Tells which addresses or emails were refused most lately",
        complexity: c"O(1): at most 128 are kept apart",
        access: KeyAccess::Read,
        arguments: &[
            Argument::KEY,
            Argument::text(c"whom", ArgumentKind::OneOf(WHOM)),
            Argument {
                token: Some(c"COUNT"),
                count: ArgumentCount::Optional,
                ..Argument::text(c"count", ArgumentKind::Integer)
            },
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Self::parse(call.arguments())?.apply(call)
    }
}

/// Whose may be asked for.
const WHOM: &[Argument] = &[Argument::token(c"ip", c"IP"), Argument::token(c"email", c"EMAIL")];

impl Top {
    /// Parses the arguments.
    fn parse(arguments: Arguments<'_>) -> Result<Self, CommandError> {
        let whom = arguments.require(2)?;
        let whom = if whom.eq_ignore_ascii_case(b"IP") {
            TopSubject::Addresses
        } else if whom.eq_ignore_ascii_case(b"EMAIL") {
            TopSubject::Emails
        } else {
            return Err(CommandError::TopWhom);
        };
        let mut count = DEFAULT_COUNT;
        if let Some(word) = arguments.get(3) {
            if !word.eq_ignore_ascii_case(b"COUNT") {
                let (position, expected) = (3, "COUNT n");
                return Err(CommandError::UnknownOption { position, expected });
            }
            let number = arguments.get(4).and_then(parse_count);
            count = number.ok_or(CommandError::TopCount)?;
        }
        if arguments.len() > 4 {
            return Err(CommandError::Arity);
        }
        Ok(Self { whom, count })
    }

    /// Replies the rows.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let key = call.open_key()?;
        let limiter = key.limiter().ok_or(CommandError::NoLimiter)?;
        let most = limiter.most_refused(self.whom, self.count, clock);
        call.reply_array(most.len());
        for row in most {
            call.reply_array(2);
            match row.clear_text {
                Some(name) => call.reply_bytes(name),
                None => call.reply_text(&hex(row.id)),
            }
            call.reply_integer(u64::from(row.refusals));
        }
        Ok(())
    }
}

/// A number of rows in plain decimal digits.
fn parse_count(digits: &[u8]) -> Option<usize> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = str::from_utf8(digits).ok()?.parse().ok()?;
    (1..=MAX_COUNT).contains(&count).then_some(count)
}
