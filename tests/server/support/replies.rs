//! Sends commands as lines, and reads their replies.

use super::client::{Verdict, command, verdict};
use redis::{ConnectionLike, Value};

/// The IP address of most tests.
pub(crate) const IP: &str = "203.0.113.7";

/// The email of most tests.
pub(crate) const EMAIL: &str = "alice@example.com";

/// CHECK of [`IP`] and [`EMAIL`], for the limiter `login`.
pub(crate) const CHECK: [&str; 4] = ["AUTHLIMIT.CHECK", "login", IP, EMAIL];

/// PEEK of the same.
pub(crate) const PEEK: [&str; 4] = ["AUTHLIMIT.PEEK", "login", IP, EMAIL];

/// RESET of the same.
pub(crate) const RESET: [&str; 4] = ["AUTHLIMIT.RESET", "login", IP, EMAIL];

/// Sends a command given as words separated by single spaces.
#[track_caller]
pub(crate) fn send(client: &mut impl ConnectionLike, line: &str) -> Result<Value, String> {
    command(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends a command that must reply OK.
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

/// Returns whether a key exists.
#[track_caller]
pub(crate) fn exists(client: &mut impl ConnectionLike, key: &str) -> bool {
    command(client, &["EXISTS", key]) == Ok(Value::Int(1))
}

/// Returns an entry of a map reply. In RESP2, a map is an array of alternating names and values.
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

/// Returns a reply as a string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    redis::from_redis_value(value.clone()).unwrap_or_else(|_| panic!("not a string: {value:?}"))
}

/// Returns a reply as a list of strings.
#[track_caller]
pub(crate) fn texts(value: &Value) -> Vec<String> {
    elements(value).iter().map(text).collect()
}

/// Returns the elements of a list reply.
#[track_caller]
pub(crate) fn elements(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) | Value::Set(values) => values.clone(),
        _ => panic!("not a list: {value:?}"),
    }
}

/// Returns a limiter's policy, as INFO reports it.
#[track_caller]
pub(crate) fn policy(client: &mut impl ConnectionLike, key: &str) -> String {
    let info = command(client, &["AUTHLIMIT.INFO", key]).expect("the limiter exists");
    text(&entry(&info, "policy"))
}
