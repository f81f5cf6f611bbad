//! `AUTHLIMIT.TOP`

use crate::limiter::TopSubject;
use crate::redis::arguments::Arguments;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::error::CommandError;
use crate::redis::events::hex;

/// How many rows without `COUNT`.
const DEFAULT_COUNT: u32 = 10;

/// How many rows at most.
const MAX_COUNT: u32 = 100;

/// `AUTHLIMIT.TOP key IP|EMAIL [COUNT n]`: returns the addresses or emails that were refused most often recently.
///
/// See `docs/commands.md`.
pub(crate) struct Top {
    subject: TopSubject,
    count: u32,
}

impl Command for Top {
    const DOCS: Docs = Docs {
        summary: c"Returns the addresses or emails that were refused most often recently",
        complexity: c"O(1): at most 128 are counted",
        arguments: &[
            Argument::KEY,
            Argument::new(
                c"subject",
                ArgumentKind::OneOf(&[Argument::word(c"ip", c"IP"), Argument::word(c"email", c"EMAIL")]),
            ),
            Argument::new(c"count", ArgumentKind::Integer).after(c"COUNT").optional(),
        ],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        Self::parse(call.arguments())?.apply(call)
    }
}

impl Top {
    /// Parses the arguments.
    fn parse(mut arguments: Arguments<'_>) -> Result<Self, CommandError> {
        let word = arguments.require()?;
        let subject = if word.eq_ignore_ascii_case(b"IP") {
            TopSubject::Addresses
        } else if word.eq_ignore_ascii_case(b"EMAIL") {
            TopSubject::Emails
        } else {
            return Err(CommandError::TopSubject);
        };
        let mut count = DEFAULT_COUNT;
        let position = arguments.next_position();
        if let Some(word) = arguments.next() {
            if !word.eq_ignore_ascii_case(b"COUNT") {
                return Err(CommandError::UnknownOption { position, expected: "COUNT n" });
            }
            let number = arguments.number().filter(|count| (1..=MAX_COUNT).contains(count));
            count = number.ok_or(CommandError::TopCount)?;
        }
        arguments.finish()?;
        Ok(Self { subject, count })
    }

    /// Replies the rows.
    fn apply(&self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        let clock = call.clock()?;
        let key = call.open_key()?;
        let limiter = key.limiter().ok_or(CommandError::NoLimiter)?;
        let most = limiter.most_refused(self.subject, self.count as usize, clock);
        call.reply_array(most.len());
        for row in most {
            call.reply_array(2);
            match row.clear_text {
                Some(text) => call.reply_bytes(text),
                None => call.reply_text(&hex(row.id)),
            }
            call.reply_integer(u64::from(row.refusals));
        }
        Ok(())
    }
}
