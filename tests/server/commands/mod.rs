//! The replies of the commands, one file per command.

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
