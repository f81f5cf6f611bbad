//! RDB and AOF rewrite.
//!
//! A limiter in an RDB file, in encoding version 1, is: the header (a string; see `header`), then
//! for each chunk what it is of (a number: 1 logs, 2 locks, 3 lists), for logs and locks the index of
//! their table (a number), and the chunk (a string; see `limiter::chunk`), then the number 0.

use crate::format::message;
use crate::format::metadata::HeaderError;
use crate::format::{CHUNK_BYTES, ChunkError, ENCODING_VERSION, END_OF_CHUNKS, Part, metadata};
use crate::limiter::{Limiter, MetadataError};
use crate::redis::call::{EFFECT_COMMAND, string_bytes};
use crate::redis::config;
use crate::redis::limiters;
use crate::redis::log::{self, Level};
use redis_module::raw;
use std::ffi::{c_char, c_int};

/// What follows the last chunk.
const END: u64 = 0;
const LOGS: u64 = 1;
const LOCKS: u64 = 2;
const LISTS: u64 = 3;

/// Why a limiter cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum LoadError {
    /// The encoding is not one that this version reads.
    #[error("it is in encoding {0}; this authlimit reads up to {ENCODING_VERSION}")]
    Encoding(c_int),
    /// The data ended.
    #[error("the data ends too early")]
    Short,
    /// The header is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// What the header says fits no limiter.
    #[error(transparent)]
    LimiterMetadata(#[from] MetadataError),
    /// A chunk of nothing that this version knows.
    #[error("a chunk is of an unknown kind")]
    UnknownPart,
    /// A chunk longer than any that is written.
    #[error("a chunk is too long")]
    LongChunk,
    /// A chunk is wrong.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}

/// Loads a limiter. What is wrong with one that cannot be loaded goes to the log: the server itself
/// would only say that it ran out of memory or data.
pub(super) fn load(rdb: *mut raw::RedisModuleIO, encoding_version: c_int) -> Option<Limiter> {
    match try_load(rdb, encoding_version) {
        Ok(limiter) => {
            note(rdb);
            Some(limiter)
        }
        Err(error) => {
            log::write(Level::Warning, &format!("authlimit: cannot load a limiter: {error}"));
            None
        }
    }
}

/// Notes in the registry where the limiter that is being loaded will be.
fn note(rdb: *mut raw::RedisModuleIO) {
    // SAFETY: the handle is the running callback's.
    let db = unsafe { api!(RedisModule_GetDbIdFromIO(rdb)) };
    // SAFETY: as above; the name lives as long as the callback runs, and may be null.
    let name = unsafe { api!(RedisModule_GetKeyNameFromIO(rdb)) };
    if let (Some(db), Some(name)) = (db, name.filter(|name| !name.is_null())) {
        // SAFETY: as above.
        limiters::note(db, unsafe { string_bytes(name) });
    }
}

/// Loads a limiter.
fn try_load(rdb: *mut raw::RedisModuleIO, encoding_version: c_int) -> Result<Limiter, LoadError> {
    if encoding_version != ENCODING_VERSION {
        return Err(LoadError::Encoding(encoding_version));
    }
    let header = raw::load_string_buffer(rdb).map_err(|_| LoadError::Short)?;
    let mut limiter = Limiter::from_metadata(metadata::decode(header.as_ref(), config::hash_key().as_ref())?)?;
    loop {
        let part = match load_number(rdb)? {
            END => return Ok(limiter),
            LOGS => Part::Logs(load_table(rdb)?),
            LOCKS => Part::Locks(load_table(rdb)?),
            LISTS => Part::Lists,
            _ => return Err(LoadError::UnknownPart),
        };
        let chunk = raw::load_string_buffer(rdb).map_err(|_| LoadError::Short)?;
        if chunk.as_ref().len() > CHUNK_BYTES {
            return Err(LoadError::LongChunk);
        }
        limiter.load_chunk(part, chunk.as_ref())?;
    }
}

/// Loads a number.
fn load_number(rdb: *mut raw::RedisModuleIO) -> Result<u64, LoadError> {
    raw::load_unsigned(rdb).map_err(|_| LoadError::Short)
}

/// Loads the index of a table.
fn load_table(rdb: *mut raw::RedisModuleIO) -> Result<u8, LoadError> {
    u8::try_from(load_number(rdb)?).map_err(|_| LoadError::UnknownPart)
}

/// Saves a limiter.
pub(super) fn save(rdb: *mut raw::RedisModuleIO, limiter: &Limiter) {
    raw::save_slice(rdb, &metadata::encode(&limiter.metadata()));
    for (part, chunk) in limiter.chunks() {
        let (code, table) = match part {
            Part::Logs(table) => (LOGS, Some(table)),
            Part::Locks(table) => (LOCKS, Some(table)),
            Part::Lists => (LISTS, None),
        };
        raw::save_unsigned(rdb, code);
        if let Some(table) = table {
            raw::save_unsigned(rdb, u64::from(table));
        }
        raw::save_slice(rdb, &chunk);
    }
    raw::save_unsigned(rdb, END);
}

/// Writes the commands that rebuild a limiter.
pub(super) fn rewrite(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, limiter: &Limiter) {
    emit(aof, key, &message::encode_create(&limiter.metadata()));
    for (part, chunk) in limiter.chunks() {
        emit(aof, key, &message::encode_chunk(part, &chunk));
    }
}

/// Writes one command with a message.
fn emit(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, message: &[u8]) {
    let (bytes, len) = (message.as_ptr().cast::<c_char>(), message.len());
    // SAFETY: file and key are the running callback's; the format takes a string of the server's
    // and a buffer with its length, which the server copies.
    unsafe { api!(RedisModule_EmitAOF(aof, EFFECT_COMMAND.as_ptr(), c"sb".as_ptr(), key, bytes, len)) };
}
