//! Nothing that a client or a file holds harms the server, and nobody sees what is not theirs.

mod acl;
mod arguments;
mod dumps;
mod files;
mod privacy;
mod random_commands;
