//! What each command answers.

mod check;
mod errors;
mod introspection;
mod lists;
mod top;
