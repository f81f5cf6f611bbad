//! Moving memory, for a server that defragments its own.

/// Moves blocks of memory to where they fragment the rest less.
pub trait Defragmenter {
    /// Moves a block, or returns it unmoved.
    fn reallocate<T>(&mut self, block: Box<[T]>) -> Box<[T]>;

    /// Whether to pause and continue another time.
    fn should_stop(&mut self) -> bool;
}
