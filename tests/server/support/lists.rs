//! Helpers for tests of the allow and deny lists.

use super::client::verdict;
use super::replies::send;
use super::rules::start_with;
use super::server::Server;
use redis::{Connection, Value};
use std::collections::BTreeMap;

/// The reply to LIST: each network with its remaining time in ms, and the number of emails.
pub(crate) type ListMatch = (Vec<(String, i64)>, i64);

/// Sends ALLOW or DENY for the limiter `login`, for example `DENY ADD 10.0.0.0/8`, and returns the number it replies.
#[track_caller]
pub(crate) fn put(client: &mut Connection, line: &str) -> i64 {
    let (list, rest) = line.split_once(' ').expect("a list and an action");
    match send(client, &format!("AUTHLIMIT.{list} login {rest}")) {
        Ok(Value::Int(number)) => number,
        other => panic!("{line}: {other:?}"),
    }
}

/// Returns the entries of a list of the limiter `login`.
#[track_caller]
pub(crate) fn listed(client: &mut Connection, list: &str) -> ListMatch {
    let reply = send(client, &format!("AUTHLIMIT.LIST login {list}")).expect("a list");
    let mut map: BTreeMap<String, Value> = redis::from_redis_value(reply).expect("a map");
    assert_eq!(map.len(), 2, "{map:?}");
    let mut field = |name| map.remove(name).expect("the field exists");
    let cidrs = redis::from_redis_value(field("cidrs")).expect("networks");
    (cidrs, redis::from_redis_value(field("emails")).expect("a number"))
}

/// Returns what decides an attempt on the limiter `login`: `ALLOW`, `DENY` or the binding rule.
#[track_caller]
pub(crate) fn decided_by(client: &mut Connection, ip: &str, email: &str) -> String {
    verdict(client, &["AUTHLIMIT.PEEK", "login", ip, email]).rule
}

/// Starts a server with a limiter `login` that has the rule `PAIR 2/1h`.
#[track_caller]
pub(crate) fn start() -> (Server, Connection) {
    start_with("PAIR 2/1h")
}
