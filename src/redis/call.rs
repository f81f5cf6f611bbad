//! One call of a command: its arguments, its time, and its reply.

use crate::limiter::{Limiter, Verdict};
use crate::policy::Millis;
use crate::redis::arguments::Arguments;
use crate::redis::error::CommandError;
use crate::redis::replication::Replication;
use crate::redis::server::{self, context_flags, string_bytes};
use crate::table::Timestamp;
use redis_module::raw;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_long, c_longlong};

/// One call of a command, alive only as long as the call.
pub(crate) struct CommandCall<'a> {
    pub(super) ctx: *mut raw::RedisModuleCtx,
    /// The command's name, the limiter's key, and the other arguments.
    argv: &'a [*mut raw::RedisModuleString],
    progress: Progress,
}

/// How much of the reply is written. Every command gets exactly one reply: after two, or half of one, each later reply
/// on the connection would be taken for the answer to another command.
struct Progress {
    has_begun: Cell<bool>,
    /// How many values are missing, the elements of unfinished arrays and maps included.
    missing: Cell<usize>,
}

impl Progress {
    /// Nothing is written.
    const fn new() -> Self {
        Self { has_begun: Cell::new(false), missing: Cell::new(1) }
    }

    /// One value is written, and these elements of it are still to come.
    fn wrote(&self, elements: usize) {
        self.has_begun.set(true);
        self.missing.set(self.missing.get().saturating_sub(1).saturating_add(elements));
    }
}

impl<'a> CommandCall<'a> {
    /// Takes what a command's callback is given.
    ///
    /// # Safety
    /// The arguments must be those of a running callback, and `'a` must end with it.
    pub(crate) unsafe fn new(
        ctx: *mut raw::RedisModuleCtx,
        argv: *mut *mut raw::RedisModuleString,
        argc: c_int,
    ) -> Self {
        let len = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the server gives `argc` strings, which live as long as the call.
        Self { ctx, argv: unsafe { std::slice::from_raw_parts(argv, len) }, progress: Progress::new() }
    }

    /// The arguments after the key.
    pub(crate) fn arguments(&self) -> Arguments<'a> {
        Arguments::after_key(self.argv)
    }

    /// The limiter's key, which is the first argument of every command.
    pub(super) fn key_name(&self) -> Result<*mut raw::RedisModuleString, CommandError> {
        self.argv.get(1).copied().ok_or(CommandError::Arity)
    }

    /// The bytes of the limiter's key.
    pub(super) fn limiter_key(&self) -> &'a [u8] {
        // SAFETY: the string is the server's and lives as long as the call.
        self.argv.get(1).map_or(&[], |name| unsafe { string_bytes(*name) })
    }

    /// The server's current time; a command reads it once.
    pub(crate) fn clock(&self) -> Result<Timestamp, CommandError> {
        server::clock()
    }

    /// Whether the call comes from the primary's replication stream or from a file that is being loaded, and not from a
    /// client.
    pub(crate) fn is_replayed(&self) -> bool {
        let replayed = raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING;
        context_flags(self.ctx) & replayed != 0
    }

    /// Logs why an effect cannot be applied. From the append-only file this ends the server, as a damaged file does:
    /// otherwise it would continue with limits forgotten. A replica continues; the server logs each error there and
    /// follows `propagation-error-behavior`.
    pub(crate) fn give_up_replaying(&self, error: CommandError) {
        server::log_warning(&format!("authlimit: {error}"));
        if context_flags(self.ctx) & raw::REDISMODULE_CTX_FLAGS_LOADING != 0 {
            server::log_warning("authlimit: the append-only file cannot be loaded without forgetting limits; exiting");
            std::process::exit(1);
        }
    }

    /// Logs that the call has created a limiter by itself: perhaps the key is misspelled, or was lost with its counts.
    /// Not which key, since a client sent it.
    pub(crate) fn log_autocreated(&self) {
        server::log_notice(
            "authlimit: created a limiter with authlimit.default-policy, because a command was for a key that did not exist",
        );
    }

    /// Sends what this call changes to replicas, the append-only file and watching clients.
    pub(crate) fn replication(&self) -> Result<Replication<'_>, CommandError> {
        // SAFETY: context and key are those of the running callback, which the call does not outlive.
        Ok(unsafe { Replication::new(self.ctx, self.key_name()?) })
    }
}

