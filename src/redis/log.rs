//! The server's log.

use redis_module::raw;
use std::ffi::{CStr, CString};
use std::ptr;

/// How serious a line of the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// Something an operator must act on.
    Warning,
}

impl Level {
    /// The level in the module API's word.
    const fn word(self) -> &'static CStr {
        match self {
            Self::Warning => c"warning",
        }
    }
}

/// Writes a line to the server's log. The message must hold no byte that a client sent.
pub(crate) fn write(level: Level, message: &str) {
    // SAFETY: reads one pointer of the API table, which is filled in before any callback runs.
    let Some(log) = (unsafe { raw::RedisModule_Log }) else {
        return;
    };
    // Our messages have no NUL; should one ever have, an empty line is better than a dead server.
    let message = CString::new(message).unwrap_or_default();
    let (word, format) = (level.word().as_ptr(), c"%s".as_ptr());
    // SAFETY: a null context is allowed; the format takes one C string, which outlives the call.
    unsafe { log(ptr::null_mut(), word, format, message.as_ptr()) };
}
