//! The commands of a storm, and the replies that each allows.

use redis::Value;

use super::{ADDRESSES, DEVICES, LIMITERS, MAILBOXES, StormLimiter, address, email};
use crate::support::Random;
use crate::support::client::Verdict;

/// Keys to which the storm copies and renames limiters, and which it deletes again.
const SPARES: [&str; 2] = ["{acme}:spare", "{acme}:spare2"];

/// The words of the errors that a wrong command gets. An internal error never is one.
const ERROR_WORDS: [&str; 10] = [
    "ERR ",
    "SYNTAX ",
    "BADIP ",
    "BADEMAIL ",
    "BADDEVICE ",
    "BADCOST ",
    "BADENTRY ",
    "LISTFULL ",
    "BADPOLICY ",
    "NOLIMITER ",
];

/// The replies that a command allows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Verdict,
    /// An error if the cost is above a limit of the policy.
    VerdictOrError,
    Number,
    NumberOrError,
    Okay,
    Error,
    /// Not a command of the module: the reply depends on which keys exist.
    Anything,
}

impl Expected {
    /// Returns whether a reply is allowed. Internal errors of the module never are.
    pub(super) fn is(self, reply: &Result<Value, String>) -> bool {
        let is_verdict = |reply: &Value| Verdict::from_reply(reply).is_some();
        match (self, reply) {
            (Self::Anything, _) => true,
            (Self::Verdict | Self::VerdictOrError, Ok(reply)) => is_verdict(reply),
            (Self::Number | Self::NumberOrError, Ok(reply)) => matches!(reply, Value::Int(0..)),
            (Self::Okay, Ok(reply)) => *reply == Value::Okay,
            (Self::VerdictOrError | Self::NumberOrError | Self::Error, Err(error)) => {
                ERROR_WORDS.iter().any(|word| error.starts_with(word))
            }
            (Self::Error, Ok(_)) | (_, Err(_)) => false,
        }
    }
}

/// Returns a random command, as words.
pub(super) fn random_command(random: &mut Random) -> (Vec<String>, Expected) {
    let limiter = random.pick(&LIMITERS);
    let StormLimiter { key, policies, .. } = *limiter;
    let (ip, email) = (address(random.skewed(ADDRESSES)), spelling(random));
    let device = (limiter.has_devices && random.one_in(4)).then(|| format!("device{}", random.below(DEVICES)));
    let cost = random.one_in(6).then(|| 1 + random.below(3));
    let attempt = |name: &str, cost: Option<usize>| {
        let mut words = vec![format!("AUTHLIMIT.{name}"), key.to_owned()];
        words.extend([ip.clone(), email.clone()]);
        words.extend(device.iter().flat_map(|id| ["DEVICE".to_owned(), id.clone()]));
        words.extend(cost.iter().flat_map(|n| ["COST".to_owned(), n.to_string()]));
        words
    };
    let line = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let unlock = |words: &[&str]| {
        let words = [&["AUTHLIMIT.UNLOCK", key], words].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let (verdict, number) = match cost {
        Some(_) => (Expected::VerdictOrError, Expected::NumberOrError),
        None => (Expected::Verdict, Expected::Number),
    };
    let [spare, other] = SPARES;
    match random.below(1_000) {
        0..300 => {
            // A new identity almost every time: fills the tables, so that full ones evict.
            let (n, m) = (random.below(1 << 16), random.below(1 << 20));
            let words = format!("AUTHLIMIT.CHECK {key} 10.1.{}.{} stray{m}@x.org", n >> 8, n & 255);
            (line(&words), Expected::Verdict)
        }
        300..700 => (attempt("CHECK", cost), verdict),
        700..720 => (attempt("PEEK", cost), verdict),
        720..790 => (attempt("RESET", None), Expected::Number),
        790..860 => (attempt("REFUND", cost), number),
        860..880 => (unlock(&["IP", &ip]), Expected::Number),
        880..900 => (unlock(&["EMAIL", &email]), Expected::Number),
        900..910 => (unlock(&["EMAIL", &email, "IP", &ip]), Expected::Number),
        910..980 => (change_of_list(random, key), Expected::Number),
        980..992 if !policies.is_empty() => {
            let words = format!("AUTHLIMIT.POLICY {key} {}", random.pick::<&str>(policies));
            (line(&words), Expected::Okay)
        }
        // An invalid attempt, which must not be counted.
        980..995 => {
            let words = format!("AUTHLIMIT.CHECK {key} 198.51.100.1:80 a@x.org");
            (line(&words), Expected::Error)
        }
        995 => {
            let words = format!("COPY {{acme}}:locks {spare} REPLACE");
            (line(&words), Expected::Number)
        }
        996 => (line(&format!("RENAME {spare} {other}")), Expected::Anything),
        997 => (line(&format!("UNLINK {spare} {other}")), Expected::Number),
        998 => {
            let words = format!("AUTHLIMIT.CHECK {spare} {ip} stray@x.org");
            (line(&words), Expected::Verdict)
        }
        _ => (line(&format!("COPY quick {spare} REPLACE")), Expected::Number),
    }
}

/// Returns a change of a limiter's list. Most entries are permanent or outlast every test.
fn change_of_list(random: &mut Random, key: &str) -> Vec<String> {
    let entry = list_entry(random);
    let list = format!("AUTHLIMIT.{}", random.pick(&["ALLOW", "DENY"]));
    let (key, action, ttl) = match random.below(7) {
        0 | 1 => (key, "ADD", None),
        2 => ("quick", "ADD", Some("1")),
        3 => (key, "ADD", Some("90000")),
        _ => (key, "DEL", None),
    };
    let mut words = vec![list, key.to_owned(), action.to_owned(), entry];
    words.extend(ttl.iter().flat_map(|ttl| ["TTL".to_owned(), (*ttl).to_owned()]));
    words
}

/// Returns an entry for a list. Its networks differ from the addresses of attempts, because lists store networks in
/// clear text, and addresses of attempts must never be stored.
fn list_entry(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("192.0.2.{}", random.below(ADDRESSES)),
        1 => format!("10.1.{}.0/24", random.below(ADDRESSES)),
        2 => format!("10.1.{}.0/30", random.below(ADDRESSES)),
        3 => format!("2001:db9:{:x}::/48", random.below(ADDRESSES)),
        _ => spelling(random),
    }
}

/// Returns an email in one of its spellings.
fn spelling(random: &mut Random) -> String {
    let plain = email(random.skewed(MAILBOXES));
    match random.below(10) {
        0 => plain.to_ascii_uppercase(),
        1 => plain.replace('@', "+news@"),
        2 => format!(" {plain} "),
        3 => plain.replace("priv", "\u{ff50}\u{ff52}\u{ff49}\u{ff56}"),
        4 => plain.replace("private", "Private") + ".",
        _ => plain,
    }
}
