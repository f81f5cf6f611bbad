//! Helpers for tests of the rule language.

use super::client::{Verdict, batch, verdict};
use super::replies::{send, text};
use super::{Server, wait_until};
use redis::{Connection, Value};
use std::collections::BTreeMap;

/// A minute in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
/// An hour in milliseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// A row of PEEK with RULES.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) rule: String,
    pub(crate) limit: i64,
    pub(crate) remaining: i64,
    pub(crate) retry_after_ms: i64,
    pub(crate) reset_ms: i64,
    pub(crate) locked_ms: i64,
    pub(crate) shadow: bool,
}

/// Starts a server with a limiter `login` that has this policy.
#[track_caller]
pub(crate) fn start_with(words: &str) -> (Server, Connection) {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, &format!("login {words}"));
    (server, client)
}

/// Sets a limiter's policy, for example `login PAIR 5/15m`.
#[track_caller]
pub(crate) fn policy(client: &mut Connection, key_and_words: &str) {
    let line = format!("AUTHLIMIT.POLICY {key_and_words}");
    assert_eq!(send(client, &line), Ok(Value::Okay), "{line}");
}

/// Sends a command that must reply with a number, and returns it.
#[track_caller]
pub(crate) fn number(client: &mut Connection, line: &str) -> i64 {
    match send(client, line) {
        Ok(Value::Int(number)) => number,
        other => panic!("{line}: {other:?}"),
    }
}

/// Sends CHECK, for example for `login 203.0.113.7 alice@x.org`.
#[track_caller]
pub(crate) fn check(client: &mut Connection, attempt: &str) -> Verdict {
    let line = format!("AUTHLIMIT.CHECK {attempt}");
    verdict(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends PEEK, for example for `login 203.0.113.7 alice@x.org`.
#[track_caller]
pub(crate) fn peek(client: &mut Connection, attempt: &str) -> Verdict {
    let line = format!("AUTHLIMIT.PEEK {attempt}");
    verdict(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends several CHECKs in one pipeline, so that no network delay separates them.
#[track_caller]
pub(crate) fn checks<A: AsRef<str>>(client: &mut Connection, attempts: impl IntoIterator<Item = A>) -> Vec<Verdict> {
    let words = attempts.into_iter().map(|attempt| {
        let line = format!("AUTHLIMIT.CHECK {}", attempt.as_ref());
        line.split(' ').map(str::to_owned).collect::<Vec<_>>()
    });
    let replies = batch(client, words).into_iter();
    let verdicts = replies.map(|reply| {
        let verdict = reply.as_ref().ok().and_then(Verdict::from_reply);
        verdict.unwrap_or_else(|| panic!("not a verdict: {reply:?}"))
    });
    verdicts.collect()
}

/// Returns how many attempts were admitted.
pub(crate) fn admitted(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| verdict.allowed).count()
}

/// Returns the `n`th of many different IP addresses.
pub(crate) fn address(n: usize) -> String {
    format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)
}

/// Sends PEEK with RULES and returns its rows.
#[track_caller]
pub(crate) fn rows(client: &mut Connection, attempt: &str) -> Vec<Row> {
    let Ok(Value::Array(rows)) = send(client, &format!("AUTHLIMIT.PEEK {attempt} RULES")) else {
        panic!("no rows for {attempt}");
    };
    rows.iter().map(row).collect()
}

/// Parses one row.
#[track_caller]
pub(crate) fn row(row: &Value) -> Row {
    let Value::Array(columns) = row else {
        panic!("not a row: {row:?}");
    };
    let number = |column: usize| match columns[column] {
        Value::Int(number) => number,
        _ => panic!("not a row: {row:?}"),
    };
    assert_eq!(columns.len(), 7, "{row:?}");
    Row {
        rule: text(&columns[0]),
        limit: number(1),
        remaining: number(2),
        retry_after_ms: number(3),
        reset_ms: number(4),
        locked_ms: number(5),
        shadow: number(6) == 1,
    }
}

/// Returns each rule's remaining attempts, in the policy's order.
#[track_caller]
pub(crate) fn remaining(client: &mut Connection, attempt: &str) -> Vec<i64> {
    let rows = rows(client, attempt);
    rows.iter().map(|row| row.remaining).collect()
}

/// Parses a map reply. In RESP2, a map is an array of alternating names and values.
#[track_caller]
pub(crate) fn map(value: &Value) -> BTreeMap<String, Value> {
    redis::from_redis_value(value.clone()).expect("a map")
}

/// Returns the reply to AUTHLIMIT.INFO.
#[track_caller]
pub(crate) fn info(client: &mut Connection, key: &str) -> BTreeMap<String, Value> {
    map(&send(client, &format!("AUTHLIMIT.INFO {key}")).expect("the limiter exists"))
}

/// Returns a list of AUTHLIMIT.INFO: the metrics of each element by name, in order.
#[track_caller]
pub(crate) fn figures(info: &BTreeMap<String, Value>, list: &str) -> Vec<BTreeMap<String, Value>> {
    match &info[list] {
        Value::Array(elements) => elements.iter().map(map).collect(),
        other => panic!("{list}: {other:?}"),
    }
}

/// Returns one metric of each rule, in the policy's order.
#[track_caller]
pub(crate) fn totals(client: &mut Connection, key: &str, figure: &str) -> Vec<i64> {
    let rules = figures(&info(client, key), "rules");
    rules.iter().map(|rule| int(&rule[figure])).collect()
}

/// Returns one metric of each subject.
#[track_caller]
pub(crate) fn usage(client: &mut Connection, key: &str, figure: &str) -> Vec<i64> {
    let subjects = figures(&info(client, key), "subjects");
    subjects.iter().map(|usage| int(&usage[figure])).collect()
}

/// Parses a number.
#[track_caller]
pub(crate) fn int(value: &Value) -> i64 {
    redis::from_redis_value(value.clone()).expect("a number")
}

/// Waits until an attempt would be admitted.
#[track_caller]
pub(crate) fn wait_until_open(client: &mut Connection, attempt: &str) {
    wait_until("an attempt would be admitted", || peek(client, attempt).allowed);
}
