//! What a limiter holds outlives every way of storing it.

mod aof;
mod crash;
mod golden;
mod hash_key;
mod keys;
mod matrix;
