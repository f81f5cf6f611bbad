//! The workloads of the matrix: what the tests write to limiters.

use redis::{Connection, Value};

use crate::support::lists::{decided_by, listed, put};
use crate::support::replies::{EMAIL, IP, PEEK, ok};
use crate::support::rules::{admitted, checks};
use crate::support::snapshot::{Question, Snapshot};
use crate::support::storm::{self, Storm, storm_size};
use crate::support::{Server, batch, verdict};

/// Fills limiters in several parts, and knows what must be the same afterwards.
pub(super) trait Workload {
    /// Runs the next part of the workload.
    fn put(&mut self, client: &mut Connection);

    /// Returns the attempts that a snapshot of a limiter sends to PEEK.
    fn questions(&self, key: &str) -> Vec<Question>;

    /// Checks the answers that are known in advance; on a replica, without the lists.
    fn check_known_answers(&self, _client: &mut Connection) {}

    /// Waits until the timer has nothing more to reclaim.
    fn wait_until_reclaimed(&self, _client: &mut Connection) {}
}

/// Random commands of all kinds: see [`storm`].
pub(super) struct Storming(Storm);

impl Storming {
    /// Creates a storm whose seed depends on a name.
    pub(super) fn new(name: &str) -> Self {
        let seed = name.bytes().fold(0, |seed, byte| 31 * seed % 65_521 + u64::from(byte));
        Self(Storm::new(seed))
    }
}

impl Workload for Storming {
    fn put(&mut self, client: &mut Connection) {
        let count = storm_size(20_000) / 4;
        let outcome = self.0.send(client, count);
        // Proves that the comparison is not vacuous.
        assert!(outcome.admitted > count / 10, "{outcome:?}");
        assert!(outcome.refused > count / 20, "{outcome:?}");
        assert!(outcome.errors > 0, "{outcome:?}");
    }

    fn questions(&self, key: &str) -> Vec<Question> {
        storm::questions(key)
    }

    fn wait_until_reclaimed(&self, client: &mut Connection) {
        storm::wait_until_reclaimed(client);
    }
}

/// Ten thousand networks on both lists, a few emails, and entries that expire.
#[derive(Default)]
pub(super) struct LongLists {
    parts: usize,
}

/// Attempts, most of which a list decides.
const LISTED: [(&str, &str); 9] = [
    ("10.0.1.9", "a@x.org"),
    ("10.39.14.1", "a@x.org"),
    ("10.0.0.1", "a@x.org"),
    ("2001:db8:4::1", "a@x.org"),
    ("2001:db8:270c::1", "a@x.org"),
    ("192.0.2.1", "Private42@Confidential.example"),
    ("192.0.2.1", "private100@confidential.example"),
    ("172.16.0.1", "a@x.org"),
    ("192.0.2.1", "private7@confidential.example"),
];

impl LongLists {
    /// Fills the lists.
    fn fill(client: &mut Connection) {
        ok(client, "AUTHLIMIT.POLICY login PAIR 2/1h");
        let network = |n: usize| {
            let entry = match n % 4 {
                0 => format!("2001:db8:{n:x}::/48"),
                _ => format!("10.{}.{}.0/24", n >> 8, n & 255),
            };
            let name = ["AUTHLIMIT.ALLOW", "AUTHLIMIT.DENY"][n / 5_000];
            let mut words = [name, "login", "ADD", &entry].map(str::to_owned).to_vec();
            if n.is_multiple_of(3) {
                words.extend(["TTL".to_owned(), (100_000 + n).to_string()]);
            }
            words
        };
        let email = |n: usize| {
            let email = format!("private{n}@confidential.example");
            let words = ["AUTHLIMIT.DENY", "login", "ADD", &email];
            words.map(str::to_owned).to_vec()
        };
        let replies = batch(client, (0..10_000).map(network).chain((0..100).map(email)));
        assert_eq!(replies, vec![Ok(Value::Int(1)); 10_100]);
    }
}

