//! What each command answers, one file for each.

mod check;
mod errors;
mod info;
mod introspection;
mod list_ttl;
mod lists;
mod peek;
mod policy;
mod refund;
mod reset;
mod top;
mod unlock;