// Replies are written as they are made: no tree of values is built first. Each function passes the context of the
// running callback, and the server copies what it is given. A reply cannot fail in a way that a command could handle,
// so its status is ignored.
impl CommandCall<'_> {
    /// Replies the flat array of six: allowed, limit, remaining, retry_after_ms, reset_ms, rule.
    pub(crate) fn reply_verdict(&self, limiter: &Limiter, verdict: &Verdict) {
        self.reply_array(6);
        self.reply_integer(u64::from(verdict.allowed));
        self.reply_figure(verdict.limit.map(u64::from));
        self.reply_figure(verdict.remaining.map(u64::from));
        self.reply_figure(verdict.retry_after.map(Millis::get));
        self.reply_figure(verdict.reset.map(Millis::get));
        self.reply_text(limiter.binding_words(verdict));
    }

    /// Replies `OK`.
    pub(crate) fn reply_ok(&self) {
        self.progress.wrote(0);
        // SAFETY: see above; the string is a C string.
        unsafe { api!(RedisModule_ReplyWithSimpleString(self.ctx, c"OK".as_ptr())) };
    }

    /// Replies a whole number.
    pub(crate) fn reply_integer(&self, number: u64) {
        self.progress.wrote(0);
        let number = c_longlong::try_from(number).unwrap_or(c_longlong::MAX);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithLongLong(self.ctx, number)) };
    }

    /// Replies a span of time in milliseconds.
    pub(crate) fn reply_millis(&self, span: Millis) {
        self.reply_integer(span.get());
    }

    /// Replies a whole number, or -1 in place of one that does not exist.
    fn reply_figure(&self, figure: Option<u64>) {
        match figure {
            Some(figure) => self.reply_integer(figure),
            None => self.reply_no_end(),
        }
    }

    /// Replies -1, in place of a figure that does not exist or a span of time that does not end.
    pub(crate) fn reply_no_end(&self) {
        self.progress.wrote(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithLongLong(self.ctx, -1)) };
    }

    /// Replies a string.
    pub(crate) fn reply_text(&self, text: &str) {
        self.reply_bytes(text.as_bytes());
    }

    /// Replies a string of any bytes.
    pub(crate) fn reply_bytes(&self, bytes: &[u8]) {
        self.progress.wrote(0);
        let start = bytes.as_ptr().cast::<c_char>();
        // SAFETY: see above; the length is that of the bytes.
        unsafe { api!(RedisModule_ReplyWithStringBuffer(self.ctx, start, bytes.len())) };
    }

    /// Begins an array; the next `len` replies are its elements.
    pub(crate) fn reply_array(&self, len: usize) {
        self.progress.wrote(len);
        let len = c_long::try_from(len).unwrap_or(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithArray(self.ctx, len)) };
    }

    /// Begins a map (in RESP2 an array of keys and values in turn); the next `len` pairs of replies are its entries.
    pub(crate) fn reply_map(&self, len: usize) {
        self.progress.wrote(len.saturating_mul(2));
        let len = c_long::try_from(len).unwrap_or(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithMap(self.ctx, len)) };
    }

    /// Replies an error, unless the command has begun its reply before it failed. Then the log says so, and what is
    /// missing of that reply is written, so that it is the only one.
    pub(super) fn reply_failure(&self, error: CommandError) {
        if self.progress.has_begun.get() {
            server::log_warning(
                "authlimit: a command failed after it had begun its reply; the client gets no other one",
            );
        }
        if self.progress.missing.get() > 0 {
            self.reply_error(error);
        }
        while self.progress.missing.get() > 0 {
            self.reply_null();
        }
    }

    /// Replies that there is no value.
    fn reply_null(&self) {
        self.progress.wrote(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithNull(self.ctx)) };
    }

    /// Replies an error.
    fn reply_error(&self, error: CommandError) {
        self.progress.wrote(0);
        if error == CommandError::Arity {
            // SAFETY: see above. Redis's own words, with the command's name.
            unsafe { api!(RedisModule_WrongArity(self.ctx)) };
            return;
        }
        let text = error.reply();
        // SAFETY: see above; the text is a C string that outlives the call.
        unsafe { api!(RedisModule_ReplyWithError(self.ctx, text.as_ptr())) };
    }
}
