#![doc = include_str!("format.md")]
#![forbid(unsafe_code)]

mod bytes;
mod chunk;
mod digest;
mod entry;
#[cfg(test)]
mod golden;
mod list_entry;
mod lock;
pub mod message;
pub(crate) mod metadata;
#[cfg(test)]
mod tests;

pub use bytes::CHUNK_BYTES;
pub(crate) use chunk::END_OF_CHUNKS;
pub use chunk::{ChunkError, Chunks, Part};
pub use list_entry::ListEntryError;
pub use metadata::HeaderError;

/// The encoding version of the data type in an RDB file: how metadata and chunks follow each other.
pub(crate) const ENCODING_VERSION: i32 = 1;
