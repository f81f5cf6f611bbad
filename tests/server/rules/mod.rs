//! Rules of a policy: what they count, refuse and lock.

mod against_model;
mod capacity;
mod counts;
mod devices;
mod identities;
mod locks;
mod modifiers;
