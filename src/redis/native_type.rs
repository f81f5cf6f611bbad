//! The data type of a limiter, and the callbacks by which the server handles its values: RDB, AOF rewrite, memory,
//! digest, copy and defragmentation.
//!
//! Each callback goes through the guard. Values are boxes of [`Limiter`], created by `key`, by loading or by copying,
//! and freed here. [`format`](crate::format) describes what they look like in a file.

use crate::format::metadata::{self, HeaderError};
use crate::format::{CHUNK_BYTES, ChunkError, ENCODING_VERSION, END_OF_CHUNKS, Part, message};
use crate::limiter::{DefragCursor, Limiter, MetadataError};
use crate::redis::alloc::MIN_ALIGN;
use crate::redis::config;
use crate::redis::guard::guarded;
use crate::redis::limiters;
use crate::redis::replication::EFFECT_COMMAND;
use crate::redis::server::{self, string_bytes};
use crate::table::Defragmenter;
use redis_module::native_types::RedisType;
use redis_module::raw;
use std::ffi::{c_char, c_int, c_ulong, c_void};
use std::ptr;

/// The data type. Its name is what `TYPE` replies and how an RDB file identifies it.
pub(crate) static LIMITER_TYPE: RedisType = RedisType::new(
    "authlimit",
    ENCODING_VERSION,
    raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION as u64,
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        copy: Some(copy),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: Some(free_effort),
        unlink: None,
        defrag: Some(defrag),
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: None,
    },
);

/// The type as the module API knows it; null before it is registered.
pub(crate) fn raw_type() -> *mut raw::RedisModuleType {
    LIMITER_TYPE.raw_type.try_borrow().map_or(ptr::null_mut(), |raw_type| *raw_type)
}

/// The limiter that a callback was given.
///
/// # Safety
/// `value` must be a value of this type, and `'a` end with the callback.
unsafe fn limiter<'a>(value: *const c_void) -> &'a Limiter {
    // SAFETY: values of this type are boxes of a limiter.
    unsafe { &*value.cast::<Limiter>() }
}

/// Why a limiter cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum LoadError {
    /// The encoding is not one that this version reads.
    #[error("it is in encoding {0}; this authlimit reads up to {ENCODING_VERSION}")]
    Encoding(c_int),
    /// The data ended.
    #[error("the data ends too early")]
    Short,
    /// The header is invalid.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The metadata in the header does not fit together.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A chunk of a part that this version does not know.
    #[error("a chunk is of an unknown kind")]
    UnknownPart,
    /// A chunk longer than any that is written.
    #[error("a chunk is too long")]
    LongChunk,
    /// A chunk is invalid.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}

/// Loads a limiter from an RDB file, a replication stream or `RESTORE`. If that fails, the reason goes to the log: the
/// server itself would only say that it ran out of memory or data.
unsafe extern "C" fn rdb_load(rdb: *mut raw::RedisModuleIO, encoding_version: c_int) -> *mut c_void {
    let loaded = guarded(|| match load(rdb, encoding_version) {
        Ok(limiter) => {
            register(rdb);
            limiters::into_raw(Box::new(limiter)).cast()
        }
        Err(error) => {
            server::log_warning(&format!("authlimit: cannot load a limiter: {error}"));
            ptr::null_mut()
        }
    });
    loaded.unwrap_or(ptr::null_mut())
}

/// Registers where the limiter that is being loaded will be.
fn register(rdb: *mut raw::RedisModuleIO) {
    // SAFETY: the handle is the running callback's.
    let db = unsafe { api!(RedisModule_GetDbIdFromIO(rdb)) };
    // SAFETY: as above; the name lives as long as the callback runs, and may be null.
    let name = unsafe { api!(RedisModule_GetKeyNameFromIO(rdb)) };
    if let (Some(db), Some(name)) = (db, name.filter(|name| !name.is_null())) {
        // SAFETY: as above.
        limiters::register(db, unsafe { string_bytes(name) });
    }
}

/// Loads a limiter.
fn load(rdb: *mut raw::RedisModuleIO, encoding_version: c_int) -> Result<Limiter, LoadError> {
    if encoding_version != ENCODING_VERSION {
        return Err(LoadError::Encoding(encoding_version));
    }
    let header = raw::load_string_buffer(rdb).map_err(|_| LoadError::Short)?;
    let metadata = metadata::decode(header.as_ref(), config::hash_key().as_ref())?;
    let mut limiter = Limiter::from_metadata(metadata)?;
    loop {
        let code = load_number(rdb)?;
        if code == END_OF_CHUNKS {
            return Ok(limiter);
        }
        let table = || u8::try_from(load_number(rdb)?).map_err(|_| LoadError::UnknownPart);
        let part = Part::from_code(code, table)?.ok_or(LoadError::UnknownPart)?;
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

/// Saves a limiter to an RDB file, a replication stream or for `DUMP`.
unsafe extern "C" fn rdb_save(rdb: *mut raw::RedisModuleIO, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| {
        raw::save_slice(rdb, &metadata::encode(&limiter.metadata()));
        for (part, chunk) in limiter.chunks() {
            let (code, table) = part.code();
            raw::save_unsigned(rdb, code);
            if let Some(table) = table {
                raw::save_unsigned(rdb, u64::from(table));
            }
            raw::save_slice(rdb, &chunk);
        }
        raw::save_unsigned(rdb, END_OF_CHUNKS);
    });
}

/// Writes the commands that rebuild a limiter to a new append-only file.
unsafe extern "C" fn aof_rewrite(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| {
        emit(aof, key, &message::encode_create(&limiter.metadata()));
        for (part, chunk) in limiter.chunks() {
            emit(aof, key, &message::encode_chunk(part, &chunk));
        }
    });
}

