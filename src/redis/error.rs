//! Every error reply: a word that stays the same, and what is wrong.

use crate::format::ChunkError;
use crate::format::message::MessageError;
use crate::identity::{AddressError, CidrError};
use crate::limiter::{AttemptError, EffectError, ListFull, MetadataError};
use crate::policy::{Keyword, PolicyError};
use std::ffi::CString;

/// Why a command gets an error reply, and changes nothing. No message repeats what the client sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The key holds another type of value; in Redis's own words.
    #[error("Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The number of arguments is wrong; the reply is in Redis's own words.
    #[error("wrong number of arguments")]
    Arity,
    /// An argument where an option should be.
    #[error("argument {position} is not an option of this command; it takes {expected}")]
    UnknownOption {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
        /// The options there are.
        expected: &'static str,
    },
    /// An option twice.
    #[error("argument {position} repeats an option")]
    RepeatedOption {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// DEVICE without an id.
    #[error("argument {position}: DEVICE must be followed by the device's id")]
    Device {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// UNLOCK of nothing that it can clear.
    #[error("argument {position} must be IP ip, EMAIL email or both, or DEVICE id, or ALL")]
    UnlockTarget {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// TOP without IP or EMAIL.
    #[error("argument 2 must be IP or EMAIL")]
    TopSubject,
    /// COUNT without a valid number.
    #[error("argument 4: COUNT must be a whole number from 1 to 100")]
    TopCount,
    /// An invalid address.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// An empty email.
    #[error("the email is empty")]
    EmptyEmail,
    /// An action other than ADD, DEL or LIST.
    #[error("argument 2 must be ADD, DEL or LIST")]
    ListAction,
    /// LIST without ALLOW or DENY.
    #[error("argument 2 must be ALLOW or DENY")]
    ListName,
    /// A list entry that is neither a network nor an email.
    #[error("argument 3 is neither an email, which has an @, nor a network: {0}")]
    ListEntry(CidrError),
    /// An invalid time to live.
    #[error("argument {position}: TTL must be a whole number of seconds from 1 to 315360000")]
    Ttl {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// Too many list entries.
    #[error("{0}")]
    ListFull(#[from] ListFull),
    /// COST without a valid number.
    #[error("argument {position}: COST must be a whole number from 1 to 100000")]
    Cost {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// The attempt cannot be evaluated.
    #[error("{0}")]
    Attempt(#[from] AttemptError),
    /// The policy is invalid.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// POLICY without a policy.
    #[error(
        "no rule is given: name at least one, for example PAIR 5/15m, or a PRESET; AUTHLIMIT.INFO returns the current policy"
    )]
    NoPolicyGiven,
    /// There is no limiter, and none may be created.
    #[error("no such limiter, and authlimit.autocreate is no: create it with AUTHLIMIT.POLICY first")]
    NoAutocreate,
    /// There is no limiter.
    #[error("no such limiter: AUTHLIMIT.POLICY or the first AUTHLIMIT.CHECK creates it")]
    NoLimiter,
    /// The server's clock shows a time that no clock may show.
    #[error("the server's clock is not between the years 1970 and 2108: set it right")]
    Clock,
    /// The system has no random numbers for a new limiter's secret.
    #[error("the system has no random numbers for the new limiter's secret")]
    Random,
    /// The internal command from an ordinary client.
    #[error("AUTHLIMIT.EFFECT is for replication and the append-only file only")]
    EffectFromClient,
    /// The internal command with a message that this version does not write, or of a limiter under another hash key.
    #[error("AUTHLIMIT.EFFECT: {0}")]
    BadMessage(#[from] MessageError),
    /// The internal command with metadata that does not fit together.
    #[error("AUTHLIMIT.EFFECT: {0}")]
    BadMetadata(#[from] MetadataError),
    /// The internal command with an effect that the limiter's policy cannot have.
    #[error("AUTHLIMIT.EFFECT: {0}")]
    BadEffect(#[from] EffectError),
    /// The internal command with an invalid chunk.
    #[error("AUTHLIMIT.EFFECT: {0}")]
    BadChunk(#[from] ChunkError),
    /// The internal command for a limiter that does not exist.
    #[error("AUTHLIMIT.EFFECT names a limiter that does not exist")]
    EffectWithoutLimiter,
    /// The command panicked.
    #[error("internal error of authlimit: see the server's log")]
    Internal,
}

/// The first word of an error reply. `INFO errorstats` counts the errors by it, and clients may match on it, so a word
/// is never changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ErrorWord {
    /// Redis's own word for a key of another type.
    WrongType,
    /// Redis's own word for what has no word; ours only for the number of arguments.
    General,
    /// An option, a word or a number that the command does not take.
    Syntax,
    /// An invalid or missing address.
    BadIp,
    /// A missing email.
    BadEmail,
    /// A device that the policy has no use for, or without an id.
    BadDevice,
    /// A cost that no attempt could pay.
    BadCost,
    /// An invalid entry of a list.
    BadEntry,
    /// No room on the lists.
    ListFull,
    /// An invalid policy.
    BadPolicy,
    /// No limiter.
    NoLimiter,
    /// An internal command that cannot be applied.
    BadEffect,
    /// The server lacks a clock or random numbers.
    System,
    /// A bug in the module.
    Internal,
}

impl Keyword for ErrorWord {
    const ALL: &'static [Self] = &[
        Self::WrongType,
        Self::General,
        Self::Syntax,
        Self::BadIp,
        Self::BadEmail,
        Self::BadDevice,
        Self::BadCost,
        Self::BadEntry,
        Self::ListFull,
        Self::BadPolicy,
        Self::NoLimiter,
        Self::BadEffect,
        Self::System,
        Self::Internal,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::WrongType => "WRONGTYPE",
            Self::General => "ERR",
            Self::Syntax => "SYNTAX",
            Self::BadIp => "BADIP",
            Self::BadEmail => "BADEMAIL",
            Self::BadDevice => "BADDEVICE",
            Self::BadCost => "BADCOST",
            Self::BadEntry => "BADENTRY",
            Self::ListFull => "LISTFULL",
            Self::BadPolicy => "BADPOLICY",
            Self::NoLimiter => "NOLIMITER",
            Self::BadEffect => "BADEFFECT",
            Self::System => "SYSTEM",
            Self::Internal => "INTERNAL",
        }
    }
}

impl CommandError {
    /// The reply's first word.
    fn word(self) -> ErrorWord {
        match self {
            Self::WrongType => ErrorWord::WrongType,
            Self::Arity => ErrorWord::General,
            Self::UnknownOption { .. }
            | Self::RepeatedOption { .. }
            | Self::Device { .. }
            | Self::UnlockTarget { .. }
            | Self::TopSubject
            | Self::TopCount
            | Self::ListAction
            | Self::ListName
            | Self::Ttl { .. }
            | Self::Cost { .. } => ErrorWord::Syntax,
            Self::Address(_) | Self::Attempt(AttemptError::Address(_)) => ErrorWord::BadIp,
            Self::EmptyEmail | Self::Attempt(AttemptError::EmptyEmail) => ErrorWord::BadEmail,
            Self::Attempt(AttemptError::NoDeviceRule | AttemptError::EmptyDevice) => ErrorWord::BadDevice,
            Self::Attempt(AttemptError::UnreachableCost) => ErrorWord::BadCost,
            Self::ListEntry(_) => ErrorWord::BadEntry,
            Self::ListFull(_) => ErrorWord::ListFull,
            Self::Policy(_) | Self::NoPolicyGiven => ErrorWord::BadPolicy,
            Self::NoAutocreate | Self::NoLimiter => ErrorWord::NoLimiter,
            Self::EffectFromClient
            | Self::BadMessage(_)
            | Self::BadMetadata(_)
            | Self::BadEffect(_)
            | Self::BadChunk(_)
            | Self::EffectWithoutLimiter => ErrorWord::BadEffect,
            Self::Clock | Self::Random => ErrorWord::System,
            Self::Internal => ErrorWord::Internal,
        }
    }

    /// The reply's text.
    pub(crate) fn reply(self) -> CString {
        // No message has a NUL in it.
        CString::new(format!("{} {self}", self.word().word())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual of the commands.
    const PAGE: &str = include_str!("../../docs/commands.md");

    #[test]
    fn the_page_lists_every_word_of_an_error_and_no_other() {
        let (_, table) = PAGE.split_once("| word | meaning |\n").expect("the page has a table of the words");
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        let documented: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        assert_eq!(documented, ErrorWord::all_words());
    }

    #[test]
    fn a_reply_begins_with_its_word() {
        assert_eq!(CommandError::ListAction.reply().to_bytes(), b"SYNTAX argument 2 must be ADD, DEL or LIST");
        let wrong_type = CommandError::WrongType.reply();
        assert!(wrong_type.to_bytes().starts_with(b"WRONGTYPE Operation against a key "), "{wrong_type:?}");
    }
}
