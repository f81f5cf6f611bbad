//! What the rules of a policy do.

mod capacity;
mod counts;
mod identities;
mod locks;
mod modifiers;
mod policy;
