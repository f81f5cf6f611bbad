//! What is compared: plain commands as a yardstick, this module, and other ways to limit logins. Each writes a login in
//! its own commands. The scripts are the files beside this one.

mod commands;
mod peer;
mod resp;
mod scripts;

use std::env;

pub(crate) use self::commands::{KEY, module, two_subjects, yardsticks};
pub(crate) use self::peer::{Kind, Login, Peer, Quota, ReplyIntegers};
pub(crate) use self::scripts::packed;
use crate::machine::Machine;

/// The quota of the comparison, the same for every peer. Its limit is so high that no random login is refused, because
/// a refusal does other work than an admission.
pub(crate) const QUOTA: Quota = Quota { limit: 100, window: 3600 };

/// Returns all limiters that this server can run.
pub(crate) fn limiters(quota: Quota, machine: &Machine) -> Vec<Peer> {
    let mut peers = vec![
        two_subjects(quota),
        packed(quota),
        scripts::two_counters(quota),
        scripts::log(quota),
        scripts::gcra(quota),
        scripts::sliding_window(quota),
        scripts::fixed_window(quota),
    ];
    if machine.has_command("INCREX") {
        peers.push(commands::increx(quota));
    }
    if let Ok(path) = env::var("AUTHLIMIT_BENCH_REDIS_CELL") {
        peers.push(commands::redis_cell(quota, path));
    }
    peers
}
