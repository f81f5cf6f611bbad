//! The commands, one file each: a struct that the arguments are parsed into, and then applied. The manual of all
//! commands is `docs/commands.md`; their names, flags and arity are in `lib.rs`.

mod attempt;
mod check;
mod effect;
mod info;
mod lists;
mod peek;
mod policy;
mod refund;
mod reset;
mod top;
mod unlock;

pub(crate) use check::Check;
pub(crate) use effect::ApplyEffect;
pub(crate) use info::Info;
pub(crate) use lists::{Allow, Deny, ShowList};
pub(crate) use peek::Peek;
pub(crate) use policy::SetPolicy;
pub(crate) use refund::Refund;
pub(crate) use reset::Reset;
pub(crate) use top::Top;
pub(crate) use unlock::Unlock;
