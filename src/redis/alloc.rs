//! The allocator of the whole library.
//!
//! In a server everything is allocated through the module API, so that `used_memory`, `maxmemory` and defragmentation
//! include it. In a test or a benchmark there is no server, and the system's allocator is used. The change is at the
//! first line of `RedisModule_OnLoad`, before which the library allocates nothing, so no block is ever freed by the
//! other allocator.

use redis_module::raw;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;

/// The alignment of every block of the server, even where it stores a size before each (as Redis does over an allocator
/// that does not know sizes). Greater alignments are made here.
pub(super) const MIN_ALIGN: usize = 8;

/// Forwards to Redis's allocator once the module API is there, and to the system's before.
pub(crate) struct ServerAllocator;

// SAFETY: each method returns a block of the layout's size and alignment, or null, from an allocator that fulfils
// `malloc`'s contract, and `dealloc` and `realloc` return it to the same one: which one it is changes only once, when
// nothing is allocated (see the module's documentation).
unsafe impl GlobalAlloc for ServerAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the table of API functions is filled in by the main thread before any other uses it; this reads one
        // pointer of it.
        let Some(malloc) = (unsafe { raw::RedisModule_Alloc }) else {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc(layout) };
        };
        if layout.align() <= MIN_ALIGN {
            // SAFETY: malloc takes any size.
            return unsafe { malloc(layout.size()) }.cast();
        }
        let Some(padded) = padded_size(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: malloc takes any size.
        let block = unsafe { malloc(padded) }.cast::<u8>();
        // SAFETY: the block is null or has room for the padding of this layout.
        unsafe { align_within(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let Some(calloc) = (unsafe { raw::RedisModule_Calloc }) else {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc_zeroed(layout) };
        };
        if layout.align() <= MIN_ALIGN {
            // SAFETY: calloc takes any size.
            return unsafe { calloc(1, layout.size()) }.cast();
        }
        let Some(padded) = padded_size(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: calloc takes any size.
        let block = unsafe { calloc(1, padded) }.cast::<u8>();
        // SAFETY: the block is null or has room for the padding of this layout.
        unsafe { align_within(block, layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let Some(free) = (unsafe { raw::RedisModule_Free }) else {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.dealloc(block, layout) };
        };
        let start = if layout.align() <= MIN_ALIGN {
            block.cast::<c_void>()
        } else {
            // SAFETY: `align_within` wrote the start there for every block of such a layout.
            unsafe { start_of(block) }
        };
        // SAFETY: `start` is what malloc or calloc returned, and the caller gives it up.
        unsafe { free(start) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let Some(realloc) = (unsafe { raw::RedisModule_Realloc }) else {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.realloc(block, layout, new_size) };
        };
        if layout.align() <= MIN_ALIGN {
            // SAFETY: `block` is what malloc, calloc or realloc returned, and the caller gives it up.
            return unsafe { realloc(block.cast(), new_size) }.cast();
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the new layout is valid and, by the caller's promise, not of size zero.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least this long, and a new one overlaps no other.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

/// The size of a block in which any address can be aligned as `layout` wants, with room before it for the block's
/// start; `None` if there is no such size.
fn padded_size(layout: Layout) -> Option<usize> {
    layout.size().checked_add(layout.align())?.checked_add(size_of::<*mut c_void>())
}

/// The first address in `block` that is aligned as `layout` wants and has the block's start written before it; null if
/// the block is.
///
/// # Safety
/// `block` must be null or have [`padded_size`] bytes.
unsafe fn align_within(block: *mut u8, layout: Layout) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let header = size_of::<*mut c_void>();
    // SAFETY: the block is longer than the header.
    let after_header = unsafe { block.add(header) };
    let padding = after_header.align_offset(layout.align());
    // SAFETY: the padding is less than the alignment, for which the block has room.
    let aligned = unsafe { after_header.add(padding) };
    // SAFETY: the header lies before `aligned` within the block, however that is aligned.
    let start = unsafe { aligned.sub(header) }.cast::<*mut c_void>();
    // SAFETY: as above.
    unsafe { start.write_unaligned(block.cast()) };
    aligned
}

/// The start of the block that `aligned` lies in.
///
/// # Safety
/// `aligned` must come from [`align_within`].
unsafe fn start_of(aligned: *mut u8) -> *mut c_void {
    // SAFETY: `align_within` wrote the start just before.
    let header = unsafe { aligned.sub(size_of::<*mut c_void>()) };
    // SAFETY: as above.
    unsafe { header.cast::<*mut c_void>().read_unaligned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_aligned_blocks_are_aligned_and_remember_their_start() {
        for align in [32, 64, 4096] {
            let layout = Layout::from_size_align(100, align).unwrap();
            let mut storage = vec![0_u8; padded_size(layout).unwrap()];
            let start = storage.as_mut_ptr();
            // SAFETY: the storage has the padded size.
            let aligned = unsafe { align_within(start, layout) };
            assert_eq!(aligned.align_offset(align), 0);
            // SAFETY: the pointer comes from `align_within`.
            assert_eq!(unsafe { start_of(aligned) }, start.cast());
            let end = aligned.addr().checked_add(100).unwrap();
            assert!(end <= start.addr().checked_add(storage.len()).unwrap());
        }
    }
}