/// Writes one command with a message to a new append-only file.
fn emit(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, message: &[u8]) {
    let (name, format) = (EFFECT_COMMAND.as_ptr(), c"sb".as_ptr());
    let (bytes, len) = (message.as_ptr().cast::<c_char>(), message.len());
    // SAFETY: file and key are the running callback's; the format takes a server string and a buffer with its length,
    // which the server copies.
    unsafe { api!(RedisModule_EmitAOF(aof, name, format, key, bytes, len)) };
}

/// Bytes of memory a limiter takes, for `MEMORY USAGE`.
unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| limiter.bytes()).unwrap_or(0)
}

/// Adds a limiter to a digest, for `DEBUG DIGEST`.
unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    let Some(bytes) = guarded(|| limiter.digest().to_le_bytes()) else { return };
    let element = bytes.as_ptr().cast::<c_char>();
    // SAFETY: the digest is the running callback's, and the length is the bytes'.
    unsafe { api!(RedisModule_DigestAddStringBuffer(digest, element, bytes.len())) };
    // SAFETY: as above.
    unsafe { api!(RedisModule_DigestEndSequence(digest)) };
}

/// What freeing a limiter costs, by which the server decides whether to do it in another thread.
unsafe extern "C" fn free_effort(_key: *mut raw::RedisModuleString, value: *const c_void) -> usize {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| limiter.blocks()).unwrap_or(1)
}

/// Frees a limiter, in whichever thread the server does that.
unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server passes a value of this type, gives it up, and holds no reference to it.
    let limiter = unsafe { limiters::from_raw(value.cast::<Limiter>()) };
    guarded(|| drop(limiter));
}

/// Copies a limiter, for `COPY`.
unsafe extern "C" fn copy(
    _from: *mut raw::RedisModuleString,
    _to: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    let copied = guarded(|| {
        let mut copied = Box::new(limiter.clone());
        copied.forget_refusals();
        limiters::into_raw(copied).cast()
    });
    copied.unwrap_or(ptr::null_mut())
}

/// Defragmentation is complete.
const DONE: c_int = 0;
/// The server should call again.
const MORE: c_int = 1;

/// Moves a limiter's memory from where the last call stopped, for active defragmentation; returns whether there is
/// more. The limiter itself stays where it is, since `limiters` knows it by its address.
unsafe extern "C" fn defrag(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    // SAFETY: the server passes where it keeps a value of this type, and uses it itself only after this call.
    let limiter = unsafe { &mut *(*value).cast::<Limiter>() };
    let outcome = guarded(|| {
        let mut raw_cursor: c_ulong = 0;
        // SAFETY: the context is the running callback's, and the cursor is where it is written; it stays zero at the
        // first call.
        unsafe { api!(RedisModule_DefragCursorGet(ctx, &raw mut raw_cursor)) };
        let Some(cursor) = limiter.defragment(DefragCursor::from_raw(raw_cursor), &mut ServerDefragmenter(ctx)) else {
            return DONE;
        };
        // SAFETY: the context is the running callback's.
        unsafe { api!(RedisModule_DefragCursorSet(ctx, cursor.raw())) };
        MORE
    });
    outcome.unwrap_or(DONE)
}

/// Moves blocks with the server's help.
struct ServerDefragmenter(*mut raw::RedisModuleDefragCtx);

impl Defragmenter for ServerDefragmenter {
    fn reallocate<T>(&mut self, block: Box<[T]>) -> Box<[T]> {
        // The allocator puts more strictly aligned blocks somewhere inside of the server's block.
        const { assert!(align_of::<T>() <= MIN_ALIGN) };
        if size_of_val(&*block) == 0 {
            return block;
        }
        let len = block.len();
        let old = Box::into_raw(block).cast::<T>();
        // SAFETY: the context is the running callback's. The block comes from the server's allocator, which was there
        // before the first limiter; from here on it is only in `old`. If it is moved, its bytes are, too, and the old
        // block is freed.
        let moved = unsafe { api!(RedisModule_DefragAlloc(self.0, old.cast())) };
        let moved = moved.filter(|moved| !moved.is_null());
        let start = moved.map_or(old, <*mut c_void>::cast);
        // SAFETY: the block at `start` is one of `len` elements of the server's allocator, which nothing else refers
        // to.
        unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start, len)) }
    }

    fn should_stop(&mut self) -> bool {
        // SAFETY: the context is the running callback's.
        unsafe { api!(RedisModule_DefragShouldStop(self.0)) }.unwrap_or(0) != 0
    }
}
