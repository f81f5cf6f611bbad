//! What the rules of a policy do.

mod capacity;
mod counts;
mod devices;
mod identities;
mod locks;
mod modifiers;
