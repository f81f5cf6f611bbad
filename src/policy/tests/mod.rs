//! The tests of the policy language, a file for each file of the layer.

mod error;
mod keyword;
mod options;
mod parse;
mod policy;
mod quantity;
mod rule;
