//! Limiters survive every way of storing them.

mod aof;
mod crash;
mod golden;
mod hash_key;
mod keys;
mod matrix;
