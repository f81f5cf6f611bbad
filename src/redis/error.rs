//! Every error reply.

use crate::format::ChunkError;
use crate::format::message::MessageError;
use crate::identity::{AddressError, CidrError};
use crate::limiter::{AttemptError, EffectError, ListFull, MetadataError};
use crate::policy::PolicyError;
use std::ffi::CString;

/// Why a command gets an error reply, and changes nothing. No message repeats what the client sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The key holds another type of value; in Redis's own words.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The number of arguments is wrong; the reply is in Redis's own words.
    #[error("ERR wrong number of arguments")]
    Arity,
    /// An argument where an option should be.
    #[error("ERR argument {position} is not an option of this command; it takes {expected}")]
    UnknownOption {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
        /// The options there are.
        expected: &'static str,
    },
    /// An option twice.
    #[error("ERR argument {position} repeats an option")]
    RepeatedOption {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// DEVICE without an id.
    #[error("ERR argument {position}: DEVICE must be followed by the device's id")]
    Device {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// UNLOCK of nothing that it can clear.
    #[error("ERR argument {position} must be IP ip, EMAIL email or both, or DEVICE id, or ALL")]
    UnlockTarget {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// TOP without IP or EMAIL.
    #[error("ERR argument 2 must be IP or EMAIL")]
    TopSubject,
    /// COUNT without a valid number.
    #[error("ERR argument 4: COUNT must be a whole number from 1 to 100")]
    TopCount,
    /// An invalid address.
    #[error("ERR {0}")]
    Address(#[from] AddressError),
    /// An empty email.
    #[error("ERR the email is empty")]
    EmptyEmail,
    /// An action other than ADD, DEL or LIST.
    #[error("ERR argument 2 must be ADD, DEL or LIST")]
    ListAction,
    /// A list entry that is neither a network nor an email.
    #[error("ERR argument 3 is neither an email, which has an @, nor a network: {0}")]
    ListEntry(CidrError),
    /// An invalid time to live.
    #[error("ERR argument {position}: TTL must be a whole number of seconds from 1 to 315360000")]
    Ttl {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// Too many list entries.
    #[error("ERR {0}")]
    ListFull(#[from] ListFull),
    /// COST without a valid number.
    #[error("ERR argument {position}: COST must be a whole number from 1 to 100000")]
    Cost {
        /// Which argument, counting from 1 after the command's name.
        position: usize,
    },
    /// The attempt cannot be evaluated.
    #[error("ERR {0}")]
    Attempt(#[from] AttemptError),
    /// The policy is invalid.
    #[error("ERR {0}")]
    Policy(#[from] PolicyError),
    /// POLICY without a policy.
    #[error(
        "ERR no rule is given: name at least one, for example PAIR 5/15m, or a PRESET; AUTHLIMIT.INFO returns the current policy"
    )]
    NoPolicyGiven,
    /// There is no limiter, and none may be created.
    #[error("ERR no such limiter, and authlimit.autocreate is no: create it with AUTHLIMIT.POLICY first")]
    NoAutocreate,
    /// There is no limiter.
    #[error("ERR no such limiter: AUTHLIMIT.POLICY or the first AUTHLIMIT.CHECK creates it")]
    NoLimiter,
    /// The server's clock is not in the range of the ledger.
    #[error("ERR the server's clock is not between the years 1970 and 2109: set it right")]
    Clock,
    /// The system has no random numbers for a new limiter's secret.
    #[error("ERR the system has no random numbers for the new limiter's secret")]
    Random,
    /// The internal command from an ordinary client.
    #[error("ERR AUTHLIMIT.EFFECT is for replication and the append-only file only")]
    EffectFromClient,
    /// The internal command with a message that this version does not write, or of a limiter under another hash key.
    #[error("ERR AUTHLIMIT.EFFECT: {0}")]
    BadMessage(#[from] MessageError),
    /// The internal command with metadata that does not fit together.
    #[error("ERR AUTHLIMIT.EFFECT: {0}")]
    BadMetadata(#[from] MetadataError),
    /// The internal command with an effect that the limiter's policy cannot have.
    #[error("ERR AUTHLIMIT.EFFECT: {0}")]
    BadEffect(#[from] EffectError),
    /// The internal command with an invalid chunk.
    #[error("ERR AUTHLIMIT.EFFECT: {0}")]
    BadChunk(#[from] ChunkError),
    /// The internal command for a limiter that does not exist.
    #[error("ERR AUTHLIMIT.EFFECT names a limiter that does not exist")]
    EffectWithoutLimiter,
    /// The command panicked.
    #[error("ERR internal error of authlimit: see the server's log")]
    Internal,
}

impl CommandError {
    /// The reply's text.
    pub(crate) fn reply(self) -> CString {
        // No message has a NUL in it.
        CString::new(self.to_string()).unwrap_or_default()
    }
}
