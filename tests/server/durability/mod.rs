//! What a limiter holds outlives every way of storing it.

mod crash;
mod equality;
mod golden;
mod hash_key;
mod lists_persistence;
mod persistence;
mod rules_persistence;
