//! `AUTHLIMIT.EFFECT`

use crate::format::message::{self, Message};
use crate::limiter::Limiter;
use crate::redis::call::CommandCall;
use crate::redis::command::{Argument, ArgumentKind, Command, Docs};
use crate::redis::config;
use crate::redis::error::CommandError;

/// `AUTHLIMIT.EFFECT key message`: applies what another server, or this one before a restart, has decided.
///
/// Internal: it comes from the primary's replication stream and from the append-only file, and is refused from a
/// client. The message is described in `format::message`.
pub(crate) struct ApplyEffect<'a>(Message<'a>);

impl Command for ApplyEffect<'_> {
    const DOCS: Docs = Docs {
        summary: c"Internal: carries what a primary decided to its replicas and the append-only file",
        complexity: c"O(1), or O(N) for a message with N identities",
        arguments: &[Argument::KEY, Argument::new(c"message", ArgumentKind::Text)],
    };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        if !call.is_replayed() {
            return Err(CommandError::EffectFromClient);
        }
        let applied = message::decode(call.arguments().require()?, config::hash_key)
            .map_err(CommandError::from)
            .and_then(|message| ApplyEffect(message).apply(call));
        if let Err(error) = applied {
            call.give_up_replaying(error);
        }
        applied
    }
}

impl ApplyEffect<'_> {
    /// Applies the message, and passes it on.
    fn apply(self, call: &CommandCall<'_>) -> Result<(), CommandError> {
        match self.0 {
            Message::Create(metadata) => {
                let limiter = Limiter::from_metadata(metadata)?;
                call.open_key_to_replace()?.put(limiter)?;
            }
            Message::Chunk(part, chunk) => {
                let mut key = call.open_writable_key()?;
                key.limiter_mut().ok_or(CommandError::EffectWithoutLimiter)?.load_chunk(part, chunk)?;
            }
            Message::Effect(effect) => {
                let mut key = call.open_writable_key()?;
                key.limiter_mut().ok_or(CommandError::EffectWithoutLimiter)?.apply(effect)?;
                key.free_retired_tables();
            }
        }
        call.replication()?.replicate_verbatim();
        call.reply_ok();
        Ok(())
    }
}
