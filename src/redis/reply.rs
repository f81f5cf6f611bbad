//! Replies, written as they are made: no tree of values is built first.

use crate::limiter::{Limiter, Verdict};
use crate::policy::Millis;
use crate::redis::call::CommandCall;
use crate::redis::error::CommandError;
use std::ffi::{c_char, c_long, c_longlong};

// Each function passes the context of the running callback, and the server copies what it is given;
// a reply cannot fail in a way that a command could do anything about, so its status is not looked at.
impl CommandCall<'_> {
    /// Replies the flat array of six: allowed, limit, remaining, retry_after_ms, reset_ms, rule.
    pub(crate) fn reply_verdict(&self, limiter: &Limiter, verdict: &Verdict) {
        self.reply_array(6);
        self.reply_integer(u64::from(verdict.allowed));
        self.reply_integer(u64::from(verdict.limit));
        self.reply_integer(u64::from(verdict.remaining));
        self.reply_millis(verdict.retry_after);
        self.reply_millis(verdict.reset);
        self.reply_text(limiter.binding_words(verdict));
    }

    /// Replies `OK`.
    pub(crate) fn reply_ok(&self) {
        // SAFETY: see above; the string is a C string.
        unsafe { api!(RedisModule_ReplyWithSimpleString(self.ctx, c"OK".as_ptr())) };
    }

    /// Replies a whole number.
    pub(crate) fn reply_integer(&self, number: u64) {
        let number = c_longlong::try_from(number).unwrap_or(c_longlong::MAX);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithLongLong(self.ctx, number)) };
    }

    /// Replies a span of time in milliseconds.
    pub(crate) fn reply_millis(&self, span: Millis) {
        self.reply_integer(span.get());
    }

    /// Replies -1, in place of a span of time that does not end.
    pub(crate) fn reply_for_good(&self) {
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithLongLong(self.ctx, -1)) };
    }

    /// Replies a string.
    pub(crate) fn reply_text(&self, text: &str) {
        self.reply_bytes(text.as_bytes());
    }

    /// Replies a string of any bytes.
    pub(crate) fn reply_bytes(&self, bytes: &[u8]) {
        let start = bytes.as_ptr().cast::<c_char>();
        // SAFETY: see above; the length is that of the bytes.
        unsafe { api!(RedisModule_ReplyWithStringBuffer(self.ctx, start, bytes.len())) };
    }

    /// Begins an array; the next `len` replies are its elements.
    pub(crate) fn reply_array(&self, len: usize) {
        let len = c_long::try_from(len).unwrap_or(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithArray(self.ctx, len)) };
    }

    /// Begins a map (in RESP2 an array of keys and values in turn); the next `len` pairs of replies
    /// are its entries.
    pub(crate) fn reply_map(&self, len: usize) {
        let len = c_long::try_from(len).unwrap_or(0);
        // SAFETY: see above.
        unsafe { api!(RedisModule_ReplyWithMap(self.ctx, len)) };
    }

    /// Replies an error.
    pub(crate) fn reply_error(&self, error: CommandError) {
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
