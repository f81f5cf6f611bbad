//! Hostile clients, dumps and files never harm the server. ACLs hold, and no email or address leaks.

mod acl;
mod arguments;
mod dumps;
mod files;
mod privacy;
mod random_commands;
