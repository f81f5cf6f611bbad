//! What operators use: settings, events, metrics and memory; and what concurrent clients get.

mod concurrency;
mod config;
mod event_names;
mod events;
mod info;
mod memory;
mod monitoring;
mod reclaim;
