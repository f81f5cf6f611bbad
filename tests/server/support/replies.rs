//! Commands as lines, and what their replies hold.

use super::client::{Verdict, command, verdict};
use redis::{ConnectionLike, Value};

/// An address to send.
pub(crate) const IP: &str = "203.0.113.7";

/// An email to send.
pub(crate) const EMAIL: &str = "alice@example.com";

/// CHECK of that address and email, for the limiter `login`.
pub(crate) const CHECK: [&str; 4] = ["AUTHLIMIT.CHECK", "login", IP, EMAIL];

/// PEEK of the same.
pub(crate) const PEEK: [&str; 4] = ["AUTHLIMIT.PEEK", "login", IP, EMAIL];

/// RESET of the same.
pub(crate) const RESET: [&str; 4] = ["AUTHLIMIT.RESET", "login", IP, EMAIL];

/// Sends a line of words parted by single spaces.
#[track_caller]
pub(crate) fn send(client: &mut impl ConnectionLike, line: &str) -> Result<Value, String> {
    command(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends a line that must be answered with OK.
#[track_caller]
pub(crate) fn ok(client: &mut impl ConnectionLike, line: &str) {
    assert_eq!(send(client, line), Ok(Value::Okay), "{line}");
}

/// Sends CHECK, for the limiter `login`.
#[track_caller]
pub(crate) fn check(client: &mut impl ConnectionLike, ip: &str, email: &str) -> Verdict {
    verdict(client, &["AUTHLIMIT.CHECK", "login", ip, email])
}

/// Sends PEEK, for the limiter `login`.
#[track_caller]
pub(crate) fn peek(client: &mut impl ConnectionLike, ip: &str, email: &str) -> Verdict {
    verdict(client, &["AUTHLIMIT.PEEK", "login", ip, email])
}

/// Says whether a key is there.
#[track_caller]
pub(crate) fn exists(client: &mut impl ConnectionLike, key: &str) -> bool {
    command(client, &["EXISTS", key]) == Ok(Value::Int(1))
}

/// Finds an entry in a reply that is a map, which in RESP2 is an array of names and values in turn.
#[track_caller]
pub(crate) fn entry(map: &Value, name: &str) -> Value {
    let named = |value: &Value| text(value) == name;
    match map {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| named(key)).map(|(_, v)| v),
        Value::Array(values) => values.chunks(2).find(|pair| named(&pair[0])).map(|pair| &pair[1]),
        _ => None,
    }
    .unwrap_or_else(|| panic!("no {name} in {map:?}"))
    .clone()
}

/// Returns a string of a reply.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    redis::from_redis_value(value.clone()).unwrap_or_else(|_| panic!("not a string: {value:?}"))
}

/// Returns the strings of a reply's list.
#[track_caller]
pub(crate) fn texts(value: &Value) -> Vec<String> {
    elements(value).iter().map(text).collect()
}

/// Returns the elements of a reply's list.
#[track_caller]
pub(crate) fn elements(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) | Value::Set(values) => values.clone(),
        _ => panic!("not a list: {value:?}"),
    }
}

/// Returns the policy that INFO tells.
#[track_caller]
pub(crate) fn policy(client: &mut impl ConnectionLike, key: &str) -> String {
    let info = command(client, &["AUTHLIMIT.INFO", key]).expect("there is such a limiter");
    text(&entry(&info, "policy"))
}
