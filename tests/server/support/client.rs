//! Sends commands with arbitrary bytes, and parses their replies.

use redis::{ConnectionLike, Value};

/// The reply to CHECK and PEEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether the attempt is admitted.
    pub(crate) allowed: bool,
    /// The binding rule's limit.
    pub(crate) limit: i64,
    /// How many more attempts the binding rule admits now.
    pub(crate) remaining: i64,
    /// Time until another attempt would be admitted.
    pub(crate) retry_after_ms: i64,
    /// Time until the full limit is available again.
    pub(crate) reset_ms: i64,
    /// The binding rule, as the policy spells it.
    pub(crate) rule: String,
}

/// Sends a command of arbitrary bytes, and returns the reply or the server's error line (`ERR ...`).
///
/// Panics if the connection breaks or the reply violates the protocol (for example, an error line with binary bytes):
/// that is a server failure, not an error reply.
#[track_caller]
pub(crate) fn command<A: AsRef<[u8]>>(client: &mut impl ConnectionLike, words: &[A]) -> Result<Value, String> {
    let mut packed = redis::Cmd::new();
    for word in words {
        packed.arg(word.as_ref());
    }
    match client.req_command(&packed) {
        Ok(reply) => or_error_line(reply),
        Err(error) => panic!("{}: {error}", shown(words)),
    }
}

/// Sends an already encoded command, and returns the reply as [`command`] does.
#[track_caller]
pub(crate) fn raw_command(client: &mut impl ConnectionLike, packed: &[u8]) -> Result<Value, String> {
    let reply = client.req_packed_command(packed);
    or_error_line(reply.unwrap_or_else(|error| panic!("{error}")))
}

/// Sends many commands in pipelines of a thousand, and returns the reply to each as [`command`] does.
#[track_caller]
pub(crate) fn batch<C: AsRef<[W]>, W: AsRef<[u8]>>(
    client: &mut impl ConnectionLike,
    commands: impl IntoIterator<Item = C>,
) -> Vec<Result<Value, String>> {
    const AT_ONCE: usize = 1_000;
    let mut commands = commands.into_iter();
    let mut replies = Vec::new();
    loop {
        let (mut packed, mut count) = (Vec::new(), 0);
        for words in commands.by_ref().take(AT_ONCE) {
            let mut command = redis::Cmd::new();
            words.as_ref().iter().for_each(|word| {
                command.arg(word.as_ref());
            });
            packed.extend(command.get_packed_command());
            count += 1;
        }
        if count == 0 {
            return replies;
        }
        let answered = client.req_packed_commands(&packed, 0, count);
        let answered = answered.unwrap_or_else(|error| panic!("{count} commands: {error}"));
        assert_eq!(answered.len(), count);
        replies.extend(answered.into_iter().map(or_error_line));
    }
}

/// Turns an error reply into `Err` with its error line.
fn or_error_line(reply: Value) -> Result<Value, String> {
    match reply {
        Value::ServerError(error) => Err(match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        }),
        reply => Ok(reply),
    }
}

impl Verdict {
    /// Parses a reply. Returns None if it is not a verdict.
    pub(crate) fn from_reply(reply: &Value) -> Option<Self> {
        let Value::Array(fields) = reply else {
            return None;
        };
        match fields.as_slice() {
            [
                Value::Int(allowed @ (0 | 1)),
                Value::Int(limit),
                Value::Int(remaining),
                Value::Int(retry_after_ms),
                Value::Int(reset_ms),
                Value::BulkString(rule),
            ] => Some(Self {
                allowed: *allowed == 1,
                limit: *limit,
                remaining: *remaining,
                retry_after_ms: *retry_after_ms,
                reset_ms: *reset_ms,
                rule: String::from_utf8(rule.clone()).ok()?,
            }),
            _ => None,
        }
    }
}

/// Sends a command and returns its verdict; panics on any other reply.
#[track_caller]
pub(crate) fn verdict<A: AsRef<[u8]>>(client: &mut impl ConnectionLike, words: &[A]) -> Verdict {
    let reply = command(client, words);
    let verdict = reply.as_ref().ok().and_then(Verdict::from_reply);
    verdict.unwrap_or_else(|| panic!("{}: not a verdict: {reply:?}", shown(words)))
}

/// Returns the digest of a key's value. Equal values have equal digests.
#[track_caller]
pub(crate) fn digest(client: &mut impl ConnectionLike, key: &str) -> String {
    match command(client, &["DEBUG", "DIGEST-VALUE", key]) {
        Ok(Value::Array(values)) if values.len() == 1 => redis::from_redis_value(values[0].clone()).expect("text"),
        other => panic!("DEBUG DIGEST-VALUE {key}: {other:?}"),
    }
}

/// Formats a command for a failure message, with long words truncated.
fn shown<A: AsRef<[u8]>>(words: &[A]) -> String {
    let word = |word: &A| word.as_ref().iter().take(60).copied().collect::<Vec<u8>>().escape_ascii().to_string();
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
