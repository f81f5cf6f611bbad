//! What an operator sees and sets.

mod concurrency;
mod config;
mod event_names;
mod events;
mod info;
mod memory;
mod monitoring;
mod reclaim;
