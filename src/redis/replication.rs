//! What is sent to replicas, the append-only file and watching clients.

use crate::format::message;
use crate::limiter::{Effect, LimiterMetadata};
use crate::redis::stats;
use redis_module::raw;
use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

/// The name of the internal command that carries effects to replicas and the append-only file.
pub(crate) const EFFECT_COMMAND: &CStr = c"AUTHLIMIT.EFFECT";

thread_local! {
    /// Where messages are written, one at a time: without an allocation for each.
    static MESSAGE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Sends what a call changed at its key.
#[derive(Clone, Copy)]
pub(crate) struct Replication<'c> {
    ctx: *mut raw::RedisModuleCtx,
    key: *mut raw::RedisModuleString,
    /// Context and string are the call's.
    call: PhantomData<&'c ()>,
}

impl Replication<'_> {
    /// For changes at a key by a command, or by the timer.
    ///
    /// # Safety
    /// Context and key must be those of a running callback, and `'c` must end with it.
    pub(super) unsafe fn new(ctx: *mut raw::RedisModuleCtx, key: *mut raw::RedisModuleString) -> Self {
        Self { ctx, key, call: PhantomData }
    }

    /// A limiter was created at the key.
    pub(crate) fn create(self, metadata: &LimiterMetadata) {
        self.send(&message::encode_create(metadata));
        self.signal_modified();
    }

    /// The limiter at the key was changed.
    pub(crate) fn effect(self, effect: &Effect) {
        self.replicate_silently(effect);
        self.signal_modified();
        stats::count_effect(effect);
    }

    /// The limiter at the key was changed in a way that no command can see.
    pub(super) fn replicate_silently(self, effect: &Effect) {
        let mut bytes = MESSAGE.take();
        message::encode_effect(effect, &mut bytes);
        self.send(&bytes);
        MESSAGE.set(bytes);
    }

    /// Sends the call itself, which replicas apply, too.
    pub(crate) fn replicate_verbatim(self) {
        // SAFETY: the context is that of the running callback.
        unsafe { api!(RedisModule_ReplicateVerbatim(self.ctx)) };
        self.signal_modified();
    }

    /// Sends a message.
    fn send(self, message: &[u8]) {
        let (name, format) = (EFFECT_COMMAND.as_ptr(), c"sb".as_ptr());
        let (bytes, len) = (message.as_ptr().cast::<c_char>(), message.len());
        // SAFETY: the context is that of the running callback; the format takes a server string and a buffer with its
        // length, which the server copies.
        let sent = unsafe { api!(RedisModule_Replicate(self.ctx, name, format, self.key, bytes, len)) };
        debug_assert_eq!(sent, Some(0), "the format fits the arguments");
    }

    /// Tells the server that the key was changed, for WATCH and client-side caching.
    fn signal_modified(self) {
        // SAFETY: context and string are those of the running callback.
        unsafe { api!(RedisModule_SignalModifiedKey(self.ctx, self.key)) };
    }
}
