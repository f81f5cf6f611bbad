//! Active defragmentation: moves a limiter's memory for the server, as far as it says at a time.

use crate::limiter::{DefragCursor, Limiter};
use crate::redis::alloc::MIN_ALIGN;
use crate::table::Defragmenter;
use redis_module::raw;
use std::ffi::{c_int, c_ulong, c_void};

/// All is moved.
const DONE: c_int = 0;
/// The server is to call again.
const MORE: c_int = 1;

/// Moves blocks with the server's help.
struct ServerDefragmenter(*mut raw::RedisModuleDefragCtx);

impl Defragmenter for ServerDefragmenter {
    fn reallocate<T>(&mut self, block: Box<[T]>) -> Box<[T]> {
        // The allocator puts more strictly aligned ones somewhere inside of the server's block.
        const { assert!(align_of::<T>() <= MIN_ALIGN) };
        if size_of_val(&*block) == 0 {
            return block;
        }
        let len = block.len();
        let old = Box::into_raw(block).cast::<T>();
        // SAFETY: the context is the running callback's. The block comes from the server's allocator,
        // which was there before the first limiter; from here on it is only in `old`. If it is
        // moved, its bytes are, too, and the old block is freed.
        let moved = unsafe { api!(RedisModule_DefragAlloc(self.0, old.cast())) };
        let moved = moved.filter(|moved| !moved.is_null());
        let start = moved.map_or(old, <*mut c_void>::cast);
        // SAFETY: the block at `start` is one of `len` elements of the server's allocator, which
        // nothing else refers to.
        unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, len)) }
    }

    fn should_stop(&mut self) -> bool {
        // SAFETY: the context is the running callback's.
        unsafe { api!(RedisModule_DefragShouldStop(self.0)) }.unwrap_or(0) != 0
    }
}

/// Moves a limiter's memory, but not the limiter itself, which `instances` knows by its address, from where the last call stopped; returns whether there is more, as the
/// server wants it.
pub(super) fn defragment(ctx: *mut raw::RedisModuleDefragCtx, limiter: &mut Limiter) -> c_int {
    let mut raw_cursor: c_ulong = 0;
    // SAFETY: the context is the running callback's, and the cursor is where it is written; it stays
    // zero at the first call.
    unsafe { api!(RedisModule_DefragCursorGet(ctx, &raw mut raw_cursor)) };
    let from = DefragCursor::from_raw(raw_cursor);
    match limiter.defragment(from, &mut ServerDefragmenter(ctx)) {
        None => DONE,
        Some(cursor) => {
            // SAFETY: the context is the running callback's.
            unsafe { api!(RedisModule_DefragCursorSet(ctx, cursor.raw())) };
            MORE
        }
    }
}