impl Workload for LongLists {
    fn put(&mut self, client: &mut Connection) {
        self.parts += 1;
        match self.parts {
            1 => Self::fill(client),
            2 => {
                assert_eq!(put(client, "DENY ADD 172.16.0.0/12 TTL 100000"), 1);
                assert_eq!(put(client, "DENY DEL 10.39.15.0/24"), 1);
                assert_eq!(put(client, "ALLOW ADD 10.0.1.0/24"), 0);
                assert_eq!(put(client, "DENY DEL PRIVATE7@confidential.example"), 1);
            }
            _ => {
                assert_eq!(put(client, "DENY ADD 192.0.2.0/24"), 1);
                assert_eq!(put(client, "DENY DEL 192.0.2.0/24"), 1);
            }
        }
    }

    fn questions(&self, _key: &str) -> Vec<Question> {
        LISTED.map(|(ip, email)| Question::new(ip.to_owned(), email.to_owned())).to_vec()
    }

    fn check_known_answers(&self, client: &mut Connection) {
        const RULE: &str = "PAIR 2/1h";
        let is_changed = self.parts > 1;
        let [added, removed] = if is_changed { ["DENY", RULE] } else { [RULE, "DENY"] };
        let expected = ["ALLOW", "DENY", RULE, "ALLOW", "DENY", "DENY", RULE, added, removed];
        let decided = LISTED.map(|(ip, email)| decided_by(client, ip, email));
        assert_eq!(decided, expected.map(str::to_owned));
        let (allow, deny) = (listed(client, "ALLOW"), listed(client, "DENY"));
        assert_eq!((allow.0.len(), deny.0.len()), (5_000, 5_000));
        assert_eq!((allow.1, deny.1), (0, 100 - i64::from(is_changed)));
    }
}

/// More identities than one chunk holds, and one log that is longer than a chunk.
#[derive(Default)]
pub(super) struct Chunks {
    parts: usize,
}

/// The number of new identities in the first part, and in each later one.
const IDENTITIES: [usize; 2] = [5_000, 100];

impl Chunks {
    /// Returns the email of the `n`th identity.
    fn email(n: usize) -> String {
        format!("private{n}@confidential.example")
    }
}

impl Workload for Chunks {
    fn put(&mut self, client: &mut Connection) {
        let first = if self.parts == 0 {
            ok(client, "AUTHLIMIT.POLICY login PAIR 30000/1d");
            let words = ["AUTHLIMIT.CHECK", "login", IP, EMAIL, "COST", "20000"];
            assert!(verdict(client, &words).allowed);
            0
        } else {
            IDENTITIES[0] + self.parts * IDENTITIES[1]
        };
        let count = IDENTITIES[self.parts.min(1)];
        self.parts += 1;
        let attempts = (first..first + count).map(|n| format!("login {IP} {}", Self::email(n)));
        assert_eq!(admitted(&checks(client, attempts)), count);
    }

    fn questions(&self, _key: &str) -> Vec<Question> {
        let emails = (0..5_500).step_by(100).map(Self::email);
        emails.chain([EMAIL.to_owned()]).map(|email| Question::new(IP.to_owned(), email)).collect()
    }

    fn check_known_answers(&self, client: &mut Connection) {
        // PEEK counts its own attempt.
        assert_eq!(verdict(client, &PEEK).remaining, 9_999);
    }
}

/// Proves that the storms of the matrix reach limits, locks and lists.
#[test]
fn a_storm_reaches_limits_locks_and_lists() {
    let server = Server::start();
    let mut client = server.connect();
    Storm::new(1).send(&mut client, storm_size(20_000));
    let Snapshot(limiters) = storm::snapshot(&mut client);
    let answers: Vec<_> = limiters.iter().flat_map(|limiter| &limiter.answers).collect();
    let rows: Vec<_> = answers.iter().flat_map(|answer| &answer.rows).collect();
    let used_up = rows.iter().filter(|row| row[2] == Value::Int(0)).count();
    let untouched = rows.iter().filter(|row| row[2] == row[1]).count();
    assert!(used_up > 30 && untouched > 30, "{used_up} {untouched}");
    for word in ["ALLOW", "DENY", "LOCK", "DEVICE", "PER", "PAIR"] {
        let decides = answers.iter().any(|answer| answer.rule.contains(word));
        assert!(decides, "nothing is decided by {word}");
    }
}
