//! What tests of the allow and deny lists have in common.

use super::client::verdict;
use super::replies::send;
use super::rules::start_with;
use super::server::Server;
use redis::{Connection, Value};
use std::collections::BTreeMap;

/// What LIST says: the networks, each with how many ms are left to it, and how many emails.
pub(crate) type ListMatch = (Vec<(String, i64)>, i64);

/// Sends ALLOW or DENY on the limiter `login`, as `DENY ADD 10.0.0.0/8`, and returns its number.
#[track_caller]
pub(crate) fn put(client: &mut Connection, line: &str) -> i64 {
    let (list, rest) = line.split_once(' ').expect("a list and what to do");
    match send(client, &format!("AUTHLIMIT.{list} login {rest}")) {
        Ok(Value::Int(number)) => number,
        other => panic!("{line}: {other:?}"),
    }
}

/// Asks for what is on a list of the limiter `login`.
#[track_caller]
pub(crate) fn listed(client: &mut Connection, list: &str) -> ListMatch {
    let reply = send(client, &format!("AUTHLIMIT.{list} login LIST")).expect("a list");
    let mut map: BTreeMap<String, Value> = redis::from_redis_value(reply).expect("a map");
    assert_eq!(map.len(), 2, "{map:?}");
    let mut field = |name| map.remove(name).expect("it is there");
    let cidrs = redis::from_redis_value(field("cidrs")).expect("networks");
    (cidrs, redis::from_redis_value(field("emails")).expect("how many"))
}

/// Returns the word that decides an attempt on the limiter `login`: `ALLOW`, `DENY` or the rule.
#[track_caller]
pub(crate) fn decided_by(client: &mut Connection, ip: &str, email: &str) -> String {
    verdict(client, &["AUTHLIMIT.PEEK", "login", ip, email]).rule
}

/// Starts a server with a limiter `login` that has the rule `PAIR 2/1h`.
#[track_caller]
pub(crate) fn start() -> (Server, Connection) {
    start_with("PAIR 2/1h")
}
